//! `writ waiver` and `writ maintenance`.

use super::{Failure, holds, text};
use crate::Common;
use crate::client::escaped;
use crate::exit::{self, Exit};
use crate::out::columns;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

/// Exceptions from rules, for a while, when somebody else agrees
#[derive(Debug, Subcommand)]
pub(crate) enum Waiver {
    /// List waivers, newest last
    List,
    /// Ask for one
    Ask(Ask),
    /// Grant one that somebody else asked for; needs the role `approver`
    Grant(Answer),
    /// Refuse one
    Refuse(Answer),
    /// Take one back before its end
    Revoke(Answer),
}

/// A waiver, and why
#[derive(Debug, Args)]
pub(crate) struct Answer {
    /// Its id
    id: String,
    /// Why; the words stand beside the journal and can be erased
    #[arg(short, long, default_value = "")]
    message: String,
}

/// Ask for a waiver
#[derive(Debug, Args)]
pub(crate) struct Ask {
    /// The rule that is not to hold
    rule: String,
    /// Where: an intent's id or a resource; `*` stands for any letters
    #[arg(long)]
    subject: String,
    /// For how long: `7d`, `12h`, `30m`; at most 90 days
    #[arg(long)]
    ttl: String,
    /// Why; the words stand beside the journal and can be erased
    #[arg(short, long)]
    message: String,
}

impl Waiver {
    pub(crate) async fn run(self, common: &Common) -> Result<Exit, Failure> {
        let (out, client) = (common.out(), common.client()?);
        match self {
            Waiver::List => {
                let items = client.all("/api/v1/waivers", "").await?;
                let row = |item: &Value| {
                    let fields = ["/rule", "/subject", "/author", "/expires_at", "/reason"].map(|at| text(item, at));
                    [vec![text(item, "/waiver"), text(item, "/state")], fields.to_vec()].concat()
                };
                let rows: Vec<Vec<String>> = items.iter().map(row).collect();
                let head = ["ID", "STATE", "RULE", "SUBJECT", "ASKED BY", "UNTIL", "WHY"];
                out.list(&items, "no waivers", |_| columns(&head, &rows, out.is_terminal()));
                Ok(exit::OK)
            }
            Waiver::Ask(ask) => {
                let seconds = super::recommend::seconds(&ask.ttl)?;
                let body = json!({"rule": ask.rule, "subject": ask.subject, "seconds": seconds, "reason": ask.message});
                let answer = client.post("/api/v1/waivers", &body).await?;
                let id = text(&answer, "/waiver");
                out.document(&answer, |_| format!("{id} is asked for\n"));
                super::warn(out, &answer);
                out.next(&format!("writ waiver grant {id} --as NAME -m REASON, by somebody else"));
                Ok(exit::OK)
            }
            Waiver::Grant(said) => answer(common, &said, "grant").await,
            Waiver::Refuse(said) => answer(common, &said, "refuse").await,
            Waiver::Revoke(said) => answer(common, &said, "revoke").await,
        }
    }
}

async fn answer(common: &Common, Answer { id, message }: &Answer, word: &str) -> Result<Exit, Failure> {
    let out = common.out();
    let body = json!({"reason": message});
    let answer = common.client()?.post(&format!("/api/v1/waivers/{}/{word}", escaped(id)), &body).await?;
    out.document(&answer, |_| format!("{id} is {}\n", text(&answer, "/state")));
    out.next("writ waiver list");
    Ok(exit::OK)
}

/// The freeze of changes; what it stops is for policies to say
#[derive(Debug, Subcommand)]
pub(crate) enum Maintenance {
    /// Freeze changes
    Begin {
        /// Why; it is recorded
        #[arg(short, long, default_value = "")]
        message: String,
    },
    /// Let changes through again
    End {
        /// Why; it is recorded
        #[arg(short, long, default_value = "")]
        message: String,
    },
    /// Say whether changes are frozen
    Show,
}

impl Maintenance {
    pub(crate) async fn run(self, common: &Common) -> Result<Exit, Failure> {
        let (out, client) = (common.out(), common.client()?);
        let path = "/api/v1/maintenance";
        let answer = match self {
            Maintenance::Begin { message } => client.post(path, &json!({"on": true, "reason": message})).await?,
            Maintenance::End { message } => client.post(path, &json!({"on": false, "reason": message})).await?,
            Maintenance::Show => client.get(path).await?,
        };
        let on = holds(&answer, "on");
        out.document(&answer, |_| if on { "changes are frozen\n".into() } else { "changes go through\n".into() });
        if on {
            out.next("writ maintenance end");
        }
        Ok(exit::OK)
    }
}
