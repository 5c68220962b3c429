//! From a manifest's text to an intent: every finding at once, each with its place and the right form.

use crate::intent::{
    Basis, Budget, Constraint, Constraints, Heal, HealMode, Intent, Kind, Objective, Origin, Preferences,
    RecoveryPolicy, Requirements, Strategy, Target, Trigger, TriggerAction, Workload,
};
use crate::platform::Platform;
use crate::solve::COUNT_LIMIT;
use crate::translate::misfits;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use writ_core::{ComponentId, Place};
use writ_expr::quantity::{Bound, Bytes, Comparator, MoneyRate, Quantity, Rate, Ratio, Span, bound, quantity};
use writ_text::{At, Fields, Limits, Node, Problem, Problems, Value};

/// A manifest that was read: its intent, and where every value stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// What it says.
    pub intent: Intent,
    root: Node,
}

impl Manifest {
    /// Where the value stands that a JSON pointer names (`/intent/constraints/budget`), or the nearest value above it.
    #[must_use]
    pub fn place(&self, pointer: &str) -> Place {
        self.root.nearest_at(pointer).place()
    }

    /// The manifest as it was written, without places: what patches apply to.
    #[must_use]
    pub fn written(&self) -> Json {
        self.root.to_json()
    }

    /// What the manifest names and the platform does not have.
    #[must_use]
    pub fn check(&self, platform: &Platform) -> Vec<Problem> {
        misfits(&self.intent, platform)
            .into_iter()
            .map(|misfit| {
                let problem = Problem::new(self.place(&misfit.pointer), misfit.message);
                problem.hint(misfit.hint).about(misfit.pointer)
            })
            .collect()
    }
}

/// Reads a manifest. `file` is its name as problems show it.
///
/// # Errors
/// Everything that is wrong with it, in the order of the file.
pub fn read_manifest(file: &str, bytes: &[u8]) -> Result<Manifest, Vec<Problem>> {
    let root = writ_text::read(file, bytes, &Limits::default())?;
    let problems = Problems::new();
    let intent = manifest(&root, &problems);
    if let Some(component) = intent.as_ref().and_then(|intent| intent.target.component.as_ref()) {
        distinct(root.nearest_at("/intent/target/component"), &problems, "component", component);
    }
    let intent = problems.result(intent)?;
    Ok(Manifest { intent, root })
}

/// Reads a manifest that was accepted before, maybe when more was.
///
/// # Errors
/// As [`read_manifest`].
pub fn read_recorded_manifest(file: &str, bytes: &[u8]) -> Result<Manifest, Vec<Problem>> {
    let root = writ_text::read(file, bytes, &Limits::default())?;
    let problems = Problems::new();
    let intent = manifest(&root, &problems);
    let intent = problems.result(intent)?;
    Ok(Manifest { intent, root })
}

/// What a component may be called.
const COMPONENT: &str = "use letters, digits and any of `. _ -`: a resource of a component is called `NAME/i-1`";

/// Whether a component's name is told from those of resources of components.
pub(crate) fn distinct(at: &At, problems: &Problems, key: &str, name: &ComponentId) {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if !name.as_str().chars().all(plain) {
        problems.suggest(at, format!("`{key}` cannot be `{}`", shown(name.as_str())), COMPONENT);
    }
}

/// A component's name, as far as any could ever be.
pub(crate) fn component(fields: &Fields<'_>, key: &str, text: &str) -> Option<ComponentId> {
    let name = text.parse().ok();
    if name.is_none() {
        let at = fields.node().nearest_at(&format!("/{key}"));
        fields.problems().suggest(at, format!("`{key}` cannot be `{}`", shown(text)), COMPONENT);
    }
    name
}

fn manifest(root: &Node, problems: &Problems) -> Option<Intent> {
    let mut document = root.fields("the manifest", problems)?;
    let node = document.need("intent");
    document.done();
    let mut fields = node?.fields("the intent", problems)?;
    fields.maybe_choice("apiVersion", &[("intent/v1", ())]);
    let id = fields.text("id").and_then(|text| parsed(&fields, "id", text));
    let kind = fields.choice("type", Kind::WORDS);
    let description = limited(&mut fields, "description", 1_000).unwrap_or_default();
    let target = section(&mut fields, "target", target).unwrap_or_else(default_target);
    let requirements = section(&mut fields, "requirements", requirements).unwrap_or_default();
    let constraints = section(&mut fields, "constraints", constraints).unwrap_or_default();
    let workload = section(&mut fields, "workload", workload).unwrap_or_default();
    let heal = section(&mut fields, "heal", heal).unwrap_or_default();
    let approvers = unique_texts(&mut fields, "approvers");
    let labels = fields.maybe("labels").map(|node| text_map(node, problems, is_label)).unwrap_or_default();
    let preferences = section(&mut fields, "preferences", preferences).unwrap_or_default();
    fields.done();
    Some(Intent {
        id: id?,
        kind: kind?,
        description,
        target,
        requirements,
        constraints,
        workload,
        heal,
        approvers,
        labels,
        preferences,
    })
}

/// Reads a map behind a key, when there is one.
pub(crate) fn section<'a, T>(
    fields: &mut Fields<'a>,
    key: &'static str,
    read: impl FnOnce(&mut Fields<'a>) -> T,
) -> Option<T> {
    let mut inner = fields.maybe(key)?.fields(key, fields.problems())?;
    let value = read(&mut inner);
    inner.done();
    Some(value)
}

fn default_target() -> Target {
    Target { environment: "dev".to_owned(), component: None }
}

fn target(fields: &mut Fields<'_>) -> Target {
    let environment = fields.maybe_text("environment").unwrap_or("dev").to_owned();
    if !is_label(&environment) {
        fields.say("environment", "an environment has 1 to 63 letters, digits and any of `. _ - /`");
    }
    let component = fields.maybe_text("component").and_then(|text| component(fields, "component", text));
    Target { environment, component }
}

fn requirements(fields: &mut Fields<'_>) -> Requirements {
    let mut all = Requirements {
        availability_ppb: at_least::<Ratio>(fields, "availability").and_then(|(node, ratio)| {
            let sound = ratio.0 > 0 && ratio < Ratio::ONE;
            told(fields, node, sound, "`availability` must be above 0% and below 100%, as nothing is always up")?;
            u64::try_from(ratio.0).ok()
        }),
        ..Requirements::default()
    };
    section(fields, "performance", |fields| {
        all.latency_p95_us = at_most::<Span>(fields, "latency_p95")
            .and_then(|(node, span)| micros(fields, node, "latency_p95", span, 1));
        all.throughput_mrps = at_least::<Rate>(fields, "throughput").and_then(|(node, rate)| {
            let sound = (1..=10_000_000_000).contains(&rate.0);
            told(fields, node, sound, "`throughput` must be above 0 and at most 10000000 req/s")?;
            u64::try_from(rate.0).ok()
        });
    });
    section(fields, "scalability", |fields| {
        all.min_instances = count(fields, "min_instances");
        all.max_instances = count(fields, "max_instances");
        ordered(fields, ("min_instances", all.min_instances), ("max_instances", all.max_instances));
    });
    all
}

pub(crate) fn ordered(fields: &Fields<'_>, low: (&str, Option<u32>), high: (&str, Option<u32>)) {
    if let (Some(least), Some(most)) = (low.1, high.1)
        && least > most
    {
        fields.say(low.0, format!("`{}` is {least}, above `{}`, which is {most}", low.0, high.0));
    }
}

fn constraints(fields: &mut Fields<'_>) -> Constraints {
    let budget = at_most::<MoneyRate>(fields, "budget").and_then(|(node, rate)| {
        let micros = rate.micros_per_month();
        let sound = (1..=1_000_000_000_000_000).contains(&micros);
        told(fields, node, sound, "`budget` must be above 0 and at most a billion a month")?;
        Some(Budget { micros: u64::try_from(micros).ok()?, currency: rate.money.currency.code().to_owned() })
    });
    let regions = unique_texts(fields, "region");
    if fields.node().get("region").is_some_and(|node| matches!(&node.value, Value::List(items) if items.is_empty())) {
        fields.say("region", "`region` names none; leave it out to allow all");
    }
    let mut all = Constraints { budget, regions, min_regions: None, min_zones: None };
    section(fields, "placement", |fields| {
        all.min_regions = fields.maybe_int("min_regions", 1..=6).and_then(|number| u32::try_from(number).ok());
        all.min_zones = fields.maybe_int("min_zones", 1..=64).and_then(|number| u32::try_from(number).ok());
        fields.maybe_choice("spread", &[("balanced", ())]);
    });
    all
}

pub(crate) fn workload(fields: &mut Fields<'_>) -> Workload {
    let core_us =
        plain::<Span>(fields, "service_time").and_then(|(node, span)| micros(fields, node, "service_time", span, 1));
    let memory_bytes = plain::<Bytes>(fields, "memory_per_instance").and_then(|(node, bytes)| {
        let sound = (1 << 20..=1 << 46).contains(&bytes.0);
        told(fields, node, sound, "`memory_per_instance` must be from 1MiB to 64TiB")?;
        u64::try_from(bytes.0).ok()
    });
    Workload {
        core_us,
        variation_permille: variation(fields),
        memory_bytes,
        origin: fields.maybe_choice("source", Origin::WORDS),
    }
}

fn variation(fields: &mut Fields<'_>) -> Option<u32> {
    thousandths(
        fields,
        "cv",
        0..=10_000,
        "`cv` must be from 0 (every request alike) to 10, with at most three decimals",
    )
}

/// A number with at most three decimals, written plainly or as a text.
pub(crate) fn thousandths(
    fields: &mut Fields<'_>,
    key: &'static str,
    range: std::ops::RangeInclusive<u32>,
    message: &str,
) -> Option<u32> {
    let node = fields.maybe(key)?;
    let written = match &node.value {
        Value::Int(number) => number.to_string(),
        Value::Float { written, .. } => written.clone(),
        Value::Text { value, .. } => value.clone(),
        Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) => String::new(),
    };
    let (whole, fraction) = written.split_once('.').unwrap_or((&written, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let sound = !whole.is_empty() && whole.len() <= 6 && fraction.len() <= 3 && digits(whole) && digits(fraction);
    let value = if sound { format!("{whole}{fraction:0<3}").parse::<u32>().ok() } else { None };
    let value = value.filter(|value| range.contains(value));
    told(fields, node, value.is_some(), message)?;
    value
}

fn heal(fields: &mut Fields<'_>) -> Heal {
    Heal {
        enabled: fields.maybe_bool("enabled"),
        mode: fields.maybe_choice("mode", HealMode::WORDS),
        recovery: section(fields, "recovery_policy", recovery_policy).flatten(),
        triggers: triggers(fields),
    }
}

pub(crate) fn recovery_policy(fields: &mut Fields<'_>) -> Option<RecoveryPolicy> {
    let strategy = fields.choice("strategy", Strategy::WORDS);
    let max_attempts = fields.maybe_int("max_attempts", 1..=5).unwrap_or(3);
    let timeout = fields.maybe_int("timeout_seconds", 30..=300).unwrap_or(60);
    Some(RecoveryPolicy {
        strategy: strategy?,
        max_attempts: u32::try_from(max_attempts).ok()?,
        timeout_seconds: u32::try_from(timeout).ok()?,
    })
}

pub(crate) fn triggers(fields: &mut Fields<'_>) -> Option<Vec<Trigger>> {
    let problems = fields.problems();
    let items = fields.maybe("triggers")?.items(problems)?;
    let read = |node: &Node| {
        let mut fields = node.fields("the trigger", problems)?;
        let condition = fields.text("condition").and_then(|text| crate::trigger::checked(&fields, text));
        let action = fields.choice("action", TriggerAction::WORDS);
        fields.done();
        Some(Trigger { condition: condition?, action: action? })
    };
    Some(items.iter().filter_map(read).collect())
}

fn preferences(fields: &mut Fields<'_>) -> Preferences {
    let problems = fields.problems();
    let mut soft = Vec::new();
    for node in fields.maybe_items("soft") {
        let Some(word) = node.text(problems) else { continue };
        match Constraint::WORDS.iter().find(|(known, _)| *known == word) {
            Some((_, constraint)) if soft.contains(constraint) => {
                problems.say(&node.at, format!("`{word}` stands here twice"));
            }
            Some((_, constraint)) => soft.push(*constraint),
            None => {
                let known = || Constraint::WORDS.iter().map(|(known, _)| *known);
                let hint = match writ_text::nearest(word, known()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("use {}", writ_text::listed(known())),
                };
                problems.suggest(&node.at, format!("`soft` cannot be `{}`", shown(word)), hint);
            }
        }
    }
    Preferences {
        soft,
        objective: fields.maybe_choice("objective", Objective::WORDS).unwrap_or(Objective::Cost),
        budget_basis: fields.maybe_choice("budget_basis", Basis::WORDS).unwrap_or(Basis::Steady),
    }
}

/// A quantity behind a key that is a least value: with `>`, `>=` or nothing before it.
fn at_least<'a, Q: Quantity>(fields: &mut Fields<'a>, key: &'static str) -> Option<(&'a Node, Q)> {
    sided(fields, key, Comparator::AtLeast, [Comparator::Above, Comparator::AtLeast], "a least value", ">=")
}

/// A quantity behind a key that is a most value: with `<`, `<=` or nothing before it.
fn at_most<'a, Q: Quantity>(fields: &mut Fields<'a>, key: &'static str) -> Option<(&'a Node, Q)> {
    sided(fields, key, Comparator::AtMost, [Comparator::Below, Comparator::AtMost], "a most value", "<=")
}

fn sided<'a, Q: Quantity>(
    fields: &mut Fields<'a>,
    key: &'static str,
    default: Comparator,
    allowed: [Comparator; 2],
    what: &str,
    sign: &str,
) -> Option<(&'a Node, Q)> {
    let node = fields.maybe(key)?;
    let Bound { comparator, value } = bound::<Q>(node, default, fields.problems())?;
    if allowed.contains(&comparator) {
        return Some((node, value));
    }
    let message = format!("`{key}` is {what}, and `{comparator}` says otherwise");
    fields.problems().suggest(&node.at, message, format!("write it like '{sign}{value}'"));
    None
}

/// A quantity behind a key, without a comparator.
pub(crate) fn plain<'a, Q: Quantity>(fields: &mut Fields<'a>, key: &'static str) -> Option<(&'a Node, Q)> {
    let node = fields.maybe(key)?;
    Some((node, quantity::<Q>(node, fields.problems())?))
}

/// A length of time in microseconds: at least one step, at most an hour, in whole steps.
pub(crate) fn micros(fields: &Fields<'_>, node: &Node, key: &str, span: Span, step: u64) -> Option<u64> {
    let us = u64::try_from(span.0 / 1_000).ok().filter(|us| span.0 % 1_000 == 0 && us.is_multiple_of(step));
    let us = us.filter(|us| (step..=3_600_000_000).contains(us));
    let message = format!("`{key}` must be from {0} to 3600s, in whole steps of {0}", crate::figure::span(step));
    told(fields, node, us.is_some(), &message)?;
    us
}

pub(crate) fn told(fields: &Fields<'_>, node: &Node, sound: bool, message: &str) -> Option<()> {
    if !sound {
        fields.problems().say(&node.at, message);
    }
    sound.then_some(())
}

fn count(fields: &mut Fields<'_>, key: &'static str) -> Option<u32> {
    fields.maybe_int(key, 1..=i64::from(COUNT_LIMIT)).and_then(|number| u32::try_from(number).ok())
}

/// An id behind a key, or the reason why it is none.
pub(crate) fn parsed<T: std::str::FromStr>(fields: &Fields<'_>, key: &str, text: &str) -> Option<T> {
    if let Ok(id) = text.parse() {
        return Some(id);
    }
    let at = fields.node().nearest_at(&format!("/{key}"));
    let hint = "use 1 to 128 letters, digits and any of `. _ - / : @`, starting with a letter or digit";
    fields.problems().suggest(at, format!("`{key}` cannot be `{}`", shown(text)), hint);
    None
}

/// A text short and plain enough to stand in a message.
fn shown(text: &str) -> String {
    text.chars().take(60).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn limited(fields: &mut Fields<'_>, key: &'static str, most: usize) -> Option<String> {
    let text = fields.maybe_text(key)?;
    if text.chars().count() > most {
        fields.say(key, format!("`{key}` has more than {most} characters"));
    }
    Some(text.to_owned())
}

pub(crate) fn unique_texts(fields: &mut Fields<'_>, key: &'static str) -> Vec<String> {
    let problems = fields.problems();
    let mut all: Vec<String> = Vec::new();
    let items = fields.maybe_items(key);
    if items.len() > 32 {
        fields.say(key, format!("`{key}` has more than 32 names"));
    }
    for node in items {
        let Some(text) = node.text(problems) else { continue };
        if text.is_empty() || text.chars().count() > 128 || text.contains(char::is_control) {
            problems
                .say(&node.at, format!("a name in `{key}` has 1 to 128 characters, none of them control characters"));
        } else if all.iter().any(|known| known == text) {
            problems.say(&node.at, format!("`{text}` stands in `{key}` twice"));
        } else {
            all.push(text.to_owned());
        }
    }
    all
}

/// A map from names to texts.
pub(crate) fn text_map(node: &Node, problems: &Problems, sound: fn(&str) -> bool) -> BTreeMap<String, String> {
    if !matches!(node.value, Value::Map(_)) {
        problems.say(&node.at, format!("expected a map, found {}", node.sort()));
    }
    if node.entries().len() > 32 {
        problems.say(&node.at, "at most 32 names may stand here");
    }
    let mut all = BTreeMap::new();
    for entry in node.entries() {
        if !sound(&entry.key) {
            let message = format!("`{}` has characters that a name here may not have, or too many", shown(&entry.key));
            problems.say(&entry.key_at, message);
        } else if let Some(text) = entry.value.text(problems) {
            if text.len() > 256 {
                problems.say(&entry.value.at, "this text has more than 256 bytes");
            }
            all.insert(entry.key.clone(), text.to_owned());
        }
    }
    all
}

/// A word for labels and environments: ASCII, so that every reader sorts it alike.
fn is_label(text: &str) -> bool {
    let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
    (1..=63).contains(&text.len()) && text.chars().all(sound)
}
