//! Telling people: channels, each of which takes one telling at a time.
//!
//! What goes out is made here from a telling alone. Whatever people wrote in it is escaped as the channel needs it, and what a
//! channel says about its failures names no address and no secret.

mod console;
mod outside;
mod slack;
mod smtp;
#[cfg(test)]
mod tests;
mod webhook;

pub use console::ConsoleNotifier;
pub use outside::Trust;
pub use slack::SlackNotifier;
pub use smtp::{SmtpConfig, SmtpNotifier, SmtpSecurity};
pub use webhook::{Secret, WebhookNotifier};

use serde_json::{Value, json};
use writ_core::{Telling, TraceId};

/// Why a channel cannot be set up. No secret stands in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {because}")]
pub struct ChannelError {
    /// Of what: `the URL`.
    pub what: &'static str,
    /// What is wrong.
    pub because: String,
}

/// A telling as the document that programs read.
fn document(telling: &Telling) -> Value {
    let Telling { id, at, audience, facts, link, severity, text, title, topic, trace } = telling;
    let facts: serde_json::Map<String, Value> =
        facts.iter().map(|(name, fact)| (name.replace(' ', "_"), json!(fact))).collect();
    json!({
        "type": topic, "timestamp": at,
        "data": {
            "id": id, "title": title, "text": text, "severity": severity, "link": link, "audience": audience, "facts": facts,
            "trace_id": trace.as_ref().map(TraceId::as_str),
        },
    })
}

/// A text of at most so many characters, without what a terminal or a header would not show as it stands.
fn plain(text: &str, most: usize) -> String {
    let mut plain: String = text.chars().take(most).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(most).is_some() {
        plain.pop();
        plain.push('…');
    }
    plain
}
