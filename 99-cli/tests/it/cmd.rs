//! What people read: commands typed against a running `dev`, with everything that they print.
//!
//! A case is a file of `tests/cmd`, a journey of its own with a server of its own. It runs in this crate's directory. `$RUN`,
//! `$APPROVAL`, `$INCIDENT` and `$WAIVER` stand for the newest of their list. Ids, times and other things that
//! no two runs have in common are printed as `[ID]`, `[TIME]`, … (`tests/cmd/writ.sh`, `same.sed`).
//!
//! After a change of words, have the files written anew, and read the difference as a user would:
//! `TRYCMD=overwrite cargo test -p writ-cli --test it cmd::`

use crate::journey::{SOON, up, writ};
use crate::program;
use std::path::Path;
use std::time::Duration;
use writ_bench::{Place, Signal, kill, wait_until};

/// Runs a case here.
fn reads(place: &Place, case: &str) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cmd");
    let cases = trycmd::TestCases::new();
    cases.timeout(Duration::from_secs(60));
    let files = place.files();
    let (state, pins) = (place.state(), place.path("pins"));
    let parent = files.parent().unwrap();
    for (name, path) in [("WRIT", program()), ("PLACE", parent), ("WRIT_STATE", &state), ("WRIT_PINS", &pins)] {
        cases.env(name, path.display().to_string());
    }
    cases.register_bin("writ", trycmd::schema::Bin::Path(dir.join("writ.sh")));
    cases.case(dir.join(format!("{case}.trycmd"))).run();
}

#[test]
fn what_there_is_and_what_cannot_be_is_told_in_words() {
    let (place, dev) = up(&[]);
    reads(&place, "look");
    assert_eq!(dev.end(), Some(0));
}

#[test]
fn a_change_is_planned_refused_asked_for_and_approved_by_somebody_else() {
    let (place, dev) = up(&[]);
    reads(&place, "change");
    assert_eq!(dev.end(), Some(0));
}

#[test]
fn what_healed_is_told_proved_and_learned_from() {
    let (place, dev) = up(&[]);
    kill(place.alive()["i-2"], Signal::KILL);
    let over = || writ(&place, &["incident", "list"], 0).contains("resolved");
    wait_until(SOON, over).expect("the incident is resolved");
    reads(&place, "heal");
    assert_eq!(dev.end(), Some(0));
}

#[test]
fn a_playbook_is_shown_planned_and_run() {
    let place = Place::new(program()).unwrap();
    place.edit("intent.yaml", "  requirements:", "  target: { environment: production }\n\n  requirements:").unwrap();
    let mut dev = place.dev(&[]).unwrap();
    dev.until_up().unwrap();
    reads(&place, "playbook");
    assert_eq!(dev.end(), Some(0));
}

#[test]
fn a_command_of_others_runs_or_waits() {
    let (place, dev) = up(&[]);
    reads(&place, "exec");
    assert_eq!(dev.end(), Some(0));
}
