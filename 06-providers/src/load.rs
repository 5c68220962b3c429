//! The load generator: an open loop at a steady rate.
//!
//! Requests leave when the schedule says so, not when earlier ones are answered, and latency counts from the scheduled
//! moment: a service that stalls cannot hide it by slowing its clients down.

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::Uri;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use writ_core::Histogram;

/// Requests open at once; one more is counted as failed without being sent.
const OPEN_MAX: usize = 4096;

/// What load to make.
#[derive(Debug, Clone)]
pub struct LoadConfig {
    /// How long; none goes on until it is stopped.
    pub duration: Option<Duration>,
    /// Requests a second.
    pub rate: u32,
    /// The URL to get: `http://127.0.0.1:8080/`.
    pub target: Uri,
    /// How long one request may take.
    pub timeout: Duration,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadSummary {
    /// Requests that were not answered with a status below 400, by reason.
    pub failed: BTreeMap<String, u64>,
    /// How long answers took, from the scheduled moment.
    pub latency: Histogram,
    /// Requests answered with a status below 400.
    pub ok: u64,
    /// Requests in all.
    pub sent: u64,
}

impl LoadSummary {
    /// How many requests failed.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failed.values().sum()
    }

    /// The summary as one JSON document with quantiles in microseconds, for people and scripts.
    #[must_use]
    pub fn report(&self) -> serde_json::Value {
        serde_json::json!({
            "failed": self.failures(), "failed_by_reason": self.failed, "ok": self.ok, "sent": self.sent,
            "latency_micros": {
                "p50": self.latency.quantile(500), "p95": self.latency.quantile(950),
                "p99": self.latency.quantile(990), "max": self.latency.quantile(1000),
            },
        })
    }
}

/// Makes the load until its duration is over or `stop` is ready, and waits for what is open.
pub async fn run(config: LoadConfig, stop: impl Future<Output = ()>) -> LoadSummary {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(30))
        .build(connector);
    let summary = Arc::new(Mutex::new(LoadSummary::default()));
    let room = Arc::new(Semaphore::new(OPEN_MAX));
    let gap = Duration::from_secs(1) / config.rate.max(1);
    let began = Instant::now();
    let mut stop = std::pin::pin!(stop);
    let mut number = 0_u32;
    loop {
        let due = began + gap.saturating_mul(number);
        if config.duration.is_some_and(|span| due - began >= span) {
            break;
        }
        tokio::select! { () = &mut stop => break, () = tokio::time::sleep_until(due) => {} }
        number = number.saturating_add(1);
        let summary = summary.clone();
        let Ok(place) = room.clone().try_acquire_owned() else {
            count(&summary, Err("not sent, too many are open".to_owned()), due);
            continue;
        };
        let question = client.get(config.target.clone());
        let timeout = config.timeout;
        tokio::spawn(async move {
            let answer = async {
                let answer = question.await.map_err(|error| crate::http::chain(&error))?;
                let status = answer.status();
                answer.into_body().collect().await.map_err(|error| crate::http::chain(&error))?;
                if status.as_u16() < 400 { Ok(()) } else { Err(format!("status {}", status.as_u16())) }
            };
            let outcome = tokio::time::timeout(timeout, answer).await.unwrap_or_else(|_| Err("timeout".to_owned()));
            count(&summary, outcome, due);
            drop(place);
        });
    }
    let _ = tokio::time::timeout(config.timeout, room.acquire_many(OPEN_MAX as u32)).await;
    let summary = summary.lock().unwrap_or_else(PoisonError::into_inner);
    summary.clone()
}

fn count(summary: &Mutex<LoadSummary>, outcome: Result<(), String>, due: Instant) {
    let mut summary = summary.lock().unwrap_or_else(PoisonError::into_inner);
    summary.sent += 1;
    match outcome {
        Ok(()) => {
            summary.ok += 1;
            summary.latency.record(u64::try_from(due.elapsed().as_micros()).unwrap_or(u64::MAX));
        }
        Err(because) => *summary.failed.entry(because).or_insert(0) += 1,
    }
}

const USAGE: &str = "usage: load --target URL [--rate 200] [--seconds N | --until-stdin-closes] [--timeout-ms 10000]";

fn parse(args: &[String]) -> Result<(LoadConfig, bool), String> {
    let (mut target, mut rate, mut seconds, mut timeout_ms, mut stdin) = (None, 200, None, 10_000, false);
    let mut words = args.iter();
    while let Some(word) = words.next() {
        let mut number = |name: &str| {
            let text = words.next().ok_or_else(|| format!("`{name}` needs a number"))?;
            text.parse::<u32>().map_err(|_| format!("`{name}` needs a whole number, not `{text}`"))
        };
        match word.as_str() {
            "--rate" => rate = number("--rate")?,
            "--seconds" => seconds = Some(number("--seconds")?),
            "--timeout-ms" => timeout_ms = number("--timeout-ms")?,
            "--until-stdin-closes" => stdin = true,
            "--target" => {
                let text = words.next().ok_or("`--target` needs a URL")?;
                target = Some(text.parse::<Uri>().map_err(|error| format!("`{text}` is no URL: {error}"))?);
            }
            other => return Err(format!("unknown argument `{other}`")),
        }
    }
    let target = target.ok_or("`--target` is missing")?;
    if target.scheme_str() != Some("http") || target.host().is_none() {
        return Err(format!("`{target}` must be an `http://` URL with a host"));
    }
    if !(1..=50_000).contains(&rate) {
        return Err(format!("`--rate` is {rate}; it must be from 1 to 50000"));
    }
    if seconds.is_none() && !stdin {
        return Err("say `--seconds N` or `--until-stdin-closes`".to_owned());
    }
    let span = |seconds: u32| Duration::from_secs(u64::from(seconds));
    let timeout = Duration::from_millis(u64::from(timeout_ms));
    Ok((LoadConfig { duration: seconds.map(span), rate, target, timeout }, stdin))
}

/// `load --target URL …`: makes load and prints one JSON line.
#[must_use]
pub fn main(args: Vec<String>) -> ExitCode {
    let (config, stdin) = match parse(&args) {
        Ok(parsed) => parsed,
        Err(because) => {
            eprintln!("error: {because}\n{USAGE}");
            return ExitCode::from(64);
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: no runtime: {error}");
            return ExitCode::from(70);
        }
    };
    let summary = runtime.block_on(run(config, async {
        tokio::select! { () = stdin_closes(stdin) => {}, () = crate::http::told_to_stop() => {} }
    }));
    // Nobody is left to tell when whoever reads has gone away.
    drop(writeln!(std::io::stdout(), "{}", summary.report()));
    if summary.failures() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn stdin_closes(wanted: bool) {
    if !wanted {
        return std::future::pending().await;
    }
    // A thread of its own that may stay blocked: nothing else in this process reads the standard input.
    let (closed, told) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _ = closed.send(());
    });
    let _ = told.await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senseless_arguments_are_named() {
        let refuse =
            |words: &[&str]| parse(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()).unwrap_err();
        assert_eq!(refuse(&[]), "`--target` is missing");
        assert_eq!(refuse(&["--target", "ftp://x/"]), "`ftp://x/` must be an `http://` URL with a host");
        assert_eq!(refuse(&["--rate", "0", "--target", "http://x/"]), "`--rate` is 0; it must be from 1 to 50000");
        assert_eq!(refuse(&["--target", "http://x/"]), "say `--seconds N` or `--until-stdin-closes`");
        assert_eq!(refuse(&["--fast"]), "unknown argument `--fast`");
    }
}
