//! Whole journeys. Each case is a script with what came of it beneath each command; with `WRIT_SIM_WRITE=1` the transcripts
//! are written anew.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use writ_sim::{Files, play};

/// Every journey has the same seed; what differs is what happens.
const SEED: u64 = 7;

pub(crate) fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/deploy-web-001")
}

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

#[expect(clippy::disallowed_methods, reason = "tests are told by the environment how much to do")]
pub(crate) fn told(variable: &str) -> Option<String> {
    std::env::var(variable).ok()
}

/// A runtime on which time stands still unless it is waited for.
pub(crate) fn paused<T>(journey: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(journey)
}

fn played(script: &str, files: &Arc<Files>) -> Result<String, String> {
    let read = |name: &str| {
        let places = [cases().join(name), example().join(name)];
        places.iter().find_map(|path| std::fs::read_to_string(path).ok())
    };
    paused(play(script, files.clone(), SEED, &read)).map_err(|error| {
        let causes = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
        causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
    })
}

#[test]
fn every_journey_goes_as_its_transcript_says() {
    let files = Arc::new(Files::read(&example()).unwrap());
    let write = told("WRIT_SIM_WRITE").is_some();
    let only = told("WRIT_SIM_ONLY");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(cases()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "journey"));
    paths.retain(|path| only.as_ref().is_none_or(|only| path.to_string_lossy().contains(only)));
    paths.sort();
    let mut wrong = Vec::new();
    for path in &paths {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let stored = std::fs::read_to_string(path).unwrap();
        let (found, again) = match (played(&stored, &files), played(&stored, &files)) {
            (Ok(found), Ok(again)) => (found, again),
            (Err(error), _) | (_, Err(error)) => {
                wrong.push(format!("{name}: {error}"));
                continue;
            }
        };
        if found != again {
            wrong.push(format!("{name}: the same seed gave two transcripts\n{}", first_difference(&found, &again)));
        }
        if write {
            std::fs::write(path, &found).unwrap();
        } else if found != stored {
            wrong.push(format!("{name}: it went otherwise\n{}", first_difference(&found, &stored)));
        }
        if !found.ends_with("= the judge finds nothing\n") {
            wrong.push(format!("{name}: {}", found.lines().last().unwrap_or_default()));
        }
    }
    println!("{} journeys", paths.len());
    assert!(wrong.is_empty(), "{}\nto accept transcripts: WRIT_SIM_WRITE=1", wrong.join("\n"));
}

fn first_difference(found: &str, other: &str) -> String {
    let at = found.lines().zip(other.lines()).position(|(found, other)| found != other);
    let line = at.unwrap_or_else(|| found.lines().count().min(other.lines().count()));
    let of = |text: &str| text.lines().nth(line).unwrap_or("(the end)").trim().to_owned();
    format!("  line {}: {}\n  not:    {}", line + 1, of(found), of(other))
}
