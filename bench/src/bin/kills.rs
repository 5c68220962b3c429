//! Instances of the example are killed under a steady 200 requests a second: how soon capacity is back, and who notices.
//!
//! `cargo run --release -p writ-bench --bin kills [WRIT] [KILLS]`

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::time::{Duration, Instant};
use writ_bench::{Figures, Load, Place, Signal, kill, program, told, wait_until};

type Failure = Box<dyn std::error::Error>;

const RATE: u32 = 200;
const GIVE_UP: Duration = Duration::from_secs(30);
/// Between capacity being back and the next kill.
const REST: Duration = Duration::from_millis(1_500);

fn main() -> Result<(), Failure> {
    let (writ, args) = program()?;
    let kills: usize = args.first().map_or(Ok(60), |text| text.parse())?;
    let place = Place::new(&writ)?;
    let mut dev = place.dev(&[])?;
    dev.until_up()?;
    for line in dev.profile() {
        println!("{line}");
    }
    let load = Load::start(&place, RATE)?;
    std::thread::sleep(Duration::from_secs(2));
    let (mut back_s, mut late) = (Figures::default(), 0);
    for number in 0..kills {
        let slot = format!("i-{}", number % 3 + 1);
        let before = place.healthy().get(&slot).copied().unwrap_or(0);
        let pid = *place.alive().get(&slot).ok_or_else(|| format!("{slot} is not there"))?;
        let began = Instant::now();
        kill(pid, Signal::KILL);
        let back = || {
            let healthy = place.healthy();
            healthy.len() == 3 && healthy.get(&slot).is_some_and(|generation| *generation > before)
        };
        if wait_until(GIVE_UP, back).is_none() {
            println!(
                "kill {number} of {slot}: not back after {GIVE_UP:?}, healthy {:?}\n{}",
                place.healthy(),
                dev.said()
            );
            println!("{}", place.writ(&["why", "last"])?.out);
            println!("{}", place.writ(&["audit", "query", "--limit", "40", "-o", "wide"])?.out);
            return Err("capacity did not come back".into());
        }
        let took = began.elapsed().as_secs_f64();
        late += usize::from(took >= 2.0);
        back_s.add(took);
        std::thread::sleep(REST);
    }
    let report = load.stop()?;
    println!("capacity back after SIGKILL, s:  {back_s}   {late} not below 2 s");
    println!("load of {RATE} req/s throughout: {}", told(&report));
    let incidents = place.list("incidents")?;
    let resolved =
        incidents.iter().filter(|one| one.pointer("/last/kind").is_some_and(|kind| kind == "incident.resolved/1"));
    println!("incidents: {} opened, {} resolved", incidents.len(), resolved.count());
    let verified = place.writ(&["audit", "verify"])?;
    println!("audit verify: exit {:?}", verified.code);
    println!("dev ended with {:?}", dev.end());
    Ok(())
}
