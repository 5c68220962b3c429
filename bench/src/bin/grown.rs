//! How soon `dev` serves again over a journal that has grown long, and how long the console's lists take there: entries as a
//! service's life makes them, by the real commit path. Then each list is given as many rows as are asked for, and is timed anew.
//! It fails when a page's median is above [`SLOW_MS`].
//!
//! `cargo run --release -p writ-bench --bin grown [WRIT] [ENTRIES] [ROWS]`

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use serde_json::Value;
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use writ_bench::{Dev, Figures, Place, Signal, fdatasync_ms, kill, program, wait_until};
use writ_core::{Draft, Entry, Filter, Signer as _};
use writ_pipeline::{Batch, Foundations, Journal, decode};
use writ_server::{StateDir, SystemClock, SystemEntropy};
use writ_store::{SqliteLedger, WitnessFile};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const GIVE_UP: Duration = Duration::from_secs(30);
/// Callers that record at the same time.
const WRITERS: u64 = 64;
/// The component whose story is told again, and of how many others.
const COMPONENT: &str = "web-service-001";
const OTHERS: u64 = 20_000;
/// How often each page is looked at.
const LOOKS: usize = 20;
/// A page that takes longer than this is no answer at once.
const SLOW_MS: f64 = 150.0;
/// The intent whose versions are told again.
const INTENT: &str = "DEPLOY-WEB-001";
/// The person who is told again.
const PERSON: &str = "person-01";
/// What a row of each list is made of: entries of its stream, by kind.
const ROW: [&str; 13] = [
    "approval.standing/1",
    "incident.opened/1",
    "incident.resolved/1",
    "intent.submitted/1",
    "intent.translated/1",
    "intent.moved/1",
    "policy.waiver_asked/1",
    "principal.enrolled/1",
    "principal.token_issued/1",
    "run.submitted/1",
    "run.started/1",
    "run.succeeded/1",
    "safety.kill_switch/1",
];
/// What is asked of the installation once, so that there is a row of it; it concerns nothing that there is.
const ONCE: [&[&str]; 2] = [
    &["waiver", "ask", "COMP-BUDGET-001", "--subject", "nothing-*", "--ttl", "1h", "-m", "a row"],
    &["agent", "kill", "--resource", "nothing-0000000", "-m", "a row"],
];
/// Lists that a program reads.
const LISTS: [&str; 4] = ["principals", "tokens", "waivers", "kill-switch"];
/// How often it is started before and after.
const STARTS: usize = 5;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    let (writ, args) = program()?;
    let wanted: u64 = args.first().map_or(Ok(1_000_000), |text| text.parse())?;
    let rows: u64 = args.get(1).map_or(Ok(100_000), |text| text.parse())?;
    let place = Place::new(&writ)?;
    one_incident(&place)?;
    println!("fdatasync, ms:                            {}", fdatasync_ms(&place.state(), 200)?);
    println!("from start to an answer of the API, ms:   {}  as it is", starts(&place)?);
    let told = |journal: Journal| async move { story(&journal).await };
    fill(&place, told, move |size, _| size < wanted).await?;
    println!("from start to an answer of the API, ms:   {}  grown", starts(&place)?);
    let slow = pages(&place)?;
    println!("each list with {rows} rows:");
    fill(&place, |journal| async move { row(&journal).await }, move |_, number| number < rows).await?;
    println!("from start to an answer of the API, ms:   {}  with {rows} of each", starts(&place)?);
    match slow + pages(&place)? {
        0 => Ok(()),
        slow => Err(format!("{slow} pages took longer than {SLOW_MS} ms").into()),
    }
}

/// How long each list of the console takes, with as many rows as there are. How many took too long.
fn pages(place: &Place) -> Result<usize, Failure> {
    let mut dev = place.dev(&["--no-submit"])?;
    dev.until_up()?;
    let runs = format!("/runs?before=run_{}", "5".repeat(26));
    let mut slow = 0;
    let (plain, audit) = (
        [
            "/",
            "/intents",
            "/runs",
            &runs,
            "/runs?show=open",
            "/approvals",
            "/incidents",
            "/policy",
            "/recommendations",
            "/agents",
            "/contracts",
            "/settings",
        ],
        ["", "?actor=pipeline", "?outcome=denied", "?kind=run.", "?resource=service-*", "?action=restart_instance"],
    );
    let audit = audit.map(|filter| format!("/audit{filter}"));
    for path in plain.into_iter().chain(audit.iter().map(String::as_str)) {
        let (mut took_ms, mut bytes) = (Figures::default(), 0);
        for _ in 0..LOOKS {
            let began = Instant::now();
            bytes = place.page(path)?.len();
            took_ms.add(began.elapsed().as_secs_f64() * 1_000.0);
        }
        let short: String = path.chars().take(34).collect();
        println!("page {short:<36} ms: {took_ms}  {bytes} bytes");
        slow += usize::from(took_ms.median() > SLOW_MS);
    }
    for list in LISTS {
        let mut took_ms = Figures::default();
        for _ in 0..LOOKS {
            let began = Instant::now();
            let page = place.api(&format!("/api/v1/{list}"))?;
            took_ms.add(began.elapsed().as_secs_f64() * 1_000.0);
            if page.get("items").and_then(Value::as_array).is_none_or(Vec::is_empty) {
                return Err(format!("nothing is listed of {list}: {page}").into());
            }
        }
        println!("list {list:<36} ms: {took_ms}");
        slow += usize::from(took_ms.median() > SLOW_MS);
    }
    ended(dev)?;
    Ok(slow)
}

/// Lets the service lose an instance and be healed.
fn one_incident(place: &Place) -> Result<(), Failure> {
    let mut dev = place.dev(&[])?;
    dev.until_up()?;
    let pid = *place.alive().get("i-1").ok_or("there is no i-1")?;
    kill(pid, Signal::KILL);
    let over = || {
        let incidents = place.list("incidents").unwrap_or_default();
        incidents.iter().any(|one| one.pointer("/last/kind").is_some_and(|kind| kind == "incident.resolved/1"))
    };
    wait_until(GIVE_UP, over).ok_or("the incident was not resolved")?;
    for command in ONCE {
        let said = place.writ(command)?;
        if said.code != Some(0) {
            return Err(format!("{command:?}: {}", said.err).into());
        }
    }
    ended(dev)
}

fn starts(place: &Place) -> Result<Figures, Failure> {
    let mut serving_ms = Figures::default();
    for _ in 0..STARTS {
        let dev = place.dev(&[])?;
        let serves = dev.until_serving(place, GIVE_UP).ok_or_else(|| format!("it does not serve: {}", dev.said()))?;
        serving_ms.add(serves.as_secs_f64() * 1_000.0);
        ended(dev)?;
    }
    Ok(serving_ms)
}

fn ended(dev: Dev) -> Result<(), Failure> {
    match dev.end() {
        Some(0) => Ok(()),
        code => Err(format!("dev ended with {code:?}").into()),
    }
}

/// Records something again and again, under new ids, as other components', while it is to go on: that is asked with how many
/// entries there are, and how often it was told.
async fn fill<T: Future<Output = Result<Vec<Told>, Failure>>>(
    place: &Place,
    what: impl FnOnce(Journal) -> T,
    more: impl Fn(u64, u64) -> bool + Copy + Send + 'static,
) -> Result<(), Failure> {
    let state = StateDir::open(&place.state())?;
    let path = state.path("journal.db");
    let ledger = Arc::new(SqliteLedger::open(&path).await?);
    let entropy = Arc::new(SystemEntropy);
    let origin = StateDir::origin(&state.key("log", "", &*entropy)?);
    let base = Foundations {
        ledger: ledger.clone(),
        signer: Arc::new(state.key("log", &origin, &*entropy)?),
        gate_key: state.key("gate", "gate", &*entropy)?.public_key(),
        witness: Arc::new(WitnessFile::at(&state.path("witness"))),
        clock: Arc::new(SystemClock),
        entropy,
        realm: "local".into(),
    };
    let journal = Journal::open(base).await?;
    let story = Arc::new(what(journal.clone()).await?);
    let began = Instant::now();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (journal, story) = (journal.clone(), story.clone());
            tokio::spawn(async move {
                let (mut number, mut cause) = (writer, journal.new_cause());
                while more(*journal.size().borrow(), number) {
                    let drafts = story.iter().map(|told| told.again(number)).collect::<Result<Vec<_>, _>>()?;
                    journal.commit(&cause, Batch::of(drafts)).await?;
                    (number, cause) = (number + WRITERS, journal.new_cause());
                }
                Ok::<(), Failure>(())
            })
        })
        .collect();
    for writer in writers {
        writer.await??;
    }
    let (size, took) = (*journal.size().borrow(), began.elapsed());
    drop(journal);
    ledger.close().await;
    let megabytes = |path: &Path| fs::metadata(path).map_or(0, |file| file.len()) / 1_000_000;
    println!(
        "{size} entries after {:.0} s, {:.0} a second; {} MB, and {} MB that trail",
        took.as_secs_f64(),
        size as f64 / took.as_secs_f64(),
        megabytes(&path),
        megabytes(&path.with_extension("trail")),
    );
    Ok(())
}

/// An entry that is told again under other ids.
struct Told {
    entry: Entry,
    kind: &'static str,
    text: String,
    ids: Vec<String>,
}

impl Told {
    fn again(&self, number: u64) -> Result<Draft, serde_json::Error> {
        let component = format!("service-{:05}", number % OTHERS);
        let intent = format!("DEPLOY-WEB-{number:07}");
        let person = format!("person-{number:07}");
        let other = |text: &str| text.replace(COMPONENT, &component).replace(INTENT, &intent).replace(PERSON, &person);
        let (mut text, mut stream) = (other(&self.text), other(&self.entry.stream));
        for id in &self.ids {
            // Digits are letters of ids, too: the new one differs in its chance alone.
            let new = format!("{}{number:010}", id.get(..id.len() - 10).unwrap_or_default());
            text = text.replace(id, &new);
            stream = stream.replace(id, &new);
        }
        Ok(Draft {
            action: self.entry.action.clone(),
            actor: self.entry.actor.clone(),
            body: serde_json::from_str(&text)?,
            kind: self.kind,
            outcome: self.entry.outcome,
            resource: other(&self.entry.resource),
            stream,
        })
    }
}

/// What was recorded of the incident and of the run that healed it.
async fn story(journal: &Journal) -> Result<Vec<Told>, Failure> {
    let trace = first(journal, "incident.opened/1").await?.trace_id;
    let all = journal.ledger().query(&Filter { trace: Some(trace), ..Filter::default() }, 1_000).await?;
    let all: Vec<Entry> = all.iter().map(decode).collect::<Result<_, _>>()?;
    let of_these = |entry: &Entry| ["incident/", "run/"].iter().any(|sort| entry.stream.starts_with(sort));
    Ok(told(all.into_iter().filter(of_these).collect()))
}

/// One row of each list.
async fn row(journal: &Journal) -> Result<Vec<Told>, Failure> {
    let mut all = Vec::new();
    for kind in ROW {
        all.push(first(journal, kind).await?);
    }
    Ok(told(all))
}

async fn first(journal: &Journal, kind: &str) -> Result<Entry, Failure> {
    let found = journal.ledger().query(&Filter { kind: Some(kind.into()), ..Filter::default() }, 1).await?;
    Ok(decode(found.first().ok_or_else(|| format!("there was no `{kind}`"))?)?)
}

fn told(all: Vec<Entry>) -> Vec<Told> {
    let (mut kinds, mut told) = (HashMap::new(), Vec::new());
    for entry in all {
        // A program has few kinds, and they are for ever.
        let kind = *kinds.entry(entry.kind.clone()).or_insert_with(|| &*entry.kind.clone().leak());
        let text = entry.body.to_string();
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').chain(entry.stream.split('/'));
        let minted = |word: &&str| {
            let sorts = ["inc_", "run_", "tkt_", "apr_", "wvr_"];
            sorts.iter().any(|sort| word.starts_with(sort)) && word.len() == 30
        };
        let mut ids: Vec<String> = words.filter(minted).map(str::to_owned).collect();
        let text_of = |field: &str| entry.body.get(field).and_then(Value::as_str);
        // Whom it is about, and by what hash, are minted otherwise; of the scope of a switch the digits are its name's.
        let others = [text_of("token_hash"), entry.body.pointer("/scope/resource").and_then(Value::as_str)];
        ids.extend(others.into_iter().flatten().map(str::to_owned));
        ids.sort();
        ids.dedup();
        told.push(Told { entry, kind, text, ids });
    }
    told
}
