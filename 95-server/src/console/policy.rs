//! Policy: the rules in force, what they decided lately, who may break one for a while, and a place to try a text against them.

use super::decisions::{Decisions, Wanted as Which, about};
use super::frame::{Frame, Page, PageError, shown};
use super::given::{Form, Path, Query};
use super::home::{Look, overdue};
use super::list::{PAGE, older_of};
use super::look::{Judged, Looked, look};
use super::session::Visitor;
use super::words::{Html, badge, link, list as items, text, when, word};
use crate::api::{App, Shared, begins_with_waiver, parsed, reason};
use crate::error::Failure;
use crate::status;
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;
use writ_core::{Digest, RuleId, WaiverId};
use writ_pipeline::input::Demand;
use writ_pipeline::{BundleStanding, KnownBundle, KnownWaiver, Span, WaiverState, decode, name_of, text_beside};

/// Decisions that are looked through for what each rule found.
const LOOKED_THROUGH: usize = 400;

struct RuleRow {
    id: String,
    stage: String,
    at: String,
    /// Decisions in which it was asked: those of its stage.
    judged: usize,
    found: usize,
    last: Html,
    where_: Html,
    newest: String,
}

struct Waiver {
    id: String,
    why: Html,
    rule: String,
    subject: String,
    state: Html,
    asked: bool,
    granted: bool,
    by: String,
    reason: String,
    expires: Html,
    own: bool,
}

#[derive(Template)]
#[template(path = "policy.html")]
struct PolicyPage {
    frame: Frame,
    /// What somebody must look at in how this installation is governed.
    findings: Vec<Look>,
    digest: String,
    rules: Vec<RuleRow>,
    decisions: Decisions,
    decided: usize,
    waivers: Vec<Waiver>,
    older_waivers: Html,
    may_ask: bool,
    may_grant: bool,
    intent: String,
    rule: String,
    /// What the rule that is looked at demands.
    demands: Vec<Demanded>,
}

/// What a rule demands, for one of its stages.
struct Demanded {
    stage: String,
    effect: String,
    severity: String,
    message: String,
    when: String,
    must: String,
    actions: String,
}

impl Demanded {
    fn of(demand: Demand) -> Self {
        let Demand { stage, message, when, must, effect, severity, actions } = demand;
        Self {
            stage: word(stage),
            effect: effect.replace('_', " "),
            severity: word(severity),
            message,
            when,
            must,
            actions: actions.join(", "),
        }
    }
}

/// Filters, as the address has them.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Wanted {
    intent: String,
    rule: String,
    /// The entry that the page of decisions begins with.
    decisions: Option<u64>,
    /// The waiver that the page of waivers begins behind.
    waivers: Option<String>,
}

pub(crate) async fn page(State(shared): App, visitor: Visitor, Query(wanted): Query<Wanted>) -> Page {
    let journal = shared.pipeline.journal();
    let live = if wanted.decisions.is_none() && wanted.waivers.is_none() { "decisions/ policy/ approval/" } else { "" };
    let frame = Frame::new(&shared, &visitor, "/policy", "Policy").await?.live(live);
    let stored = journal.ledger().query(&about(&wanted.intent), LOOKED_THROUGH).await?;
    let entries = stored.iter().map(decode).collect::<Result<Vec<_>, _>>()?;
    let mut found: BTreeMap<String, Vec<(usize, String)>> = BTreeMap::new();
    for (at, entry) in entries.iter().enumerate() {
        for finding in items(&entry.body, "/findings") {
            let told = (at, text(finding, "/message").to_owned());
            found.entry(text(finding, "/rule").to_owned()).or_default().push(told);
        }
    }
    let policies = shared.pipeline.policies();
    let row = |rule: &Value| {
        let id = text(rule, "/rule");
        let seen = found.get(id);
        let newest = seen.and_then(|seen| seen.first()).and_then(|(at, told)| Some((entries.get(*at)?, told)));
        RuleRow {
            id: id.to_owned(),
            stage: text(rule, "/stage").to_owned(),
            at: text(rule, "/at").rsplit('/').next().unwrap_or_default().to_owned(),
            judged: entries.iter().filter(|entry| text(&entry.body, "/stage") == text(rule, "/stage")).count(),
            found: seen.map_or(0, Vec::len),
            last: newest.map(|(entry, _)| when(entry.timestamp)).unwrap_or_default(),
            where_: newest.map(|(entry, _)| link(entry.event_id.as_str())).unwrap_or_default(),
            newest: newest.map(|(_, told)| told.clone()).unwrap_or_default(),
        }
    };
    let mut rules: Vec<RuleRow> = items(&policies, "/rules").iter().map(row).collect();
    // Those that found something stand first.
    rules.sort_by_key(|rule| rule.found == 0);
    let which = Which { intent: &wanted.intent, rule: &wanted.rule, from: wanted.decisions };
    let decisions = Decisions::of(journal, &which).await?;
    let demands = shared.pipeline.gate().state().bundle.demands(&wanted.rule);
    let (waivers, next) = waivers(&shared, &visitor, wanted.waivers.as_deref()).await?;
    shown(&PolicyPage {
        frame,
        findings: overdue(&shared),
        digest: text(&policies, "/digest").to_owned(),
        rules,
        decisions,
        decided: entries.len(),
        waivers,
        older_waivers: older_of("waivers", "/policy", &which.query(), next.as_deref()),
        may_ask: visitor.holds("operator"),
        may_grant: visitor.holds("approver"),
        demands: demands.into_iter().map(Demanded::of).collect(),
        intent: wanted.intent,
        rule: wanted.rule,
    })
}

/// The newest waivers, behind one where one is given, and where the next page begins.
async fn waivers(
    shared: &Shared,
    visitor: &Visitor,
    after: Option<&str>,
) -> Result<(Vec<Waiver>, Option<String>), PageError> {
    let journal = shared.pipeline.journal();
    begins_with_waiver(shared, after).await?;
    let page = shared.pipeline.waivers(Span { backwards: true, ..Span::behind(after, PAGE) }).await?;
    let (mut rows, now) = (Vec::with_capacity(page.rows.len()), journal.now());
    for KnownWaiver { status: waiver, .. } in &page.rows {
        let state = status::waiver(waiver, now);
        rows.push(Waiver {
            id: waiver.asked.waiver.to_string(),
            why: link(waiver.asked.waiver.as_str()),
            rule: waiver.asked.rule.to_string(),
            subject: waiver.asked.subject.clone(),
            state: badge(state),
            asked: state == "asked",
            granted: state == "granted",
            by: name_of(journal, &waiver.asked.author).await?,
            reason: text_beside(journal.ledger(), &waiver.asked.reason).await?,
            expires: when(waiver.asked.expires_at),
            own: waiver.asked.author == visitor.principal.id,
        });
    }
    Ok((rows, page.next))
}

/// A rule that is not to hold somewhere for a while.
#[derive(Debug, Deserialize)]
pub(crate) struct Asked {
    rule: String,
    subject: String,
    hours: u64,
    #[serde(default)]
    reason: String,
}

pub(crate) async fn ask(State(shared): App, visitor: Visitor, Form(asked): Form<Asked>) -> Page {
    visitor.must("operator")?;
    let rule: RuleId = parsed(&asked.rule)?;
    let span = Duration::from_secs(asked.hours.saturating_mul(3_600));
    let by = &visitor.principal.id;
    let done = shared.pipeline.ask_waiver(&rule, &asked.subject, span, reason(&asked.reason)?, by).await;
    done.map_err(Failure::from)?;
    Ok(Redirect::to("/policy#waivers").into_response())
}

/// An answer to somebody who asked for a waiver.
#[derive(Debug, Deserialize)]
pub(crate) struct Answered {
    answer: String,
    #[serde(default)]
    reason: String,
}

pub(crate) async fn answer(
    State(shared): App,
    visitor: Visitor,
    Path(id): Path<String>,
    Form(said): Form<Answered>,
) -> Page {
    let (state, role) = match said.answer.as_str() {
        "grant" => (WaiverState::Granted, "approver"),
        "refuse" => (WaiverState::Refused, "approver"),
        "revoke" => (WaiverState::Revoked, "operator"),
        other => return Err(Failure::not_found("answer", other).into()),
    };
    visitor.must(role)?;
    let waiver: WaiverId = parsed(&id)?;
    shared
        .pipeline
        .answer_waiver(&waiver, state, reason(&said.reason)?, &visitor.principal.id)
        .await
        .map_err(Failure::from)?;
    Ok(Redirect::to("/policy#waivers").into_response())
}

#[derive(Template)]
#[template(path = "playground.html")]
struct PlaygroundPage {
    frame: Frame,
    text: String,
    /// The policies that it can be tried under.
    bundles: Vec<Choice>,
    played: Option<Played>,
}

/// Policies that can be chosen.
struct Choice {
    digest: String,
    name: String,
    chosen: bool,
}

fn choices(known: &[KnownBundle], chosen: &str) -> Vec<Choice> {
    let choice = |known: &KnownBundle| {
        let (digest, since) = (known.digest.to_string(), known.since.to_string());
        let day = since.get(..16).unwrap_or(&since).replace('T', " ");
        let name = match &known.standing {
            BundleStanding::InForce => format!("in force, since {day} UTC"),
            BundleStanding::Before => format!("in force before, from {day} UTC"),
            BundleStanding::Proposed(approval) => format!("proposed by {approval}"),
        };
        Choice { chosen: digest == chosen, digest, name }
    };
    known.iter().map(choice).collect()
}

/// What came of trying a text.
struct Played {
    answer: Html,
    looked: Looked,
    explained: String,
}

impl Played {
    fn results(&self) -> &[Judged] {
        &self.looked.results
    }
}

pub(crate) async fn playground(State(shared): App, visitor: Visitor) -> Page {
    let frame = Frame::new(&shared, &visitor, "/policy", "Policy playground").await?;
    let bundles = choices(&shared.pipeline.bundles().await.map_err(Failure::from)?, "");
    shown(&PlaygroundPage { frame, text: String::new(), bundles, played: None })
}

/// A text to try.
#[derive(Debug, Deserialize)]
pub(crate) struct Tried {
    text: String,
    /// The digest of the policies that it is tried under; empty for those in force.
    #[serde(default)]
    bundle: String,
}

pub(crate) async fn play(State(shared): App, visitor: Visitor, Form(tried): Form<Tried>) -> Page {
    let frame = Frame::new(&shared, &visitor, "/policy", "Policy playground").await?;
    let manifest = tried.text.replace("\r\n", "\n");
    let known = shared.pipeline.bundles().await.map_err(Failure::from)?;
    let bundle = match tried.bundle.as_str() {
        "" => shared.pipeline.gate().state().bundle.clone(),
        chosen => {
            let none = || Failure::not_found("bundle of policies", chosen);
            let digest: Digest = chosen.parse().map_err(|_| none())?;
            let chosen = known.iter().find(|known| known.digest == digest).ok_or_else(none)?;
            shared.pipeline.bundle(chosen).await.map_err(Failure::from)?
        }
    };
    let looked = look(&shared, "intent.yaml", &manifest, &visitor, Some(&bundle)).await;
    let explained = looked.prepared.as_ref().map(|prepared| prepared.explain(&bundle)).unwrap_or_default();
    let played = Played { answer: badge(&looked.answer), looked, explained };
    let bundles = choices(&known, &tried.bundle);
    shown(&PlaygroundPage { frame, text: manifest, bundles, played: Some(played) })
}
