//! How far each action of healing goes on its own: `writ incident shadows | judge | modes | mode`.

use super::change::tell;
use super::{Failure, clock, items, text};
use crate::Common;
use crate::client::{Client, escaped};
use crate::exit::{self, Exit};
use crate::out::columns;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

/// What would have been done
#[derive(Debug, Args)]
pub(crate) struct Shadows {
    /// On this component
    #[arg(long)]
    component: Option<String>,
    /// By this action: `restart_instance`
    #[arg(long)]
    action: Option<String>,
    /// About this incident
    #[arg(long, value_name = "ID")]
    incident: Option<String>,
    /// Of which people say this
    #[arg(long, value_enum)]
    opinion: Option<Opinion>,
}

/// What people say of what would have been done.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Opinion {
    /// Nobody judged it.
    Unjudged,
    /// Whoever judged it says that it was right.
    Right,
    /// Somebody says that it was wrong.
    Wrong,
}

impl Opinion {
    fn word(self) -> &'static str {
        match self {
            Opinion::Unjudged => "unjudged",
            Opinion::Right => "right",
            Opinion::Wrong => "wrong",
        }
    }
}

impl Shadows {
    fn query(&self) -> String {
        let wanted = [
            ("component", self.component.as_deref()),
            ("action", self.action.as_deref()),
            ("incident", self.incident.as_deref()),
            ("opinion", self.opinion.map(Opinion::word)),
        ];
        wanted.iter().filter_map(|(name, value)| Some(format!("&{name}={}", escaped((*value)?)))).collect()
    }

    pub(crate) async fn run(self, common: &Common) -> Result<Exit, Failure> {
        let (out, items) = (common.out(), decisions(&common.client()?, &self.query()).await?);
        let row = |item: &Value| {
            let targets = item.pointer("/remedy/targets").and_then(Value::as_array).into_iter().flatten();
            let targets: Vec<String> = targets.map(|target| text(target, "/instance")).collect();
            let said = item.get("judgements").and_then(Value::as_array).into_iter().flatten();
            let said: Vec<String> = said.map(|one| format!("{}: {}", text(one, "/by"), text(one, "/reason"))).collect();
            let fields = ["/decision", "/opinion", "/component", "/action"].map(|at| text(item, at)).to_vec();
            let rest = vec![targets.join(","), text(item, "/because"), clock(item, "/at"), said.join("; ")];
            [fields, rest].concat()
        };
        let rows: Vec<Vec<String>> = items.iter().map(row).collect();
        let head = ["ID", "JUDGED", "COMPONENT", "ACTION", "INSTANCES", "BECAUSE", "AT", "WHY"];
        out.list(&items, "nothing was only recorded", |_| columns(&head, &rows, out.is_terminal()));
        if let Some(open) = items.iter().find(|item| text(item, "/opinion") == "unjudged") {
            out.next(&format!("writ incident judge {} --right --reason REASON, or --wrong", text(open, "/decision")));
        }
        Ok(exit::OK)
    }
}

/// All shadow decisions that a query finds.
async fn decisions(client: &Client, query: &str) -> Result<Vec<Value>, Failure> {
    Ok(client.all("/api/v1/shadow-decisions", query).await?)
}

/// A word on what would have been done
#[derive(Debug, Args)]
pub(crate) struct Judge {
    /// The incident, or one decision by the id of its entry
    id: String,
    /// It would have been right to do it
    #[arg(long, required_unless_present = "wrong", conflicts_with = "wrong")]
    right: bool,
    /// It would have been wrong to do it
    #[arg(long)]
    wrong: bool,
    /// Why; the words stand beside the journal and can be erased
    #[arg(short = 'm', long, alias = "message")]
    reason: String,
}

impl Judge {
    pub(crate) async fn run(self, common: &Common) -> Result<Exit, Failure> {
        let (out, client) = (common.out(), common.client()?);
        let id = if self.id.starts_with("evt_") { self.id } else { only_decision(&client, &self.id).await? };
        let body = json!({"right": self.right, "reason": self.reason});
        let answer = client.post(&format!("/api/v1/shadow-decisions/{}/judgement", escaped(&id)), &body).await?;
        out.document(&answer, |_| format!("{id} is judged {}\n", text(&answer, "/said")));
        out.next("writ incident modes");
        Ok(exit::OK)
    }
}

/// The one decision that there is about an incident.
async fn only_decision(client: &Client, incident: &str) -> Result<String, Failure> {
    let found = decisions(client, &format!("&incident={}", escaped(incident))).await?;
    let refused = |exit, text, hint: String| Failure::Other { exit, text, hint: Some(hint) };
    match found.as_slice() {
        [one] => Ok(text(one, "/decision")),
        [] => Err(refused(
            exit::NOT_FOUND,
            format!("nothing was only recorded about `{incident}`"),
            "writ incident shadows".into(),
        )),
        more => Err(refused(
            exit::USAGE,
            format!("{} decisions about `{incident}` were only recorded; name one", more.len()),
            format!("writ incident shadows --incident {incident}"),
        )),
    }
}

/// Lists how far each action goes.
pub(crate) async fn modes(common: &Common) -> Result<Exit, Failure> {
    let (out, page) = (common.out(), common.client()?.get("/api/v1/modes").await?);
    let items = items(&page);
    let row = |item: &Value| {
        let from = match text(item, "/approval") {
            none if none.is_empty() => text(item, "/origin"),
            approval => format!("{} {approval}", text(item, "/origin")),
        };
        let fields = ["/component", "/action", "/mode"].map(|at| text(item, at)).to_vec();
        let judged = ["/right", "/wrong", "/unjudged"].map(|at| text(item, at)).to_vec();
        [fields, vec![from], judged].concat()
    };
    let rows: Vec<Vec<String>> = items.iter().map(row).collect();
    let head = ["COMPONENT", "ACTION", "MODE", "FROM", "RIGHT", "WRONG", "UNJUDGED"];
    out.list(&items, "no component is watched", |_| columns(&head, &rows, out.is_terminal()));
    out.next("writ incident shadows");
    Ok(exit::OK)
}

/// How far an action is to go
#[derive(Debug, Args)]
pub(crate) struct Change {
    /// The component
    component: String,
    /// The action: `restart_instance`
    action: String,
    /// How far: what it would do is recorded, a person is asked each time, or it acts under its standing approval
    #[arg(value_enum)]
    mode: Far,
    /// Decisions that were judged right and speak for it; none are needed to go less far
    #[arg(long = "cite", value_delimiter = ',', value_name = "ID")]
    cites: Vec<String>,
    /// Why; the words stand beside the journal and can be erased
    #[arg(short = 'm', long, alias = "message", default_value = "")]
    reason: String,
}

/// How far an action goes on its own.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Far {
    /// What it would do is recorded.
    Shadow,
    /// A person is asked each time.
    Propose,
    /// It acts.
    Auto,
}

impl Change {
    pub(crate) async fn run(self, common: &Common) -> Result<Exit, Failure> {
        let mode = match self.mode {
            Far::Shadow => "shadow",
            Far::Propose => "propose",
            Far::Auto => "auto",
        };
        let path = format!("/api/v1/modes/{}/{}", escaped(&self.component), escaped(&self.action));
        let body = json!({"mode": mode, "cites": self.cites, "reason": self.reason});
        let answer = common.client()?.post(&path, &body).await?;
        let done = format!("{} of {} goes as far as {mode}", self.action, self.component);
        Ok(tell(common, &answer, &done, "writ incident modes"))
    }
}
