//! How soon a fresh `dev` serves, how soon its intent stands, and what the control plane needs when nothing happens.
//!
//! `cargo run --release -p writ-bench --bin start [WRIT] [STARTS]`

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::fs;
use std::time::{Duration, Instant};
use writ_bench::{Figures, Place, fdatasync_ms, program, wait_until};

type Failure = Box<dyn std::error::Error>;

const GIVE_UP: Duration = Duration::from_secs(30);
/// How long the idle control plane is looked at.
const IDLE: Duration = Duration::from_secs(20);
/// Clock ticks a second, as `/proc` counts them on Linux.
const TICKS: f64 = 100.0;
/// How long it may settle before that.
const SETTLE: Duration = Duration::from_secs(10);

fn main() -> Result<(), Failure> {
    let (writ, args) = program()?;
    let starts: usize = args.first().map_or(Ok(20), |text| text.parse())?;
    let (mut serving_ms, mut standing_s) = (Figures::default(), Figures::default());
    let mut last = None;
    for _ in 0..starts {
        drop(last.take());
        let place = Place::new(&writ)?;
        let mut dev = place.dev(&[])?;
        serving_ms.add(dev.until_serving(&place, GIVE_UP).ok_or("it does not serve")?.as_secs_f64() * 1_000.0);
        wait_until(GIVE_UP, || place.healthy().len() == 3).ok_or("no three healthy instances")?;
        standing_s.add(dev.began.elapsed().as_secs_f64());
        dev.until_up()?;
        last = Some((dev, place));
    }
    let Some((dev, place)) = last else { return Ok(()) };
    let disk = fdatasync_ms(&place.state(), 200)?;
    for line in dev.profile() {
        println!("{line}");
    }
    println!("fdatasync, ms:                                        {disk}");
    println!("from start to an answer of the API, ms:               {serving_ms}");
    println!("from start to three healthy in the balancer, s:       {standing_s}");
    std::thread::sleep(SETTLE);
    let (began, before) = (Instant::now(), ticks(dev.pid())?);
    std::thread::sleep(IDLE);
    let (spent, span) = (ticks(dev.pid())? - before, began.elapsed());
    let percent = spent / span.as_secs_f64() * 100.0;
    println!(
        "idle over {:.0} s, three instances watched: {percent:.2} % of a core, {} resident",
        span.as_secs_f64(),
        resident(dev.pid())?
    );
    println!("dev ended with {:?}", dev.end());
    Ok(())
}

/// Processor time of a process, in seconds.
fn ticks(pid: u32) -> Result<f64, Failure> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    let field = |at: usize| -> Result<f64, Failure> { Ok(fields.get(at).ok_or("no such field")?.parse()?) };
    // User and system time are the 14th and 15th field of the line, the 12th and 13th after the name.
    Ok((field(11)? + field(12)?) / TICKS)
}

fn resident(pid: u32) -> Result<String, Failure> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kb: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(format!("{:.1} MB", kb * 1_024.0 / 1e6))
}
