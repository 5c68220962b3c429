//! The control plane is killed at every failpoint of the example's journey, and then at random moments of it three hundred
//! times, and started again each time.
//!
//! `cargo run --release -p writ-bench --bin crash [WRIT] [TIMES]`

use std::path::Path;
use writ_bench::{Figures, crash, crash_at, moments, points, program, undisturbed};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let (writ, args) = program()?;
    let broken = at_points(&writ)?;
    let times: u32 = args.first().map_or(Ok(300), |text| text.parse())?;
    let span = undisturbed(&writ)?;
    println!("an undisturbed start takes {:.3} s; kills fall into that span", span.as_secs_f64());
    let seed = u64::from(std::process::id());
    let firsts = moments(times, span, seed);
    let seconds = moments(times, span, seed.wrapping_add(1));
    let (mut recovered_s, mut answered, mut kills, mut wrong) = (Figures::default(), 0, 0, 0);
    let mut effects_at = [0_u32; 8];
    for (at, (first, second)) in firsts.iter().zip(&seconds).enumerate() {
        // Every third is killed once more while it recovers.
        let killed_at = if at % 3 == 2 { vec![*first, *second] } else { vec![*first] };
        let crashed = crash(&writ, &killed_at)?;
        kills += crashed.effects_at.len();
        for count in &crashed.effects_at {
            effects_at[(*count).min(7)] += 1;
        }
        recovered_s.add(crashed.recovered_s);
        answered += crashed.answered;
        wrong += usize::from(!crashed.wrong.is_empty());
        for one in &crashed.wrong {
            println!("killed at {killed_at:?}: {one}");
        }
    }
    println!("{times} journeys, {kills} SIGKILLs (seed {seed}), {wrong} journeys with something wrong");
    println!("kills by effects that had happened (0 to 7): {effects_at:?}");
    println!("from the last start to the intent standing, s: {recovered_s}");
    println!("requests answered while nobody controlled or recovery went on: {answered}");
    if wrong + broken == 0 { Ok(()) } else { Err("something was lost, doubled or interrupted".into()) }
}

/// Tries each passage of each point; how many of them left something wrong.
fn at_points(writ: &Path) -> Result<usize, Failure> {
    let (all, mut tried, mut wrong) = (points(writ)?, 0, 0);
    for point in &all {
        let Some(crashed) = crash_at(writ, point)? else { continue };
        tried += 1;
        wrong += usize::from(!crashed.wrong.is_empty());
        for one in &crashed.wrong {
            println!("ended at {point}: {one}");
        }
    }
    println!("{} passages of failpoints, {tried} met again and ended there, {wrong} with something wrong", all.len());
    Ok(wrong)
}
