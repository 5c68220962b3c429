//! Commands of journeys about changes that somebody else planned. Who carries one out is a process with a name; a run's order
//! is taken by one of them, and the others stand by.

use crate::Site;
use std::time::Duration;
use writ_core::RunId;
use writ_pipeline::{CommandEnd, Output, OutsideAsked, OutsideError, OutsideWish, Principal, Reported};
use writ_seal::sha256;

/// How long a process may be silent in journeys.
const SILENT: Duration = Duration::from_secs(60);

/// Asks for a command; with `here`, whoever asks stays.
pub(crate) async fn exec(site: &Site, words: &[&str], here: bool, by: &Principal) -> String {
    let command = words.iter().map(|word| (*word).to_owned()).collect();
    let wish = OutsideWish { command, directory: "/srv".to_owned(), ..OutsideWish::default() };
    let asked = OutsideAsked { wish, silent: SILENT, here, reason: String::new() };
    told(site.pipeline().ask_outside(asked, by).await.map(|run| format!("= {run}")))
}

/// Whoever asked comes to carry it out.
pub(crate) async fn come(site: &Site, run: &RunId, by: &Principal) -> String {
    let seen = site.pipeline().outside(run, by, true, None, Duration::ZERO).await;
    told(seen.map(|seen| format!("= {}", seen["phase"].as_str().unwrap_or_default())))
}

/// A process takes the order.
pub(crate) async fn take(site: &Site, run: &RunId, process: &str, by: &Principal) -> String {
    told(site.pipeline().take_outside(run, by, process).await.map(|_| String::new()))
}

/// A process gives a sign of life.
pub(crate) async fn lives(site: &Site, run: &RunId, process: &str, by: &Principal) -> String {
    told(site.pipeline().outside_lives(run, by, process).await.map(|state| format!("= {state}")))
}

/// A process says how the command ended.
pub(crate) async fn ended(site: &Site, run: &RunId, process: &str, code: u8, by: &Principal) -> String {
    let output = || Output { bytes: 3, digest: sha256(b"out"), kept: b"out".to_vec() };
    let reported = Reported { end: CommandEnd::Exit(code), stdout: output(), stderr: output() };
    let ended = site.pipeline().end_outside(run, by, process, reported).await;
    told(ended.map(|seen| format!("= {}", seen["state"].as_str().unwrap_or_default())))
}

fn told(done: Result<String, OutsideError>) -> String {
    done.unwrap_or_else(|error| crate::script::refused(&error))
}
