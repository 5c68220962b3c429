//! What policy is asked, and what is kept of its answer: everything that it rests on, so that it can be given again.

use crate::facts::exact;
use crate::gate::APPROVAL_SPAN;
use crate::journal::Journal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use writ_automation::ApprovalTerms;
use writ_core::{ApprovalId, Digest, Place, Stage, Timestamp};
use writ_policy::{Bundle, Judgement, Question, Waiver};
use writ_seal::{canonical, sha256};

/// What evaluates rules: a decision is replayed with the same.
const ENGINE: &str = concat!("cel 0.15.0 behind writ-expr ", env!("CARGO_PKG_VERSION"));

/// The stream of what policy decided about an intent, or about a run that is no intent's.
pub(crate) fn decisions_on(id: impl std::fmt::Display) -> String {
    format!("decisions/{id}")
}

/// What policy is asked.
pub(crate) struct Asked<'a> {
    pub(crate) stage: Stage,
    pub(crate) action: &'a str,
    pub(crate) resource: &'a str,
    pub(crate) facts: Value,
    /// Where each fact stands in what somebody wrote.
    pub(crate) places: &'a BTreeMap<String, Place>,
}

impl<'a> Asked<'a> {
    /// Whether an action may be done.
    pub(crate) fn of_action(action: &'a str, resource: &'a str, facts: Value) -> Self {
        const NOWHERE: &BTreeMap<String, Place> = &BTreeMap::new();
        Self { stage: Stage::Action, action, resource, facts, places: NOWHERE }
    }
}

/// A judgement with the bytes that are kept of it.
#[derive(Clone)]
pub(crate) struct Decided {
    pub(crate) judgement: Judgement,
    pub(crate) bytes: Vec<u8>,
    pub(crate) digest: Digest,
}

impl Decided {
    /// What policies decide, with waivers that were granted.
    pub(crate) fn by(bundle: &Bundle, waivers: &[Waiver], asked: Asked<'_>, now: Timestamp) -> Self {
        let Asked { stage, action, resource, facts, places } = asked;
        let judgement = bundle.judge(&Question { stage, action, resource, facts, waivers, now, places });
        let facts: Value = serde_json::from_slice(&judgement.facts).unwrap_or_default();
        let kept = json!({
            "bundle": bundle.digest(),
            "engine": sha256(ENGINE.as_bytes()),
            "facts": exact(&facts),
            "stage": stage,
            "verdict": judgement.verdict,
        });
        let bytes = canonical(&kept).unwrap_or_else(|_| kept.to_string().into_bytes());
        Self { judgement, digest: sha256(&bytes), bytes }
    }

    /// Whom it wants asked; none where it allows by itself.
    pub(crate) fn terms(&self, journal: &Journal, now: Timestamp) -> Option<ApprovalTerms> {
        let id = ApprovalId::mint(now.millis(), journal.chance());
        ApprovalTerms::of(self.judgement.verdict.quorums(), id, self.digest, now.plus(APPROVAL_SPAN))
    }
}

impl std::fmt::Debug for Decided {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Decided({})", self.digest)
    }
}
