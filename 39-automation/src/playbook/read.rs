//! From a playbook's file to a playbook, with everything that is wrong with it.

use super::{Given, Kind, ON_FAILURE, Parameter, Playbook, STEP_TIMEOUT_MS, Sort, Verb, Written};
use crate::options::OnFailure;
use semver::Version;
use std::collections::BTreeMap;
use std::sync::Arc;
use writ_expr::{Expr, Schema, Type};
use writ_text::{Fields, Node, Problem, Problems, Value, listed, nearest};

/// The longest that a step or a whole run may take, in seconds.
const SECONDS_MAX: i64 = 24 * 3_600;

/// The most actions of a playbook.
const ACTIONS_MAX: usize = 50;

/// The largest whole number that everybody reads the same.
const INTEGER_MAX: i64 = (1 << 53) - 1;

/// The type of a parameter as a file has it.
#[derive(Clone, Copy)]
enum Sorted {
    Text,
    Integer,
    Boolean,
    Enum,
}

const TYPES: [(&str, Sorted); 4] =
    [("string", Sorted::Text), ("integer", Sorted::Integer), ("boolean", Sorted::Boolean), ("enum", Sorted::Enum)];

/// Reads a playbook from YAML or JSON.
///
/// # Errors
/// Everything that is wrong with it, each with its place.
pub fn read_playbook(file: &str, bytes: &[u8]) -> Result<Playbook, Vec<Problem>> {
    let node = writ_text::read(file, bytes, &writ_text::Limits::default())?;
    let problems = Problems::new();
    let playbook = document(&node, bytes, &problems);
    problems.result(playbook)
}

fn document(node: &Node, bytes: &[u8], problems: &Problems) -> Option<Playbook> {
    let mut fields = node.fields("the playbook", problems)?;
    let id = fields.need("name").and_then(|node| name(node, problems));
    let version = version(&mut fields);
    let description = fields.maybe_text("description").unwrap_or_default().to_owned();
    let timeout_seconds = fields.maybe_int("timeout_seconds", 1..=SECONDS_MAX).map(i64::unsigned_abs);
    let on_failure = fields.maybe_choice("on_failure", &ON_FAILURE).unwrap_or(OnFailure::Stop);
    let parameters = fields.maybe("parameters").map_or_else(Vec::new, |node| parameters(node, problems));
    let schema = Arc::new(parameters.iter().fold(Schema::new(), |schema, parameter| {
        let ty = match &parameter.kind {
            Kind::Text { max } => Type::Text { max: *max },
            Kind::Integer { .. } => Type::Int,
            Kind::Boolean => Type::Bool,
            Kind::Enum { .. } => Type::WORD,
        };
        schema.fact(&parameter.name, ty, "a parameter of the playbook")
    }));
    let actions = match (fields.maybe("actions"), fields.maybe("steps")) {
        (Some(_), Some(steps)) => {
            problems.say(&steps.at, "a playbook has `actions` or `steps`, not both: they mean the same");
            None
        }
        (Some(node), None) | (None, Some(node)) => actions(node, &parameters, &schema, problems),
        (None, None) => {
            problems.say(&node.at, "the playbook has no `actions`: it would run nothing");
            None
        }
    };
    fields.done();
    let (id, version, actions) = (id?.to_owned(), version?, actions?);
    let text = bytes.into();
    Some(Playbook { actions, description, id, on_failure, parameters, schema, text, timeout_seconds, version })
}

/// A name that stands in paths and ids.
fn name<'a>(node: &'a Node, problems: &Problems) -> Option<&'a str> {
    let text = node.text(problems)?;
    let fits = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_');
    if !text.is_empty() && text.len() <= 40 && text.bytes().all(fits) {
        return Some(text);
    }
    problems.say(&node.at, "a name is 1 to 40 letters, digits, `-` and `_`");
    None
}

fn version(fields: &mut Fields<'_>) -> Option<Version> {
    let Some(text) = fields.maybe_text("version") else { return Some(Version::new(1, 0, 0)) };
    let version = Version::parse(text).ok().filter(|version| version.pre.is_empty() && version.build.is_empty());
    if version.is_none() {
        fields.say("version", format!("`{text}` is not a version; write three numbers, as '1.0.0'"));
    }
    version
}

fn parameters(node: &Node, problems: &Problems) -> Vec<Parameter> {
    if node.fields("`parameters`", problems).is_none() {
        return Vec::new();
    }
    node.entries().iter().filter_map(|entry| parameter(&entry.key, &entry.value, problems)).collect()
}

fn parameter(name: &str, node: &Node, problems: &Problems) -> Option<Parameter> {
    let what = format!("the parameter `{name}`");
    let fits = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_';
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) || name.len() > 40 || !name.bytes().all(fits) {
        problems
            .say(&node.at, format!("{what} must begin with a small letter; then come small letters, digits and `_`"));
    }
    let mut fields = node.fields(&what, problems)?;
    let description = fields.maybe_text("description").unwrap_or_default().to_owned();
    let kind = match fields.choice("type", &TYPES) {
        Some(Sorted::Text) => {
            let max = fields.maybe_int("max_length", 1..=256).map_or(256, i64::unsigned_abs);
            Some(Kind::Text { max })
        }
        Some(Sorted::Integer) => {
            let bound = -INTEGER_MAX..=INTEGER_MAX;
            let min = fields.maybe_int("minimum", bound.clone()).unwrap_or(-INTEGER_MAX);
            let max = fields.maybe_int("maximum", bound).unwrap_or(INTEGER_MAX);
            if min > max {
                fields.say("minimum", format!("`minimum` is {min}, more than `maximum`: nothing fits between"));
            }
            Some(Kind::Integer { min, max })
        }
        Some(Sorted::Boolean) => Some(Kind::Boolean),
        Some(Sorted::Enum) => {
            let words: Vec<String> = fields
                .need("values")
                .and_then(|node| node.texts(problems))
                .unwrap_or_default()
                .into_iter()
                .map(str::to_owned)
                .collect();
            (!words.is_empty()).then_some(Kind::Enum { words })
        }
        None => None,
    };
    let default = fields.maybe("default").map(Node::to_json);
    if let Some(because) = kind.as_ref().zip(default.as_ref()).and_then(|(kind, default)| kind.refuses(default)) {
        fields.say("default", format!("the default does not fit: {because}"));
    }
    if kind.is_some() {
        fields.done();
    }
    Some(Parameter { default, description, kind: kind?, name: name.to_owned() })
}

fn actions(node: &Node, parameters: &[Parameter], schema: &Arc<Schema>, problems: &Problems) -> Option<Vec<Written>> {
    let items = node.items(problems)?;
    if items.is_empty() {
        problems.say(&node.at, "the playbook has no actions: it would run nothing");
        return None;
    }
    if items.len() > ACTIONS_MAX {
        problems.say(&node.at, format!("a playbook has at most {ACTIONS_MAX} actions, and this has {}", items.len()));
        return None;
    }
    let mut actions: Vec<Written> = Vec::with_capacity(items.len());
    for item in items {
        if let Some(action) = action(item, parameters, schema, &actions, problems) {
            actions.push(action);
        }
    }
    (actions.len() == items.len()).then_some(actions)
}

fn action(
    node: &Node,
    parameters: &[Parameter],
    schema: &Arc<Schema>,
    before: &[Written],
    problems: &Problems,
) -> Option<Written> {
    let mut fields = node.fields("an action", problems)?;
    let verb = fields.need("type").and_then(|node| verb(node, problems));
    let said = fields.maybe("name");
    let name = match said {
        Some(node) => name(node, problems),
        None => verb.map(Verb::word),
    };
    if let Some(name) = name.filter(|name| before.iter().any(|one| one.name == *name)) {
        problems.say(
            &said.unwrap_or(node).at,
            format!("there is an action `{name}` before this one; give it a `name` of its own"),
        );
    }
    let condition = fields.maybe("condition").and_then(|node| condition(node, schema, problems));
    let needs = match fields.maybe("needs") {
        Some(node) => needs(node, before, problems),
        // In the order in which they stand, unless somebody says otherwise.
        None => before.last().map(|one| one.name.clone()).into_iter().collect(),
    };
    let timeout_ms = fields.maybe_int("timeout_seconds", 1..=SECONDS_MAX).map(|seconds| seconds.unsigned_abs() * 1_000);
    let attempts = fields.maybe_int("attempts", 1..=10).and_then(|count| u32::try_from(count).ok());
    let given = fields.maybe("parameters");
    let values = verb.and_then(|verb| values(node, given, verb, parameters, problems));
    fields.done();
    Some(Written {
        attempts: attempts.unwrap_or(2),
        condition,
        name: name?.to_owned(),
        needs,
        timeout_ms: timeout_ms.unwrap_or(STEP_TIMEOUT_MS),
        values: values?,
        verb: verb?,
    })
}

fn verb(node: &Node, problems: &Problems) -> Option<Verb> {
    let word = node.text(problems)?;
    if let Some((_, verb)) = Verb::WORDS.iter().find(|(known, _)| *known == word) {
        return Some(*verb);
    }
    let (message, hint) = match word {
        "command" => (
            "`command` is not a verb here: the server runs no commands".to_owned(),
            "let a person or an agent run it through the gate: `writ exec -- …`".to_owned(),
        ),
        word => {
            let known = || Verb::WORDS.iter().map(|(known, _)| *known);
            let hint = match nearest(word, known()) {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("use {}", listed(known())),
            };
            (format!("`{word}` is not a verb here"), hint)
        }
    };
    problems.suggest(&node.at, message, hint);
    None
}

/// The condition, also when it stands in the double braces that templates use.
fn condition(node: &Node, schema: &Arc<Schema>, problems: &Problems) -> Option<Expr> {
    let text = node.text(problems)?.trim();
    let text = text.strip_prefix("{{").and_then(|text| text.strip_suffix("}}")).map_or(text, str::trim);
    match Expr::condition(text, schema, &writ_expr::Limits::default()) {
        Ok(expr) => {
            if let Some(never) = expr.never_true() {
                problems.say(&node.at, format!("the condition can never hold: {never}"));
            }
            Some(expr)
        }
        Err(found) => {
            found.iter().for_each(|problem| problems.say(&node.at, format!("the condition is unsound: {problem}")));
            None
        }
    }
}

fn needs(node: &Node, before: &[Written], problems: &Problems) -> Vec<String> {
    let known = || before.iter().map(|one| one.name.as_str());
    let mut needs = Vec::new();
    for item in node.items(problems).unwrap_or_default() {
        let Some(name) = item.text(problems) else { continue };
        if !known().any(|known| known == name) {
            let message = format!("no action before this one is called `{name}`");
            match nearest(name, known()) {
                Some(known) => problems.suggest(&item.at, message, format!("did you mean `{known}`?")),
                None => problems.say(&item.at, message),
            }
        }
        needs.push(name.to_owned());
    }
    needs
}

fn values(
    action: &Node,
    given: Option<&Node>,
    verb: Verb,
    parameters: &[Parameter],
    problems: &Problems,
) -> Option<BTreeMap<&'static str, Given>> {
    let what = format!("`{}`", verb.word());
    let Some(node) = given else {
        problems.say(
            &action.at,
            format!("{what} has no `parameters`; it takes {}", listed(verb.takes().iter().map(|one| one.0))),
        );
        return None;
    };
    let mut fields = node.fields(&what, problems)?;
    let (mut values, mut sound) = (BTreeMap::new(), true);
    for (name, sort, needed) in verb.takes() {
        let found = if *needed { fields.need(name) } else { fields.maybe(name) };
        match found.map(|node| value(name, node, *sort, parameters, problems)) {
            Some(Some(given)) => drop(values.insert(*name, given)),
            Some(None) => sound = false,
            None => sound &= !needed,
        }
    }
    fields.done();
    sound.then_some(values)
}

/// A literal, or exactly one parameter: texts are not put together from parts.
fn value(name: &str, node: &Node, sort: Sort, parameters: &[Parameter], problems: &Problems) -> Option<Given> {
    if let Value::Text { value: text, .. } = &node.value
        && text.contains("${")
    {
        let parameter =
            text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).filter(|name| !name.contains('$'));
        let Some(parameter) = parameter else {
            problems.say(
                &node.at,
                format!("`{name}` mixes text and parameters; a parameter stands alone, as `${{count}}`"),
            );
            return None;
        };
        let known = || parameters.iter().map(|one| one.name.as_str());
        let Some(declared) = parameters.iter().find(|one| one.name == parameter) else {
            let message = format!("there is no parameter `{parameter}`");
            match nearest(parameter, known()) {
                Some(known) => problems.suggest(&node.at, message, format!("did you mean `${{{known}}}`?")),
                None => problems.say(&node.at, message),
            }
            return None;
        };
        let fits = match (&declared.kind, sort) {
            (Kind::Text { .. } | Kind::Enum { .. }, Sort::Text) | (Kind::Integer { .. }, Sort::Count(_)) => true,
            (Kind::Text { .. } | Kind::Enum { .. } | Kind::Boolean, Sort::Count(_))
            | (Kind::Integer { .. } | Kind::Boolean, Sort::Text) => false,
        };
        if !fits {
            let wants = if sort == Sort::Text { "a text" } else { "a whole number" };
            problems.say(
                &node.at,
                format!("`{name}` wants {wants}, and `{parameter}` is of type {}", declared.kind.word()),
            );
            return None;
        }
        return Some(Given::Parameter(parameter.to_owned()));
    }
    let literal = node.to_json();
    let refused = match sort {
        Sort::Text => Kind::Text { max: 256 }.refuses(&literal),
        Sort::Count(max) => Kind::Integer { min: 1, max }.refuses(&literal),
    };
    match refused {
        Some(because) => {
            problems.say(&node.at, format!("`{name}`: {because}"));
            None
        }
        None => Some(Given::Literal(literal)),
    }
}
