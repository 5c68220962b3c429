//! What is recorded of a submission, entry by entry: what was submitted, what policy said at each stage, the plan, and where the
//! intent goes from there.

use crate::approvals::Principal;
use crate::commit::{Batch, Cause, Expect};
use crate::decided::{Decided, decisions_on};
use crate::gate::POLICY_STREAM;
use crate::pipeline::Pipeline;
use crate::prepared::Prepared;
use crate::scope::scope_of;
use crate::submit::SubmitError;
use crate::taken::TAKEN;
use serde::Deserialize;
use serde_json::{Value, json};
use writ_core::{Actor, Decision, Digest, Draft, Event, EventId, IntentId, LedgerError, Outcome, Plan, Stage};
use writ_intent::{FoundInfeasible, IntentEvent, Manifest, Moved, State, Submitted, Translated, plan_document, stream};
use writ_seal::canonical;

/// A manifest that somebody submits.
pub(crate) struct Offer<'a> {
    pub(crate) manifest: &'a Manifest,
    pub(crate) text: &'a [u8],
    pub(crate) by: &'a Principal,
    pub(crate) word: &'a Word,
}

/// The word that a manifest is submitted on, where that was not somebody's who wrote the manifest: it is recorded together with the
/// submission or not at all, so that none is left without the other.
#[derive(Debug, Default)]
pub(crate) struct Word {
    /// What it was given on.
    pub(crate) after: Option<EventId>,
    /// What must still hold.
    pub(crate) expects: Vec<Expect>,
    /// That it was given.
    pub(crate) given: Vec<Draft>,
    /// What follows where the submission is accepted.
    pub(crate) accepted: Vec<Draft>,
    /// What follows where it is refused.
    pub(crate) refused: Vec<Draft>,
}

/// What a submission is decided on.
pub(crate) struct Ground {
    pub(crate) state: State,
    pub(crate) version: u64,
}

impl Pipeline {
    /// The newest version of an intent; 0 when there is none.
    pub(crate) async fn latest_version(&self, intent: &IntentId) -> Result<u64, LedgerError> {
        let doc = self.journal().doc("intents", intent.as_str()).await?;
        Ok(doc.as_ref().map_or(0, version_in))
    }

    /// Where an intent stands, and the version of its stream that says so.
    pub(crate) async fn ground(&self, intent: &IntentId) -> Result<Ground, LedgerError> {
        // In this order: when it moves in between, the version is an older one, and nothing can be recorded on it.
        let version = self.journal().ledger().stream_version(&stream(intent)).await?;
        Ok(Ground { state: self.intent_state(intent).await?, version })
    }

    pub(crate) async fn intent_state(&self, intent: &IntentId) -> Result<State, LedgerError> {
        let doc = self.journal().doc("intents", intent.as_str()).await?;
        Ok(doc.as_ref().map_or(State::Draft, state_in))
    }

    /// The entries with which every submission begins. A new version that is refused leaves a live intent where it stands.
    pub(crate) async fn opening(
        &self,
        manifest: &Manifest,
        version: u64,
        offer: &Offer<'_>,
        ground: &Ground,
        refused: bool,
    ) -> Result<Batch, SubmitError> {
        let (intent, actor) = (&manifest.intent, Actor::human(&offer.by.id));
        let mut batch = Batch::of(offer.word.given.clone());
        batch.expects.extend_from_slice(&offer.word.expects);
        let kept = batch.attach(offer.text.to_vec());
        let submitted = Submitted {
            environment: intent.target.environment.clone(),
            digest: intent.digest(),
            intent: intent.id.clone(),
            manifest: kept,
            kind: intent.kind,
            version,
        };
        let mut draft = IntentEvent::Submitted(submitted).draft(&actor);
        draft.body["attachments"] = json!({"manifest": kept});
        draft.body["team"] = json!(scope_of(intent).team);
        batch.drafts.push(draft);
        batch.expects.push(Expect { stream: stream(&intent.id), version: ground.version });
        batch.expects.push(Expect { stream: POLICY_STREAM.into(), version: self.gate().state().policy_version });
        let from = ground.state;
        if refused && is_live(from) {
            return Ok(batch);
        }
        if from.to(State::Validating).is_err() {
            let under_way = self.under_way(from.word(), self.drive().run_of(&intent.id), false).await;
            return Err(SubmitError::Busy { intent: intent.id.clone(), under_way });
        }
        batch.drafts.push(moved(&intent.id, version, from, State::Validating, "submitted"));
        Ok(batch)
    }

    pub(crate) fn record_judgements(&self, batch: &mut Batch, prepared: &Prepared, denied: bool, moves: bool) {
        let (intent, version) = (&prepared.manifest.intent.id, prepared.version);
        let step = |from, to, because: &str| moves.then(|| moved(intent, version, from, to, because));
        for (stage, decided) in &prepared.judged {
            let kept = batch.attach(decided.bytes.clone());
            batch.drafts.push(policy_decided(intent, *stage, decided, kept));
            if *stage == Stage::Intent && prepared.translation.is_some() {
                batch.drafts.extend(step(State::Validating, State::Validated, "policy lets it in"));
                batch.drafts.extend(step(State::Validated, State::Translating, "a layout is looked for"));
                self.record_translation(batch, prepared);
            }
        }
        if let Some(report) = &prepared.contract_report {
            let event = writ_contracts::ContractEvent::Verified {
                report: report.document(),
                subject: intent.to_string(),
                verified: report.is_verified(),
            };
            batch.drafts.push(event.draft(&Actor::system("contracts")));
        }
        if prepared.translation.is_none() {
            batch.drafts.extend(step(State::Validating, State::Invalid, "policy denies it"));
        } else if denied {
            batch.drafts.extend(step(State::Translating, State::Invalid, "policy or contracts deny the plan"));
        } else {
            batch.drafts.extend(step(State::Translating, State::Translated, "a plan stands"));
        }
    }

    fn record_translation(&self, batch: &mut Batch, prepared: &Prepared) {
        let (Some(translation), Some(target)) = (&prepared.translation, &prepared.target) else { return };
        let document = plan_document(target, translation);
        let kept = batch.attach(plan_bytes(target));
        let shown = batch.attach(document.to_string().into_bytes());
        let translated = Translated {
            availability_ppb: translation.predicted.availability_ppb,
            cost_micros: translation.predicted.cost_micros,
            count: translation.layout.count,
            instance_type: translation.layout.instance_type.name.clone(),
            intent: target.intent.clone(),
            plan: kept,
            platform: translation.platform_digest,
            version: prepared.version,
            zones: translation.layout.zones(),
        };
        let mut draft = IntentEvent::Translated(translated).draft(&Actor::system("intent"));
        draft.body["attachments"] = json!({"plan": kept, "document": shown});
        draft.body["component"] = json!(translation.component);
        batch.drafts.push(draft);
    }

    pub(crate) fn moves(&self, batch: &mut Batch, prepared: &Prepared, states: &[State], from: State) {
        let mut from = from;
        for to in states {
            batch.drafts.push(moved(&prepared.manifest.intent.id, prepared.version, from, *to, "as planned"));
            from = *to;
        }
    }

    /// Nothing has to change: the intent holds already, and this version of it is in force.
    pub(crate) fn settle_unchanged(&self, batch: &mut Batch, prepared: &Prepared, offer: &Offer<'_>) {
        self.moves(batch, prepared, &[State::Ready, State::Executing], State::Translated);
        let (intent, version) = (&prepared.manifest.intent, prepared.version);
        let mut active = moved(&intent.id, version, State::Executing, State::Active, "all of it is there");
        if let (Some(target), Value::Object(body)) = (&prepared.target, &mut active.body) {
            let scope = scope_of(intent);
            let (plan, manifest) = (batch.attach(plan_bytes(target)), batch.attach(offer.text.to_vec()));
            let (plan, manifest) = (json!(plan), json!(manifest));
            body.extend(in_force([json!(version), plan, manifest, json!(scope.environment), json!(scope.team)]));
        }
        batch.drafts.push(active);
        batch.drafts.push(moved(&intent.id, version, State::Active, State::Monitoring, "it is watched"));
    }

    pub(crate) async fn record_infeasible(
        &self,
        cause: &Cause,
        offer: &Offer<'_>,
        intent: &IntentId,
        report: &Value,
        ground: &Ground,
    ) -> Result<(), SubmitError> {
        let version = self.latest_version(intent).await? + 1;
        let mut batch = self.opening(offer.manifest, version, offer, ground, true).await?;
        let kept = batch.attach(report.to_string().into_bytes());
        let conflicts = report.pointer("/infeasible/conflicts").cloned().unwrap_or_default();
        let conflicts = serde_json::from_value(conflicts).unwrap_or_default();
        let found = FoundInfeasible { conflicts, intent: intent.clone(), report: kept, version };
        let mut draft = IntentEvent::FoundInfeasible(found).draft(&Actor::system("intent"));
        draft.body["attachments"] = json!({"report": kept});
        batch.drafts.push(draft);
        if !is_live(ground.state) {
            batch.drafts.push(moved(
                intent,
                version,
                State::Validating,
                State::Invalid,
                "nothing holds everything it asks",
            ));
        }
        batch.drafts.extend_from_slice(&offer.word.refused);
        self.journal().commit(cause, batch).await?;
        Ok(())
    }
}

/// The newest version that an intent's document tells of; 0 when there is none.
pub(crate) fn version_in(doc: &Value) -> u64 {
    doc.get("version").and_then(Value::as_u64).unwrap_or(0)
}

/// Where an intent stands, as its document has it.
pub(crate) fn state_in(doc: &Value) -> State {
    doc.get("to").and_then(|state| State::deserialize(state).ok()).unwrap_or(State::Draft)
}

fn plan_bytes(plan: &Plan) -> Vec<u8> {
    canonical(&json!(plan)).unwrap_or_else(|_| json!(plan).to_string().into_bytes())
}

/// The field of an intent that says that part of it was taken away on purpose, so that nobody brings back what is gone.
pub(crate) const UNWATCHED: &str = "unwatched";

/// What is to be remembered of a version once it is in force: its whole plan, its manifest, and whose it is. It is watched then.
pub(crate) fn in_force([version, plan, manifest, environment, team]: [Value; 5]) -> [(String, Value); 7] {
    [
        (UNWATCHED.to_owned(), Value::Null),
        (TAKEN.to_owned(), Value::Null),
        ("applied_version".to_owned(), version),
        ("applied_plan".to_owned(), plan),
        ("applied_manifest".to_owned(), manifest),
        ("applied_environment".to_owned(), environment),
        ("applied_team".to_owned(), team),
    ]
}

/// Whether an earlier version is carried out or watched.
pub(crate) fn is_live(state: State) -> bool {
    matches!(state, State::Active | State::Monitoring | State::Degraded | State::Optimizing | State::Recovering)
}

/// The entry for a move of an intent's life.
pub(crate) fn moved(intent: &IntentId, version: u64, from: State, to: State, because: &str) -> Draft {
    let moved = Moved { because: because.to_owned(), from, intent: intent.clone(), to, version };
    IntentEvent::Moved(moved).draft(&Actor::system("pipeline"))
}

/// The entry for a decision of policy about an intent.
pub(crate) fn policy_decided(intent: &IntentId, stage: Stage, decided: &Decided, kept: Digest) -> Draft {
    let verdict = &decided.judgement.verdict;
    let outcome = if verdict.decision == Decision::Deny { Outcome::Denied } else { Outcome::Success };
    Draft {
        action: "validate_policies".into(),
        actor: Actor::system("policy"),
        body: json!({
            "stage": stage, "decision": verdict.decision, "findings": verdict.findings, "digest": decided.digest,
            "attachments": {"decision": kept},
        }),
        kind: "policy.decided/1",
        outcome,
        resource: intent.to_string(),
        stream: decisions_on(intent),
    }
}
