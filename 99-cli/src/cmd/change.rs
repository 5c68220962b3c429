//! What commands say of changes of what governs: made, or waiting for somebody else.

use super::{Failure, holds, items, listed, text};
use crate::Common;
use crate::client::escaped;
use crate::exit::{self, Exit};
use crate::out::columns;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

/// People and what they may do; changes need the role `admin`, and a second person on a server
#[derive(Debug, Subcommand)]
pub(crate) enum Person {
    /// List everybody who is known
    List,
    /// Make somebody known; a token comes with `writ token issue`
    Add(Add),
    /// Give somebody roles
    Grant(Roles),
    /// Take roles from somebody: from then on no token of theirs has them
    Revoke(Roles),
    /// List what OpenID issuers call somebody
    Links {
        /// The person, by id or name
        person: String,
    },
    /// Link somebody to what an OpenID issuer calls them: whoever it says so of logs in as them
    Link(Link),
    /// Take a link away: sessions that it opened are over at once
    Unlink {
        /// The person, by id or name
        person: String,
        /// The link, by the beginning of its id
        link: String,
    },
}

/// Somebody as an issuer knows them
#[derive(Debug, Args)]
pub(crate) struct Link {
    /// The person, by id or name
    person: String,
    /// What the issuer calls them; whoever is refused at the login page is told it
    #[arg(long)]
    subject: String,
    /// The issuer, if not the one that the server is configured with
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// Why
    #[arg(short, long, default_value = "")]
    message: String,
}

/// Make somebody known
#[derive(Debug, Args)]
pub(crate) struct Add {
    /// What they are called; the name stands beside the journal and can be erased
    name: String,
    /// What they may do, everywhere or for a part: `operator`, `operator@team:payments/env:prod`
    #[arg(long = "role", required = true, value_delimiter = ',', value_name = "ROLE")]
    roles: Vec<String>,
    /// Why
    #[arg(short, long, default_value = "")]
    message: String,
}

/// Somebody's roles
#[derive(Debug, Args)]
pub(crate) struct Roles {
    /// The person, by id or name
    person: String,
    /// Which, everywhere or for a part: `approver`, `approver@team:payments`, `approver@env:prod`
    #[arg(long = "role", required = true, value_delimiter = ',', value_name = "ROLE")]
    roles: Vec<String>,
    /// Why
    #[arg(short, long, default_value = "")]
    message: String,
}

impl Person {
    pub(crate) async fn run(self, common: &Common) -> Result<Exit, Failure> {
        let (out, client) = (common.out(), common.client()?);
        let of = |person: &str| format!("/api/v1/principals/{}/roles", escaped(person));
        match self {
            Person::List => {
                let people = client.all("/api/v1/principals", "").await?;
                let row = |one: &Value| vec![text(one, "/principal"), text(one, "/name"), listed(one, "/roles")];
                let rows: Vec<Vec<String>> = people.iter().map(row).collect();
                out.list(&people, "nobody", |_| columns(&["ID", "NAME", "ROLES"], &rows, out.is_terminal()));
                Ok(exit::OK)
            }
            Person::Add(add) => {
                let body = json!({"name": add.name, "roles": add.roles, "reason": add.message});
                let answer = client.post("/api/v1/principals", &body).await?;
                Ok(tell(common, &answer, &format!("{} is known", add.name), "writ token issue NAME -m REASON"))
            }
            Person::Grant(roles) => {
                let body = json!({"grant": roles.roles, "reason": roles.message});
                let answer = client.post(&of(&roles.person), &body).await?;
                let done = format!("{} holds {}", roles.person, roles.roles.join(", "));
                Ok(tell(common, &answer, &done, "writ token issue NAME -m REASON, for a token that has them"))
            }
            Person::Revoke(roles) => {
                let body = json!({"revoke": roles.roles, "reason": roles.message});
                let answer = client.post(&of(&roles.person), &body).await?;
                let done = format!("{} does not hold {}", roles.person, roles.roles.join(", "));
                Ok(tell(common, &answer, &done, "writ person list"))
            }
            Person::Links { person } => {
                let page = client.get(&format!("/api/v1/principals/{}/links", escaped(&person))).await?;
                let links = items(&page);
                let row = |one: &Value| vec![text(one, "/id"), text(one, "/of"), text(one, "/since")];
                let rows: Vec<Vec<String>> = links.iter().map(row).collect();
                out.list(&links, "no links", |_| columns(&["ID", "OF", "SINCE"], &rows, out.is_terminal()));
                Ok(exit::OK)
            }
            Person::Link(link) => {
                let body = json!({"subject": link.subject, "issuer": link.issuer, "reason": link.message});
                let answer = client.post(&format!("/api/v1/principals/{}/links", escaped(&link.person)), &body).await?;
                let done = format!("{} logs in as {}", link.subject, link.person);
                Ok(tell(common, &answer, &done, &format!("writ person links {}", link.person)))
            }
            Person::Unlink { person, link } => {
                let path = format!("/api/v1/principals/{}/links/{}", escaped(&person), escaped(&link));
                let gone = client.delete(&path).await?;
                out.document(&gone, |_| format!("{} does not log in as {person} any more\n", text(&gone, "/of")));
                out.next(&format!("writ person links {person}"));
                Ok(exit::OK)
            }
        }
    }
}

/// Standing approvals: what people agree to beforehand, for automatic remedies to cite
#[derive(Debug, Subcommand)]
pub(crate) enum Standing {
    /// List those that were granted and not taken back
    List,
    /// Propose one; somebody else agrees with `writ approve`
    Propose(Propose),
    /// Take one back: people are asked again
    Revoke { id: String },
}

/// Propose a standing approval
#[derive(Debug, Args)]
pub(crate) struct Propose {
    /// The actions it is for; `*` stands for any text
    #[arg(long = "for", required = true, value_delimiter = ',', value_name = "ACTIONS")]
    actions: Vec<String>,
    /// The resources it is for; `*` stands for any text
    #[arg(long = "on", required = true, value_delimiter = ',', value_name = "TARGETS")]
    targets: Vec<String>,
    /// How often in a period: `5/1h`
    #[arg(long, value_name = "N/PERIOD")]
    budget: String,
    /// For how long: `30d`; at most 90 days
    #[arg(long)]
    ttl: String,
    /// Why
    #[arg(short, long, default_value = "")]
    message: String,
}

impl Standing {
    pub(crate) async fn run(self, common: &Common) -> Result<Exit, Failure> {
        let (out, client) = (common.out(), common.client()?);
        match self {
            Standing::List => {
                let all = client.all("/api/v1/standing", "").await?;
                let row = |one: &Value| {
                    let state = if holds(one, "holds") { "holds" } else { "over" };
                    let budget = format!("{} in {} s", text(one, "/budget/count"), text(one, "/budget/period_seconds"));
                    let (actions, targets) = (listed(one, "/actions"), listed(one, "/targets"));
                    let (author, approvers) = (text(one, "/author"), listed(one, "/approvers"));
                    vec![
                        text(one, "/id"),
                        state.into(),
                        actions,
                        targets,
                        budget,
                        author,
                        approvers,
                        text(one, "/expires_at"),
                    ]
                };
                let rows: Vec<Vec<String>> = all.iter().map(row).collect();
                let head = ["ID", "STATE", "FOR", "ON", "BUDGET", "AUTHOR", "APPROVED BY", "UNTIL"];
                out.list(&all, "nothing is agreed to beforehand", |_| columns(&head, &rows, out.is_terminal()));
                Ok(exit::OK)
            }
            Standing::Propose(wanted) => {
                let wrong = || Failure::Other {
                    exit: exit::USAGE,
                    text: format!("`{}` is no budget", wanted.budget),
                    hint: Some("write it as `5/1h`: five in an hour".into()),
                };
                let (count, period) = wanted.budget.split_once('/').ok_or_else(wrong)?;
                let count: u32 = count.parse().map_err(|_| wrong())?;
                let budget = json!({"count": count, "period_seconds": super::recommend::seconds(period)?});
                let body = json!({
                    "actions": wanted.actions, "targets": wanted.targets, "budget": budget,
                    "seconds": super::recommend::seconds(&wanted.ttl)?, "reason": wanted.message,
                });
                let answer = client.post("/api/v1/standing", &body).await?;
                Ok(tell(common, &answer, "it stands", "writ standing list"))
            }
            Standing::Revoke { id } => {
                let answer = client.post(&format!("/api/v1/standing/{}/revoke", escaped(&id)), &json!({})).await?;
                out.document(&answer, |_| format!("{id} is revoked\n"));
                out.next("writ standing list");
                Ok(exit::OK)
            }
        }
    }
}

/// Says what came of a proposed change.
pub(crate) fn tell(common: &Common, answer: &Value, done: &str, next: &str) -> Exit {
    let out = common.out();
    let id = text(answer, "/approval");
    if id.is_empty() {
        out.document(answer, |_| format!("{done}\n"));
        out.next(next);
        return exit::OK;
    }
    let shown = answer.get("change").map(described).unwrap_or_default();
    out.document(answer, |_| format!("{id} waits for somebody else\n{shown}"));
    out.next(&format!("writ approve {id} --as NAME -m REASON, by somebody else"));
    exit::WAITING
}

/// A proposed change: what is so now, what would be, and what policies would have decided.
pub(crate) fn described(change: &Value) -> String {
    let mut told = format!("changes   {} of {}\n", text(change, "/sort"), text(change, "/subject"));
    if change.get("reason").is_some_and(Value::is_string) {
        told.push_str(&format!("because   {}\n", text(change, "/reason")));
    }
    let (before, after) = (change.get("before"), change.get("after"));
    for field in fields(before).into_iter().chain(fields(after)).collect::<std::collections::BTreeSet<_>>() {
        let of = |side: Option<&Value>| side.and_then(|side| side.get(&field)).cloned().unwrap_or_default();
        let (was, will) = (of(before), of(after));
        if was == will {
            continue;
        }
        if let (Some(was), Some(will)) = (was.as_array(), will.as_array()) {
            let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            told.extend(
                was.iter().filter(|one| !will.contains(one)).map(|one| format!("  - {field}: {}\n", plain(one))),
            );
            told.extend(
                will.iter().filter(|one| !was.contains(one)).map(|one| format!("  + {field}: {}\n", plain(one))),
            );
            continue;
        }
        if !was.is_null() {
            told.push_str(&format!("  - {field}: {}\n", text(&was, "")));
        }
        if !will.is_null() {
            told.push_str(&format!("  + {field}: {}\n", text(&will, "")));
        }
    }
    for cited in after.and_then(|after| after.get("cites")?.as_array()).into_iter().flatten() {
        let judged = cited.get("judged").and_then(Value::as_object).into_iter().flatten();
        let judged: Vec<String> = judged.map(|(who, said)| format!("{who} says {}", text(said, ""))).collect();
        let (decision, at, because) = (text(cited, "/decision"), text(cited, "/at"), text(cited, "/because"));
        told.push_str(&format!("  cites {decision} of {at}: {because}; {}\n", judged.join(", ")));
    }
    let impact = change.get("impact").filter(|impact| impact.is_object());
    if let Some(impact) = impact {
        let (all, others) = (text(impact, "/decisions"), text(impact, "/others"));
        told.push_str(&format!("decisions {others} of the last {all} would have been others\n"));
        for one in impact.get("told").and_then(Value::as_array).into_iter().flatten() {
            let (action, resource) = (text(one, "/action"), text(one, "/resource"));
            let because = text(one, "/because");
            told.push_str(&format!(
                "  {action} {resource}: {} → {}  {because}\n",
                text(one, "/was"),
                text(one, "/would")
            ));
        }
    }
    told
}

fn fields(side: Option<&Value>) -> Vec<String> {
    side.and_then(Value::as_object).into_iter().flat_map(|fields| fields.keys().cloned()).collect()
}
