//! What an intent would come to, worked out and not yet begun: as data, and in every form that people read.

use crate::decided::Decided;
use crate::pipeline::Pipeline;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use writ_contracts::Report;
use writ_core::{Decision, Digest, Plan, Stage, Step, Timestamp};
use writ_intent::{Diff, Manifest, Translation, plan_digest, plan_document, rollback, translation_document};
use writ_policy::{Bundle, Judgement, Question};

/// Everything that is worked out before anything is done.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The manifest.
    pub manifest: Manifest,
    /// The version it would get.
    pub version: u64,
    /// The layout, and what it is predicted to do.
    pub translation: Option<Translation>,
    /// The whole plan.
    pub target: Option<Plan>,
    /// What differs from the world.
    pub diff: Option<Diff>,
    /// The reports of policy: for the intent, and for the plan once there is one.
    pub reports: Vec<Value>,
    /// What contracts say.
    pub contracts: Option<Value>,
    /// What is odd about it, in words.
    pub warnings: Vec<String>,
    /// Whether everything said yes, or wants a person.
    pub decision: Decision,
    pub(crate) judged: Vec<(Stage, Decided)>,
    pub(crate) contract_report: Option<Arc<Report>>,
}

impl Prepared {
    /// The digest of what would be done: approvals and `apply` are bound to it.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        self.diff.as_ref().map(|diff| plan_digest(&diff.plan))
    }

    fn judgements(&self) -> impl Iterator<Item = &Judgement> {
        self.judged.iter().map(|(_, decided)| &decided.judgement)
    }

    /// Everybody who must agree before it may begin: for each role the most that any stage asks for.
    pub(crate) fn quorums(&self) -> BTreeMap<String, u32> {
        let mut all: BTreeMap<String, u32> = BTreeMap::new();
        for (role, count) in self.judgements().flat_map(|judgement| judgement.verdict.quorums()) {
            let most = all.entry(role).or_default();
            *most = count.max(*most);
        }
        all
    }

    /// Why each rule answered as it did, stage by stage: the values of its parts.
    #[must_use]
    pub fn explain(&self, bundle: &Bundle) -> String {
        let mut told = String::new();
        for judgement in self.judgements() {
            told.push_str(&format!("stage {}\n", judgement.stage));
            let facts: Value = serde_json::from_slice(&judgement.facts).unwrap_or_default();
            let of = |pointer: &str| facts.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
            let id = self.manifest.intent.id.to_string();
            let (action, resource) = match judgement.stage {
                Stage::Intent => ("submit_intent".to_owned(), id),
                Stage::Plan => ("apply_plan".to_owned(), id),
                Stage::Action => (of("/action/name"), of("/action/resource")),
            };
            let question = Question {
                stage: judgement.stage,
                action: &action,
                resource: &resource,
                facts,
                waivers: &[],
                now: Timestamp::from_micros(0),
                places: &BTreeMap::new(),
            };
            for one in bundle.explain(&question).unwrap_or_default() {
                let status = one.status.map_or_else(|| "not concerned".to_owned(), |status| status.to_string());
                told.push_str(&format!("  {}  {status}: {}  ({})\n", one.rule, one.because, one.at));
                for (word, parts) in [("when", &one.when), ("rule", &one.check)] {
                    for part in parts {
                        let value = part.value.as_ref().map_or_else(ToString::to_string, Clone::clone);
                        let indent = " ".repeat(6 + 2 * part.depth);
                        told.push_str(&format!("{indent}{word}  {} = {value}\n", part.source));
                    }
                }
            }
        }
        told
    }

    /// The answer in a few words.
    #[must_use]
    pub fn decision_text(&self) -> String {
        writ_policy::decision_text(&self.decision)
    }

    /// What policy says, as tables.
    #[must_use]
    pub fn table(&self) -> String {
        self.judgements().map(|judgement| format!("stage {}\n{}\n", judgement.stage, judgement.table())).collect()
    }

    /// What policy says, as one SARIF log.
    #[must_use]
    pub fn sarif(&self) -> Value {
        let mut logs = self.judgements().map(Judgement::sarif);
        let mut first = logs.next().unwrap_or_default();
        if let Some(runs) = first.get_mut("runs").and_then(Value::as_array_mut) {
            for mut log in logs {
                runs.append(log.get_mut("runs").and_then(Value::as_array_mut).unwrap_or(&mut Vec::new()));
            }
        }
        first
    }

    /// What policy says, as JUnit XML: the last stage that was asked.
    #[must_use]
    pub fn junit(&self) -> String {
        self.judgements().last().map(Judgement::junit).unwrap_or_default()
    }

    /// The graph of what would be done, for Graphviz.
    #[must_use]
    pub fn dot(&self) -> Option<String> {
        self.diff.as_ref().map(|diff| writ_intent::dot(&diff.plan))
    }

    /// The graph of what would be done, for Mermaid.
    #[must_use]
    pub fn mermaid(&self) -> Option<String> {
        self.diff.as_ref().map(|diff| writ_intent::mermaid(&diff.plan))
    }

    /// The graph of what would be done, as a picture.
    #[must_use]
    pub fn svg(&self) -> Option<String> {
        self.diff.as_ref().map(|diff| writ_intent::svg(&diff.plan))
    }

    /// Everything as one document: the source's `validation`, `translation` and `contract_verification`, and the plan.
    #[must_use]
    pub fn document(&self, pipeline: &Pipeline) -> Value {
        let mut document = json!({
            "intent": self.manifest.intent.id,
            "version": self.version,
            "decision": self.decision,
            "validation": self.reports,
            "warnings": self.warnings,
        });
        if let (Some(translation), Some(target), Some(diff)) = (&self.translation, &self.target, &self.diff) {
            let platform = pipeline.platform();
            document["translation"] = translation_document(&platform, translation)["translation"].clone();
            document["plan"] = plan_document(target, translation)["plan"].clone();
            document["diff"] = writ_intent::diff_document(diff)["diff"].clone();
            let shown = if diff.changes.is_empty() { target } else { &diff.plan };
            document["text"] = json!(writ_intent::text(shown, translation));
            document["intent_digest"] = json!(target.intent_digest);
            document["digest"] = json!(self.digest());
            let back = rollback(&diff.plan, diff.plan.world);
            document["rollback"] = json!({"text": lines(&back.plan.steps), "cannot": back.cannot});
        }
        if let Some(contracts) = &self.contracts {
            document["contract_verification"] = contracts["contract_verification"].clone();
        }
        document
    }
}

/// Steps as people read them, one in a line.
pub(crate) fn lines(steps: &[Step]) -> String {
    steps.iter().map(|step| format!("  {:<18} {}\n", step.verb, step.resource)).collect()
}
