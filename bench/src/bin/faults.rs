//! Every fault that the sample service has to order, under a steady 200 requests a second: how soon it is noticed and healed;
//! a fault that no restart helps; and the autoscaler under heavy load.
//!
//! `cargo run --release -p writ-bench --bin faults [WRIT] [hang|leak|cpu|errors|slow|latency|permanent|scaling …]`

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use serde_json::Value;
use std::time::{Duration, Instant};
use writ_bench::{Dev, Figures, Load, Place, get, program, told, wait_until};

type Failure = Box<dyn std::error::Error>;

const RATE: u32 = 200;
/// How often each fault is ordered, each time in an installation of its own.
const ROUNDS: usize = 3;
/// Beyond this, a fault counts as not noticed or not healed.
const GIVE_UP: Duration = Duration::from_secs(60);
/// How long figures of peers are gathered before a fault is ordered.
const SETTLE: Duration = Duration::from_secs(4);

/// Faults, each with the path that orders it.
const FAULTS: [(&str, &str); 6] = [
    ("hang", "/trigger_hang"),
    ("leak", "/trigger_memory?mb_per_s=64"),
    ("cpu", "/trigger_cpu?seconds=120"),
    ("errors", "/trigger_errors?percent=30"),
    ("slow", "/trigger_slow?ms=40"),
    ("latency", "/trigger_db_latency?ms=400"),
];

fn main() -> Result<(), Failure> {
    let (writ, wanted) = program()?;
    for line in profile(&writ)? {
        println!("{line}");
    }
    let does = |name: &str| wanted.is_empty() || wanted.iter().any(|one| one == name);
    let mut wrong = 0;
    for (name, path) in FAULTS.into_iter().filter(|(name, _)| does(name)) {
        let (mut noticed_s, mut healed_s) = (Figures::default(), Figures::default());
        for _ in 0..ROUNDS {
            let (noticed, healed) = fault(&writ, name, path)?;
            noticed.into_iter().for_each(|span| noticed_s.add(span));
            healed.into_iter().for_each(|span| healed_s.add(span));
        }
        println!("{name:<9} noticed after, s: {noticed_s}   of {ROUNDS}");
        println!("{name:<9} healed after, s:  {healed_s}   of {ROUNDS}");
        wrong += usize::from(healed_s.count() < ROUNDS);
    }
    if does("permanent") {
        wrong += usize::from(!permanent(&writ)?);
    }
    if does("scaling") {
        wrong += usize::from(!scaling(&writ)?);
    }
    if wrong == 0 { Ok(()) } else { Err(format!("{wrong} did not go as they should").into()) }
}

/// What the example's platform file changes for a demonstration.
fn profile(writ: &std::path::Path) -> Result<Vec<String>, Failure> {
    let (_place, dev) = up(writ, None)?;
    Ok(dev.profile())
}

fn up(writ: &std::path::Path, change: Option<(&str, &str)>) -> Result<(Place, Dev), Failure> {
    let place = Place::new(writ)?;
    if let Some((from, to)) = change {
        place.edit("platform.yaml", from, to)?;
    }
    let mut dev = place.dev(&[])?;
    dev.until_up()?;
    Ok((place, dev))
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Orders a fault on one instance's own address, and waits until it is noticed and healed: when each was, in seconds.
fn fault(writ: &std::path::Path, name: &str, path: &str) -> Result<(Option<f64>, Option<f64>), Failure> {
    let (place, dev) = up(writ, None)?;
    let load = Load::start(&place, RATE)?;
    std::thread::sleep(SETTLE);
    let before = place.healthy();
    let began = Instant::now();
    get(place.address("i-2").ok_or("i-2 has no address")?, path)?;
    let incidents = || place.list("incidents").unwrap_or_default();
    let noticed = wait_until(GIVE_UP, || !incidents().is_empty());
    let noticed = noticed.map(|_| began.elapsed().as_secs_f64());
    let back = || {
        let healthy = place.healthy();
        healthy.len() >= 3
            && healthy.get("i-2").is_some_and(|generation| Some(generation) > before.get("i-2"))
            && incidents().iter().all(|incident| text(incident, "/last/kind") == "incident.resolved/1")
    };
    let healed = wait_until(GIVE_UP, back).map(|_| began.elapsed().as_secs_f64());
    println!("{name:<9} {}", told(&load.stop()?));
    for incident in incidents() {
        let [last, instance, seen] = ["/last/kind", "/instance", "/seen"].map(|field| text(&incident, field));
        println!("          {last} on `{instance}`: {seen}");
    }
    if healed.is_none() {
        println!("{}\n{}", place.writ(&["why", "last"])?.out, dev.said());
    }
    Ok((noticed, healed.filter(|_| dev.end() == Some(0))))
}

/// A fault that no restart helps: the budget of the incident is spent, and people are told once.
fn permanent(writ: &std::path::Path) -> Result<bool, Failure> {
    let (place, dev) = up(writ, None)?;
    let load = Load::start(&place, RATE)?;
    std::thread::sleep(SETTLE);
    let began = Instant::now();
    get(place.address("i-3").ok_or("i-3 has no address")?, "/trigger_permanent")?;
    let count = |kind: &str| -> Result<usize, Failure> {
        let said = place.writ(&["audit", "query", "--kind", kind, "--limit", "1000", "-o", "json"])?;
        Ok(said.json().as_array().map_or(0, Vec::len))
    };
    let escalated = wait_until(GIVE_UP * 3, || count("incident.escalated/1").is_ok_and(|count| count > 0));
    let after = began.elapsed().as_secs_f64();
    // Whether it stays at that.
    std::thread::sleep(Duration::from_secs(20));
    let (attempts, escalations) = (count("incident.remedy_started/1")?, count("incident.escalated/1")?);
    let notified = std::fs::read_to_string(place.state().join("notifications.log")).unwrap_or_default();
    let report = load.stop()?;
    println!(
        "permanent {} attempts, {escalations} escalations, {} notifications, escalated after {}; healthy {:?}; {}",
        attempts,
        notified.lines().count(),
        escalated.map_or_else(|| "never".to_owned(), |_| format!("{after:.2} s")),
        place.healthy().keys().collect::<Vec<_>>(),
        told(&report),
    );
    let right = attempts == 3 && escalations == 1;
    if !right {
        println!("{}\n{}", place.writ(&["why", "last"])?.out, dev.said());
    }
    Ok(right && dev.end() == Some(0))
}

/// The count follows the load, within its bounds.
fn scaling(writ: &std::path::Path) -> Result<bool, Failure> {
    // Two cores cannot bring instances of two cores each to 70 %: the target is lowered, so that what they can do is much.
    let (place, dev) = up(writ, Some(("target_cpu: 70", "target_cpu: 10")))?;
    println!("scaling   target CPU 10 % instead of 70 %, within 3 to 10 instances");
    let (mut least, mut most) = (usize::MAX, 0);
    let mut follow = |span: Duration, rate: u32| -> Result<usize, Failure> {
        let load = (rate > 0).then(|| Load::start(&place, rate)).transpose()?;
        let began = Instant::now();
        let mut last = 0;
        while began.elapsed() < span {
            let count = place.healthy().len();
            (least, most) = (least.min(count), most.max(count));
            if count != last {
                println!("scaling   {rate:>4} req/s: {count} instances after {:.1} s", began.elapsed().as_secs_f64());
                last = count;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        if let Some(load) = load {
            println!("scaling   {rate:>4} req/s: {}", told(&load.stop()?));
        }
        Ok(last)
    };
    let calm = follow(Duration::from_secs(10), 50)?;
    let loaded = follow(Duration::from_secs(45), 300)?;
    let after = follow(Duration::from_secs(60), 20)?;
    println!(
        "scaling   {calm} instances when calm, {loaded} under load, {after} after it; never fewer than {least} or more than {most}"
    );
    let right = calm == 3 && loaded > 3 && after == 3 && least >= 3 && most <= 10;
    if !right {
        println!("{}", dev.said());
    }
    Ok(right && dev.end() == Some(0))
}
