//! Ending this process at a chosen point, as a power cut would: `WRIT_FAILPOINT=launch.spawned:i-1#1` kills it when `i-1`
//! passes that point for the first time; `WRIT_FAILPOINT_LOG=FILE` writes down each passage instead, one in a line.

use rustix::process::{Signal, getpid, kill_process};
use std::collections::HashMap;
use std::io::Write;
use std::sync::{Mutex, OnceLock, PoisonError};

struct Wanted {
    /// `point:about`, and at which of its passages.
    end_at: Option<(String, u32)>,
    log: Option<Mutex<std::fs::File>>,
    passed: Mutex<HashMap<String, u32>>,
}

static WANTED: OnceLock<Wanted> = OnceLock::new();

/// Takes the two variables in, when one of them is set.
pub(crate) fn arm() {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the shell; whoever tries crashes sets these for one process"
    )]
    let read = |name: &str| std::env::var(name).ok();
    let (end_at, log) = (read("WRIT_FAILPOINT"), read("WRIT_FAILPOINT_LOG"));
    if end_at.is_none() && log.is_none() {
        return;
    }
    let end_at = end_at.map(|text| match text.rsplit_once('#') {
        Some((name, count)) => (name.to_owned(), count.parse().unwrap_or(1)),
        None => (text, 1),
    });
    let log =
        log.and_then(|path| std::fs::OpenOptions::new().create(true).append(true).open(path).ok()).map(Mutex::new);
    WANTED.get_or_init(|| Wanted { end_at, log, passed: Mutex::new(HashMap::new()) });
    writ_core::failpoint::hook(pass);
}

fn pass(point: &'static str, about: &str) {
    let Some(wanted) = WANTED.get() else { return };
    let name = format!("{point}:{about}");
    let count = {
        let mut passed = wanted.passed.lock().unwrap_or_else(PoisonError::into_inner);
        let count = passed.entry(name.clone()).or_default();
        *count += 1;
        *count
    };
    if let Some(log) = &wanted.log {
        let line = format!("{name}#{count}\n");
        // Whoever tries crashes misses a passage then, and says so: the log is shorter than what it asked for.
        drop(log.lock().unwrap_or_else(PoisonError::into_inner).write_all(line.as_bytes()));
    }
    if wanted.end_at.as_ref().is_some_and(|(at, on)| *at == name && *on == count) {
        // Not even a panic could do more: what is not durable is gone. If it is refused, the next line ends it as surely.
        let _ = kill_process(getpid(), Signal::KILL);
        std::process::abort();
    }
}
