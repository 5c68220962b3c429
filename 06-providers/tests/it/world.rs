//! A state directory of its own, a provider over it, and orders for it.

use async_trait::async_trait;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use writ_core::{ComponentId, Effect, Health, Provider, Receipt};
use writ_providers::conformance::{Issuer, Stage};
use writ_providers::load::{LoadConfig, LoadSummary};
use writ_providers::{Faces, LocalConfig, LocalProvider, OpenError, SystemClock};

pub(crate) const COMPONENT: &str = "web-service-001";

pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) issuer: Issuer,
    keys: AtomicU64,
}

/// The program with the four faces, which Cargo builds beside the tests.
pub(crate) fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().parent().unwrap().join("examples/world")
}

impl World {
    pub(crate) fn new() -> Self {
        let issuer = Issuer::new([1; 32], [2; 32], Arc::new(SystemClock));
        Self { dir: tempfile::tempdir().unwrap(), issuer, keys: AtomicU64::new(1) }
    }

    pub(crate) fn config(&self) -> LocalConfig {
        let words = |face: &str| vec![face.to_owned()];
        LocalConfig {
            clock: Arc::new(SystemClock),
            faces: Faces { launch: words("launch"), balance: words("balance"), sample: words("sample") },
            gate_key: self.issuer.gate_key(),
            program: program(),
            state_dir: self.dir.path().join("state"),
        }
    }

    pub(crate) async fn open(&self) -> LocalProvider {
        self.try_open().await.unwrap()
    }

    pub(crate) async fn try_open(&self) -> Result<LocalProvider, OpenError> {
        LocalProvider::open(self.config()).await
    }

    pub(crate) fn key(&self) -> String {
        format!("ek_{}", self.keys.fetch_add(1, Relaxed))
    }

    pub(crate) fn order(&self, verb: &str, slot: &str, params: Value) -> Effect {
        self.issuer.order(verb, &format!("{COMPONENT}/{slot}"), params, &self.key(), 1).unwrap()
    }

    pub(crate) async fn balancer(&self, provider: &LocalProvider) -> Receipt {
        provider.perform(&self.order("balancer.ensure", "lb", balancer())).await.unwrap()
    }

    pub(crate) async fn instance(&self, provider: &LocalProvider, slot: &str, generation: u64) -> Receipt {
        provider.perform(&self.order("instance.ensure", slot, instance(slot, generation))).await.unwrap()
    }

    pub(crate) async fn health(&self, provider: &LocalProvider, interval_ms: u64) -> Receipt {
        let params = json!({
            "component": COMPONENT, "healthy_threshold": 2, "interval_ms": interval_ms, "path": "/healthz",
            "timeout_ms": 200, "unhealthy_threshold": 2,
        });
        provider.perform(&self.order("health.configure", "health", params)).await.unwrap()
    }

    pub(crate) fn lines(&self, name: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.dir.path().join("state").join(name)).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Drop for World {
    /// Whatever a failed test left running goes with its directory.
    fn drop(&mut self) {
        let state = self.dir.path().join("state");
        for line in self.lines("starts.log") {
            let key = line["effect_key"].as_str().unwrap_or_default().to_owned();
            let pid = line["pid"].as_i64().unwrap_or(0);
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            let ours = environment.split(|byte| *byte == 0).any(|it| it == format!("WRIT_EFFECT_KEY={key}").as_bytes());
            if ours && state.exists() {
                signal(pid, rustix::process::Signal::KILL);
            }
        }
    }
}

pub(crate) fn signal(pid: i64, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    let _ = rustix::process::kill_process(pid, signal);
}

pub(crate) fn balancer() -> Value {
    json!({ "component": COMPONENT, "policy": "p2c", "port": 0, "scheme": "internet-facing", "type": "application" })
}

pub(crate) fn instance(slot: &str, generation: u64) -> Value {
    let zones = ["us-west-2a", "us-west-2b", "us-west-2c"];
    let number: usize = slot.trim_start_matches("i-").parse().unwrap();
    json!({
        "command": "sample", "component": COMPONENT, "cpu_millicores": 2000, "drain_ms": 2000,
        "env": { "SERVICE_MICROS": "500" }, "generation": generation, "health_path": "/healthz", "instance_type": "t3.medium",
        "memory_bytes": 268_435_456_u64, "port": 0, "slot": slot, "start_timeout_ms": 8000, "zone": zones[(number - 1) % 3],
    })
}

pub(crate) fn removal(slot: &str) -> Value {
    json!({ "component": COMPONENT, "drain_ms": 2000, "slot": slot })
}

pub(crate) fn component() -> ComponentId {
    COMPONENT.parse().unwrap()
}

pub(crate) fn pid(receipt: &Receipt) -> i64 {
    receipt.detail["pid"].as_i64().unwrap()
}

pub(crate) fn url(receipt: &Receipt, path: &str) -> String {
    format!("http://{}{path}", receipt.detail["address"].as_str().unwrap())
}

/// Waits until a condition holds; the machine decides how long that takes, the test only how long is too long.
pub(crate) async fn until<F: AsyncFnMut() -> bool>(what: &str, mut condition: F) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while !condition().await {
        assert!(tokio::time::Instant::now() < deadline, "waited too long until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) async fn health(provider: &LocalProvider, slot: &str) -> Option<Health> {
    let world = provider.observe(&component()).await.ok()?;
    serde_json::from_value(world.resources.get(&format!("{COMPONENT}/{slot}"))?.get("health")?.clone()).ok()
}

pub(crate) async fn load(target: &str, rate: u32, span: Duration) -> LoadSummary {
    let target = target.parse().unwrap();
    let config = LoadConfig { duration: Some(span), rate, target, timeout: Duration::from_secs(10) };
    writ_providers::load::run(config, std::future::pending()).await
}

/// One request by hand: its status and its whole answer.
pub(crate) async fn request(method: &str, url: &str) -> Result<(u16, String), std::io::Error> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (address, path) = url.trim_start_matches("http://").split_once('/').unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    let text =
        format!("{method} /{path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    stream.write_all(text.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let status = answer.split_whitespace().nth(1).and_then(|status| status.parse().ok());
    status.map(|status| (status, answer)).ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into())
}

#[async_trait]
impl Stage for World {
    async fn open(&self) -> Arc<dyn Provider> {
        Arc::new(World::open(self).await)
    }

    fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    fn component(&self) -> ComponentId {
        component()
    }

    fn balancer(&self) -> Value {
        balancer()
    }

    fn instance(&self, slot: &str, generation: u64) -> Value {
        instance(slot, generation)
    }

    fn removal(&self, slot: &str) -> Value {
        removal(slot)
    }

    async fn deeds(&self) -> Vec<String> {
        self.lines("effects.log").iter().map(|line| line["key"].as_str().unwrap().to_owned()).collect()
    }
}
