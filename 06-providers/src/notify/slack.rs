//! Slack, by an incoming webhook. Its URL is a secret: whoever knows it can write there.

use super::outside::{Outside, Trust};
use super::{ChannelError, plain};
use async_trait::async_trait;
use serde_json::{Value, json};
use writ_core::{Notifier, NotifyError, Severity, Telling};

/// Characters of a header, a section and a field, before they are escaped; Slack takes 150, 3,000 and 2,000.
const TITLE_MAX: usize = 140;
const TEXT_MAX: usize = 500;
const FACT_MAX: usize = 300;

/// Fields of one section at the most.
const FACTS_MAX: usize = 10;

/// Posts each telling as a message of blocks.
#[derive(Clone)]
pub struct SlackNotifier {
    to: Outside,
}

impl SlackNotifier {
    /// The incoming webhook at a URL.
    ///
    /// # Errors
    /// When the URL is none that may be posted to.
    pub fn new(url: &str, trust: &Trust) -> Result<Self, ChannelError> {
        Ok(Self { to: Outside::at(url.trim(), trust)? })
    }
}

#[async_trait]
impl Notifier for SlackNotifier {
    fn name(&self) -> &str {
        "slack"
    }

    async fn notify(&self, telling: &Telling) -> Result<(), NotifyError> {
        self.to.post(&[], message(telling).to_string()).await
    }
}

/// The message: what it says in one line for those who see no blocks, and the blocks. Only the link is markup; all else is
/// shown as it stands.
fn message(telling: &Telling) -> Value {
    let (title, text) = (plain(&telling.title, TITLE_MAX), plain(&telling.text, TEXT_MAX));
    let shown = |text: &str| json!({"type": "plain_text", "text": escaped(text), "emoji": false});
    let mut blocks = vec![
        json!({"type": "header", "text": shown(&title)}),
        json!({"type": "section", "text": shown(&format!("{} {text}", mark(telling.severity)))}),
    ];
    let fields: Vec<Value> = telling
        .facts
        .iter()
        .take(FACTS_MAX)
        .map(|(name, fact)| shown(&format!("{name}: {}", plain(fact, FACT_MAX))))
        .collect();
    if !fields.is_empty() {
        blocks.push(json!({"type": "section", "fields": fields}));
    }
    let link = format!("<{}|Look and answer>", telling.link.replace(['|', '<', '>', ' '], ""));
    blocks.push(json!({"type": "section", "text": {"type": "mrkdwn", "text": link, "verbatim": true}}));
    json!({"text": escaped(&format!("{title}: {text}")), "blocks": blocks})
}

/// A word and a sign for how bad it is.
fn mark(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info:",
        Severity::Low => "low:",
        Severity::Medium => "medium:",
        Severity::High => "❗ high:",
        Severity::Critical => "🔴 critical:",
    }
}

/// The three characters by which Slack knows its markup.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
