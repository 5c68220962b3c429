//! `writ run`.

use super::list::Which;
use super::{Failure, clock, newest, state, text};
use crate::Common;
use crate::client::{ClientError, escaped};
use crate::exit::{self, Exit};
use crate::out::{Form, columns};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// Between two looks at a run that is watched.
const LOOK: Duration = Duration::from_millis(60);

/// Runs
#[derive(Debug, Subcommand)]
pub(crate) enum Run {
    /// List runs, newest last
    List {
        #[command(flatten)]
        which: Which,
        /// Those of this intent
        #[arg(long)]
        intent: Option<String>,
    },
    /// Show a run, or the `last`: its phases, steps, and why it waits
    Get { id: String },
    /// Follow a run, or the `last`, to its end
    Watch { id: String },
    /// Start nothing more; what runs may finish
    Pause { id: String },
    /// Go on
    Resume { id: String },
    /// End it
    Cancel(Cancel),
    /// Try a failed step again, in the same run
    Retry(Step),
    /// Work out anew what is left to do, from the world as it is, and go on with that; the run must be paused
    Replan { id: String },
    /// Take back what was done
    Rollback { id: String },
    /// Say what came of a step that nobody else can tell
    Resolve(Resolve),
}

/// End it
#[derive(Debug, Args)]
pub(crate) struct Cancel {
    id: String,
    /// Take back what was done
    #[arg(long)]
    compensate: bool,
}

/// A step of a run
#[derive(Debug, Args)]
pub(crate) struct Step {
    id: String,
    /// The step's key
    #[arg(long)]
    step: String,
}

/// Say what came of a step
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("came").required(true).args(["happened", "absent"])))]
pub(crate) struct Resolve {
    id: String,
    /// The step's key
    #[arg(long)]
    step: String,
    /// The effect is there
    #[arg(long)]
    happened: bool,
    /// The effect is not there
    #[arg(long)]
    absent: bool,
    /// How you know
    #[arg(short, long)]
    message: String,
}

impl Run {
    pub(crate) async fn run(self, common: &Common) -> Result<Exit, Failure> {
        match self {
            Run::List { which, intent } => {
                let query = which.query(&[("intent", &intent)]);
                super::list::list(common, ("runs", &query), &["ID", "INTENT", "ORIGIN", "STATE", "AT"], |item| {
                    vec![
                        text(item, "/id"),
                        text(item, "/intent"),
                        text(item, "/context/origin"),
                        state(item),
                        clock(item, "/last/at"),
                    ]
                })
                .await
            }
            Run::Get { id } => get(common, &id).await,
            Run::Watch { id } => {
                let client = common.client()?;
                let id = newest(&client, &id, "runs").await?;
                // One that there is not, and one of which nobody may know, does not go on.
                client.get(&execution(&id)).await?;
                let state = watch(common, &id).await?;
                let out = common.out();
                if matches!(out.form, Form::Json | Form::Yaml) {
                    let run = client.get(&execution(&id)).await?;
                    out.document(&run, |_| String::new());
                }
                out.next(&format!("writ why {id}"));
                Ok(Exit::of_run(&state))
            }
            Run::Pause { id } => tell(common, &id, "pause", json!({})).await,
            Run::Resume { id } => tell(common, &id, "resume", json!({})).await,
            Run::Replan { id } => tell(common, &id, "replan", json!({})).await,
            Run::Rollback { id } => tell(common, &id, "rollback", json!({})).await,
            Run::Cancel(cancel) => tell(common, &cancel.id, "cancel", json!({"compensate": cancel.compensate})).await,
            Run::Retry(retry) => tell(common, &retry.id, "retry", json!({"step": retry.step})).await,
            Run::Resolve(resolve) => {
                let body = json!({"step": resolve.step, "happened": resolve.happened, "reason": resolve.message});
                tell(common, &resolve.id, "resolve", body).await
            }
        }
    }
}

async fn tell(common: &Common, id: &str, command: &str, body: Value) -> Result<Exit, Failure> {
    let out = common.out();
    let answer = common.client()?.post(&format!("/api/v1/runs/{}/{command}", escaped(id)), &body).await?;
    out.document(&answer, |_| format!("{id} is {}\n", state(&answer)));
    out.next(&format!("writ run watch {id}"));
    Ok(exit::OK)
}

async fn get(common: &Common, id: &str) -> Result<Exit, Failure> {
    let (out, client) = (common.out(), common.client()?);
    let id = newest(&client, id, "runs").await?;
    let run = client.get(&execution(&id)).await?;
    out.document(&run, |_| {
        let mut all = format!("{id}  {}\n", state(&run));
        let waiting = text(&run, "/waiting");
        if !waiting.is_empty() {
            all.push_str(&format!("waits  {waiting}\n"));
        }
        let rows: Vec<Vec<String>> = steps(&run)
            .map(|step| {
                vec![
                    text(step, "/state"),
                    text(step, "/action"),
                    text(step, "/verb"),
                    text(step, "/resource"),
                    text(step, "/attempts"),
                    text(step, if step.get("waiting").is_some_and(Value::is_string) { "/waiting" } else { "/because" }),
                ]
            })
            .collect();
        all.push_str(&columns(&["STATE", "ACTION", "DOES", "RESOURCE", "ATTEMPTS", "WHY"], &rows, out.is_terminal()));
        all
    });
    out.next(&format!("writ why {id}"));
    Ok(exit::OK)
}

fn steps(run: &Value) -> impl Iterator<Item = &Value> {
    run.get("steps").and_then(Value::as_array).into_iter().flatten()
}

fn execution(id: &str) -> String {
    format!("/api/v1/runs/{}/execution", escaped(id))
}

/// Follows a run that was begun and prints a line for each step that changes, beside the answer where that is one document. The state
/// it ended in, or waits for people in. Where it can be followed no more, what becomes of it is said.
pub(crate) async fn watch(common: &Common, id: &str) -> Result<String, Failure> {
    let watched = follow(common, id).await;
    if let Err(failure) = &watched {
        // Who is not answered does not know whether writ is there to go on.
        let goes_on = matches!(failure, Failure::Client(ClientError::Problem { .. }));
        let told = if goes_on { "goes on without this command" } else { "is followed no more" };
        common.out().say(&format!("run    {id} {told}; `writ run watch {id}` follows it again"));
    }
    watched
}

async fn follow(common: &Common, id: &str) -> Result<String, Failure> {
    let (out, client) = (common.out(), common.client()?);
    let path = execution(id);
    let mut shown: BTreeMap<String, String> = BTreeMap::new();
    let ndjson = out.form == Form::Ndjson;
    let tell = |line: &str| match out.form {
        Form::Table | Form::Wide | Form::Ndjson => out.line(line),
        Form::Json | Form::Yaml | Form::Sarif | Form::Junit => out.say(line),
    };
    if ndjson {
        out.line(&json!({"type": "version", "stream": "run/1.0"}).to_string());
    }
    loop {
        let run = client.get(&path).await?;
        for step in steps(&run) {
            let (key, state) = (text(step, "/key"), text(step, "/state"));
            if shown.get(&key) == Some(&state) || matches!(state.as_str(), "blocked" | "ready") {
                continue;
            }
            if ndjson {
                out.line(
                    &json!({"type": "step", "key": key, "state": state, "resource": text(step, "/resource")})
                        .to_string(),
                );
            } else {
                tell(&format!("step   {state:<10} {} {}", text(step, "/action"), text(step, "/resource")));
            }
            shown.insert(key, state);
        }
        let state = text(&run, "/state");
        let over = run.get("over").and_then(Value::as_bool).unwrap_or(false);
        if over || matches!(state.as_str(), "awaiting_approval" | "needs_operator") {
            let told = if ndjson {
                json!({"type": "end", "state": state}).to_string()
            } else {
                format!("run    {id} {}", state.replace('_', " "))
            };
            tell(&told);
            let waiting = text(&run, "/waiting");
            if !waiting.is_empty() {
                out.say(&format!("       {waiting}"));
            }
            return Ok(state);
        }
        tokio::time::sleep(LOOK).await;
    }
}
