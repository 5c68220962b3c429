//! Asking for a run.

use crate::attached::Attached;
use crate::body::Submitted;
use crate::event::{RunEvent, What};
use crate::graph::Graph;
use crate::options::Options;
use crate::run::Run;
use crate::signal::{Decision, Refused, Submission};
use crate::sketch::Sketch;
use crate::step::{run_commands, settle};
use writ_core::{Digest, Plan, Timestamp};

/// Begins a run: checks that its plan can be carried out and was made for the world as it is, and goes as far as it can
/// without anybody else. Steps are asked for by [`ask_all`](crate::ask_all) afterwards.
///
/// # Errors
/// When the plan is empty and nobody is asked about it, is broken or stale, or a limit cannot be kept. Nothing is to be recorded then.
pub fn submit(submission: Submission, now: Timestamp) -> Result<(Run, Decision), Refused> {
    let Submission { gate, options, parent, plan, requester, run, world } = submission;
    if plan.steps.is_empty() && gate.approval.is_none() {
        return Err(Refused::Empty);
    }
    check(&plan, &options, world)?;
    let digest = writ_seal::digest_of(&*plan).map_err(Refused::Digest)?;
    let (intent, intent_version) = (plan.intent.clone(), plan.intent_version);
    let plan = Attached::new(digest, plan);
    let submitted = Submitted { gate, intent, intent_version, options, parent, plan, requester };
    let first = RunEvent { at: now, run, what: What::Submitted(submitted) };
    let mut run = Run::begin(&first)?;
    let mut sketch = Sketch::of(&run, now);
    settle(&mut sketch)?;
    let commands = run_commands(&sketch);
    let rest = sketch.events;
    rest.iter().try_for_each(|event| run.apply(event))?;
    let events = std::iter::once(first).chain(rest).collect();
    Ok((run, Decision { commands, events, refused: Vec::new() }))
}

pub(crate) fn check(plan: &Plan, options: &Options, world: Digest) -> Result<(), Refused> {
    if plan.world != world {
        return Err(Refused::Stale { planned: plan.world, found: world });
    }
    let sorts = ["action:", "phase:", "resource:"];
    let bad = |(key, limit): &(&String, &u32)| **limit == 0 || !sorts.iter().any(|sort| key.starts_with(sort));
    if options.limit == 0 {
        return Err(Refused::Limit { key: "run".to_owned() });
    }
    if let Some((key, _)) = options.limits.iter().find(bad) {
        return Err(Refused::Limit { key: key.clone() });
    }
    Graph::new(plan, Vec::new(), options)?;
    Ok(())
}
