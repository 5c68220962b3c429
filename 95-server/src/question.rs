//! What people are asked about: which rules demand it, what would change, and how far it reaches. Every face tells it from here.

use crate::api::Shared;
use crate::console::attached;
use crate::console::words::text;
use crate::error::Failure;
use crate::status;
use crate::versions::{against_force, unified};
use serde::Serialize;
use serde_json::{Value, json};
use writ_core::{ApprovalId, LedgerError, Place, RunId};
use writ_pipeline::{Origin, Reach, Run, RunContext};

/// A finding of the decision by which somebody is asked.
#[derive(Debug, Serialize)]
pub(crate) struct Demand {
    pub(crate) rule: String,
    pub(crate) message: String,
    /// What it asks for: `require_approval`, or `allow` where it only warns.
    pub(crate) asks: String,
    /// The facts that decided, as `path = value`.
    pub(crate) values: Vec<String>,
    /// Where the rule stands.
    pub(crate) rule_at: Option<Place>,
}

impl Demand {
    /// The file in which the rule stands, by its last name.
    pub(crate) fn place(&self) -> &str {
        self.rule_at.as_ref().and_then(|at| at.file.rsplit('/').next()).unwrap_or_default()
    }

    /// What a decision found that was kept, those that ask for people first.
    fn all(decided: &Value) -> Vec<Self> {
        let findings = decided.pointer("/verdict/findings").and_then(Value::as_array);
        let demand = |finding: &Value| {
            let values = finding.get("values").and_then(Value::as_array).into_iter().flatten();
            Self {
                rule: text(finding, "/rule").to_owned(),
                message: text(finding, "/message").to_owned(),
                asks: text(finding, "/asks/decision").to_owned(),
                values: values.filter_map(Value::as_str).map(str::to_owned).collect(),
                rule_at: finding.get("rule_at").and_then(|at| serde_json::from_value(at.clone()).ok()),
            }
        };
        let mut all: Vec<Self> = findings.into_iter().flatten().map(demand).collect();
        // Those that only warn stand behind those that ask.
        all.sort_by_key(|demand| demand.asks == "allow");
        all
    }
}

/// What is asked about.
#[derive(Debug, Default)]
pub(crate) struct Question {
    /// Which rules want somebody asked.
    pub(crate) demands: Vec<Demand>,
    /// What holds, and what would, each under its name; none where there is nothing to hold it against.
    pub(crate) texts: Option<[(String, String); 2]>,
    /// How far it reaches; none where nothing says it.
    pub(crate) reach: Option<Reach>,
}

impl Question {
    /// What a run asks about, as a whole or for one step of it.
    pub(crate) async fn of_run(
        shared: &Shared,
        (run, context): (&Run, &RunContext),
        doc: &Value,
    ) -> Result<Self, LedgerError> {
        let journal = shared.pipeline.journal();
        let step = doc.get("step").and_then(Value::as_str);
        let waits = status::approval(doc, journal.now()) == "open";
        let decided = attached(journal, text(doc, "/terms/decision")).await?;
        let submitted = run.submitted();
        let asks = matches!(context.origin, Origin::Intent | Origin::Feedback) && step.is_none();
        let texts = if asks {
            against_force(journal, submitted.intent.as_str(), submitted.intent_version).await?
        } else {
            None
        };
        let reach = shared.pipeline.reach(run, context, step, waits).await;
        Ok(Self { demands: Demand::all(&decided), texts, reach })
    }

    /// What a change asks about of how the installation is governed.
    pub(crate) fn of_change(change: &Value) -> Self {
        let part = |name: &str| {
            let value = change.get(name).unwrap_or(&Value::Null);
            if value.is_null() { String::new() } else { serde_json::to_string_pretty(value).unwrap_or_default() + "\n" }
        };
        let under = |name: &str, field: &str| (name.to_owned(), part(field));
        let texts = (!change.is_null()).then(|| [under("in force", "before"), under("proposed", "after")]);
        Self { texts, ..Self::default() }
    }

    /// What an approval asks about; nothing of one that asks nobody.
    pub(crate) async fn of(shared: &Shared, id: &str, doc: &Value) -> Result<Self, Failure> {
        if let Ok(run) = text(doc, "/run").parse::<RunId>() {
            let (run, context) = shared.pipeline.drive().run(&run).await?;
            return Ok(Self::of_run(shared, (&run, &context), doc).await?);
        }
        let Ok(approval) = id.parse::<ApprovalId>() else { return Ok(Self::default()) };
        Ok(Self::of_change(&shared.pipeline.proposed(&approval).await?.unwrap_or_default()))
    }

    /// What changes, as `diff -u` shows it.
    pub(crate) fn diff(&self) -> Option<String> {
        let [old, new] = self.texts.as_ref()?;
        Some(unified((&old.0, &old.1), (&new.0, &new.1)))
    }

    /// The same for programs.
    pub(crate) fn document(&self) -> Value {
        let reach = self.reach.map(|reach| {
            let mut told = json!(reach);
            told["text"] = json!(reach.to_string());
            told
        });
        json!({"demands": self.demands, "diff": self.diff(), "reach": reach})
    }
}
