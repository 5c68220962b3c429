//! What clients that follow events cost, and whether they miss anything: five hundred of them on one server, one in ten slow,
//! while the journal grows.
//!
//! `cargo run --release -p writ-bench --bin listeners [WRIT] [CLIENTS] [ENTRIES]`

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use serde_json::Value;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use writ_bench::{Figures, Place, program};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// One in so many clients reads no faster than a line in [`SLOW`].
const SLOW_PART: usize = 10;
const SLOW: Duration = Duration::from_millis(20);
/// What all clients together may cost, in megabytes.
const COST_MB_MAX: f64 = 100.0;
/// By when everybody must have everything.
const GIVE_UP: Duration = Duration::from_secs(120);

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let (writ, args) = program()?;
    let clients: usize = args.first().map_or(Ok(500), |text| text.parse())?;
    let entries: u64 = args.get(1).map_or(Ok(3_000), |text| text.parse())?;
    let place = Place::new(&writ)?;
    let mut dev = place.dev_with(&[], &[("WRIT_LIMITS_WRITES_PER_MINUTE", "1000000")])?;
    dev.until_up()?;
    let (address, token) = place.door()?;
    let first = newest(&place)? + 1;
    let before = resident(dev.pid())?;

    let seen = Arc::new(Seen::default());
    let goal = Arc::new(AtomicU64::new(u64::MAX));
    let mut listening = JoinSet::new();
    for number in 0..clients {
        let (seen, goal, token) = (seen.clone(), goal.clone(), token.clone());
        let slow = number % SLOW_PART == 0;
        listening.spawn(async move { listen(address, &token, first, slow, &seen, &goal).await });
    }
    while seen.connected.load(Ordering::Relaxed) < clients {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let connected = resident(dev.pid())?;

    let began = Instant::now();
    for _ in 0..entries {
        change(address, &token).await?;
    }
    let (written, last) = (began.elapsed(), newest(&place)?);
    goal.store(last, Ordering::Relaxed);
    // Whoever has had the last entry already hears one more, and looks at the goal then.
    change(address, &token).await?;
    let (mut after, mut behind) = (Figures::default(), 0);
    let mut missed = 0;
    let all = tokio::time::timeout(GIVE_UP, async {
        while let Some(done) = listening.join_next().await {
            match done? {
                Ok(one) => {
                    after.add((one.at - began).as_secs_f64());
                    behind += one.told_behind;
                }
                Err(gap) => {
                    missed += 1;
                    println!("a client missed something: {gap}");
                }
            }
        }
        Ok::<_, Failure>(())
    });
    all.await??;
    let most = resident(dev.pid())?;
    println!("clients that followed events:                  {clients}, {} of them slow", clients.div_ceil(SLOW_PART));
    println!("entries that came:                             {} in {:.1} s", last + 1 - first, written.as_secs_f64());
    println!("clients that missed one or had one twice:      {missed} of {clients}");
    println!("from the first change until a client had all:  {after} s");
    println!("times that a client was told it was behind:    {behind}");
    println!(
        "resident, MB: {:.1} before, {:.1} with all connected, {:.1} at the end; {:.1} for {clients} clients",
        before,
        connected,
        most,
        most.max(connected) - before
    );
    println!("dev ended with {:?}", dev.end());
    if missed > 0 {
        return Err("clients missed entries".into());
    }
    let cost = most.max(connected) - before;
    if cost > COST_MB_MAX { Err(format!("{clients} clients cost {cost:.1} MB").into()) } else { Ok(()) }
}

#[derive(Default)]
struct Seen {
    connected: AtomicUsize,
}

struct Done {
    at: Instant,
    told_behind: usize,
}

/// Follows events from an entry on until the goal, each once and in order.
async fn listen(
    address: std::net::SocketAddr,
    token: &str,
    first: u64,
    slow: bool,
    seen: &Seen,
    goal: &AtomicU64,
) -> Result<Done, String> {
    let text = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect(address).await.map_err(text)?;
    let after = first - 1;
    let request = format!(
        "GET /api/v1/events?after={after} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\naccept: text/event-stream\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.map_err(text)?;
    let mut lines = BufReader::new(stream).lines();
    let (mut next, mut told_behind) = (first, 0);
    while let Some(line) = lines.next_line().await.map_err(text)? {
        if line.starts_with("HTTP/1.1 200") {
            seen.connected.fetch_add(1, Ordering::Relaxed);
        } else if line.starts_with("HTTP/1.1 ") {
            return Err(line);
        }
        if line == "event: behind" {
            told_behind += 1;
        }
        let Some(id) = line.strip_prefix("id: ") else { continue };
        if slow {
            tokio::time::sleep(SLOW).await;
        }
        let id: u64 = id.parse().map_err(|_| line.clone())?;
        if id != next {
            return Err(format!("entry {id} where {next} should have come"));
        }
        next += 1;
        if id >= goal.load(Ordering::Relaxed) {
            return Ok(Done { at: Instant::now(), told_behind });
        }
    }
    Err(format!("the stream ended before entry {next}"))
}

/// Makes one entry.
async fn change(address: std::net::SocketAddr, token: &str) -> Result<(), Failure> {
    let body = r#"{"on":false}"#;
    let mut stream = TcpStream::connect(address).await?;
    let request = format!(
        "POST /api/v1/maintenance HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    if answer.starts_with("HTTP/1.1 200") { Ok(()) } else { Err(answer.into()) }
}

/// The place of the newest entry.
fn newest(place: &Place) -> Result<u64, Failure> {
    let page = place.api("/api/v1/audit/entries?limit=1")?;
    page.pointer("/items/0/seq").and_then(Value::as_u64).ok_or_else(|| "there is no entry".into())
}

/// Resident memory of a process, in MB.
fn resident(pid: u32) -> Result<f64, Failure> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kb: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kb * 1_024.0 / 1e6)
}
