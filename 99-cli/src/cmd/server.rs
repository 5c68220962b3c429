//! `writ server`.

use super::config::Configured;
use super::{Failure, is_there, items};
use crate::Common;
use crate::client::Client;
use crate::exit::{self, Exit};
use crate::out::columns;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::signal::unix::{Signal, SignalKind, signal};
use writ_core::Clock as _;
use writ_pipeline::error_chain;
use writ_server::{
    BackupError, Beginning, Config, Finding, Health, Server, ServerError, SystemClock, accept_rollback, back_up,
    begin_log, examine, migrate, read_files, restore,
};

/// Serve an installation: its API, its runs and its healing
///
/// Opens the state directory, making it with a key and one administrator's token when it is new, and serves until it is told to
/// end (SIGTERM or SIGINT). Then it takes no more requests, lets those in flight end, and leaves live runs to the next start.
/// What it started keeps running.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct ServerOf {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    run: Run,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Serve; what `writ server` does by itself
    Run(Run),
    /// Bring the tables of a journal to what this program writes, as every start does
    Migrate(At),
    /// Copy an installation into a directory; it may be running
    Backup {
        /// Where to; it must not be there yet, or be empty
        into: PathBuf,
        /// Copy the keys, too: whoever has the copy can then sign in this journal's name
        #[arg(long)]
        keys: bool,
        #[command(flatten)]
        at: At,
    },
    /// Put a backup into an empty state directory and verify it; or go on with a journal that was rolled back
    Restore(Restore),
    /// Look an installation over: each thing that is wrong, with its way out
    Doctor(At),
    /// Send something that says nothing to every channel of the running server, and tell what each said
    NotifyTest,
}

/// Where the installation is.
#[derive(Debug, Args)]
struct At {
    /// The configuration file, TOML
    #[arg(long, env = "WRIT_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

impl At {
    fn config(&self, common: &Common) -> Result<Config, Failure> {
        Ok(Configured::of(self.config.clone()).resolve(Config::standard(), common, &[])?.config)
    }
}

#[derive(Debug, Args)]
struct Restore {
    /// The backup
    #[arg(required_unless_present = "accept_rollback", conflicts_with = "accept_rollback")]
    from: Option<PathBuf>,
    /// The directory with the keys, when the backup has none
    #[arg(long, value_name = "DIR", conflicts_with = "accept_rollback")]
    keys: Option<PathBuf>,
    /// A witness file newer than the backup's own, such as that of the installation that was lost
    #[arg(long, value_name = "FILE", conflicts_with = "accept_rollback")]
    witness: Option<PathBuf>,
    /// Go on with a journal that is behind its witness, under another name and key; what is lost stays lost
    #[arg(long, requires = "reason")]
    accept_rollback: bool,
    /// Why; it stands beside the entry that says so
    #[arg(long, short = 'm', requires = "accept_rollback")]
    reason: Option<String>,
    #[command(flatten)]
    at: At,
}

#[derive(Debug, Args)]
struct Run {
    #[command(flatten)]
    configured: Configured,
    /// The directory with `platform.yaml`, `agents.yaml`, `commands.yaml`, `policies/`, `contracts/` and `playbooks/`
    #[arg(long, value_name = "DIR")]
    files: Option<PathBuf>,
}

impl ServerOf {
    pub(crate) async fn run(self, common: &Common) -> Result<Exit, Failure> {
        match self.what {
            Some(What::Run(run)) => run.serve(common).await,
            Some(What::Migrate(at)) => migrate_tables(&at.config(common)?, common).await,
            Some(What::Backup { into, keys, at }) => backup(&at.config(common)?, &into, keys, common).await,
            Some(What::Restore(restore)) => restore.run(common).await,
            Some(What::Doctor(at)) => doctor(&at.config(common)?, common).await,
            Some(What::NotifyTest) => notify_test(common).await,
            None => self.run.serve(common).await,
        }
    }
}

impl Run {
    async fn serve(self, common: &Common) -> Result<Exit, Failure> {
        let out = common.out();
        let files: Vec<_> = self.files.iter().map(|dir| ("--files", "files", dir.display().to_string())).collect();
        let config = self.configured.resolve(Config::standard(), common, &files)?.config;
        begin_log(config.log);
        is_there(
            &config.files,
            "name the one with `platform.yaml`, `agents.yaml` and `policies`: `--files DIR`, or `files` of the configuration",
        )?;
        let files = read_files(&config.files).map_err(Failure::Problems)?;
        let mut ends = Ends::new()?;
        let began = now();
        let server = Server::start(&config, &files, &Beginning::SERVER).await.map_err(|error| not_started(&error))?;
        let state = config.state.display();
        out.line(&format!("writ   {}  state {state}  ready in {} ms", server.url, began.elapsed().as_millis()));
        for token in &server.tokens {
            out.line(&format!("token  {}", token.display()));
            out.say(
                "       an administrator's, made now and shown nowhere else: keep it elsewhere, and remove the file",
            );
        }
        out.next(&format!(
            "writ token issue NAME --enrol --roles viewer,operator -m REASON --as admin --state {state}"
        ));
        ends.one().await;
        server.stop(false, std::future::pending()).await.map_err(|error| Failure::of(exit::FAILED, &error))?;
        out.say("writ   stopped; what it started keeps running");
        Ok(exit::OK)
    }
}

/// Why a server does not start, and what looks its installation over.
pub(crate) fn not_started(error: &ServerError) -> Failure {
    let hint = matches!(error, ServerError::Wire(_) | ServerError::State(_))
        .then(|| "`writ server doctor` looks the installation over".to_owned());
    Failure::Other { exit: exit::FAILED, text: error_chain(error), hint }
}

async fn migrate_tables(config: &Config, common: &Common) -> Result<Exit, Failure> {
    let (before, after) = migrate(&config.state).await.map_err(|error| Failure::of(exit::FAILED, &error))?;
    let out = common.out();
    out.document(&json!({"before": before, "after": after}), |_| match before == after {
        true => format!("tables are of version {after}, which is what this program writes\n"),
        false => format!("tables are of version {after} now, and were of {before}\n"),
    });
    Ok(exit::OK)
}

async fn backup(config: &Config, into: &Path, keys: bool, common: &Common) -> Result<Exit, Failure> {
    let made = back_up(&config.state, into, keys, SystemClock.now()).await;
    let made = made.map_err(|error| Failure::of(exit::FAILED, &error))?;
    let out = common.out();
    out.document(&json!(made), |_| format!("backup {}  of {}  {} entries\n", into.display(), made.origin, made.size));
    if !keys && !common.quiet {
        out.say(
            "note: the keys are not in it; keep `keys/` elsewhere, for nobody can go on with the journal without them",
        );
    }
    let apart = if keys { String::new() } else { format!(" --keys {}", config.state.join("keys").display()) };
    out.next(&format!("writ server restore {}{apart} --state DIR", into.display()));
    Ok(exit::OK)
}

impl Restore {
    async fn run(self, common: &Common) -> Result<Exit, Failure> {
        let (state, out) = (self.at.config(common)?.state, common.out());
        let unfit = |error: BackupError| {
            let unverified = matches!(error, BackupError::Unverified { .. });
            Failure::of(if unverified { exit::UNVERIFIED } else { exit::FAILED }, &error)
        };
        let Some(from) = &self.from else {
            let reason = self.reason.unwrap_or_default();
            if reason.trim().is_empty() {
                return Err(Failure::Other { exit: exit::USAGE, text: "no reason is given".into(), hint: None });
            }
            let accepted = accept_rollback(&state, reason.trim()).await.map_err(unfit)?;
            out.document(&json!(accepted), |_| {
                format!(
                    "goes on from {} entries, as `{}`; given up: {} entries (root {}) that the witness had seen\n",
                    accepted.found.size, accepted.new, accepted.witnessed.size, accepted.witnessed.root
                )
            });
            out.next("start the server, then tell everybody who verifies: `writ audit unpin`, and the new key");
            return Ok(exit::OK);
        };
        let restored = restore(from, &state, self.keys.as_deref(), self.witness.as_deref()).await.map_err(unfit)?;
        let document = json!({"manifest": restored.manifest, "verified": restored.verified});
        out.document(&document, |_| {
            format!("restored {}  {} entries, all of which hold\n", restored.manifest.origin, restored.verified)
        });
        out.next(&format!("writ server --state {}", state.display()));
        Ok(exit::OK)
    }
}

async fn doctor(config: &Config, common: &Common) -> Result<Exit, Failure> {
    let (findings, out) = (examine(config).await, common.out());
    let word = |health| match health {
        Health::Good => "good",
        Health::Doubtful => "look",
        Health::Bad => "bad",
    };
    let document =
        |one: &Finding| json!({"about": one.about, "health": word(one.health), "said": one.said, "hint": one.hint});
    out.list(&findings.iter().map(document).collect::<Vec<_>>(), "", |_| {
        let row = |one: &Finding| vec![one.about.to_owned(), word(one.health).to_owned(), one.said.clone()];
        columns(&["ABOUT", "HEALTH", "FOUND"], &findings.iter().map(row).collect::<Vec<_>>(), out.is_terminal())
    });
    for one in &findings {
        if let Some(hint) = &one.hint {
            out.hint(&format!("{}: {hint}", one.about));
        }
    }
    let wrong = findings.iter().any(|one| one.health == Health::Bad);
    Ok(if wrong { exit::FAILED } else { exit::OK })
}

async fn notify_test(common: &Common) -> Result<Exit, Failure> {
    let answer = Client::new(common)?.post("/api/v1/notifications/test", &json!({})).await?;
    let items = items(&answer);
    let out = common.out();
    let text = |item: &Value, field: &str| item.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let took = |item: &Value| item.get("took") == Some(&json!(true));
    out.list(&items, "no channel is configured", |_| {
        let said = |item: &Value| if took(item) { "took it".to_owned() } else { text(item, "because") };
        let rows: Vec<_> = items.iter().map(|item| vec![text(item, "channel"), said(item)]).collect();
        columns(&["CHANNEL", "SAID"], &rows, out.is_terminal())
    });
    Ok(if items.iter().all(took) { exit::OK } else { exit::FAILED })
}

/// How long after the first an interrupt is taken for the same one.
const TWICE_WITHIN: Duration = Duration::from_secs(1);

/// The signals that end a server.
pub(crate) struct Ends {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Ends {
    pub(crate) fn new() -> Result<Self, Failure> {
        let hear = |kind| signal(kind).map_err(|error| Failure::of(exit::INTERNAL, &error));
        // A terminal that goes away ends it, too.
        let (interrupt, terminate) = (hear(SignalKind::interrupt())?, hear(SignalKind::terminate())?);
        Ok(Self { interrupt, terminate, hangup: hear(SignalKind::hangup())? })
    }

    /// Waits for one of them; whether somebody interrupted it.
    pub(crate) async fn one(&mut self) -> bool {
        tokio::select! {
            _ = self.interrupt.recv() => true,
            _ = self.terminate.recv() => false,
            _ = self.hangup.recv() => false,
        }
    }

    /// Waits until somebody interrupts it once more, who has had the time to read what is said of the first: whatever passes signals
    /// on may do so twice.
    pub(crate) async fn again(&mut self) {
        let twice = async {
            loop {
                self.interrupt.recv().await;
            }
        };
        drop(tokio::time::timeout(TWICE_WITHIN, twice).await);
        self.interrupt.recv().await;
    }
}

#[expect(clippy::disallowed_methods, reason = "the shell measures how long its own start takes")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
