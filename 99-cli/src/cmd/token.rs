//! `writ token`.

use super::{Failure, listed, text};
use crate::Common;
use crate::client::escaped;
use crate::exit::{self, Exit};
use crate::out::columns;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Tokens, and the people whose they are; needs the role `admin`
#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// List the tokens that are good
    List,
    /// Issue a token for a person; it is shown once
    Issue(Issue),
    /// Revoke a token: from then on it is refused
    Revoke {
        /// The token's id, or how it begins
        id: String,
    },
}

/// Issue a token for a person
#[derive(Debug, Args)]
pub(crate) struct Issue {
    /// The person, by id or name; with `--enrol`, the name of somebody new
    principal: String,
    /// Make somebody known who was not
    #[arg(long, requires = "roles")]
    enrol: bool,
    /// What it may be used for, of what the person may do; without, all of it
    #[arg(long, value_delimiter = ',', value_name = "ROLE")]
    roles: Option<Vec<String>>,
    /// For how long it is good: `8h`, `90d`; without, until it is revoked
    #[arg(long, value_name = "SPAN")]
    ttl: Option<String>,
    /// Why; needed for the token of anybody else, and recorded
    #[arg(short, long, default_value = "")]
    message: String,
    /// Write the token to a file that only its owner can read, instead of showing it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Token {
    pub(crate) async fn run(self, common: &Common) -> Result<Exit, Failure> {
        let (out, client) = (common.out(), common.client()?);
        match self {
            Token::List => {
                let tokens = client.all("/api/v1/tokens", "").await?;
                let people = client.all("/api/v1/principals", "").await?;
                let named = |token: &Value| {
                    let mut token = token.clone();
                    let of = people.iter().find(|person| person.get("principal") == token.get("principal"));
                    token["name"] = of.and_then(|person| person.get("name")).cloned().unwrap_or_default();
                    token
                };
                let mut all: Vec<Value> = tokens.iter().map(named).collect();
                all.sort_by_key(|token| text(token, "/principal"));
                let rows: Vec<Vec<String>> = all
                    .iter()
                    .map(|token| {
                        let roles = listed(token, "/roles");
                        let by = format!("{}:{}", text(token, "/issued_by/kind"), text(token, "/issued_by/id"));
                        vec![
                            text(token, "/id"),
                            text(token, "/principal"),
                            text(token, "/name"),
                            roles,
                            until(token),
                            by,
                        ]
                    })
                    .collect();
                let head = ["ID", "PRINCIPAL", "NAME", "ROLES", "UNTIL", "ISSUED BY"];
                out.list(&all, "no tokens", |_| columns(&head, &rows, out.is_terminal()));
            }
            Token::Issue(issue) => {
                let Issue { principal, enrol, roles, ttl, message, .. } = &issue;
                let mut body = json!({"principal": principal, "enrol": enrol, "roles": roles, "reason": message});
                if let Some(ttl) = ttl {
                    body["seconds"] = json!(super::recommend::seconds(ttl)?);
                }
                let mut token = client.post("/api/v1/tokens", &body).await?;
                if !text(&token, "/approval").is_empty() {
                    let waits = super::change::tell(common, &token, "", "");
                    out.next(&format!("writ token issue {principal:?} -m REASON, once somebody has agreed"));
                    return Ok(waits);
                }
                if let Some(path) = &issue.out {
                    write(path, &text(&token, "/token")).map_err(|error| {
                        // What nobody has read must not stay good.
                        Failure::Other {
                            exit: exit::FAILED,
                            text: format!("`{}` cannot be written: {error}", path.display()),
                            hint: Some(format!("writ token revoke {}", text(&token, "/id"))),
                        }
                    })?;
                    token["token"] = json!(null);
                }
                out.document(&token, |_| {
                    let secret = match &issue.out {
                        Some(path) => format!("in {}", path.display()),
                        None => format!("{}  (shown this once)", text(&token, "/token")),
                    };
                    let whose = format!("{} ({})", text(&token, "/principal"), text(&token, "/name"));
                    format!(
                        "token  {secret}\nid     {}\nfor    {whose}\nuntil  {}\n",
                        text(&token, "/id"),
                        until(&token)
                    )
                });
                out.next(&format!("writ token revoke {}", text(&token, "/id")));
            }
            Token::Revoke { id } => {
                let token = client.delete(&format!("/api/v1/tokens/{}", escaped(&id))).await?;
                out.document(&token, |_| {
                    format!("revoked {} of {}\n", text(&token, "/id"), text(&token, "/principal"))
                });
                out.next("writ token list");
            }
        }
        Ok(exit::OK)
    }
}

/// Until when a token is good.
fn until(token: &Value) -> String {
    match text(token, "/expires_at") {
        until if until.is_empty() => "it is revoked".to_owned(),
        until => until,
    }
}

fn write(path: &Path, secret: &str) -> std::io::Result<()> {
    let mut file = std::fs::File::options().create_new(true).write(true).mode(0o600).open(path)?;
    file.write_all(format!("{secret}\n").as_bytes())?;
    file.sync_all()
}
