//! Looking an installation over: what is wrong with it, and the way out of each.

use crate::channels::channels;
use crate::config::Config;
use crate::state::StateDir;
use crate::system::SystemClock;
use crate::tls;
use crate::wire::{self, WireError, journal_file};
use rustix::fs::statvfs;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;
use writ_audit::Checkpoint;
use writ_core::{Clock as _, LedgerError, Witness as _};
use writ_pipeline::{Trust, VerifyError, error_chain};

/// Free space below which something is about to go wrong, and below which it has.
const FREE_FEW: u64 = 1 << 30;
const FREE_NONE: u64 = 64 << 20;

/// How long a commit may take to reach the disk before people notice.
const SYNC_SLOW: Duration = Duration::from_millis(50);

/// How many times the disk is tried.
const SYNCS: u32 = 5;

/// How well something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// As it should be.
    Good,
    /// Somebody should look.
    Doubtful,
    /// It is wrong.
    Bad,
}

/// What was found about one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The thing.
    pub about: &'static str,
    /// How it is.
    pub health: Health,
    /// What was found.
    pub said: String,
    /// The way out; none where nothing is wrong.
    pub hint: Option<String>,
}

fn good(about: &'static str, said: impl Into<String>) -> Finding {
    Finding { about, health: Health::Good, said: said.into(), hint: None }
}

fn doubtful(about: &'static str, said: impl Into<String>, hint: impl Into<String>) -> Finding {
    Finding { about, health: Health::Doubtful, said: said.into(), hint: Some(hint.into()) }
}

fn bad(about: &'static str, said: impl Into<String>, hint: impl Into<String>) -> Finding {
    Finding { about, health: Health::Bad, said: said.into(), hint: Some(hint.into()) }
}

const RESTORE: &str = "restore a backup into an empty directory: `writ server restore BACKUP --state DIR`";

/// Looks an installation over. It may be running; then its journal is not walked.
pub async fn examine(config: &Config) -> Vec<Finding> {
    let state = &config.state;
    let mut findings = vec![good("program", format!("writ {}", env!("CARGO_PKG_VERSION")))];
    findings.extend(tls_files(config));
    findings.push(notifications(config));
    if !state.join("journal.db").is_file() {
        let said = format!("`{}` holds no journal", state.display());
        findings.push(bad(
            "state",
            said,
            "name the state directory with `--state`; a server makes one at its first start",
        ));
        return findings;
    }
    findings.push(directory(state));
    findings.push(disk(state));
    findings.push(keys(state));
    findings.extend(journal(state).await);
    findings
}

/// Brings the tables of a journal to what this program writes. The version before and after.
///
/// # Errors
/// When there is none, a newer program wrote it, it is damaged, or a server has it.
pub async fn migrate(state: &Path) -> Result<(i64, i64), WireError> {
    let path = state.join("journal.db");
    let (found, _) = journal_file::look(&path).await?.version;
    wire::migrate(&path).await?;
    Ok((found, journal_file::look(&path).await?.version.0))
}

fn tls_files(config: &Config) -> Option<Finding> {
    let (cert, key) = (config.tls.cert.as_ref()?, config.tls.key.as_ref()?);
    Some(match tls::offer(cert, key, SystemClock.now()) {
        Ok(_) => good("tls", format!("`{}` is good, and goes with its key", cert.display())),
        Err(error) => {
            bad("tls", error_chain(&error), "a server does not start with these; see `docs/configuration.md`")
        }
    })
}

/// The channels, as far as they can be looked at without sending anything.
fn notifications(config: &Config) -> Finding {
    let about = "notifications";
    let channels = match channels(config) {
        Ok(channels) => channels,
        Err(error) => {
            return bad(about, error_chain(&error), "a server does not start so; see `docs/configuration.md`");
        }
    };
    let notify = &config.notify;
    let secrets = [&notify.webhook.secret_file, &notify.slack_url_file, &notify.smtp.credentials_file];
    let open = |path: &&PathBuf| fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0);
    if let Some(path) = secrets.into_iter().flatten().find(open) {
        let shown = path.display();
        return doubtful(about, format!("others can read `{shown}`"), format!("run `chmod 600 {shown}`"));
    }
    let names: Vec<&str> = channels.iter().map(|channel| channel.name()).collect();
    match (names.as_slice(), &config.public_url) {
        ([_], _) => doubtful(
            about,
            "nobody outside is told: they stand in `notifications.log` alone",
            "name a webhook, Slack or a mail server: `notify` in `docs/configuration.md`",
        ),
        (names, None) if config.listen.ip().is_loopback() || config.listen.ip().is_unspecified() => doubtful(
            about,
            format!("they go to {}, with links that this machine alone reaches", names.join(", ")),
            "set `public_url` to the address by which people reach this server",
        ),
        (names, _) => good(about, format!("they go to {}", names.join(", "))),
    }
}

fn directory(state: &Path) -> Finding {
    let shown = state.display();
    match fs::metadata(state).map(|meta| meta.permissions().mode() & 0o777) {
        Ok(mode) if mode & 0o077 != 0 => bad(
            "state",
            format!("others can enter `{shown}` (mode {mode:o})"),
            format!("run `chmod 700 {shown}`, and rotate its keys if anybody did"),
        ),
        Ok(_) => good("state", format!("`{shown}` is its owner's alone")),
        Err(error) => {
            bad("state", format!("`{shown}` cannot be read: {error}"), "run as the user that the server runs as")
        }
    }
}

/// Room, and how long a write takes to be safe.
fn disk(state: &Path) -> Finding {
    let free = match statvfs(state) {
        Ok(found) => found.f_bavail.saturating_mul(found.f_frsize),
        Err(error) => return bad("disk", format!("its file system does not answer: {error}"), "look at the disk"),
    };
    let mebibytes = free >> 20;
    if free < FREE_NONE {
        let hint = "make room: when nothing can be written, writ acts on nothing";
        return bad("disk", format!("{mebibytes} MiB are free"), hint);
    }
    match sync_time(state) {
        Err(error) => bad("disk", format!("it cannot be written: {error}"), "look at its permissions and its room"),
        Ok(took) if took > SYNC_SLOW => doubtful(
            "disk",
            format!("{mebibytes} MiB are free; a write takes {} ms to be safe", took.as_millis()),
            "every commit waits for that: give writ a faster disk",
        ),
        Ok(took) if free < FREE_FEW => doubtful(
            "disk",
            format!("{mebibytes} MiB are free; a write takes {} µs to be safe", took.as_micros()),
            "make room before it is needed",
        ),
        Ok(took) => good("disk", format!("{mebibytes} MiB are free; a write takes {} µs to be safe", took.as_micros())),
    }
}

/// The middle of some tries.
fn sync_time(state: &Path) -> std::io::Result<Duration> {
    let path = state.join(format!("doctor.{}", std::process::id()));
    let mut took = Vec::new();
    let mut tries = || -> std::io::Result<()> {
        let mut file = File::create(&path)?;
        for _ in 0..SYNCS {
            let began = Instant::now();
            file.write_all(&[0; 4_096])?;
            file.sync_all()?;
            took.push(began.elapsed());
        }
        Ok(())
    };
    let tried = tries();
    fs::remove_file(&path)?;
    tried?;
    took.sort_unstable();
    Ok(took.get(took.len() / 2).copied().unwrap_or_default())
}

fn keys(state: &Path) -> Finding {
    let dir = state.join("keys");
    let (mut found, mut all) = (Vec::new(), vec![dir.clone()]);
    while let Some(path) = all.pop() {
        for entry in fs::read_dir(&path).into_iter().flatten().flatten() {
            if entry.path().is_dir() { all.push(entry.path()) } else { found.push(entry.path()) }
        }
    }
    found.sort();
    for needed in ["log", "gate"] {
        if !found.contains(&dir.join(needed)) {
            let said = format!("`{}` is missing", dir.join(needed).display());
            return bad("keys", said, "put it back from where keys are kept; without it a start would make another");
        }
    }
    match found.iter().find_map(|path| unfit(path.as_path())) {
        Some((said, hint)) => bad("keys", said, hint),
        None => good("keys", format!("{} keys, each its owner's alone", found.len())),
    }
}

fn unfit(path: &Path) -> Option<(String, String)> {
    let shown = path.display();
    let mode = fs::metadata(path).ok()?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let hint = format!("run `chmod 600 {shown}`, and rotate it if anybody did");
        return Some((format!("`{shown}` can be read by others (mode {mode:o})"), hint));
    }
    let text = fs::read_to_string(path).unwrap_or_default();
    let sound = hex::decode(text.trim()).is_ok_and(|bytes| bytes.len() == 32);
    (!sound).then(|| (format!("`{shown}` holds no key"), "put it back from where keys are kept".into()))
}

async fn journal(state: &Path) -> Vec<Finding> {
    let looked = match journal_file::look(&state.join("journal.db")).await {
        Ok(looked) => looked,
        Err(error) => return vec![bad("database", error_chain(&error), RESTORE)],
    };
    let (version, known) = looked.version;
    if let Some(damage) = looked.damage {
        return vec![bad("database", format!("it is damaged: {damage}"), RESTORE)];
    }
    if version > known {
        let said = format!("a newer writ wrote it: its tables are of version {version}, this program knows {known}");
        return vec![bad("database", said, "run that program, or restore a backup from before it")];
    }
    let mut findings = vec![if version < known {
        let said = format!("its tables are of version {version}, this program writes {known}");
        doubtful(
            "database",
            said,
            "the next start brings them forward, or `writ server migrate` now; make a backup first",
        )
    } else {
        good("database", format!("{} entries, tables of version {version}", looked.size))
    }];
    findings.push(match looked.newest {
        Some(newest) if newest > SystemClock.now() => doubtful(
            "clock",
            format!("the newest entry is of {newest}, and it is {} here", SystemClock.now()),
            "set the clock of this machine; until then entries keep the time of the newest",
        ),
        Some(_) | None => good("clock", format!("{}", SystemClock.now())),
    });
    findings.push(witness(state, looked.size));
    if version == known {
        findings.push(walked(state).await);
    }
    findings
}

fn witness(state: &Path, size: u64) -> Finding {
    let path = state.join("witness");
    match journal_file::WitnessFile::at(&path).latest() {
        Err(error) => bad("witness", error_chain(&error), "look at the file; without it nobody notices a rollback"),
        Ok(None) => {
            doubtful("witness", "it has seen nothing", "a start begins another; what clients remember still holds")
        }
        Ok(Some(note)) => match Checkpoint::parse(&note) {
            Err(error) => bad("witness", error_chain(&error), "put it back from a backup"),
            Ok((seen, _)) if seen.size > size => bad(
                "witness",
                format!("it has seen {} entries, there are {size}: the journal is rolled back", seen.size),
                "restore the newest database, or go on without what is lost: `writ server restore --accept-rollback --reason WHY`",
            ),
            Ok((seen, _)) => good("witness", format!("it has seen {} of {size} entries", seen.size)),
        },
    }
}

/// Walks the whole journal, unless a server has it.
async fn walked(state: &Path) -> Finding {
    let dir = match StateDir::open(state) {
        Ok(dir) => dir,
        Err(error) => return bad("journal", error_chain(&error), "run as the user that the server runs as"),
    };
    match wire::verify_kept(&dir, |_| Some(Trust::default())).await {
        Ok(Some(Ok(size))) => good("journal", format!("{size} entries hold")),
        Ok(Some(Err(VerifyError::Fault(fault)))) => bad("journal", fault.to_string(), RESTORE),
        Ok(Some(Err(VerifyError::Ledger(error)))) => bad("journal", error_chain(&error), RESTORE),
        Ok(None) => good("journal", "it was not walked"),
        Err(WireError::Ledger(LedgerError::Held { .. })) => {
            good("journal", "a server has it open; `writ audit verify` asks that")
        }
        Err(error) => bad("journal", error_chain(&error), RESTORE),
    }
}
