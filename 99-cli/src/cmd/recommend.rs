//! `writ recommend`.

use super::approval::Decide;
use super::{Failure, clock, state, text};
use crate::Common;
use crate::exit::{self, Exit};
use crate::out::yaml;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

/// Feedback and recommendations
#[derive(Debug, Subcommand)]
pub(crate) enum Recommend {
    /// Look back over a period: figures, insights, and what should be changed
    Collect(Collect),
    /// List recommendations
    List,
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
}

impl Recommend {
    pub(crate) async fn run(self, common: &Common) -> Result<Exit, Failure> {
        match self {
            Recommend::Collect(collect) => {
                let out = common.out();
                let seconds = seconds(&collect.period)?;
                let document = common.client()?.post("/api/v1/feedback", &json!({"seconds": seconds})).await?;
                out.document(&document, |_| yaml(&document));
                match next(&document) {
                    Some(next) => out.next(&next),
                    None => out.say("nothing to recommend"),
                }
                Ok(exit::OK)
            }
            Recommend::List => {
                super::list::list(common, "recommendations", &["ID", "PRIORITY", "WHAT", "STATE", "AT"], |item| {
                    vec![
                        text(item, "/id"),
                        text(item, "/recommendation/priority"),
                        text(item, "/recommendation/description"),
                        state(item),
                        clock(item, "/last/at"),
                    ]
                })
                .await
            }
            Recommend::Approve(decide) => decide.run(common, true).await,
            Recommend::Reject(decide) => decide.run(common, false).await,
        }
    }
}

/// What can be done with what was recommended: the first that would change something is approved, advice is only looked at.
fn next(document: &Value) -> Option<String> {
    let all = document.get("recommendations")?.as_array()?;
    let id = |one: &Value| Some(one.get("recommendation_id")?.as_str()?.to_owned());
    match all.iter().find(|one| one.get("patch").is_some_and(Value::is_object)).and_then(id) {
        Some(id) => Some(format!("writ recommend approve {id} --as reviewer -m REASON")),
        None => all.first().and_then(id).map(|id| format!("writ why {id}")),
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
            (vec![advice("OPT-001"), advice("OPT-002")], Some("writ why OPT-001")),
            (vec![null], Some("writ why OPT-001")),
            (
                vec![advice("OPT-001"), patched("OPT-002"), patched("OPT-003")],
                Some("writ recommend approve OPT-002 --as reviewer -m REASON"),
            ),
        ] {
            assert_eq!(next(&json!({"recommendations": all})).as_deref(), told);
        }
    }
}
