//! Home: one sentence of state, what is under way, who is waited for, how each intent holds, and the latest entries.

use super::approvals::{Asked, open as open_approvals};
use super::draw::spark;
use super::frame::{Frame, Page, shown};
use super::intents::Row as IntentRow;
use super::list::by_name;
use super::runs::{Row as RunRow, live as live_runs};
use super::session::Visitor;
use super::words::{Html, badge, number};
use crate::api::{App, Shared};
use crate::console::audit::{EntryRow, rows};
use askama::Template;
use axum::extract::State;
use serde_json::Value;
use writ_core::{ComponentId, Entry, Filter, LedgerError};
use writ_pipeline::{GovernanceFinding, Journal, decode};

/// Entries that the page shows.
const LATEST: usize = 14;

/// Entries that are read at once while those are looked for, and how often.
const CHUNK: usize = 50;
const CHUNKS_MAX: usize = 12;

/// Windows that a line of availability shows.
const WINDOWS: usize = 60;

/// Rows of each list.
const SHOWN: usize = 8;

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage {
    frame: Frame,
    sentence: String,
    /// What somebody must look at in how this installation is governed, or tells people.
    findings: Vec<Look>,
    runs: Vec<RunRow>,
    approvals: Vec<Asked>,
    intents: Vec<Held>,
    entries: Vec<EntryRow>,
}

/// Something to look at: what, where, and how that is called.
pub(super) struct Look {
    pub(super) told: String,
    pub(super) to: String,
    pub(super) called: &'static str,
}

/// What nobody looked at in time.
pub(super) fn overdue(shared: &Shared) -> Vec<Look> {
    let look = |finding: GovernanceFinding| {
        let GovernanceFinding::UnreviewedGlass { approval, .. } = &finding;
        Look { told: finding.to_string(), to: format!("/approvals/{approval}"), called: "Break-glass" }
    };
    shared.pipeline.findings().into_iter().map(look).collect()
}

/// An intent and how it holds.
struct Held {
    row: IntentRow,
    health: Html,
    measured: String,
    line: Html,
}

pub(crate) async fn page(State(shared): App, visitor: Visitor) -> Page {
    let journal = shared.pipeline.journal();
    let frame = Frame::new(&shared, &visitor, "/", "Home").await?.live("*");
    let approvals = open_approvals(&shared, SHOWN).await?;
    let runs = live_runs(&shared, SHOWN).await?;
    let mut intents = Vec::new();
    for (id, doc) in by_name(journal, "intents", None).await?.rows.iter().take(SHOWN) {
        intents.push(held(&shared, IntentRow::of(&shared, id, doc)).await?);
    }
    let entries = rows(journal, &latest(journal).await?).await?;
    let sentence = sentence(&frame);
    let now = journal.now();
    let stands = shared.pipeline.glass().into_iter().filter(|glass| glass.stands(now));
    let stands = stands.map(|glass| {
        let told = format!("{} broke the glass until {}", glass.broken.by, glass.broken.until);
        Look { told, to: format!("/approvals/{}", glass.broken.id), called: "Break-glass" }
    });
    let deaf = shared.pipeline.channels().await?.into_iter().filter_map(|channel| channel.ails());
    let deaf = deaf.map(|told| Look { told, to: "/settings#notifications".to_owned(), called: "Notifications" });
    let findings = stands.chain(overdue(&shared)).chain(deaf).collect();
    shown(&HomePage { frame, sentence, findings, runs, approvals, intents, entries })
}

/// The latest entries without what is only measured, which is many and stands where it is of use.
async fn latest(journal: &Journal) -> Result<Vec<Entry>, LedgerError> {
    let (mut found, mut from) = (Vec::with_capacity(LATEST), None);
    for _ in 0..CHUNKS_MAX {
        let newest = Filter { newest_first: true, from_seq: from, ..Filter::default() };
        let stored = journal.ledger().query(&newest, CHUNK).await?;
        for one in &stored {
            let entry = decode(one)?;
            if !entry.kind.starts_with("telemetry.") {
                found.push(entry);
            }
            if found.len() == LATEST {
                return Ok(found);
            }
        }
        from = stored.last().and_then(|last| last.seq.checked_sub(1));
        if stored.len() < CHUNK || from.is_none() {
            break;
        }
    }
    Ok(found)
}

/// The state of everything in one sentence.
fn sentence(frame: &Frame) -> String {
    if frame.closed.is_some() {
        return "Nothing can be recorded: writ acts on nothing, and services keep running.".to_owned();
    }
    let count = |path: &str| frame.places.iter().find(|place| place.path == path).map_or(0, |place| place.count.0);
    let many = |count: usize, one: &str, more: &str| match count {
        0 => format!("no {one}"),
        1 => format!("1 {one}"),
        n => format!("{n} {more}"),
    };
    let waits = match count("/approvals") {
        0 => "nobody is waited for".to_owned(),
        1 => "1 approval waits".to_owned(),
        n => format!("{n} approvals wait"),
    };
    let (runs, incidents) = (count("/runs"), count("/incidents"));
    let told = format!(
        "{} under way, {waits}, {} open.",
        many(runs, "change", "changes"),
        many(incidents, "incident", "incidents")
    );
    let mut letters = told.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// How an intent's component is, now and over the last windows.
async fn held(shared: &Shared, row: IntentRow) -> Result<Held, LedgerError> {
    let component: Option<ComponentId> = row.component.parse().ok();
    let Some(healing) = component.as_ref().and_then(|component| shared.pipeline.healing(component)) else {
        return Ok(Held { row, health: Html("–".into()), measured: "not watched".into(), line: Html::default() });
    };
    let monitoring = healing.monitoring();
    let health = super::words::text(&monitoring, "/monitoring/health_status").to_owned();
    let (values, measured) = windows(shared, &row.component).await?;
    let line = spark(&values, 0.5, &format!("availability over {} windows: {measured}", values.len()));
    Ok(Held { row, health: badge(&health), measured, line })
}

/// How much of each of a component's last windows was good, oldest first, and all of them in words.
pub(crate) async fn windows(shared: &Shared, component: &str) -> Result<(Vec<Option<f64>>, String), LedgerError> {
    let wanted = Filter {
        kind: Some("telemetry.window/1".into()),
        resource: Some(component.to_owned()),
        newest_first: true,
        ..Filter::default()
    };
    let mut values = Vec::new();
    let (mut requests, mut errors) = (0, 0);
    for stored in shared.pipeline.journal().ledger().query(&wanted, WINDOWS).await? {
        let body = decode(&stored)?.body;
        requests += number(&body, "/requests");
        errors += number(&body, "/errors");
        values.push(good_part(&body));
    }
    values.reverse();
    let measured = match (requests, values.len()) {
        (_, 0) => "nothing measured yet".to_owned(),
        (0, windows) => format!("no requests in {windows} windows"),
        (all, _) => {
            let (part, rest) = (all - errors.min(all), errors);
            format!("{:.3} % of {all} requests, {rest} failed", part as f64 * 100.0 / all as f64)
        }
    };
    Ok((values, measured))
}

/// The part of a window's requests that was answered; of its instances that were healthy, where nobody asked anything.
fn good_part(window: &Value) -> Option<f64> {
    let (requests, errors) = (number(window, "/requests"), number(window, "/errors"));
    if requests > 0 {
        return Some(1.0 - errors as f64 / requests as f64);
    }
    let instances = super::words::list(window, "/instances");
    let healthy = instances.iter().filter(|one| super::words::text(one, "/health") == "healthy").count();
    (!instances.is_empty()).then(|| healthy as f64 / instances.len() as f64)
}
