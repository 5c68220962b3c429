//! `writ server`.

use super::Failure;
use super::config::Configured;
use crate::Common;
use crate::exit::{self, Exit};
use clap::{Args, Subcommand};
use std::path::PathBuf;
use std::time::Instant;
use tokio::signal::unix::{Signal, SignalKind, signal};
use writ_server::{Beginning, Config, Server, begin_log, read_files};

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
}

#[derive(Debug, Args)]
struct Run {
    #[command(flatten)]
    configured: Configured,
    /// The directory with `platform.yaml`, `agents.yaml`, `policies/` and `contracts/`
    #[arg(long, value_name = "DIR")]
    files: Option<PathBuf>,
}

impl ServerOf {
    pub(crate) async fn run(self, common: &Common) -> Result<Exit, Failure> {
        match self.what {
            Some(What::Run(run)) => run.serve(common).await,
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
        let files = read_files(&config.files).map_err(Failure::Problems)?;
        let mut ends = Ends::new()?;
        let began = now();
        let server = Server::start(&config, &files, &Beginning::SERVER)
            .await
            .map_err(|error| Failure::of(exit::FAILED, &error))?;
        let state = config.state.display();
        out.line(&format!("writ   {}  state {state}  ready in {} ms", server.url, began.elapsed().as_millis()));
        for token in &server.tokens {
            out.line(&format!("token  {}", token.display()));
            out.say(
                "       an administrator's, made now and shown nowhere else: keep it elsewhere, and remove the file",
            );
        }
        out.next(&format!("writ token issue NAME --enrol --roles viewer,operator --as admin --state {state}"));
        ends.one().await;
        server.stop(false).await.map_err(|error| Failure::of(exit::FAILED, &error))?;
        out.say("writ   stopped; what it started keeps running");
        Ok(exit::OK)
    }
}

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
}

#[expect(clippy::disallowed_methods, reason = "the shell measures how long its own start takes")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
