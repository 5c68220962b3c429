//! The control plane dies at any moment, and nothing is lost, doubled or interrupted.

use crate::program;
use std::collections::BTreeSet;
use writ_bench::{crash, crash_at, moments, points, undisturbed};

#[test]
fn a_control_plane_that_is_killed_thirty_times_ends_what_it_began() {
    let span = undisturbed(program()).unwrap();
    let seed = u64::from(std::process::id());
    let firsts = moments(30, span, seed);
    let seconds = moments(30, span, seed.wrapping_add(1));
    let mut wrong = Vec::new();
    for (at, (first, second)) in firsts.iter().zip(&seconds).enumerate() {
        // Every third is killed once more while it recovers.
        let killed_at = if at % 3 == 2 { vec![*first, *second] } else { vec![*first] };
        let crashed = crash(program(), &killed_at).unwrap();
        println!("{killed_at:?}: {crashed:?}");
        wrong.extend(crashed.wrong.iter().map(|wrong| format!("killed at {killed_at:?}: {wrong}")));
    }
    assert_eq!(wrong, Vec::<String>::new(), "seed {seed}");
}

#[test]
fn a_control_plane_that_ends_at_any_failpoint_ends_what_it_began() {
    // Each point is tried at the first thing that passes it; `bench` tries every passage.
    let passed = points(program()).unwrap();
    let firsts: BTreeSet<&String> = passed.iter().filter(|point| point.ends_with("#1")).collect();
    assert!(firsts.len() > 40, "{firsts:?}");
    let (mut wrong, mut tried) = (Vec::new(), 0);
    for point in &firsts {
        let Some(crashed) = crash_at(program(), point).unwrap() else { continue };
        println!("{point}: {crashed:?}");
        tried += 1;
        wrong.extend(crashed.wrong.iter().map(|wrong| format!("ended at {point}: {wrong}")));
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(tried * 10 > firsts.len() * 9, "{tried} of {firsts:?}");
}
