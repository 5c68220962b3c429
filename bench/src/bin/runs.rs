//! Runs with gate, permits, redemption and two entries a step, on SQLite: one run at a time, and 256 at once.
//!
//! `cargo run --release -p writ-bench --bin runs [DIRECTORY OF FILES]`

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use writ_bench::{Figures, fdatasync_ms};
use writ_core::{
    ActionId, Actor, Digest, Effect, EffectClass, EffectKey, Permission, Plan, Probe, Provider, ProviderError, Receipt,
    RetryRule, RunId, Step, StepKey, World,
};
use writ_pipeline::{Batch, Pipeline, RunContext, RunSubmission};
use writ_seal::{check_effect, sha256};
use writ_server::{bench_pipeline, read_files};
use writ_store::SqliteLedger;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Steps of one run, each after the one before.
const STEPS: usize = 20;

/// Checks the permit as every provider does, and does nothing.
struct Nothing {
    gate_key: [u8; 32],
}

#[async_trait::async_trait]
impl Provider for Nothing {
    fn name(&self) -> &str {
        "nothing"
    }

    fn verbs(&self) -> BTreeMap<String, EffectClass> {
        BTreeMap::from([("instance.ensure".to_owned(), EffectClass::Keyed)])
    }

    async fn perform(&self, effect: &Effect) -> Result<Receipt, ProviderError> {
        let now = writ_core::Clock::now(&writ_server::SystemClock);
        check_effect(effect, &self.gate_key, now).map_err(|refused| ProviderError::Refused {
            verb: effect.verb.clone(),
            resource: effect.resource.clone(),
            because: refused.to_string(),
        })?;
        Ok(Receipt { detail: json!({}), finished_at: now, key: effect.key.clone(), repeated: false })
    }

    async fn probe(&self, _: &EffectKey, _: &str, _: &str) -> Probe {
        Probe::Absent
    }

    async fn observe(&self, _: &writ_core::ComponentId) -> Result<World, ProviderError> {
        Ok(World::default())
    }
}

fn plan(run: usize) -> Result<Plan, Failure> {
    let action: ActionId = "act_bench".parse()?;
    let mut steps: Vec<Step> = Vec::new();
    for at in 0..STEPS {
        let key: StepKey = format!("act_bench/i-{at}").parse()?;
        steps.push(Step {
            action: action.clone(),
            action_name: "deploy_instances".into(),
            class: EffectClass::Keyed,
            needs: steps.last().map(|step| step.key.clone()).into_iter().collect(),
            key,
            params: json!({"component": "web-service-001", "slot": format!("i-{at}"), "generation": 1, "zone": "us-west-2a"}),
            permission: Permission("execute:provision".into()),
            phase: "deploy_application".into(),
            resource: format!("web-service-001/b-{run}-{at}"),
            retry: RetryRule::default(),
            timeout_ms: 60_000,
            undo: None,
            verb: "instance.ensure".into(),
        });
    }
    Ok(Plan {
        actions: Vec::new(),
        intent: "DEPLOY-WEB-001".parse()?,
        intent_digest: Digest([0; 32]),
        intent_version: 1,
        steps,
        world: sha256(b"bench"),
    })
}

async fn one(pipeline: Pipeline, number: usize) -> Result<(), Failure> {
    let journal = pipeline.journal();
    let plan = plan(number)?;
    let (run, world) = (RunId::mint(journal.now().millis(), journal.chance()), plan.world);
    let submission = RunSubmission::of(run.clone(), plan, Actor::system("bench"), world);
    let context = RunContext { environment: "dev".into(), ..RunContext::default() };
    pipeline.drive().begin(submission, context, &journal.new_cause(), Batch::default()).await?;
    let ended = pipeline.drive().wait(&run).await;
    match ended {
        Some(run) if run.state().name() != "succeeded" => Err(format!("a run is {}", run.state().name()).into()),
        _ => Ok(()),
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    let dir = std::env::args().nth(1).unwrap_or_else(|| "examples/deploy-web-001".to_owned());
    let mut files = read_files(Path::new(&dir)).map_err(|problems| format!("{problems:?}"))?;
    for agent in &mut files.agents {
        // The example's agents are bounded so that a runaway one is stopped; here one does everything.
        agent.limits.resources_per_hour = u32::MAX;
        agent.limits.tickets_per_minute = u32::MAX;
        agent.limits.tickets_at_once = u32::MAX;
    }
    let place = tempfile::tempdir_in(".")?;
    let disk = fdatasync_ms(place.path(), 300)?;
    println!("fdatasync, ms:            {disk}");
    let f = disk.median() / 1_000.0;
    for (at_once, in_all, target) in [(1_usize, 40_usize, 0.4 / f), (256, 1_024, 2_500.0)] {
        let mut rates = Figures::default();
        for round in 0..5 {
            let ledger = Arc::new(SqliteLedger::open(&place.path().join(format!("{at_once}-{round}.db"))).await?);
            let pipeline = bench_pipeline(&files, ledger, |gate_key| Arc::new(Nothing { gate_key })).await?;
            let began = Instant::now();
            let mut tasks = tokio::task::JoinSet::new();
            for number in 0..in_all {
                if tasks.len() == at_once {
                    tasks.join_next().await.transpose()?.transpose()?;
                }
                tasks.spawn(one(pipeline.clone(), number));
            }
            while let Some(done) = tasks.join_next().await {
                done??;
            }
            rates.add((in_all * STEPS) as f64 / began.elapsed().as_secs_f64());
        }
        println!("{at_once:>3} runs at once, steps/s: {rates}  of {in_all} runs of {STEPS} steps  target {target:.0}");
    }
    Ok(())
}
