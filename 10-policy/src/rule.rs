//! One rule, read from its document and compiled.

use crate::facts;
use crate::source::Source;
use crate::template::Template;
use std::sync::Arc;
use writ_core::{Decision, Obligation, Place, RuleId, Severity, Stage};
use writ_expr::{Expr, ExprProblem, Limits, Schema};
use writ_text::{Fields, Node};

/// What a rule does.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    /// Something must be true.
    Check { rule: Box<Expr> },
    /// Something is allowed, forbidden, or needs people.
    Permission,
}

/// What a rule asks for: a check when it is not met, a permission when it applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Deny,
    RequireApproval,
    Warn,
    Allow,
}

/// What a rule asks for when it cannot be evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnMissing {
    Deny,
    Ask,
}

#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) id: RuleId,
    pub(crate) at: Arc<Place>,
    pub(crate) stage: Stage,
    pub(crate) body: Body,
    pub(crate) effect: Effect,
    pub(crate) when: Option<Expr>,
    pub(crate) actions: Vec<String>,
    pub(crate) resources: Vec<String>,
    pub(crate) approvers: (u32, String),
    pub(crate) severity: Severity,
    pub(crate) priority: i64,
    pub(crate) message: Arc<str>,
    pub(crate) violation: Option<Template>,
    pub(crate) on_missing: OnMissing,
    pub(crate) obligations: Vec<Obligation>,
    /// Facts that it reads, sorted.
    pub(crate) reads: Vec<String>,
}

impl Rule {
    /// What the rule's own effect asks for.
    pub(crate) fn asks(&self) -> Decision {
        match self.effect {
            Effect::Deny => Decision::Deny,
            Effect::RequireApproval => self.approval(),
            Effect::Warn | Effect::Allow => Decision::Allow,
        }
    }

    /// What it asks for when it cannot be evaluated.
    pub(crate) fn asks_on_error(&self) -> Decision {
        match self.on_missing {
            OnMissing::Deny => Decision::Deny,
            OnMissing::Ask => self.approval(),
        }
    }

    fn approval(&self) -> Decision {
        Decision::RequireApproval { count: self.approvers.0, role: self.approvers.1.clone() }
    }

    pub(crate) fn is_check(&self) -> bool {
        matches!(self.body, Body::Check { .. })
    }
}

const STAGES: [(&str, Stage); 3] = [("intent", Stage::Intent), ("plan", Stage::Plan), ("action", Stage::Action)];
const SEVERITIES: [(&str, Severity); 5] = [
    ("info", Severity::Info),
    ("low", Severity::Low),
    ("medium", Severity::Medium),
    ("high", Severity::High),
    ("critical", Severity::Critical),
];

/// Reads one rule: one for each stage that it names. Problems go where the source's problems go.
pub(crate) fn read(node: &Node, source: &Source<'_>) -> Vec<Rule> {
    let problems = source.problems;
    let before = problems.len();
    let Some(mut fields) = node.fields("the rule", problems) else { return Vec::new() };
    let id = fields.need("id").and_then(|node| {
        let text = node.text(problems)?;
        text.parse::<RuleId>().map_err(|error| problems.say(&node.at, error.to_string())).ok()
    });
    let is_permission = node.get("effect").is_some();
    if is_permission && node.get("rule").is_some() {
        problems.suggest(&node.at, "a rule has `rule` or `effect`, not both", "make two rules of it");
    }
    let stages = stages(&mut fields, is_permission);
    let effect = effect(&mut fields, is_permission);
    let rule_node = if is_permission { None } else { fields.need("rule") };
    let when_node = fields.maybe("when");
    let actions = patterns(&mut fields, "actions", is_permission);
    let resources = patterns(&mut fields, "resources", false);
    let severity = fields.maybe_choice("severity", &SEVERITIES).unwrap_or_default();
    let priority = fields.maybe_int("priority", -1_000..=1_000).unwrap_or(0);
    let message: Option<Arc<str>> = fields.maybe_text("message").map(Arc::from);
    let violation = fields.maybe("violation");
    let on_missing = fields.maybe_choice("on_missing", &[("deny", OnMissing::Deny), ("ask", OnMissing::Ask)]);
    let approvers = approvers(&mut fields);
    let obligations =
        fields.maybe_items("obligations").iter().filter_map(|node| obligation(node, source)).collect::<Vec<_>>();
    for about in ["description", "owner", "controls"] {
        let _ = fields.maybe(about);
    }
    if stages.iter().any(|stage| *stage != Stage::Action) {
        for key in ["actions", "resources"] {
            if node.get(key).is_some() {
                fields.say(key, format!("`{key}` is for the stage `action` only"));
            }
        }
    }
    fields.done();
    let mut rules = Vec::new();
    for stage in stages {
        let schema = facts::schema(stage);
        let when = when_node.and_then(|node| condition(node, schema, None, source));
        if when_node.is_some() && when.is_none() {
            continue;
        }
        let body = match rule_node {
            Some(node) => {
                condition(node, schema, when.as_ref(), source).map(|rule| Body::Check { rule: Box::new(rule) })
            }
            None if is_permission => Some(Body::Permission),
            None => None,
        };
        let violation = violation.and_then(|node| Template::read(node, schema, source));
        let (Some(id), Some(effect), Some(body)) = (id.clone(), effect, body) else { continue };
        let mut reads: Vec<String> = when.iter().flat_map(|when| when.reads().to_vec()).collect();
        if let Body::Check { rule } = &body {
            reads.extend(rule.reads().iter().cloned());
        }
        reads.sort();
        reads.dedup();
        rules.push(Rule {
            message: message.clone().unwrap_or_else(|| default_message(&id, &body, effect).into()),
            id,
            at: Arc::new(node.place()),
            stage,
            body,
            effect,
            when,
            actions: actions.clone(),
            resources: resources.clone(),
            approvers: approvers.clone(),
            severity,
            priority,
            violation,
            on_missing: on_missing.unwrap_or(OnMissing::Deny),
            obligations: obligations.clone(),
            reads,
        });
    }
    if problems.len() == before { rules } else { Vec::new() }
}

fn default_message(id: &RuleId, body: &Body, effect: Effect) -> String {
    match (body, effect) {
        (Body::Check { .. }, _) => format!("`{id}` is met"),
        (Body::Permission, Effect::Allow) => format!("allowed by `{id}`"),
        (Body::Permission, Effect::Deny) => format!("forbidden by `{id}`"),
        (Body::Permission, Effect::RequireApproval | Effect::Warn) => format!("needs approval by `{id}`"),
    }
}

fn stages(fields: &mut Fields<'_>, is_permission: bool) -> Vec<Stage> {
    let problems = fields.problems();
    let one = |node: &Node| {
        let word = node.text(problems)?;
        let found = STAGES.iter().find(|(name, _)| *name == word).map(|(_, stage)| *stage);
        if found.is_none() {
            problems.suggest(&node.at, format!("there is no stage `{word}`"), "use `intent`, `plan` or `action`");
        }
        found
    };
    let asked = if is_permission { fields.maybe("stage") } else { fields.need("stage") };
    let stages: Vec<Stage> = match asked {
        Some(node) => match node.value {
            writ_text::Value::List(ref items) => items.iter().filter_map(one).collect(),
            writ_text::Value::Null
            | writ_text::Value::Bool(_)
            | writ_text::Value::Int(_)
            | writ_text::Value::Float { .. }
            | writ_text::Value::Text { .. }
            | writ_text::Value::Map(_) => one(node).into_iter().collect(),
        },
        None if is_permission => vec![Stage::Action],
        None => Vec::new(),
    };
    if is_permission && stages.iter().any(|stage| *stage != Stage::Action) {
        fields.say("stage", "a permission belongs to the stage `action`");
    }
    stages
}

fn effect(fields: &mut Fields<'_>, is_permission: bool) -> Option<Effect> {
    if is_permission {
        let words = [("allow", Effect::Allow), ("deny", Effect::Deny), ("require_approval", Effect::RequireApproval)];
        return fields.choice("effect", &words);
    }
    if fields.node().get("enforcement").is_none() {
        let _ = fields.maybe("enforcement");
        return Some(Effect::Deny);
    }
    let words = [("deny", Effect::Deny), ("require_approval", Effect::RequireApproval), ("warn", Effect::Warn)];
    fields.choice("enforcement", &words)
}

/// Patterns over names; all names when none are written.
fn patterns(fields: &mut Fields<'_>, key: &'static str, needed: bool) -> Vec<String> {
    let problems = fields.problems();
    let node = if needed { fields.need(key) } else { fields.maybe(key) };
    let Some(node) = node else { return vec!["*".to_owned()] };
    let Some(texts) = node.texts(problems) else { return Vec::new() };
    if texts.is_empty() {
        problems.suggest(&node.at, format!("`{key}` is empty, so the rule never applies"), "write ['*'] for all");
    }
    for text in &texts {
        if text.is_empty() || text.len() > 256 {
            problems.say(&node.at, "a pattern has 1 to 256 characters");
        }
    }
    texts.into_iter().map(str::to_owned).collect()
}

fn approvers(fields: &mut Fields<'_>) -> (u32, String) {
    let problems = fields.problems();
    let default = (1, "approver".to_owned());
    let Some(node) = fields.maybe("approval") else { return default };
    let Some(mut fields) = node.fields("`approval`", problems) else { return default };
    let count = fields.maybe_int("count", 1..=16).and_then(|count| u32::try_from(count).ok()).unwrap_or(1);
    let role = fields.maybe_text("role").unwrap_or("approver").to_owned();
    fields.done();
    (count, role)
}

fn condition(node: &Node, schema: &Arc<Schema>, given: Option<&Expr>, source: &Source<'_>) -> Option<Expr> {
    if let writ_text::Value::Bool(truth) = node.value {
        return compile(node, if truth { "true" } else { "false" }, schema, given, source);
    }
    compile(node, node.text(source.problems)?, schema, given, source)
}

fn compile(node: &Node, text: &str, schema: &Arc<Schema>, given: Option<&Expr>, source: &Source<'_>) -> Option<Expr> {
    let limits = Limits::default();
    let compiled = match given {
        Some(given) => Expr::condition_given(text, given, &limits),
        None => Expr::condition(text, schema, &limits),
    };
    let never = |expr: &Expr| expr.never_true();
    let told: Vec<ExprProblem> = match compiled {
        Ok(expr) => match never(&expr) {
            None => return Some(expr),
            Some(problem) => vec![problem],
        },
        Err(problems) => problems,
    };
    for problem in told {
        source.expr_problem(node, text, problem);
    }
    None
}

fn obligation(node: &Node, source: &Source<'_>) -> Option<Obligation> {
    let problems = source.problems;
    let mut fields = node.fields("the obligation", problems)?;
    let kinds = ["rate_limit", "cool_down", "dry_run", "notify", "window", "post_check"].map(|word| (word, word));
    let kind = fields.choice("obligation", &kinds)?;
    let seconds =
        |fields: &mut Fields<'_>, key| fields.int(key, 0..=31_536_000).and_then(|value| u64::try_from(value).ok());
    let of_day = |fields: &mut Fields<'_>, key| fields.int(key, 0..=86_400).and_then(|value| u32::try_from(value).ok());
    let found = match kind {
        "rate_limit" => {
            let count = fields.int("count", 1..=1_000_000).and_then(|count| u32::try_from(count).ok());
            let period_seconds = seconds(&mut fields, "period_seconds");
            count.zip(period_seconds).map(|(count, period_seconds)| Obligation::RateLimit { count, period_seconds })
        }
        "cool_down" => seconds(&mut fields, "seconds").map(|seconds| Obligation::CoolDown { seconds }),
        "notify" => fields.text("channel").map(|channel| Obligation::Notify { channel: channel.to_owned() }),
        "window" => {
            let (from, to) = (of_day(&mut fields, "from_second"), of_day(&mut fields, "to_second"));
            from.zip(to).map(|(from_second, to_second)| Obligation::Window { from_second, to_second })
        }
        "post_check" => {
            fields.text("condition").map(|condition| Obligation::PostCheck { condition: condition.to_owned() })
        }
        _ => Some(Obligation::DryRun),
    };
    fields.done();
    found
}
