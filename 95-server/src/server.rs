//! A server: an installation that is opened, served, and handed over in order when it ends.

use crate::api::{Shared, router};
use crate::channels::{ChannelsError, channels};
use crate::config::Config;
use crate::guard::{Underway, guarded};
#[cfg(feature = "oidc")]
use crate::oidc::Oidc;
use crate::principals::{Beginning, admit};
use crate::serve::{self, Serving, room_for};
use crate::setup::Files;
use crate::state::{ServerAddress, StateDir, StateError};
use crate::system::{SystemClock, SystemEntropy};
use crate::tls::{self, TlsError};
use crate::wire::{Installation, Towards, WireError};
use std::future::Future;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use writ_core::{Clock as _, LedgerError, ProviderError, RunId};
use writ_pipeline::{CommitError, Pipeline};

/// Why a server does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address is not loopback, and this kind of server serves its machine alone.
    #[error("`{listen}` is not a loopback address; `dev` serves this machine alone, `writ server` others")]
    NotLoopback {
        /// What was asked for.
        listen: SocketAddr,
    },
    /// The address is not loopback, and there is no TLS.
    #[error(
        "`{listen}` is not a loopback address and there is no TLS: tokens would cross the network in the clear; \
         give `tls.cert` and `tls.key`, or set `insecure_bind` when a proxy before it has TLS"
    )]
    Exposed {
        /// What was asked for.
        listen: SocketAddr,
    },
    /// TLS.
    #[error("TLS cannot be offered")]
    Tls(#[from] TlsError),
    /// It cannot listen.
    #[error("cannot listen on `{listen}`; give another with `--listen`")]
    Listen {
        /// What was asked for.
        listen: SocketAddr,
        /// What the system says.
        #[source]
        cause: std::io::Error,
    },
    /// The issuer.
    #[cfg(feature = "oidc")]
    #[error("nobody could log in by the issuer")]
    Oidc(#[from] crate::oidc::OidcError),
    /// There is an issuer, and nothing that could ask it.
    #[cfg(not(feature = "oidc"))]
    #[error("`oidc.issuer` is given, and this writ was built without the feature `oidc`")]
    NoOidc,
    /// Notifications.
    #[error("people cannot be told")]
    Channels(#[from] ChannelsError),
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

/// A running server.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// The URL by which this machine reaches it.
    pub url: String,
    /// Where state is kept.
    pub state: StateDir,
    /// Files with the tokens that this start made.
    pub tokens: Vec<PathBuf>,
    installation: Installation,
    serving: Serving,
    underway: Underway,
    counting: JoinHandle<()>,
    drain: Duration,
}

impl Server {
    /// Opens the installation and listens.
    ///
    /// # Errors
    /// When the address may not be served or is taken, TLS cannot be offered, or the installation does not open.
    pub async fn start(config: &Config, files: &Files, beginning: &Beginning) -> Result<Self, ServerError> {
        let listen = config.listen;
        let tls = match (&config.tls.cert, &config.tls.key) {
            (Some(cert), Some(key)) => Some(tls::offer(cert, key, SystemClock.now())?),
            (Some(_), None) | (None, Some(_)) | (None, None) => None,
        };
        if !listen.ip().is_loopback() && beginning.loopback_alone {
            return Err(ServerError::NotLoopback { listen });
        }
        if !listen.ip().is_loopback() && tls.is_none() && !config.insecure_bind {
            return Err(ServerError::Exposed { listen });
        }
        #[cfg(not(feature = "oidc"))]
        if config.oidc.issuer.is_some() {
            return Err(ServerError::NoOidc);
        }
        let channels = channels(config)?;
        let state = StateDir::open(&config.state)?;
        let failed = |cause| ServerError::Listen { listen, cause };
        let listener = serve::listen(listen).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let url = url(address, tls.is_some());
        let links = config.public_url.clone().unwrap_or_else(|| url.clone());
        let towards = Towards { address: links, channels, told_from: config.notify.level };
        let installation = Installation::open(&state, files, beginning, towards).await?;
        let tokens = admit(&state, installation.pipeline.journal(), &SystemEntropy, beginning).await?;
        let next_key = installation.next_key(&state);
        let limits = config.limits.clone();
        let mut shared = Shared::new(installation.pipeline.clone(), installation.processes(), next_key, config);
        #[cfg(feature = "oidc")]
        {
            shared.oidc = Oidc::of(config, config.public_url.as_deref().unwrap_or(&url))?;
        }
        shared.breaks = beginning.breakable.then(|| installation.breaks());
        let underway = Underway::none();
        let metrics = shared.metrics.clone();
        let timed = metrics.clone();
        shared.pipeline.journal().when_committed(move |took| timed.committed(took));
        let counting = tokio::spawn(metrics.clone().follow(shared.pipeline.clone()));
        let routes = guarded(router(Arc::new(shared)), &limits, tls.is_some(), &underway, &metrics);
        let drain = Duration::from_secs(limits.drain_seconds);
        let connections = room_for(limits.connections);
        let serving = Serving::start(listener, tls, routes, limits, connections);
        state.announce(&ServerAddress { pid: std::process::id(), url: url.clone() })?;
        Ok(Self { address, url, state, tokens, installation, serving, underway, counting, drain })
    }

    /// The pipeline.
    #[must_use]
    pub fn pipeline(&self) -> &Pipeline {
        &self.installation.pipeline
    }

    /// Stops taking requests, lets those in flight end, hands live runs over to the next start, and closes the journal. With
    /// `all`, live runs come to their end and everything that was started is stopped too; `at_once`, runs are not waited for. Where
    /// some do not come to their end in time, these: everything is left to them.
    ///
    /// # Errors
    /// When a process could not be stopped.
    pub async fn stop(self, all: bool, at_once: impl Future<Output = ()>) -> Result<Vec<RunId>, ProviderError> {
        self.state.withdraw();
        self.pipeline().keep_nobody_waiting();
        self.serving.stop(self.drain).await;
        if tokio::time::timeout(self.drain, self.underway.over()).await.is_err() {
            tracing::warn!("requests are cut at the end: they took too long");
        }
        self.counting.abort();
        self.installation.close(all, at_once, self.drain).await
    }
}

/// How this machine reaches an address: one that stands for all of them is reached by loopback.
fn url(address: SocketAddr, tls: bool) -> String {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        std::net::IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        std::net::IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    format!("{}://{}", if tls { "https" } else { "http" }, SocketAddr::new(ip, address.port()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::read_files;

    #[tokio::test]
    async fn what_would_be_unsafe_is_refused_before_anything_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let files = read_files(dir.path()).unwrap();
        let beyond =
            Config { listen: "0.0.0.0:0".parse().unwrap(), state: dir.path().join("state"), ..Config::standard() };
        let refused = |start: Result<Server, ServerError>| start.map(|_| ()).unwrap_err().to_string();
        let told = refused(Server::start(&beyond, &files, &Beginning::SERVER).await);
        assert!(told.contains("give `tls.cert` and `tls.key`, or set `insecure_bind`"), "{told}");
        let open = Config { insecure_bind: true, ..beyond.clone() };
        let told = refused(Server::start(&open, &files, &Beginning::DEV).await);
        assert!(told.contains("`dev` serves this machine alone"), "{told}");
        assert!(!beyond.state.exists());
    }

    #[test]
    fn this_machine_reaches_a_server_of_all_addresses_by_loopback() {
        for (address, tls, expected) in [
            ("127.0.0.1:1", false, "http://127.0.0.1:1"),
            ("0.0.0.0:1", true, "https://127.0.0.1:1"),
            ("[::]:1", true, "https://[::1]:1"),
            ("10.0.0.7:1", false, "http://10.0.0.7:1"),
        ] {
            assert_eq!(url(address.parse().unwrap(), tls), expected);
        }
    }
}
