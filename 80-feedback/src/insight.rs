//! What the figures say, in words, each with the entries it rests on.

use crate::figures::Figures;
use crate::history::{AttemptOutcome, History};
use crate::windows::Ends;
use writ_core::EventId;

/// One thing that the figures say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Insight {
    /// Whether it is a strength; else something to improve.
    pub strength: bool,
    /// One sentence.
    pub text: String,
    /// The entries behind it.
    pub evidence: Vec<EventId>,
}

/// What the figures say. Nothing measured is something to improve, not something to pass over.
#[must_use]
pub fn insights(history: &History, figures: &Figures) -> Vec<Insight> {
    let mut found = vec![];
    let mut say = |strength: bool, text: String, evidence: Vec<EventId>| {
        found.push(Insight { strength, text, evidence });
    };
    let windows = || history.windows.all.listed();
    match figures.availability {
        None => say(false, "No request was measured, so availability is not known".to_owned(), vec![]),
        Some(share) => match share.target_ppm {
            Some(target) if share.achieved_ppm < target => {
                say(false, "Missed availability target".to_owned(), windows())
            }
            Some(target) if share.interval.low < target => {
                let text = "Exceeded availability target, though the interval reaches below it";
                say(true, text.to_owned(), windows());
            }
            Some(_) => say(true, "Exceeded availability target".to_owned(), windows()),
            None => {}
        },
    }
    match figures.latency {
        None => say(false, "No answer was timed, so latency is not known".to_owned(), vec![]),
        Some(latency) => match latency.target_us {
            Some(target) if latency.p95_us > target => say(false, "Missed latency target".to_owned(), windows()),
            Some(_) => say(true, "Performance better than expected".to_owned(), windows()),
            None => {}
        },
    }
    if let Some(rate) = figures.deployments {
        let failed = rate.trials - rate.successes;
        if failed > 0 {
            let text = investigate(failed, "deployment");
            say(false, text, few(history.runs.iter().map(|run| &run.entry)));
        }
    }
    if let Some(rate) = figures.recoveries {
        let failed = rate.trials - rate.successes;
        // Half of the attempts helping is the least that one would call working, and only if the interval says so too.
        if rate.interval.low >= 500_000 {
            say(true, "Self-healing working effectively".to_owned(), few(attempts(history, AttemptOutcome::Succeeded)));
        }
        if failed > 0 {
            let text = investigate(failed, "recovery");
            let lost = attempts(history, AttemptOutcome::Failed).chain(attempts(history, AttemptOutcome::Inconclusive));
            say(false, text, few(lost));
        }
    }
    if figures.escalations > 0 {
        let escalated = history.incidents.iter().filter(|incident| incident.escalated).map(|incident| &incident.entry);
        let text =
            format!("{} incident{} had to be handed to a person", figures.escalations, plural(figures.escalations));
        say(false, text, few(escalated));
    }
    if figures.violations > 0 {
        let text = format!(
            "Consider adding buffer instances for peak load: {} of {} windows missed a target",
            figures.violations, figures.windows
        );
        say(false, text, history.windows.missed.listed());
    }
    found
}

pub(crate) fn attempts(history: &History, outcome: AttemptOutcome) -> impl Iterator<Item = &EventId> {
    let all = history.incidents.iter().flat_map(|incident| &incident.attempts);
    all.filter(move |attempt| attempt.outcome == outcome).map(|attempt| &attempt.entry)
}

/// At most so many entries: all, or the first half and the last.
pub(crate) fn few<'a>(entries: impl Iterator<Item = &'a EventId>) -> Vec<EventId> {
    let mut ends = Ends::default();
    entries.for_each(|entry| ends.take(entry));
    ends.listed()
}

fn investigate(failed: u64, what: &str) -> String {
    let needs = if failed == 1 { "needs" } else { "need" };
    format!("{failed} {what} failure{} {needs} investigation", plural(failed))
}

fn plural(count: u64) -> &'static str {
    if count == 1 { "" } else { "s" }
}
