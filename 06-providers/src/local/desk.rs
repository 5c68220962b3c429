//! Speaking with a balancer over the socket in its directory.

use super::Fault;
use super::start::sockets;
use crate::balance::{BackendSetup, Config, Metrics, SOCKET, State};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::UnixStream;

/// How long a balancer may take to answer a question that waits for nothing.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// A balancer's admin side.
#[derive(Debug, Clone)]
pub(crate) struct Desk {
    dir: PathBuf,
}

impl Desk {
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    pub(crate) async fn state(&self) -> Result<State, Fault> {
        self.ask(Method::GET, "/state", &(), Duration::ZERO).await
    }

    pub(crate) async fn metrics(&self) -> Result<Metrics, Fault> {
        self.ask(Method::GET, "/metrics.json", &(), Duration::ZERO).await
    }

    pub(crate) async fn configure(&self, config: &Config) -> Result<(), Fault> {
        self.ask::<_, serde_json::Value>(Method::PUT, "/config", config, Duration::ZERO).await.map(drop)
    }

    /// Sends requests there from now on, and waits so long for what its predecessor has.
    pub(crate) async fn put(&self, slot: &str, backend: &BackendSetup, drain: Duration) -> Result<(), Fault> {
        let path = format!("/backends/{slot}?drain_ms={}", drain.as_millis());
        self.ask::<_, serde_json::Value>(Method::PUT, &path, backend, drain).await.map(drop)
    }

    /// Sends nothing there any more, and waits so long for what it has.
    pub(crate) async fn remove(&self, slot: &str, drain: Duration) -> Result<(), Fault> {
        let path = format!("/backends/{slot}?drain_ms={}", drain.as_millis());
        self.ask::<_, serde_json::Value>(Method::DELETE, &path, &(), drain).await.map(drop)
    }

    async fn ask<Q: Serialize, A: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        question: &Q,
        waits: Duration,
    ) -> Result<A, Fault> {
        let unreachable = |because: String| Fault::Failed(format!("the balancer does not answer: {because}"));
        let body = serde_json::to_vec(question).map_err(|error| unreachable(error.to_string()))?;
        let request =
            Request::builder().method(method).uri(path).header("host", "balancer").body(Full::new(Bytes::from(body)));
        let request = request.map_err(|error| unreachable(error.to_string()))?;
        let exchange = async {
            let dir = sockets(&self.dir)?;
            let stream =
                UnixStream::connect(dir.socket(SOCKET)).await.map_err(|error| unreachable(error.to_string()))?;
            crate::http::ask(stream, request).await.map_err(unreachable)
        };
        let answered = tokio::time::timeout(ANSWER_MAX + waits, exchange).await;
        let (status, bytes) = answered.map_err(|_| unreachable("it takes too long".to_owned()))??;
        if !status.is_success() {
            return Err(Fault::Failed(format!(
                "the balancer answers {}: {}",
                status.as_u16(),
                String::from_utf8_lossy(&bytes)
            )));
        }
        serde_json::from_slice(&bytes).map_err(|error| unreachable(format!("its answer cannot be read: {error}")))
    }
}
