//! Plans for the eye: a text, DOT and Mermaid. The same plan gives the same bytes.

use crate::diff::change_of;
use crate::document::{latency_band, mark};
use crate::figure;
use crate::graph::PHASES;
use crate::order::closure_and_reduction;
use crate::translate::Translation;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use writ_core::{Plan, Step, StepKey};

/// What a step is about: the last part of its resource, with type and zone where it has them.
pub(crate) fn label(step: &Step) -> String {
    let about = step.resource.rsplit('/').next().unwrap_or(&step.resource);
    let detail: Vec<&str> = ["instance_type", "zone"]
        .iter()
        .filter_map(|key| step.params.get(*key).and_then(|value| value.as_str()))
        .collect();
    if detail.is_empty() { about.to_owned() } else { format!("{about} {}", detail.join(" ")) }
}

/// The phases that a plan has, in the order in which they run; phases of other plans come after, by name.
pub(crate) fn phases(plan: &Plan) -> Vec<&str> {
    let used: BTreeSet<&str> = plan.steps.iter().map(|step| step.phase.as_str()).collect();
    let mut phases: Vec<&str> = PHASES.into_iter().filter(|phase| used.contains(phase)).collect();
    phases.extend(used.into_iter().filter(|phase| !PHASES.contains(phase)));
    phases
}

/// The plan as a tree of phases, actions and steps, under what was chosen and what that rests on.
#[must_use]
pub fn text(plan: &Plan, translation: &Translation) -> String {
    let mut out = String::new();
    let (layout, predicted) = (&translation.layout, &translation.predicted);
    let money = |micros| format!("{}/month", figure::money_about(micros, &translation.currency));
    let mut line = |name: &str, value: String| {
        let _ = writeln!(out, "{name:<13}{value}");
    };
    line("intent", format!("{}@{}", plan.intent, plan.intent_version));
    line("plan", crate::document::plan_digest(plan).short());
    line("layout", format!("{} × {} in {}", layout.count, layout.instance_type.name, layout.zones().join(", ")));
    line("availability", figure::percent_about(predicted.availability_ppb));
    if let Some(latency) = latency_band(translation) {
        line("latency p95", latency);
    }
    line("cost", format!("{}, at most {}", money(predicted.cost_micros), money(predicted.peak_micros)));
    let last = translation.break_even;
    let holds = [
        last.service_time_us.map(|us| format!("a request costs {}", figure::span(us))),
        last.throughput_mrps.map(|mrps| format!("{} arrive", figure::rate(mrps))),
        last.mttr_s.map(|seconds| format!("recovery takes {seconds}s")),
    ];
    let holds: Vec<String> = holds.into_iter().flatten().collect();
    if !holds.is_empty() {
        line("holds until", holds.join(", or "));
    }
    for change in &translation.gave_way {
        let to = change.show(&change.to, &translation.currency);
        line(
            "gave way",
            format!("`{}` {to} instead of {}", change.constraint, change.show(&change.from, &translation.currency)),
        );
    }
    for profile in &translation.profile {
        line("!", profile.clone());
    }
    for assumption in &translation.assumptions {
        line("assumes", assumption.clone());
    }
    out.push('\n');
    out.push_str(&tree(plan));
    out
}

/// The plan as a tree of phases, actions and steps.
#[must_use]
pub fn tree(plan: &Plan) -> String {
    let mut out = String::new();
    for phase in phases(plan) {
        let _ = writeln!(out, "{phase}");
        let mut last: Option<&str> = None;
        for step in plan.steps.iter().filter(|step| step.phase == phase) {
            if last != Some(step.action_name.as_str()) {
                let _ = writeln!(out, "  {} ({})", step.action_name, step.permission);
                last = Some(&step.action_name);
            }
            let _ = writeln!(out, "    {} {:<18} {}", mark(&change_of(step)), step.verb, label(step));
        }
    }
    out
}

fn names(plan: &Plan) -> impl Fn(&StepKey) -> String {
    move |key| {
        let at = plan.steps.iter().position(|step| step.key == *key);
        format!("s{}", at.map_or(0, |at| at + 1))
    }
}

/// The plan in the DOT language.
#[must_use]
pub fn dot(plan: &Plan) -> String {
    let (name, mut out) =
        (names(plan), String::from("digraph plan {\n  rankdir=TB;\n  node [shape=box, fontname=\"sans-serif\"];\n"));
    for (number, phase) in phases(plan).into_iter().enumerate() {
        let _ = writeln!(out, "  subgraph cluster_{number} {{\n    label=\"{}\";", quoted(phase));
        for step in plan.steps.iter().filter(|step| step.phase == phase) {
            let (mark, label) = (mark(&change_of(step)), quoted(&label(step)));
            let _ = writeln!(
                out,
                "    {} [label=\"{mark} {}\\n{label}\", color=\"{}\"];",
                name(&step.key),
                quoted(&step.action_name),
                colour(mark)
            );
        }
        out.push_str("  }\n");
    }
    let (_, reduction) = closure_and_reduction(&plan.steps);
    for step in &plan.steps {
        for need in reduction.get(&step.key).into_iter().flatten() {
            let _ = writeln!(out, "  {} -> {};", name(need), name(&step.key));
        }
    }
    out.push_str("}\n");
    out
}

/// The plan as a Mermaid flowchart.
#[must_use]
pub fn mermaid(plan: &Plan) -> String {
    let (name, mut out) = (names(plan), String::from("flowchart TD\n"));
    for (number, phase) in phases(plan).into_iter().enumerate() {
        let _ = writeln!(out, "  subgraph p{number}[\"{}\"]", entities(phase));
        for step in plan.steps.iter().filter(|step| step.phase == phase) {
            let (mark, label) = (mark(&change_of(step)), entities(&label(step)));
            let _ = writeln!(out, "    {}[\"{mark} {}<br/>{label}\"]", name(&step.key), entities(&step.action_name));
        }
        out.push_str("  end\n");
    }
    let (_, reduction) = closure_and_reduction(&plan.steps);
    for step in &plan.steps {
        for need in reduction.get(&step.key).into_iter().flatten() {
            let _ = writeln!(out, "  {} --> {}", name(need), name(&step.key));
        }
    }
    out
}

pub(crate) fn colour(mark: char) -> &'static str {
    match mark {
        '+' => "#1a7f37",
        '-' => "#cf222e",
        _ => "#9a6700",
    }
}

fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// A text that is safe within HTML, SVG and Mermaid labels.
pub(crate) fn entities(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
