//! The control plane is killed while it carries an intent out, and started again until the intent stands; then everything
//! that can be counted from outside is counted.

#![expect(clippy::disallowed_methods, reason = "whoever measures reads the clock")]

use crate::place::{Place, get};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

/// What the example's plan makes, one effect each.
const RESOURCES: [&str; 7] = ["healing", "health", "i-1", "i-2", "i-3", "lb", "scaling"];
/// What is started for it, one process each.
const SLOTS: [&str; 4] = ["i-1", "i-2", "i-3", "lb"];

/// What such a process is called.
const FACES: [&str; 2] = ["__balance", "__sample"];

/// What came of one journey with crashes.
#[derive(Debug, Clone, Default)]
pub struct Crashed {
    /// How much of the plan had taken effect when it was killed, each time.
    pub effects_at: Vec<usize>,
    /// From the last start to the intent standing, in seconds.
    pub recovered_s: f64,
    /// Requests that were answered between the first crash and the end.
    pub answered: u64,
    /// Everything that is not as it should be.
    pub wrong: Vec<String>,
}

/// Starts a fresh `dev`, kills it at each moment after its start, and starts it once more.
///
/// # Errors
/// When a process cannot be started or files cannot be read.
pub fn crash(writ: &Path, moments: &[Duration]) -> io::Result<Crashed> {
    let place = Place::new(writ)?;
    let mut seen = Crashed::default();
    let (mut were_up, mut client) = (BTreeMap::new(), None);
    for moment in moments {
        let dev = place.dev(&[])?;
        sleep(moment.saturating_sub(dev.began.elapsed()));
        dev.crash();
        crashed(&place, &mut seen, &mut were_up, &mut client);
    }
    recover(&place, seen, &were_up, client)
}

/// Starts a fresh `dev` that ends itself, by SIGKILL, when it passes a point, and starts it once more. None when this journey
/// did not pass it: steps run side by side, and what is committed together is chance.
///
/// # Errors
/// When a process cannot be started or files cannot be read, or it ends otherwise.
pub fn crash_at(writ: &Path, point: &str) -> io::Result<Option<Crashed>> {
    let place = Place::new(writ)?;
    let mut seen = Crashed::default();
    let (mut were_up, mut client) = (BTreeMap::new(), None);
    let mut dev = place.dev_with(&[], &[("WRIT_FAILPOINT", point)])?;
    if !dev.until_killed().map_err(io::Error::other)? {
        return Ok(None);
    }
    drop(dev);
    crashed(&place, &mut seen, &mut were_up, &mut client);
    recover(&place, seen, &were_up, client).map(Some)
}

/// Every point that an undisturbed start passes, in order: `point:about#count`.
///
/// # Errors
/// When it cannot be started or does not get there.
pub fn points(writ: &Path) -> io::Result<Vec<String>> {
    let place = Place::new(writ)?;
    let log = place.path("points.log");
    let mut dev = place.dev_with(&[], &[("WRIT_FAILPOINT_LOG", log.to_str().unwrap_or_default())])?;
    dev.until_up().map_err(io::Error::other)?;
    let passed = std::fs::read_to_string(&log)?;
    dev.crash();
    Ok(passed.lines().map(str::to_owned).collect())
}

/// What stood when the control plane was gone.
fn crashed(place: &Place, seen: &mut Crashed, were_up: &mut BTreeMap<String, u32>, client: &mut Option<Client>) {
    seen.effects_at.push(place.effects().len());
    were_up.extend(place.alive());
    if client.is_none() {
        *client = Client::start(place);
    }
}

/// Starts the control plane once more, and holds what comes of it against what should.
fn recover(
    place: &Place,
    mut seen: Crashed,
    were_up: &BTreeMap<String, u32>,
    client: Option<Client>,
) -> io::Result<Crashed> {
    let mut dev = place.dev(&[])?;
    match dev.until_up() {
        Ok(took) => seen.recovered_s = took.as_secs_f64(),
        Err(because) => seen.wrong.push(because),
    }
    if let Some(client) = client {
        let (answered, failed) = client.stop();
        seen.answered = answered;
        if let Some(failed) = failed {
            seen.wrong.push(format!("a service that was up did not serve throughout: {failed}"));
        }
    }
    judge(place, were_up, &mut seen.wrong)?;
    if let Some(code) = dev.end().filter(|code| *code != 0) {
        seen.wrong.push(format!("dev ended with {code}"));
    }
    let left = place.processes();
    if !left.is_empty() {
        seen.wrong.push(format!("left behind: {left:?}"));
    }
    Ok(seen)
}

/// How long a fresh `dev` takes here, undisturbed, until its intent stands.
///
/// # Errors
/// When it cannot be started or does not get there.
pub fn undisturbed(writ: &Path) -> io::Result<Duration> {
    let place = Place::new(writ)?;
    let mut dev = place.dev(&[])?;
    let took = dev.until_up().map_err(io::Error::other)?;
    match dev.end() {
        Some(0) => Ok(took),
        other => Err(io::Error::other(format!("dev ended with {other:?}"))),
    }
}

/// Holds what stands against what should.
fn judge(place: &Place, were_up: &BTreeMap<String, u32>, wrong: &mut Vec<String>) -> io::Result<()> {
    let mut resources: Vec<String> = Vec::new();
    let mut keys = BTreeSet::new();
    for (key, resource) in place.effects() {
        resources.push(resource.rsplit('/').next().unwrap_or_default().to_owned());
        if !keys.insert(key.clone()) {
            wrong.push(format!("effect {key} on {resource} happened twice"));
        }
    }
    resources.sort();
    if resources != RESOURCES {
        wrong.push(format!("effects are {resources:?}"));
    }
    let mut slots: Vec<String> = place.starts().into_iter().map(|start| start.slot).collect();
    slots.sort();
    if slots != SLOTS {
        wrong.push(format!("starts are {slots:?}"));
    }
    // The kernel counts too: nothing serves but what was started once and written down.
    let serving = place.processes().into_values().filter(|command| FACES.iter().any(|face| command.contains(face)));
    let serving: Vec<String> = serving.collect();
    if serving.len() != SLOTS.len() {
        wrong.push(format!("processes are {serving:?}"));
    }
    let alive = place.alive();
    if !SLOTS.iter().all(|slot| alive.contains_key(*slot)) {
        wrong.push(format!("alive are {alive:?}"));
    }
    for (slot, pid) in were_up {
        if alive.get(slot) != Some(pid) {
            wrong.push(format!("{slot} was up as {pid} and is now {:?}", alive.get(slot)));
        }
    }
    let runs: Vec<String> = place
        .list("runs")?
        .iter()
        .map(|run| run.pointer("/last/kind").and_then(Value::as_str).unwrap_or_default().to_owned())
        .collect();
    if runs != ["run.succeeded/1"] {
        wrong.push(format!("runs are {runs:?}"));
    }
    let said = place.writ(&["audit", "verify"])?;
    if said.code != Some(0) {
        wrong.push(format!("audit verify: {:?} {}", said.code, said.err));
    }
    let expected = BTreeSet::from(["i-1", "i-2", "i-3"].map(str::to_owned));
    let names = answers(place.balancer(), expected.len());
    if names != expected {
        wrong.push(format!("behind the balancer answer {names:?}"));
    }
    Ok(())
}

/// The names of those who answer behind a balancer, which chooses by lot: as many as it takes to meet so many of them.
fn answers(balancer: Option<SocketAddr>, count: usize) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let Some(balancer) = balancer else { return names };
    for _ in 0..200 {
        names.insert(match get(balancer, "/") {
            Ok((200, body)) => body.split(' ').next().unwrap_or_default().to_owned(),
            Ok((status, _)) => format!("status {status}"),
            Err(error) => error.to_string(),
        });
        if names.len() == count {
            break;
        }
    }
    names
}

/// Somebody who uses the service all the time.
struct Client {
    stopped: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    asking: JoinHandle<Option<String>>,
}

impl Client {
    /// Begins to ask, if the service answers now.
    fn start(place: &Place) -> Option<Self> {
        let balancer = place.balancer()?;
        get(balancer, "/").ok().filter(|(status, _)| *status == 200)?;
        let (stopped, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stop, count) = (stopped.clone(), answered.clone());
        let asking = thread::spawn(move || {
            while !stop.load(Relaxed) {
                let asked = Instant::now();
                match get(balancer, "/") {
                    Ok((200, _)) => drop(count.fetch_add(1, Relaxed)),
                    Ok((status, _)) => return Some(format!("status {status}")),
                    Err(error) => return Some(error.to_string()),
                }
                sleep(Duration::from_millis(10).saturating_sub(asked.elapsed()));
            }
            None
        });
        Some(Self { stopped, answered, asking })
    }

    fn stop(self) -> (u64, Option<String>) {
        self.stopped.store(true, Relaxed);
        let failed = self.asking.join().unwrap_or_else(|_| Some("the client broke".into()));
        (self.answered.load(Relaxed), failed)
    }
}

/// Moments spread over a span, a different one in each of its `count` parts with each seed.
#[must_use]
pub fn moments(count: u32, span: Duration, seed: u64) -> Vec<Duration> {
    let part = span / count.max(1);
    let mut state = seed | 1;
    (0..count)
        .map(|at| {
            // Knuth's linear congruential generator: the operating system adds more chance than any generator could.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            part * at + part.mul_f64((state >> 33) as f64 / f64::from(u32::MAX >> 1))
        })
        .collect()
}
