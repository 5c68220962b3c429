//! How one version of a contract stands to another, message by message.

use crate::{Bump, Contract, Direction, Message, Mode};
use serde_json::{Value, json};
use writ_schema::{Compatibility, Effort, Schema, subsumes_within};

/// Which promise a change breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    /// Consumers of the older version keep working with a provider of the newer one.
    Backward,
    /// Consumers of the newer version work with a provider of the older one.
    Forward,
}

/// Why a promise does not hold.
#[derive(Debug, Clone, PartialEq)]
pub enum Because {
    /// One side sends this value and the other does not accept it.
    Counterexample(Value),
    /// A message, an answer or an error is there in only one of the versions.
    Absent,
    /// A message goes the other way, or an error means something else.
    Meaning(String),
    /// It could not be shown that it holds.
    Unproven(String),
}

/// One way in which a version breaks a promise to another.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Why.
    pub because: Because,
    /// One sentence for a person.
    pub message: String,
    /// Where in the contract's document, as a JSON pointer: `/messages/heal/schema/properties/timeout/maximum`.
    pub pointer: String,
    /// Which promise breaks.
    pub promise: Promise,
}

impl Change {
    /// The change as a document. Values are texts, so that it can stand in the journal.
    #[must_use]
    pub fn document(&self) -> Value {
        let promise = match self.promise {
            Promise::Backward => "backward",
            Promise::Forward => "forward",
        };
        let mut doc = json!({"breaks": promise, "pointer": self.pointer, "message": self.message});
        if let (Because::Counterexample(value), Value::Object(members)) = (&self.because, &mut doc) {
            members.insert("counterexample".into(), Value::String(value.to_string()));
        }
        doc
    }
}

/// How many questions as hard as one may be the comparison of a version with those before it may come to, whatever it has of
/// messages and however many came before.
pub(crate) const EFFORT: u64 = 4;

/// Every promise that the newer version breaks to the older one, in the order of messages and errors.
#[must_use]
pub fn changes(old: &Contract, new: &Contract) -> Vec<Change> {
    changes_within(old, new, &Effort::of(EFFORT))
}

/// As [`changes`], one of several comparisons that share what may be spent on them.
pub(crate) fn changes_within(old: &Contract, new: &Contract, effort: &Effort) -> Vec<Change> {
    let mut found = Vec::new();
    for (name, before) in &old.messages {
        match new.messages.get(name) {
            Some(after) => compare_message(name, before, after, effort, &mut found),
            None => found.push(Change {
                because: Because::Absent,
                message: format!(
                    "the {} `{name}` is gone, and consumers of {} rely on it",
                    before.direction, old.version
                ),
                pointer: format!("/messages/{name}"),
                promise: Promise::Backward,
            }),
        }
    }
    for (name, after) in new.messages.iter().filter(|(name, _)| !old.messages.contains_key(*name)) {
        found.push(Change {
            because: Because::Absent,
            message: format!(
                "the {} `{name}` is new, and providers of {} do not know it",
                after.direction, old.version
            ),
            pointer: format!("/messages/{name}"),
            promise: Promise::Forward,
        });
    }
    compare_errors(old, new, &mut found);
    found
}

fn compare_message(name: &str, old: &Message, new: &Message, effort: &Effort, found: &mut Vec<Change>) {
    let pointer = format!("/messages/{name}");
    if old.direction != new.direction {
        found.push(Change {
            because: Because::Meaning(format!("{} became {}", old.direction, new.direction)),
            message: format!("`{name}` was a {} and is a {}", old.direction, new.direction),
            pointer: format!("{pointer}/direction"),
            promise: Promise::Backward,
        });
        return;
    }
    let at = format!("{pointer}/schema");
    match old.direction {
        Direction::Command | Direction::Query => received(name, &at, (&old.schema, &new.schema), effort, found),
        Direction::Event => sent(name, &at, (&old.schema, &new.schema), effort, found),
    }
    let at = format!("{pointer}/answer");
    match (&old.answer, &new.answer) {
        (Some(old), Some(new)) => sent(&format!("the answer to {name}"), &at, (old, new), effort, found),
        (None, None) => {}
        (Some(_), None) => found.push(Change {
            because: Because::Absent,
            message: format!("`{name}` is no longer answered, and consumers wait for the answer"),
            pointer: at,
            promise: Promise::Backward,
        }),
        (None, Some(_)) => found.push(Change {
            because: Because::Absent,
            message: format!("`{name}` is answered now, and older providers do not answer"),
            pointer: at,
            promise: Promise::Forward,
        }),
    }
}

/// The provider receives it: the newer provider must accept what older consumers send, and the other way round.
fn received(name: &str, at: &str, (old, new): (&Schema, &Schema), effort: &Effort, found: &mut Vec<Change>) {
    let backward = format!("consumers of the older version may send a `{name}` that the newer one refuses");
    let forward = format!("consumers of the newer version may send a `{name}` that the older one refuses");
    found.extend(misfit((old, new), Promise::Backward, at, backward, effort));
    found.extend(misfit((new, old), Promise::Forward, at, forward, effort));
}

/// The provider sends it: older consumers must accept what the newer provider sends, and the other way round.
fn sent(name: &str, at: &str, (old, new): (&Schema, &Schema), effort: &Effort, found: &mut Vec<Change>) {
    let backward =
        format!("providers of the newer version may send `{name}` as consumers of the older one do not expect");
    let forward =
        format!("providers of the older version may send `{name}` as consumers of the newer one do not expect");
    found.extend(misfit((new, old), Promise::Backward, at, backward, effort));
    found.extend(misfit((old, new), Promise::Forward, at, forward, effort));
}

fn misfit(
    (sub, sup): (&Schema, &Schema),
    promise: Promise,
    at: &str,
    message: String,
    effort: &Effort,
) -> Option<Change> {
    match subsumes_within(sub, sup, effort) {
        Compatibility::Compatible(_) => None,
        Compatibility::Incompatible { pointer, witness } => Some(Change {
            because: Because::Counterexample(witness),
            message,
            pointer: format!("{at}{pointer}"),
            promise,
        }),
        Compatibility::Unknown { pointer, reason } => {
            let message = format!("it cannot be ruled out that {message}: {reason}");
            Some(Change { because: Because::Unproven(reason), message, pointer: format!("{at}{pointer}"), promise })
        }
    }
}

fn compare_errors(old: &Contract, new: &Contract, found: &mut Vec<Change>) {
    let mut push = |code: &str, because, message, promise| {
        found.push(Change { because, message, pointer: format!("/errors/{code}"), promise });
    };
    for (code, before) in &old.errors {
        match new.errors.get(code) {
            Some(after) if after == before => {}
            Some(after) => {
                let told = |case: &crate::ErrorCase| format!("{} {} retry {}", case.name, case.http, case.retry);
                let what = format!("`{}` became `{}`", told(before), told(after));
                let message = format!("the error `{code}` means something else: {what}");
                push(code, Because::Meaning(what), message, Promise::Backward);
            }
            None => {
                let message = format!("the error `{code}` is gone, and older providers still report it");
                push(code, Because::Absent, message, Promise::Forward);
            }
        }
    }
    for code in new.errors.keys().filter(|code| !old.errors.contains_key(*code)) {
        // Consumers must treat an error they do not know as a failure, so a new code breaks none of them.
        push(code, Because::Absent, format!("the error `{code}` is new"), Promise::Forward);
    }
}

/// How much the version must rise: major when what the mode promises breaks, minor when anything else does.
#[must_use]
pub fn required_bump(mode: Mode, changes: &[Change]) -> Bump {
    let broken = |promise| changes.iter().any(|change| change.promise == promise);
    let (backward, forward) = (broken(Promise::Backward), broken(Promise::Forward));
    if (backward && mode.promises_backward()) || (forward && mode.promises_forward()) {
        Bump::Major
    } else if backward || forward {
        Bump::Minor
    } else {
        Bump::Patch
    }
}
