//! `writ dev`: everything on one machine, from one directory, until it is interrupted.

use crate::api::{Shared, router};
use crate::principals::admit;
use crate::setup::Files;
use crate::state::{ServerAddress, StateDir, StateError};
use crate::system::SystemEntropy;
use crate::wire::{Installation, WireError};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use writ_core::{LedgerError, ProviderError};
use writ_pipeline::{CommitError, Pipeline};

/// How `dev` is to run.
#[derive(Debug, Clone)]
pub struct DevConfig {
    /// Where state is kept.
    pub state: PathBuf,
    /// Where to listen; loopback only. Port 0 chooses a free one.
    pub listen: SocketAddr,
}

/// Why `dev` does not run.
#[derive(Debug, thiserror::Error)]
pub enum DevError {
    /// The address is not loopback.
    #[error("`{listen}` is not a loopback address; `dev` serves this machine alone")]
    NotLoopback {
        /// What was asked for.
        listen: SocketAddr,
    },
    /// It cannot listen.
    #[error("cannot listen on `{listen}`; give another with `--listen`")]
    Listen {
        /// What was asked for.
        listen: SocketAddr,
        /// What the system says.
        #[source]
        cause: std::io::Error,
    },
    /// State.
    #[error("the state directory cannot be used")]
    State(#[from] StateError),
    /// The installation.
    #[error("the installation does not open")]
    Wire(#[from] WireError),
    /// The journal.
    #[error("the people of this installation cannot be recorded")]
    Commit(#[from] CommitError),
    /// The journal's people.
    #[error("the people of this installation cannot be read")]
    Ledger(#[from] LedgerError),
}

/// A running `dev`.
pub struct DevServer {
    /// Where it listens.
    pub address: SocketAddr,
    /// Where state is kept.
    pub state: StateDir,
    installation: Installation,
    serving: JoinHandle<()>,
}

impl DevServer {
    /// Opens the installation and listens.
    ///
    /// # Errors
    /// When the address is not loopback or taken, or the installation does not open.
    pub async fn start(config: &DevConfig, files: &Files) -> Result<Self, DevError> {
        if !config.listen.ip().is_loopback() {
            return Err(DevError::NotLoopback { listen: config.listen });
        }
        let state = StateDir::open(&config.state)?;
        let failed = |cause| DevError::Listen { listen: config.listen, cause };
        let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let installation = Installation::open(&state, files).await?;
        admit(&state, installation.pipeline.journal(), &SystemEntropy).await?;
        let next_key = installation.next_key(&state);
        let shared = Arc::new(Shared::new(installation.pipeline.clone(), installation.processes(), next_key));
        let serving = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router(shared)).await {
                tracing::error!(error = &error as &dyn std::error::Error, "the server has stopped");
            }
        });
        state.announce(&ServerAddress { pid: std::process::id(), url: format!("http://{address}") })?;
        Ok(Self { address, state, installation, serving })
    }

    /// The pipeline.
    #[must_use]
    pub fn pipeline(&self) -> &Pipeline {
        &self.installation.pipeline
    }

    /// Stops serving and closes the journal; with `all`, stops everything that was started too.
    ///
    /// # Errors
    /// When a process could not be stopped.
    pub async fn stop(self, all: bool) -> Result<(), ProviderError> {
        self.state.withdraw();
        self.serving.abort();
        self.installation.close(all).await
    }
}
