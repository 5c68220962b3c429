//! `writ recommend`.

use super::approval::Decide;
use super::list::Which;
use super::{Failure, clock, holds, newest, state, text, texts};
use crate::Common;
use crate::client::escaped;
use crate::exit::{self, Exit};
use crate::out::{pair, yaml};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

/// Pieces of evidence that are named; their number is told anyway.
const EVIDENCE_SHOWN: usize = 12;

/// Feedback and recommendations
#[derive(Debug, Subcommand)]
pub(crate) enum Recommend {
    /// Look back over a period: figures, insights, and what should be changed
    Collect(Collect),
    /// List recommendations
    List {
        #[command(flatten)]
        which: Which,
        /// Those that would change this intent
        #[arg(long)]
        intent: Option<String>,
    },
    /// Show one, or the `last`: what it would change, what it rests on, what it should bring, and what it brought
    Get { id: String },
    /// Approve one: its patch becomes a new version of the intent
    Approve(Decide),
    /// Dismiss one
    Reject(Decide),
}

/// Look back over a period
#[derive(Debug, Args)]
pub(crate) struct Collect {
    /// The period: `7d`, `12h`, `90s`
    #[arg(long, default_value = "7d")]
    period: String,
    /// The intent to look back on; every one that is in force unless it is said
    #[arg(long)]
    intent: Option<String>,
}

impl Recommend {
    pub(crate) async fn run(self, common: &Common) -> Result<Exit, Failure> {
        match self {
            Recommend::Collect(collect) => {
                let out = common.out();
                let seconds = seconds(&collect.period)?;
                let asked = json!({"seconds": seconds, "intent": collect.intent});
                let document = common.client()?.post("/api/v1/feedback", &asked).await?;
                out.document(&document, |_| collected(&document));
                match next(&document) {
                    Some(next) => out.next(&next),
                    None => out.say("nothing to recommend"),
                }
                Ok(exit::OK)
            }
            Recommend::List { which, intent } => {
                let query = which.query(&[("intent", &intent)]);
                super::list::list(
                    common,
                    ("recommendations", &query),
                    &["ID", "PRIORITY", "WHAT", "STATE", "AT"],
                    |item| {
                        vec![
                            text(item, "/id"),
                            text(item, "/recommendation/priority"),
                            text(item, "/recommendation/description"),
                            stands(item),
                            clock(item, "/last/at"),
                        ]
                    },
                )
                .await
            }
            Recommend::Get { id } => get(common, &id).await,
            Recommend::Approve(decide) => decide.run(common, true).await,
            Recommend::Reject(decide) => decide.run(common, false).await,
        }
    }
}

/// How one stands, and whether it is too old to be approved.
fn stands(item: &Value) -> String {
    if is_outdated(item) { format!("{}, outdated", state(item)) } else { state(item) }
}

fn is_outdated(item: &Value) -> bool {
    holds(item, "outdated")
}

async fn get(common: &Common, id: &str) -> Result<Exit, Failure> {
    let (out, client) = (common.out(), common.client()?);
    let id = newest(&client, id, "recommendations").await?;
    let item = client.get(&format!("/api/v1/recommendations/{}", escaped(&id))).await?;
    out.document(&item, |wide| if wide { yaml(&item) } else { told(&id, &item) });
    out.next(&after(&id, &item));
    Ok(exit::OK)
}

/// A recommendation in words.
fn told(id: &str, item: &Value) -> String {
    let made = item.get("recommendation").cloned().unwrap_or_default();
    let evidence = texts(&made, "/evidence");
    let mut all = format!("{id}  {}  {}\n", stands(item), text(&made, "/priority"));
    let mut line = |name: &str, value: &str| all.push_str(&pair(10, name, value));
    line("what", &text(&made, "/description"));
    line("but", &text(&made, "/caveat"));
    line("intent", &text(&made, "/intent"));
    line("rests on", &format!("{} to {}, {} entries", text(&made, "/from"), text(&made, "/to"), evidence.len()));
    line("evidence", &evidence.iter().take(EVIDENCE_SHOWN).map(String::as_str).collect::<Vec<_>>().join(" "));
    for one in listed(item, "expected") {
        line("expected", &format!("{} {}, {}", text(one, "/name"), text(one, "/expected"), text(one, "/interval")));
    }
    for one in listed(item, "measured") {
        line(
            "brought",
            &format!("{}: {}, expected {}", text(one, "/metric"), text(one, "/realised"), text(one, "/expected")),
        );
    }
    line("until", &text(item, "/expires_at"));
    if is_outdated(item) {
        line("outdated", "it was made for another version than the one in force; nobody can approve it");
    }
    all.push_str(&text(item, "/diff"));
    all
}

fn listed<'a>(item: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    item.get(name).and_then(Value::as_array).into_iter().flatten()
}

/// What can be done with one.
fn after(id: &str, item: &Value) -> String {
    let changes = item.pointer("/recommendation/patch").is_some_and(Value::is_object);
    let answer = |word: &str| format!("writ recommend {word} {id} --as reviewer -m REASON");
    match state(item).as_str() {
        "open" | "draft" | "claimed" if is_outdated(item) => "writ recommend collect".to_owned(),
        "open" | "draft" | "claimed" if changes => format!("{}, or {}", answer("approve"), answer("reject")),
        "open" | "draft" | "claimed" => format!("{}, once it is dealt with", answer("reject")),
        _ => format!("writ why {id}"),
    }
}

/// What was found: a document for each intent, and one of what was judged.
fn collected(document: &Value) -> String {
    let judged = json!({"judged": document.get("judged")});
    let judged = Some(&judged).filter(|_| listed(document, "judged").next().is_some());
    listed(document, "intents").chain(judged).map(yaml).collect::<Vec<_>>().join("---\n")
}

/// What can be done with what was recommended: the first that would change something is approved, advice is only looked at.
fn next(document: &Value) -> Option<String> {
    let all: Vec<&Value> = listed(document, "intents").flat_map(|one| listed(one, "recommendations")).collect();
    let id = |one: &&Value| Some(one.get("recommendation_id")?.as_str()?.to_owned());
    match all.iter().find(|one| one.get("patch").is_some_and(Value::is_object)).and_then(id) {
        Some(id) => Some(format!("writ recommend get {id}, or writ recommend approve {id} --as reviewer -m REASON")),
        None => all.first().and_then(id).map(|id| format!("writ recommend get {id}")),
    }
}

pub(crate) fn seconds(text: &str) -> Result<u64, Failure> {
    let wrong = || Failure::Other {
        exit: exit::USAGE,
        text: format!("`{text}` is not a period"),
        hint: Some("write it as `7d`, `12h`, `30m` or `90s`".into()),
    };
    let unit = text.chars().last().ok_or_else(wrong)?;
    let factor = match unit {
        'd' => 86_400,
        'h' => 3_600,
        'm' => 60,
        's' => 1,
        _ => return Err(wrong()),
    };
    let number: u64 = text.trim_end_matches(unit).parse().map_err(|_| wrong())?;
    number.checked_mul(factor).filter(|seconds| *seconds > 0).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_would_change_something_is_named_for_approval() {
        let advice = |id: &str| json!({"recommendation_id": id});
        let patched = |id: &str| json!({"recommendation_id": id, "patch": {"ops": []}});
        let null = json!({"recommendation_id": "OPT-001", "patch": null});
        for (all, told) in [
            (vec![], None),
            (vec![advice("OPT-001"), advice("OPT-002")], Some("writ recommend get OPT-001")),
            (vec![null], Some("writ recommend get OPT-001")),
            (
                vec![advice("OPT-001"), patched("OPT-002"), patched("OPT-003")],
                Some("writ recommend get OPT-002, or writ recommend approve OPT-002 --as reviewer -m REASON"),
            ),
        ] {
            let (some, others) = all.split_at(all.len() / 2);
            let intents = json!([{"recommendations": some}, {"recommendations": others}]);
            assert_eq!(next(&json!({"intents": intents})).as_deref(), told);
        }
    }

    #[test]
    fn one_is_told_with_what_it_would_bring_and_what_it_brought() {
        let made = json!({
            "description": "run 4 instances", "priority": "high", "evidence": ["evt_1", "evt_2"], "from": "t0", "to": "t1",
            "intent": "WEB", "patch": {"target": "intent/WEB", "ops": []},
        });
        let expected = json!([{"name": "availability", "expected": "0.02%", "interval": "0.01% to 0.03% (90 %)"}]);
        let item = |state: &str, realised: &str| {
            let measured = json!({"metric": "availability", "expected": "+0.02%", "realised": realised});
            let measured = if realised.is_empty() { json!([]) } else { json!([measured]) };
            json!({
                "id": "OPT-001", "state": state, "outdated": state == "open" && !realised.is_empty(), "recommendation": made,
                "expected": expected, "measured": measured, "diff": "--- in force\n", "expires_at": "t2",
            })
        };
        assert_eq!(
            super::told("OPT-001", &item("open", "")),
            "OPT-001  open  high\nwhat       run 4 instances\nintent     WEB\nrests on   t0 to t1, 2 entries\n\
             evidence   evt_1 evt_2\nexpected   availability 0.02%, 0.01% to 0.03% (90 %)\nuntil      t2\n--- in force\n"
        );
        let answer = |word: &str| format!("writ recommend {word} OPT-001 --as reviewer -m REASON");
        for (state, realised, head, next) in [
            ("open", "", "OPT-001  open  high", format!("{}, or {}", answer("approve"), answer("reject"))),
            ("open", "x", "OPT-001  open, outdated  high", "writ recommend collect".to_owned()),
            ("not_measured", "too little was seen", "OPT-001  not measured  high", "writ why OPT-001".to_owned()),
            ("missed", "+0.001%", "OPT-001  missed  high", "writ why OPT-001".to_owned()),
        ] {
            let item = item(state, realised);
            let told = super::told("OPT-001", &item);
            assert!(told.starts_with(head), "{told}");
            let brought = format!("brought    availability: {realised}, expected +0.02%\n");
            assert_eq!(told.contains(&brought), !realised.is_empty(), "{told}");
            assert_eq!(after("OPT-001", &item), next);
        }
    }
}
