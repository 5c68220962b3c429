//! `writ glass`.

use super::{Failure, text};
use crate::Common;
use crate::client::escaped;
use crate::exit::{self, Exit};
use crate::out::columns;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

/// Breaking the glass: acting for a while without the approval that policy asks for
#[derive(Debug, Subcommand)]
pub(crate) enum Glass {
    /// List every time that the glass was broken, newest first
    List,
    /// Break the glass: the approvers are told at once, and somebody must review it afterwards
    Break(Break),
    /// End it before its time
    End { id: String },
    /// Review what somebody else did, once it is over; needs the role `approver`
    Review(Review),
}

/// Break the glass
///
/// What policy would have you wait for approval for passes, within what you name and for as long as you say. What policy denies
/// stays denied, and kill switches stay. Every use is recorded.
#[derive(Debug, Args)]
pub(crate) struct Break {
    /// The actions it is for; `*` stands for any text
    #[arg(long = "for", required = true, value_delimiter = ',', value_name = "ACTIONS")]
    actions: Vec<String>,
    /// The resources it is for; `*` stands for any text
    #[arg(long = "on", required = true, value_delimiter = ',', value_name = "TARGETS")]
    targets: Vec<String>,
    /// For how long, up to 60
    #[arg(long, value_name = "N")]
    minutes: u64,
    /// Why; the words stand beside the journal and can be erased
    #[arg(short, long)]
    message: String,
}

/// Review what somebody else did
#[derive(Debug, Args)]
pub(crate) struct Review {
    id: String,
    /// What you found
    #[arg(short, long)]
    message: String,
    /// It should not have been broken
    #[arg(long)]
    unjustified: bool,
}

impl Glass {
    pub(crate) async fn run(self, common: &Common) -> Result<Exit, Failure> {
        let (out, client) = (common.out(), common.client()?);
        match self {
            Glass::List => {
                let items = client.all("/api/v1/break-glass", "").await?;
                let row = |item: &Value| {
                    let fields = ["/approval", "/state", "/by", "/over_at", "/uses", "/review_due", "/reason"];
                    fields.map(|at| text(item, at)).to_vec()
                };
                let rows: Vec<Vec<String>> = items.iter().map(row).collect();
                let head = ["ID", "STATE", "BY", "UNTIL", "USES", "REVIEW DUE", "WHY"];
                out.list(&items, "the glass was never broken", |_| columns(&head, &rows, out.is_terminal()));
            }
            Glass::Break(wanted) => {
                let Break { actions, targets, minutes, message } = &wanted;
                let body = json!({"actions": actions, "targets": targets, "minutes": minutes, "reason": message});
                let glass = client.post("/api/v1/break-glass", &body).await?;
                let (id, until) = (text(&glass, "/approval"), text(&glass, "/until"));
                let due = text(&glass, "/review_due");
                out.document(&glass, |_| {
                    format!("{id} stands until {until}\nthe approvers are told; somebody must review it by {due}\n")
                });
                out.next(&format!("writ glass end {id}"));
            }
            Glass::End { id } => {
                let glass = client.post(&command(&id, "end"), &json!({})).await?;
                out.document(&glass, |_| format!("{id} is over\n"));
                out.next(&format!("writ glass review {id} --as NAME -m WORDS, by somebody else"));
            }
            Glass::Review(Review { id, message, unjustified }) => {
                let body = json!({"reason": message, "justified": !unjustified});
                let glass = client.post(&command(&id, "review"), &body).await?;
                out.document(&glass, |_| format!("{id} is reviewed\n"));
                out.next(&format!("writ why {id}"));
            }
        }
        Ok(exit::OK)
    }
}

fn command(id: &str, word: &str) -> String {
    format!("/api/v1/break-glass/{}/{word}", escaped(id))
}
