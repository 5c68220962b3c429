//! The steps of a change: in which state each is, who works on it under which permit and ticket, and how long that took.

use super::draw::{Bar, Lane, Node};
use super::words::{Html, agent_page, badge, escape, link, span, text, when, word};
use crate::api::Shared;
use serde_json::Value;
use std::collections::BTreeMap;
use writ_core::{Entry, RunId, Step, StepKey, Timestamp};
use writ_pipeline::Run;

/// The steps of a change as a list, a graph and a timeline.
#[derive(Default)]
pub(super) struct Steps {
    pub(super) rows: Vec<StepRow>,
    pub(super) nodes: Vec<Node>,
    pub(super) lanes: Vec<Lane>,
    pub(super) done: usize,
}

/// One step in the list.
pub(super) struct StepRow {
    pub(super) anchor: String,
    pub(super) key: String,
    pub(super) action: String,
    pub(super) resource: String,
    pub(super) phase: String,
    pub(super) state: Html,
    pub(super) attempts: u32,
    pub(super) took: String,
    pub(super) waiting: String,
    pub(super) agent: Html,
    pub(super) permit: Html,
    pub(super) ticket: Option<Held>,
    /// Whether a person may have it tried again.
    pub(super) retry: bool,
    /// Whether a person must say what came of it.
    pub(super) resolve: bool,
}

/// The ticket under which an agent works on a step now.
pub(super) struct Held {
    pub(super) state: Html,
    pub(super) epoch: u64,
    pub(super) until: Html,
}

impl Held {
    fn of(shared: &Shared, run: &RunId, step: &StepKey) -> Option<Self> {
        let state = shared.pipeline.gate().state();
        let ticket = state.tickets.live(run, step)?;
        Some(Self { state: badge(&word(ticket.state)), epoch: ticket.epoch, until: when(ticket.order.lease_until) })
    }
}

impl Steps {
    /// As they are now, with what the run's entries tell of them.
    pub(super) fn of(shared: &Shared, run: &Run, entries: &[Entry], now: Timestamp) -> Self {
        let mut all = Self::default();
        let mut told = attempts(entries, now);
        for (at, (step, cell)) in run.steps().enumerate() {
            let key = step.key.to_string();
            let state = cell.state.name();
            all.done += usize::from(matches!(state, "succeeded" | "undone" | "kept"));
            let anchor = format!("step-{}", at + 1);
            let told = told.remove(&key).unwrap_or_default();
            all.nodes.push(Node {
                key: key.clone(),
                anchor: anchor.clone(),
                title: deed_of(step),
                about: step.resource.clone(),
                state: state.to_owned(),
                needs: step.needs.iter().map(ToString::to_string).collect(),
            });
            let waiting = run.step_waiting(&step.key);
            all.rows.push(StepRow {
                anchor,
                key,
                action: deed_of(step),
                resource: step.resource.clone(),
                phase: step.phase.replace('_', " "),
                state: badge(state),
                attempts: cell.attempts,
                took: told.took(),
                agent: told.agent(),
                permit: told.permit(),
                ticket: Held::of(shared, run.id(), &step.key),
                // A step that failed waits for nothing, unless a person may take it up.
                retry: state == "failed" && waiting.is_some(),
                resolve: state == "unknown" && !run.state().is_over(),
                waiting: match waiting {
                    Some(waiting) => waiting.sentence,
                    None => cell.state.because().unwrap_or_default().to_owned(),
                },
            });
            all.lanes.push(Lane { name: format!("{}. {}", at + 1, step.resource), bars: told.bars });
        }
        all
    }
}

/// One thing that would be done.
pub(super) struct Deed {
    pub(super) verb: String,
    pub(super) resource: String,
    pub(super) action: String,
    pub(super) class: String,
    pub(super) undo: bool,
}

/// What would be done, in its order.
#[derive(Default)]
pub(super) struct Deeds {
    pub(super) rows: Vec<Deed>,
}

impl<'a> FromIterator<&'a Step> for Deeds {
    fn from_iter<I: IntoIterator<Item = &'a Step>>(steps: I) -> Self {
        let deed = |step: &Step| Deed {
            verb: step.verb.clone(),
            resource: step.resource.clone(),
            action: deed_of(step),
            class: word(step.class),
            undo: step.undo.is_some(),
        };
        Self { rows: steps.into_iter().map(deed).collect() }
    }
}

impl Deeds {
    /// How many steps there are, and how many of each action: `6 steps: 5 × remove instance, 1 × scale`.
    pub(super) fn sum(&self) -> String {
        let mut sums: BTreeMap<&str, usize> = BTreeMap::new();
        self.rows.iter().for_each(|deed| *sums.entry(&deed.action).or_default() += 1);
        let sums: Vec<String> = sums.into_iter().map(|(action, count)| format!("{count} × {action}")).collect();
        let all = self.rows.len();
        format!("{all} step{}: {}", if all == 1 { "" } else { "s" }, sums.join(", "))
    }
}

/// What a step does, in words. An action's name says what it is for; a step of it that takes something away says so.
pub(super) fn deed_of(step: &Step) -> String {
    match step.verb.strip_suffix(".remove") {
        Some(what) => format!("remove {}", what.replace('_', " ")),
        None => step.action_name.replace('_', " "),
    }
}

/// What the entries tell of a step: who did it under which permit, and when.
#[derive(Default)]
struct Told {
    agent: String,
    permit: String,
    bars: Vec<Bar>,
    open: Option<Timestamp>,
}

impl Told {
    fn took(&self) -> String {
        match (self.bars.first(), self.bars.last()) {
            (Some(first), Some(last)) => span(first.from, last.to),
            _ => "–".to_owned(),
        }
    }

    fn agent(&self) -> Html {
        if self.agent.is_empty() {
            return Html::default();
        }
        Html(format!("<a href=\"{}\">{}</a>", agent_page(&self.agent), escape(&self.agent)))
    }

    fn permit(&self) -> Html {
        if self.permit.is_empty() { Html::default() } else { link(&self.permit) }
    }
}

/// Attempts of each step, from the run's entries.
fn attempts(entries: &[Entry], now: Timestamp) -> BTreeMap<String, Told> {
    let mut all: BTreeMap<String, Told> = BTreeMap::new();
    for entry in entries {
        let Some(key) = entry.body.pointer("/step/key").and_then(Value::as_str) else { continue };
        let told = all.entry(key.to_owned()).or_default();
        match entry.kind.as_str() {
            "run.step_started/1" => {
                text(&entry.body, "/agent").clone_into(&mut told.agent);
                text(&entry.body, "/permit").clone_into(&mut told.permit);
                told.open = Some(entry.timestamp);
            }
            "run.step_succeeded/1" | "run.step_failed/1" | "run.step_unclear/1" | "run.step_undone/1" => {
                if let Some(from) = told.open.take() {
                    let state = entry.kind.trim_start_matches("run.step_").trim_end_matches("/1").to_owned();
                    told.bars.push(Bar { from, to: entry.timestamp, state });
                }
            }
            _ => {}
        }
    }
    for told in all.values_mut() {
        if let Some(from) = told.open.take() {
            told.bars.push(Bar { from, to: now, state: "running".to_owned() });
        }
    }
    all
}
