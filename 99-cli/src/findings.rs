//! What is wrong, in the form that was asked for: a script that asks for JSON, SARIF or JUnit reads findings where it would
//! have read the answer.

use crate::cmd::texts;
use crate::out::{Form, Out};
use serde_json::{Value, json};
use writ_core::Place;
use writ_pipeline::input::{Problem, listed, uri, xml};

/// Something that is wrong, as checks report it.
#[derive(Debug)]
struct Row {
    at: Place,
    hint: Option<String>,
    message: String,
    rule: &'static str,
}

/// Prints problems of files.
pub(crate) fn print_problems(out: Out, problems: &[Problem]) {
    let row = |problem: &Problem| Row {
        at: problem.at.clone(),
        hint: problem.hint.clone(),
        message: problem.message.clone(),
        rule: "problem",
    };
    print(out, &json!({"problems": problems}), &problems.iter().map(row).collect::<Vec<_>>());
}

/// Prints that nothing holds everything that a manifest asks; `report` has the conflicts and the fixes.
pub(crate) fn print_infeasible(out: Out, file: &str, report: &Value) {
    let names = |conflict: &Value| listed(texts(conflict, ""));
    let row = |conflict: &Value| Row {
        at: Place { file: file.to_owned(), line: 1, column: 1 },
        hint: report.get("text").and_then(Value::as_str).map(|text| text.trim_end().to_owned()),
        message: format!("cannot hold together: {}", names(conflict)),
        rule: "infeasible",
    };
    let conflicts = report.pointer("/infeasible/conflicts").and_then(Value::as_array).into_iter().flatten();
    print(out, report, &conflicts.map(row).collect::<Vec<_>>());
}

/// Prints what a server found wrong; nothing when its problem carries no findings.
pub(crate) fn print_answered(out: Out, problem: &Value) {
    if ["problems", "infeasible", "validation"].iter().any(|field| problem.get(field).is_some()) {
        print(out, problem, &[]);
    }
}

/// People read the same on standard error.
fn print(out: Out, document: &Value, rows: &[Row]) {
    match out.form {
        Form::Table | Form::Wide => {}
        Form::Json | Form::Yaml | Form::Ndjson => out.document(document, |_| String::new()),
        Form::Sarif => out.line(&sarif(rows).to_string()),
        Form::Junit => out.text(&junit(rows)),
    }
}

fn sarif(rows: &[Row]) -> Value {
    let result = |row: &Row| {
        json!({
            "ruleId": row.rule, "level": "error", "message": {"text": said(row)},
            "locations": [{"physicalLocation": {
                "artifactLocation": {"uri": uri(&row.at.file)},
                "region": {"startLine": row.at.line.max(1), "startColumn": row.at.column.max(1)},
            }}],
        })
    };
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "writ", "rules": [{"id": "problem"}, {"id": "infeasible"}]}},
            "columnKind": "unicodeCodePoints", "results": rows.iter().map(result).collect::<Vec<_>>(),
        }],
    })
}

fn junit(rows: &[Row]) -> String {
    let count = rows.len();
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"writ\" tests=\"{count}\" failures=\"{count}\">\n"
    );
    for row in rows {
        text.push_str(&format!(
            "  <testcase name=\"{}\" classname=\"{}\"><failure message=\"{}\"/></testcase>\n",
            xml(&format!("{} {}:{}", row.rule, row.at.line, row.at.column)),
            xml(&row.at.file),
            xml(&said(row)),
        ));
    }
    text + "</testsuite>\n"
}

fn said(row: &Row) -> String {
    row.hint.as_ref().map_or_else(|| row.message.clone(), |hint| format!("{} ({hint})", row.message))
}
