//! What would come of a manifest's text: what is said about its lines, what each rule says, and what it is predicted to do.

use super::frame::told_here as told;
use super::session::Visitor;
use super::words::{Html, badge, list as items, number, span, text, texts};
use crate::api::Shared;
use crate::error::Failure;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use writ_core::Timestamp;
use writ_pipeline::input::Bundle;
use writ_pipeline::{Prepared, SubmitError, with_fix};

/// A line of a manifest with what is said about it.
pub(crate) struct Line {
    pub(crate) text: String,
    pub(crate) marks: Vec<Mark>,
}

/// Something said about a line.
pub(crate) struct Mark {
    pub(crate) tone: &'static str,
    pub(crate) who: String,
    pub(crate) message: String,
}

/// What a rule said.
pub(crate) struct Judged {
    pub(crate) rule: String,
    pub(crate) stage: String,
    pub(crate) status: Html,
    /// Whether it wants people asked.
    pub(crate) asks: bool,
    pub(crate) message: String,
    pub(crate) values: Vec<String>,
    pub(crate) rule_at: String,
}

/// What would come of a text, with its lines marked.
pub(crate) struct Looked {
    pub(crate) lines: Vec<Line>,
    pub(crate) results: Vec<Judged>,
    /// `allow`, `needs 1 of role approver`, `deny`, `invalid`, `infeasible`, or what else stood in the way.
    pub(crate) answer: String,
    pub(crate) document: Value,
    /// What stands in the way of all of it, and what to do about that; empty where what is said about lines and rules says it.
    pub(crate) problem: Html,
    /// Why nothing holds, in words.
    pub(crate) conflicts: Vec<String>,
    /// The least changes that would do.
    pub(crate) fixes: Vec<Fix>,
    /// What was worked out; none when the text came to nothing.
    pub(crate) prepared: Option<Prepared>,
}

/// A change that would make an intent hold.
pub(crate) struct Fix {
    pub(crate) changes: Vec<String>,
    pub(crate) gives: String,
    /// Its number, when it can be written into the text.
    pub(crate) take: Option<usize>,
}

/// The fixes of an intent that cannot be had.
fn fixes(manifest: &str, report: &Value) -> Vec<Fix> {
    let fix = |(at, one): (usize, &Value)| {
        let changes = items(one, "/changes").iter().map(|change| {
            let word = text(change, "/change").replace('_', " ");
            format!("{word} {} → {}", text(change, "/from"), text(change, "/to"))
        });
        let gives = |name: &str| text(one, &format!("/gives/{name}")).to_owned();
        let count = number(one, "/gives/count");
        Fix {
            changes: changes.collect(),
            gives: format!("{count} × {}, {}, {}", gives("type"), gives("cost"), gives("availability")),
            take: with_fix(manifest, one).map(|_| at),
        }
    };
    items(report, "/infeasible/fixes").iter().enumerate().map(fix).collect()
}

/// Works out what a text would come to, without recording anything; under other policies than those in force where they are
/// given.
pub(crate) async fn look(
    shared: &Shared,
    name: &str,
    manifest: &str,
    visitor: &Visitor,
    under: Option<&Arc<Bundle>>,
) -> Looked {
    let pipeline = &shared.pipeline;
    let (mut prepared, mut problem) = (None, Html::default());
    let (answer, document) = match pipeline.prepare_under(under, name, manifest.as_bytes(), &visitor.principal).await {
        Ok(found) => {
            let found = prepared.insert(found);
            (found.decision_text(), found.document(pipeline))
        }
        Err(SubmitError::Invalid(problems)) => ("invalid".to_owned(), serde_json::json!({"problems": problems})),
        Err(SubmitError::Infeasible { report, text, .. }) => {
            ("infeasible".to_owned(), serde_json::json!({"report": report, "text": text}))
        }
        Err(error) => {
            let failure = Failure::of_submit(error, pipeline);
            problem = told(&failure);
            (failure.code().to_owned(), failure.document())
        }
    };
    let mut marks: BTreeMap<usize, Vec<Mark>> = BTreeMap::new();
    for problem in items(&document, "/problems") {
        let mut message = text(problem, "/message").to_owned();
        if let Some(hint) = problem.pointer("/hint").and_then(Value::as_str) {
            message.push_str(" — ");
            message.push_str(hint);
        }
        let line = usize::try_from(number(problem, "/at/line")).unwrap_or(1);
        marks.entry(line).or_default().push(Mark { tone: "bad", who: "reading".into(), message });
    }
    let results = results_of(&document, &mut marks);
    let lines = manifest.lines().zip(1..);
    let lines = lines
        .map(|(text, number)| Line { text: text.to_owned(), marks: marks.remove(&number).unwrap_or_default() })
        .collect();
    let conflict = |one: &Value| {
        let names: Vec<String> = texts(one, "").map(|name| name.replace('_', " ")).collect();
        names.join(", ")
    };
    let conflicts = items(&document, "/report/infeasible/conflicts").iter().map(conflict).collect();
    let fixes = document.get("report").map(|report| fixes(manifest, report)).unwrap_or_default();
    Looked { lines, results, answer, document, problem, conflicts, fixes, prepared }
}

/// What each rule said, stage by stage; what it said about a line is put beside that.
pub(crate) fn results_of(document: &Value, marks: &mut BTreeMap<usize, Vec<Mark>>) -> Vec<Judged> {
    let mut all = Vec::new();
    for report in items(document, "/validation") {
        let stage = text(report, "/validation/stage");
        for result in items(report, "/validation/results") {
            let status = text(result, "/status").replace('_', " ");
            let place = text(result, "/at").rsplit(':').nth(1).and_then(|line| line.parse().ok());
            if let Some(line) = place.filter(|_| status != "passed") {
                let (who, message) = (text(result, "/policy").to_owned(), text(result, "/message").to_owned());
                marks.entry(line).or_default().push(Mark { tone: super::words::tone(&status).class(), who, message });
            }
            all.push(Judged {
                rule: text(result, "/policy").to_owned(),
                stage: stage.to_owned(),
                status: badge(&status),
                asks: status == "needs approval",
                message: text(result, "/message").to_owned(),
                values: texts(result, "/values").map(str::to_owned).collect(),
                rule_at: last_parts(text(result, "/rule_at")),
            });
        }
        // What no rule of theirs stands behind: that none allows it, or that something could not be judged.
        all.extend(items(report, "/validation/other_findings").iter().map(|finding| Judged {
            rule: text(finding, "/finding").to_owned(),
            stage: stage.to_owned(),
            status: badge("failed"),
            asks: false,
            message: text(finding, "/message").to_owned(),
            values: texts(finding, "/values").map(str::to_owned).collect(),
            rule_at: String::new(),
        }));
    }
    all
}

/// The file's own name of a place, without the directories before it.
fn last_parts(place: &str) -> String {
    place.rsplit('/').next().unwrap_or(place).to_owned()
}

/// `9790s` in the units that fit.
fn seconds(told: &str) -> String {
    let whole = told.strip_suffix('s').and_then(|whole| whole.parse::<i64>().ok());
    let at = |seconds: i64| Timestamp::from_micros(seconds.saturating_mul(1_000_000));
    whole.map_or_else(|| told.to_owned(), |whole| span(at(0), at(whole)))
}

/// What a plan is predicted to do, and how far it holds.
pub(crate) fn predictions(document: &Value) -> Vec<(&'static str, String)> {
    let rows = [
        ("Instances", format!("{} × {}", number(document, "/plan/chosen/count"), text(document, "/plan/chosen/type"))),
        ("Cost", text(document, "/plan/chosen/cost").to_owned()),
        ("At full scale", text(document, "/plan/chosen/peak_cost").to_owned()),
        ("Availability", text(document, "/plan/predicted/availability").to_owned()),
        ("Latency p95", text(document, "/plan/predicted/latency_p95").to_owned()),
        ("Capacity", text(document, "/plan/predicted/capacity").to_owned()),
        ("Holds up to", text(document, "/plan/break_even/throughput").to_owned()),
        ("and up to", format!("{} a request", text(document, "/plan/break_even/service_time"))),
        ("Repair within", seconds(text(document, "/plan/break_even/mttr"))),
    ];
    if document.pointer("/plan/chosen").is_none() {
        return Vec::new();
    }
    rows.into_iter().filter(|(_, told)| !told.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_times_are_said_in_the_units_that_fit() {
        for (told, said) in [("9790s", "2 h 43 min"), ("45s", "45.0 s"), ("3.5ms", "3.5ms"), ("", "")] {
            assert_eq!(seconds(told), said);
        }
    }
}
