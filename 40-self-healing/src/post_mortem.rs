//! The story of one incident for people, from its events alone.

use crate::event::HealEvent;
use std::fmt::Write as _;
use writ_core::{EventId, IncidentId};

/// The story as Markdown: what was wrong, what was done about it, how it ended, each line with the entry that proves it.
/// Nothing when none of the events is this incident's.
#[must_use]
pub fn post_mortem(incident: &IncidentId, events: &[(EventId, HealEvent)]) -> Option<String> {
    let own: Vec<&(EventId, HealEvent)> =
        events.iter().filter(|(_, event)| event.incident() == Some(incident)).collect();
    let (first, last) = (own.first()?, own.last()?);
    let mut text = format!("# Incident `{incident}`\n\n");
    if let HealEvent::Opened(opened) = &first.1 {
        let whose = opened.instance.as_ref().map_or_else(String::new, |name| format!(" `{name}`"));
        let _ = writeln!(
            text,
            "`{}`{whose}: {}. Began {}, noticed after {} ms, {} severity.\n",
            opened.component,
            opened.seen,
            opened.onset_at,
            opened.at.since(opened.onset_at).as_millis(),
            opened.severity
        );
    }
    let end = match &last.1 {
        HealEvent::Resolved(_) => "Over",
        HealEvent::Closed(_) => "Closed by a person",
        HealEvent::Opened(_)
        | HealEvent::Joined(_)
        | HealEvent::Proposed(_)
        | HealEvent::Shadowed(_)
        | HealEvent::Held(_)
        | HealEvent::Waiting(_)
        | HealEvent::Released(_)
        | HealEvent::Denied(_)
        | HealEvent::Started(_)
        | HealEvent::Ended(_)
        | HealEvent::Verified(_)
        | HealEvent::Escalated(_)
        | HealEvent::Acknowledged(_)
        | HealEvent::ModeSet(_)
        | HealEvent::ModeEnded(_)
        | HealEvent::Judged(_) => "Still open",
    };
    let _ = writeln!(text, "{end} {} ms after it was opened.\n", last.1.at().since(first.1.at()).as_millis());
    text.push_str("| time | what | entry |\n|---|---|---|\n");
    for (id, event) in own {
        // What sensors and gates said is their text, not ours: it must not break the table.
        let line = tell(event).replace('|', "\\|").replace(['\n', '\r'], " ");
        let _ = writeln!(text, "| {} | {line} | `{id}` |", event.at());
    }
    Some(text)
}

fn tell(event: &HealEvent) -> String {
    let of = |instance: &Option<String>| instance.clone().unwrap_or_else(|| "component".to_owned());
    match event {
        HealEvent::Opened(event) => format!("opened: {} {}, {}", of(&event.instance), event.symptom.name(), event.seen),
        HealEvent::Joined(event) => format!("also: {} {}, {}", of(&event.instance), event.symptom.name(), event.seen),
        HealEvent::Proposed(event) => {
            let targets: Vec<&str> = event.remedy.targets.iter().map(|target| target.instance.as_str()).collect();
            let count = event.remedy.count.map_or_else(String::new, |count| format!(" to {count} instances"));
            format!("attempt {}: {} {}{count}", event.remedy.attempt, event.remedy.action, targets.join(", "))
        }
        HealEvent::Shadowed(event) => format!("would have done: {}", event.remedy.action),
        HealEvent::Held(event) => format!("waits: {}", event.because.words()),
        HealEvent::Waiting(event) => format!("waits for approval `{}`", event.approval),
        HealEvent::Released(_) => "is thought of anew: nothing stands before it any more".to_owned(),
        HealEvent::Denied(event) => format!("denied: {}", event.because),
        HealEvent::Started(event) => format!("runs as `{}`", event.run),
        HealEvent::Ended(event) if event.ok => "run ended".to_owned(),
        HealEvent::Ended(event) => format!("run failed: {}", event.because.as_deref().unwrap_or("no reason given")),
        HealEvent::Verified(event) => {
            format!("verified: {:?} after {} looks", event.outcome, event.looks).to_lowercase()
        }
        HealEvent::Resolved(event) => format!("resolved: {:?}", event.because).to_lowercase(),
        HealEvent::Escalated(event) => {
            format!("escalated to a person after {} attempts", event.attempts)
        }
        HealEvent::Acknowledged(event) => format!("acknowledged by `{}`", event.by),
        HealEvent::Closed(event) => format!("closed by `{}`", event.by),
        HealEvent::ModeSet(event) => format!("{} set to {}", event.action, event.mode),
        HealEvent::ModeEnded(event) => format!("{} goes as far as files say", event.action),
        HealEvent::Judged(event) => {
            format!("judged {} by `{}`: {}", if event.right { "right" } else { "wrong" }, event.by, event.action)
        }
    }
}
