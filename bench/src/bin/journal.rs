//! The journal on SQLite: one writer, 64 writers, and offline verification.
//!
//! `cargo run --release -p writ-bench --bin journal [SECONDS]`

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};
use writ_audit::Verifier;
use writ_bench::{Figures, fdatasync_ms};
use writ_core::{Actor, Draft, Ledger, Outcome};
use writ_pipeline::{Batch, Journal};
use writ_store::SqliteLedger;

type Failure = Box<dyn std::error::Error>;

fn draft(writer: usize, n: u64) -> Draft {
    Draft {
        action: "deploy_instances".into(),
        actor: Actor::system("pipeline"),
        body: json!({"agent": "provisioning-agent-001", "attempt": 1, "effect_key": format!("ek_{n:032x}"), "epoch": n,
                     "step": {"action": "deploy_instances", "key": "act_k3f9x2m1p0/i-2", "leg": "do"}}),
        kind: "bench.step/1",
        outcome: Outcome::Success,
        resource: format!("web-service-001/i-{writer}"),
        stream: format!("run/{writer}"),
    }
}

async fn write(journal: &Journal, writers: usize, span: Duration) -> Result<u64, Failure> {
    let until = Instant::now() + span;
    let tasks: Vec<_> = (0..writers)
        .map(|writer| {
            let journal = journal.clone();
            tokio::spawn(async move {
                let (cause, mut n) = (journal.new_cause(), 0);
                while Instant::now() < until {
                    journal.commit(&cause, Batch::of(vec![draft(writer, n)])).await?;
                    n += 1;
                }
                Ok::<u64, writ_pipeline::CommitError>(n)
            })
        })
        .collect();
    let mut total = 0;
    for task in tasks {
        total += task.await??;
    }
    Ok(total)
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    let seconds: u64 = std::env::args().nth(1).map_or(Ok(3), |text| text.parse())?;
    let dir = tempfile::tempdir_in(".")?;
    let disk = fdatasync_ms(dir.path(), 300)?;
    println!("fdatasync, ms:                {disk}");
    let f = disk.median() / 1_000.0;
    let mut entries = 0;
    for (writers, target) in [(1_usize, 0.6 / f), (64, 15_000.0)] {
        let (mut rates, mut behind) = (Figures::default(), Figures::default());
        for round in 0..5 {
            let ledger = Arc::new(SqliteLedger::open(&dir.path().join(format!("{writers}-{round}.db"))).await?);
            let journal = writ_sim::open_journal(ledger, 1).await?;
            let began = Instant::now();
            let count = write(&journal, writers, Duration::from_secs(seconds)).await?;
            rates.add(count as f64 / began.elapsed().as_secs_f64());
            let size = *journal.size().borrow();
            behind.add((size - journal.reported(0).await) as f64);
            entries += count;
        }
        println!(
            "{writers:>2} writers, entries/s:        {rates}  target {target:.0}  ratio to 1/F {:.2}",
            rates.median() * f
        );
        println!("   entries that lookups and report views are behind then: {behind}");
    }
    println!("entries written: {entries}");

    let ledger = SqliteLedger::open(&dir.path().join("64-0.db")).await?;
    let stored = ledger.entries(0, 1_000_000).await?;
    let (mut rates, bytes) = (Figures::default(), stored.iter().map(|entry| entry.bytes.len()).sum::<usize>());
    for _ in 0..5 {
        let (mut verifier, mut full) = (Verifier::new(), Vec::new());
        let began = Instant::now();
        for entry in &stored {
            verifier.feed(&entry.bytes, Some(&entry.leaf), &mut full)?;
            full.clear();
        }
        std::hint::black_box(verifier.root());
        rates.add(stored.len() as f64 / began.elapsed().as_secs_f64());
    }
    println!(
        "offline verify, entries/s/core: {rates}  target 800000  ({} entries of {} bytes)",
        stored.len(),
        bytes / stored.len().max(1)
    );
    Ok(())
}
