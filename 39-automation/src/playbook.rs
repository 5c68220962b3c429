//! A playbook: a written sequence of actions with typed parameters, read from a file, that becomes a plan once it is told its
//! arguments and what its actions mean in the world.
//!
//! ```text
//! text ─ read_playbook ─► Playbook ─ bind(arguments) ─► acts ─ join(act, its plan) ─► Plan
//! ```
//! What an action does in the world is another layer's: whoever joins hands over the steps of each.

mod join;
mod read;

pub use join::{JoinError, join};
pub use read::read_playbook;

use crate::options::OnFailure;
use semver::Version;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use writ_core::{Actor, Digest, Draft, Outcome};
use writ_expr::{Expr, Facts, Schema};
use writ_text::nearest;

/// How long a step may take when its action does not say, in milliseconds.
const STEP_TIMEOUT_MS: u64 = 60_000;

/// What an action of a playbook does. Each states the world that should come of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// Starts one instance anew.
    RestartInstance,
    /// Starts every instance anew, a few at a time.
    RestartService,
    /// Brings the number of instances to a count.
    Scale,
    /// Brings up what stands before the instances.
    RestoreBalancer,
}

/// The sort of value that a verb wants under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Text,
    /// A whole number from 1 to this.
    Count(i64),
}

impl Verb {
    /// Every verb, by the name that playbooks use.
    pub const WORDS: [(&str, Verb); 4] = [
        ("restart_instance", Verb::RestartInstance),
        ("restart_service", Verb::RestartService),
        ("scale", Verb::Scale),
        ("restore_balancer", Verb::RestoreBalancer),
    ];

    /// Its name.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Verb::RestartInstance => "restart_instance",
            Verb::RestartService => "restart_service",
            Verb::Scale => "scale",
            Verb::RestoreBalancer => "restore_balancer",
        }
    }

    /// What it wants to be told, of which sort, and whether it must be.
    fn takes(self) -> &'static [(&'static str, Sort, bool)] {
        match self {
            Verb::RestartInstance => &[("component", Sort::Text, true), ("instance", Sort::Text, true)],
            Verb::RestartService => &[("component", Sort::Text, true), ("at_once", Sort::Count(100), false)],
            Verb::Scale => &[("component", Sort::Text, true), ("count", Sort::Count(100), true)],
            Verb::RestoreBalancer => &[("component", Sort::Text, true)],
        }
    }
}

/// What a parameter may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A text of at most so many bytes.
    Text {
        /// The most bytes.
        max: u64,
    },
    /// A whole number.
    Integer {
        /// The least.
        min: i64,
        /// The most.
        max: i64,
    },
    /// True or false.
    Boolean,
    /// One of a few words.
    Enum {
        /// The words.
        words: Vec<String>,
    },
}

impl Kind {
    fn word(&self) -> &'static str {
        match self {
            Kind::Text { .. } => "string",
            Kind::Integer { .. } => "integer",
            Kind::Boolean => "boolean",
            Kind::Enum { .. } => "enum",
        }
    }

    /// Why a value is not one; none when it is.
    fn refuses(&self, value: &Value) -> Option<String> {
        match (self, value) {
            (Kind::Text { max }, Value::String(text)) => {
                (text.len() as u64 > *max).then(|| format!("it has {} bytes, and may have {max}", text.len()))
            }
            (Kind::Integer { min, max }, Value::Number(number)) => match number.as_i64() {
                Some(number) if (*min..=*max).contains(&number) => None,
                Some(number) => Some(format!("it is {number}, and must be from {min} to {max}")),
                None => Some(format!("it is {number}, and must be a whole number")),
            },
            (Kind::Boolean, Value::Bool(_)) => None,
            (Kind::Enum { words }, Value::String(word)) => {
                (!words.contains(word)).then(|| match nearest(word, words.iter().map(String::as_str)) {
                    Some(known) => format!("it cannot be `{word}`; did you mean `{known}`?"),
                    None => format!("it cannot be `{word}`; use {}", writ_text::listed(words.iter())),
                })
            }
            (
                Kind::Text { .. } | Kind::Integer { .. } | Kind::Boolean | Kind::Enum { .. },
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_),
            ) => Some(format!("it must be of type {}", self.word())),
        }
    }
}

/// One parameter of a playbook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// What it holds when nothing is given; without one, something must be.
    pub default: Option<Value>,
    /// What it is for.
    pub description: String,
    /// What it may be.
    pub kind: Kind,
    /// Its name.
    pub name: String,
}

/// A value as an action has it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Given {
    Literal(Value),
    Parameter(String),
}

/// One action as it was written.
#[derive(Debug, Clone)]
struct Written {
    attempts: u32,
    condition: Option<Expr>,
    name: String,
    needs: Vec<String>,
    timeout_ms: u64,
    values: BTreeMap<&'static str, Given>,
    verb: Verb,
}

/// A playbook as its file says it.
#[derive(Debug, Clone)]
pub struct Playbook {
    actions: Vec<Written>,
    /// What it is for.
    pub description: String,
    /// Its name.
    pub id: String,
    /// What happens when one of its steps has finally failed.
    pub on_failure: OnFailure,
    /// Its parameters, by name.
    pub parameters: Vec<Parameter>,
    schema: Arc<Schema>,
    /// The file's bytes.
    pub text: Arc<[u8]>,
    /// How long a run of it may take from its first step on; without one, as long as it takes.
    pub timeout_seconds: Option<u64>,
    /// Its version.
    pub version: Version,
}

/// One action with its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// How often each of its steps is tried.
    pub attempts: u32,
    /// Its name within the playbook.
    pub name: String,
    /// Actions that must be over first.
    pub needs: Vec<String>,
    /// The condition that does not hold, when that is why it is left out.
    pub skipped: Option<String>,
    /// How long each of its steps may take, in milliseconds.
    pub timeout_ms: u64,
    /// What it was told.
    pub values: BTreeMap<&'static str, Value>,
    /// What it does.
    pub verb: Verb,
}

impl Act {
    /// A text that it was told.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.values.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// A whole number that it was told.
    #[must_use]
    pub fn count(&self, name: &str) -> Option<u64> {
        self.values.get(name).and_then(Value::as_u64)
    }
}

/// A playbook that was told its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// All arguments, defaults included.
    pub arguments: BTreeMap<String, Value>,
    /// The component that it is about.
    pub component: String,
    /// Its actions in order, those that are left out included.
    pub acts: Vec<Act>,
}

/// What is wrong with one argument.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{parameter}`: {because}")]
pub struct ArgumentProblem {
    /// What is wrong.
    pub because: String,
    /// The parameter.
    pub parameter: String,
}

/// Why a playbook cannot be run with what it was told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// Its arguments do not fit its parameters.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Arguments(Vec<ArgumentProblem>),
    /// None of its conditions holds.
    #[error("with these arguments none of its conditions holds: it would do nothing")]
    Nothing,
    /// Its actions are about more than one component.
    #[error("its actions are about {}: a run is about one component", .0.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" and "))]
    Components(Vec<String>),
    /// A condition has no value.
    #[error("the condition of `{action}` has no value: {because}")]
    Condition {
        /// The action.
        action: String,
        /// Why not.
        because: String,
    },
}

impl Playbook {
    /// The digest of its bytes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        writ_seal::sha256(&self.text)
    }

    /// Its actions with their values, in order.
    ///
    /// # Errors
    /// Everything that is wrong with the arguments, or that it would do nothing.
    pub fn bind(&self, given: &BTreeMap<String, Value>) -> Result<Bound, BindError> {
        let arguments = self.arguments(given).map_err(BindError::Arguments)?;
        let facts = Facts::new(&self.schema, json!(arguments)).map_err(|problems| {
            let problem = |problem: &writ_expr::FactProblem| ArgumentProblem {
                because: problem.to_string(),
                parameter: "arguments".to_owned(),
            };
            BindError::Arguments(problems.iter().map(problem).collect())
        })?;
        let mut acts = Vec::with_capacity(self.actions.len());
        for written in &self.actions {
            let holds = written.condition.as_ref().map_or(Ok(true), |condition| condition.holds(&facts));
            let no_value = |error: writ_expr::EvalError| BindError::Condition {
                action: written.name.clone(),
                because: error.to_string(),
            };
            let skipped = (!holds.map_err(no_value)?).then_some(written.condition.as_ref());
            let value = |given: &Given| match given {
                Given::Literal(value) => value.clone(),
                Given::Parameter(name) => arguments.get(name).cloned().unwrap_or_default(),
            };
            acts.push(Act {
                attempts: written.attempts,
                name: written.name.clone(),
                needs: written.needs.clone(),
                skipped: skipped.flatten().map(|condition| condition.source().to_owned()),
                timeout_ms: written.timeout_ms,
                values: written.values.iter().map(|(name, given)| (*name, value(given))).collect(),
                verb: written.verb,
            });
        }
        self.unfit(&acts)?;
        let mut components: Vec<String> =
            acts.iter().filter(|act| act.skipped.is_none()).map(|act| act.text("component").to_owned()).collect();
        components.sort();
        components.dedup();
        match components.as_slice() {
            [] => Err(BindError::Nothing),
            [component] => Ok(Bound { arguments, component: component.clone(), acts }),
            _ => Err(BindError::Components(components)),
        }
    }

    /// What a verb does not take, when it comes out of a parameter that may be more than it.
    fn unfit(&self, acts: &[Act]) -> Result<(), BindError> {
        let mut problems = Vec::new();
        for act in acts.iter().filter(|act| act.skipped.is_none()) {
            for (name, sort, _) in act.verb.takes() {
                let Some(value) = act.values.get(name) else { continue };
                let because = match sort {
                    Sort::Text => Kind::Text { max: 256 }.refuses(value),
                    Sort::Count(max) => Kind::Integer { min: 1, max: *max }.refuses(value),
                };
                problems.extend(
                    because.map(|because| ArgumentProblem { because, parameter: format!("{}/{name}", act.name) }),
                );
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(BindError::Arguments(problems)) }
    }

    fn arguments(&self, given: &BTreeMap<String, Value>) -> Result<BTreeMap<String, Value>, Vec<ArgumentProblem>> {
        let (mut all, mut problems) = (BTreeMap::new(), Vec::new());
        let mut say = |parameter: &str, because: String| {
            problems.push(ArgumentProblem { because, parameter: parameter.to_owned() })
        };
        let known = || self.parameters.iter().map(|parameter| parameter.name.as_str());
        for name in given.keys().filter(|name| !known().any(|known| known == name.as_str())) {
            say(
                name,
                match nearest(name, known()) {
                    Some(known) => format!("there is no such parameter; did you mean `{known}`?"),
                    None => "there is no such parameter".to_owned(),
                },
            );
        }
        for parameter in &self.parameters {
            let Some(value) = given.get(&parameter.name).or(parameter.default.as_ref()) else {
                say(&parameter.name, format!("it is missing; give one of type {}", parameter.kind.word()));
                continue;
            };
            match parameter.kind.refuses(value) {
                Some(because) => say(&parameter.name, because),
                None => drop(all.insert(parameter.name.clone(), value.clone())),
            }
        }
        if problems.is_empty() { Ok(all) } else { Err(problems) }
    }

    /// What there is to know of it, for people and programs.
    #[must_use]
    pub fn document(&self) -> Value {
        let parameters: Map<String, Value> =
            self.parameters.iter().map(|parameter| (parameter.name.clone(), parameter.document())).collect();
        let actions: Vec<Value> = self.actions.iter().map(Written::document).collect();
        json!({
            "id": self.id, "version": self.version.to_string(), "description": self.description,
            "digest": self.digest(), "on_failure": on_failure_word(self.on_failure),
            "timeout_seconds": self.timeout_seconds, "parameters": parameters, "actions": actions,
        })
    }

    /// The entry that says it came into force. Its bytes are kept as an attachment.
    #[must_use]
    pub fn published(&self, by: &Actor) -> Draft {
        Draft {
            action: "publish_playbook".to_owned(),
            actor: by.clone(),
            body: json!({
                "attachments": {"playbook": self.digest()}, "digest": self.digest(), "id": self.id,
                "version": self.version.to_string(),
            }),
            kind: "playbook.published/1",
            outcome: Outcome::Success,
            resource: self.id.clone(),
            stream: format!("playbook/{}", self.id),
        }
    }
}

impl Parameter {
    fn document(&self) -> Value {
        let mut document = json!({"type": self.kind.word(), "description": self.description});
        let bounds = match &self.kind {
            Kind::Text { max } => json!({"max_length": max}),
            Kind::Integer { min, max } => json!({"minimum": min, "maximum": max}),
            Kind::Boolean => json!({}),
            Kind::Enum { words } => json!({"values": words}),
        };
        if let (Value::Object(document), Value::Object(bounds)) = (&mut document, bounds) {
            document.extend(bounds);
            document.extend(self.default.clone().map(|default| ("default".to_owned(), default)));
        }
        document
    }
}

impl Written {
    fn document(&self) -> Value {
        let value = |given: &Given| match given {
            Given::Literal(value) => value.clone(),
            Given::Parameter(name) => json!(format!("${{{name}}}")),
        };
        let values: Map<String, Value> =
            self.values.iter().map(|(name, given)| ((*name).to_owned(), value(given))).collect();
        json!({
            "name": self.name, "type": self.verb.word(), "needs": self.needs, "parameters": values,
            "condition": self.condition.as_ref().map(Expr::source), "timeout_seconds": self.timeout_ms / 1_000,
            "attempts": self.attempts,
        })
    }
}

/// The words for what happens when a step has finally failed.
const ON_FAILURE: [(&str, OnFailure); 3] =
    [("stop", OnFailure::Stop), ("hold", OnFailure::Hold), ("rollback", OnFailure::Compensate)];

fn on_failure_word(wanted: OnFailure) -> &'static str {
    match wanted {
        OnFailure::Stop => "stop",
        OnFailure::Hold => "hold",
        OnFailure::Compensate => "rollback",
    }
}
