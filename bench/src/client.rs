//! Steady load on a service, made by `writ load` in a process of its own.

use crate::place::Place;
use serde_json::Value;
use std::io;
use std::process::{Child, Command, Stdio};

/// A running load generator.
#[derive(Debug)]
pub struct Load(Child);

impl Load {
    /// Begins to send so many requests a second to the place's balancer.
    ///
    /// # Errors
    /// When there is no balancer or the generator cannot be started.
    pub fn start(place: &Place, rate: u32) -> io::Result<Self> {
        let balancer = place.balancer().ok_or_else(|| io::Error::other("there is no balancer"))?;
        let child = Command::new(place.writ_path())
            .args(["load", "--target", &format!("http://{balancer}/"), "--rate", &rate.to_string()])
            .arg("--until-stdin-closes")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()?;
        Ok(Self(child))
    }

    /// Stops, and tells what came of the requests.
    ///
    /// # Errors
    /// When the generator says nothing that can be read.
    pub fn stop(mut self) -> io::Result<Value> {
        drop(self.0.stdin.take());
        let output = self.0.wait_with_output()?;
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

/// One line about a load: requests, failures and latency.
#[must_use]
pub fn told(report: &Value) -> String {
    let number = |pointer: &str| report.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    let ms = |name: &str| number(&format!("/latency_micros/{name}")) as f64 / 1_000.0;
    let reasons = report.get("failed_by_reason").filter(|reasons| **reasons != serde_json::json!({}));
    format!(
        "{} requests, {} failed{}; latency ms p50 {:.1} p95 {:.1} p99 {:.1} max {:.1}",
        number("/sent"),
        number("/failed"),
        reasons.map(|reasons| format!(" {reasons}")).unwrap_or_default(),
        ms("p50"),
        ms("p95"),
        ms("p99"),
        ms("max"),
    )
}
