//! `writ dev`.

use super::config::Configured;
use super::server::{Ends, not_started, now};
use super::{Failure, holds};
use crate::Common;
use crate::client::{Client, ClientError};
use crate::exit::{self, Exit};
use clap::Args;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use writ_pipeline::input::load;
use writ_server::{Beginning, Config, Server, begin_log, read_files};

/// How often the intent is handed in again while what an earlier `dev` left of it comes to its end.
const BUSY_MAX: u32 = 250;

/// Run everything on this machine from one directory, until interrupted
///
/// Opens (or takes up again) the state directory, serves the API on loopback, submits the directory's `intent.yaml`, and
/// watches and heals what it brings up. Ctrl-C stops everything that was started, once what is being carried out has come to its
/// end; unless `--keep` is given.
#[derive(Debug, Args)]
pub(crate) struct Dev {
    /// The directory with `intent.yaml`, `platform.yaml`, `agents.yaml`, `commands.yaml`, `policies/`, `contracts/` and `playbooks/`
    dir: PathBuf,
    /// Leave everything running at the end; the next `dev` takes it up again
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    configured: Configured,
    /// Open the state and serve, and submit nothing
    #[arg(long)]
    no_submit: bool,
}

/// Arguments that a face reads itself.
#[derive(Debug, Args)]
pub(crate) struct Face {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) args: Vec<String>,
}

impl Dev {
    pub(crate) async fn run(self, common: &Common) -> Result<Exit, Failure> {
        let out = common.out();
        let own = [("the directory", "files", self.dir.display().to_string())];
        let config = self.configured.resolve(Config::dev(), common, &own)?.config;
        // Wherever its state is configured to be, its own commands look there.
        let common = &Common { state: config.state.clone(), ..common.clone() };
        begin_log(config.log);
        let files = read_files(&config.files).map_err(Failure::Problems)?;
        let manifest = self.dir.join("intent.yaml");
        let text = if self.no_submit {
            Vec::new()
        } else {
            load(&manifest).map_err(|problem| Failure::Problems(vec![problem]))?
        };
        let mut ends = Ends::new()?;
        let began = now();
        let server = Server::start(&config, &files, &Beginning::DEV).await.map_err(|error| not_started(&error))?;
        out.line(&format!(
            "writ   {}  state {}  ready in {} ms",
            server.url,
            common.state.display(),
            began.elapsed().as_millis()
        ));
        if config.console {
            let token = common.state.join("tokens/operator");
            out.line(&format!("open   {}/  and log in with what `cat {}` says", server.url, token.display()));
        }
        let submitted = !self.no_submit;
        if submitted {
            let work = submit(common, &manifest, &text, began);
            tokio::select! {
                done = work => {
                    if let Err(failure) = done {
                        failure.tell(out);
                        // What was brought up before goes on, and what waits for people can only be answered while somebody listens.
                        let waits = failure.exit() == exit::WAITING;
                        if !self.keep && !waits && !serves(common).await {
                            stop(server, true, &mut ends, common).await?;
                            return Ok(failure.exit());
                        }
                    }
                }
                interrupted = ends.one() => {
                    stop(server, !self.keep, &mut ends, common).await?;
                    return Ok(ended(interrupted));
                }
            }
        }
        out.next("writ why last, writ audit verify, or `writ run list` in another terminal; Ctrl-C ends it");
        let interrupted = ends.one().await;
        stop(server, !self.keep, &mut ends, common).await?;
        Ok(ended(interrupted))
    }
}

fn ended(interrupted: bool) -> Exit {
    if interrupted { exit::INTERRUPTED } else { exit::OK }
}

/// Ends it. What people ordered is not undone by that: a run that goes on comes to its end before what it stands on is taken away.
async fn stop(server: Server, all: bool, ends: &mut Ends, common: &Common) -> Result<(), Failure> {
    let out = common.out();
    for run in server.pipeline().drive().going_on().iter().filter(|_| all) {
        out.say(&format!("run    {run} comes to its end first; Ctrl-C again stops everything at once"));
    }
    let left = server.stop(all, ends.again()).await.map_err(|error| Failure::of(exit::FAILED, &error))?;
    match left.first() {
        None if all => out.say("writ   stopped, and everything it started"),
        None => out.say("writ   stopped; what it started keeps running"),
        Some(run) => out.say(&format!(
            "writ   stopped; what it started keeps running, for {run} is not over: the next `dev` takes it up"
        )),
    }
    Ok(())
}

/// Whether an earlier version of something runs here.
async fn serves(common: &Common) -> bool {
    let Ok(client) = common.client() else { return false };
    let processes = client.get("/api/v1/processes").await.unwrap_or_default();
    processes.get("items").and_then(Value::as_array).is_some_and(|items| !items.is_empty())
}

/// Submits the directory's intent and shows what comes of it.
async fn submit(common: &Common, manifest: &Path, text: &[u8], began: Instant) -> Result<(), Failure> {
    let (out, client) = (common.out(), common.client()?);
    let file = json!({"name": manifest.display().to_string(), "text": String::from_utf8_lossy(text)});
    let (mut tries, mut told) = (0, Vec::new());
    let answer = loop {
        // Whatever was waited for may have brought a version into force or taken all away: all is asked again, of the file itself.
        let look = look(&client, &file, manifest).await?;
        for line in look.told {
            if !told.contains(&line) {
                out.line(&out.placed(&line));
                told.push(line);
            }
        }
        let run = match look.next {
            Next::Stays => return show_service(common).await,
            Next::Wait(run) if tries < BUSY_MAX => run,
            Next::Wait(_) => {
                let text =
                    format!("`{}` is not handed in: another version does not come to its end", manifest.display());
                let hint = Some("see what keeps it: `writ why last`".to_owned());
                return Err(Failure::Other { exit: exit::FAILED, text, hint });
            }
            Next::Submit(body) => match client.post("/api/v1/intents", &body).await {
                Err(ClientError::Problem { code, problem, .. }) if code == "busy" && tries < BUSY_MAX => {
                    problem.get("run").and_then(Value::as_str).map(str::to_owned)
                }
                answer => break answer?,
            },
        };
        tries += 1;
        go_on(common, run.as_deref()).await?;
    };
    super::intent::tell_accepted(out, &answer);
    let Some(run) = answer.get("run").and_then(Value::as_str) else {
        out.line("run    nothing has to change");
        return show_service(common).await;
    };
    let state = super::run::watch(common, run).await?;
    if state == "succeeded" {
        out.line(&format!("up     {:.2} s from start to serving", began.elapsed().as_secs_f64()));
        return show_service(common).await;
    }
    let hint = if state == "awaiting_approval" { "writ approval list".to_owned() } else { format!("writ why {run}") };
    Err(Failure::Other { exit: Exit::of_run(&state), text: stands(run, &state), hint: Some(hint) })
}

/// An earlier `dev` ended while this intent was carried out: its run was taken up again, and comes to its end first.
async fn go_on(common: &Common, run: Option<&str>) -> Result<(), Failure> {
    let Some(run) = run else {
        // The run has just ended, and what follows from that is about to be recorded.
        tokio::time::sleep(Duration::from_millis(20)).await;
        return Ok(());
    };
    common.out().line(&format!("run    {run} is taken up again"));
    let state = super::run::watch(common, run).await?;
    if matches!(state.as_str(), "awaiting_approval" | "needs_operator") {
        let hint = Some(format!("writ why {run}"));
        return Err(Failure::Other { exit: Exit::of_run(&state), text: stands(run, &state), hint });
    }
    Ok(())
}

/// How a version stands that people did not want, in the words of `writ intent history`.
const GIVEN_UP: [&str; 2] = ["rejected", "cancelled"];

/// How the directory's intent stands, and what follows for its file.
struct Look {
    /// What is said of it, once.
    told: Vec<String>,
    next: Next,
}

enum Next {
    /// Nothing is handed in.
    Stays,
    /// This is handed in.
    Submit(Value),
    /// A version is being carried out, or all of it taken away: by this run, where it is not over yet.
    Wait(Option<String>),
}

/// Looks how things stand, of the file's own text. While anything moves, nothing is handed in: it could be taken just as what
/// somebody ordered comes into force, and undo that.
async fn look(client: &Client, file: &Value, manifest: &Path) -> Result<Look, ClientError> {
    let as_it_is = || Look { told: Vec::new(), next: Next::Submit(file.clone()) };
    let Some((plan, known)) = planned_and_known(client, file).await? else { return Ok(as_it_is()) };
    let id = super::text(&plan, "/intent");
    if matches!(super::text(&known, "/to").as_str(), "ready" | "executing" | "decommissioning") {
        return Ok(Look { told: Vec::new(), next: Next::Wait(at_work(client, &id).await?) });
    }
    if let Some(told) = taken_away(&id, &known, manifest) {
        return Ok(Look { told: vec![told], next: Next::Stays });
    }
    let (mut look, plan, in_force) = match standing(client, (&plan, &known), &id, manifest).await? {
        Standing::New => (as_it_is(), Some(plan), false),
        Standing::InForce => (as_it_is(), Some(plan), true),
        Standing::Overtaken(told, None) => return Ok(Look { told: vec![told], next: Next::Stays }),
        Standing::Overtaken(told, Some(body)) => {
            let plan = planned(client, &body).await?;
            (Look { told: vec![told], next: Next::Submit(body) }, plan, true)
        }
    };
    if let Some(told) = plan.filter(|_| in_force).and_then(|plan| holds_already(&plan, &known)) {
        look.told.push(told);
        look.next = Next::Stays;
    }
    Ok(look)
}

/// The run that carries the newest version of an intent out, or takes the intent away, while it is not over.
async fn at_work(client: &Client, id: &str) -> Result<Option<String>, ClientError> {
    let escaped = crate::client::escaped;
    // What healed it since may fill pages.
    let moves =
        |run: &Value| matches!(super::text(run, "/context/origin").as_str(), "intent" | "feedback" | "decommission");
    let newest = client.newest("/api/v1/runs", &format!("&intent={}", escaped(id)), moves).await?;
    let Some(run) = newest.map(|run| super::text(&run, "/id")) else { return Ok(None) };
    let stands = client.get(&format!("/api/v1/runs/{}/execution", escaped(&run))).await?;
    Ok(Some(run).filter(|_| !holds(&stands, "over")))
}

/// Whether nothing differs from the manifest in force: then there is nothing to submit.
fn holds_already(plan: &Value, known: &Value) -> Option<String> {
    let unchanged = plan.pointer("/diff/changes").and_then(Value::as_array).is_some_and(Vec::is_empty);
    let id = super::text(plan, "/intent");
    let watched = super::text(known, "/to") == "monitoring";
    (unchanged && watched)
        .then(|| format!("intent {id} v{} is in force; nothing has to change", super::text(known, "/applied_version")))
}

/// How a run stands, as a sentence.
fn stands(run: &str, state: &str) -> String {
    match state {
        "needs_operator" => format!("run `{run}` needs an operator"),
        state => format!("run `{run}` is {}", state.replace('_', " ")),
    }
}

/// What is said of an intent that somebody took away on purpose, or part of it: only a person brings it back.
fn taken_away(id: &str, known: &Value, manifest: &Path) -> Option<String> {
    let (at, file) = (super::text(known, "/last/at"), manifest.display());
    match super::text(known, "/to").as_str() {
        "archived" => {
            Some(format!("intent {id} is archived: taken away at {at}; bring it back with `writ apply -f {file}`"))
        }
        // What a change took away that somebody gave up midway stays away; what lacks for another reason does not.
        state @ ("degraded" | "failed") if holds(known, "unwatched") || took_away(known) => {
            let because = super::text(known, "/because");
            Some(format!("intent {id} is {state}: {because}; have it carried out with `writ apply -f {file}`"))
        }
        _ => None,
    }
}

/// Whether part of an intent was taken away on purpose.
fn took_away(known: &Value) -> bool {
    known.get("taken_away").and_then(Value::as_array).is_some_and(|away| !away.is_empty())
}

/// How the file stands to what was handed in before.
enum Standing {
    /// It asks for something that nobody has asked for yet, or that did not come about though nobody was against it.
    New,
    /// It asks for what is in force.
    InForce,
    /// What is in force was ordered since, or people said no to what the file asks for: what is said of that, and the version in
    /// force as it is handed in, where there is one whose text can be read.
    Overtaken(String, Option<Value>),
}

/// How the file stands: what it asks for decides, however it is written. What somebody ordered since stays so. Problems of that text
/// are told under its own name, for the file has other lines.
async fn standing(
    client: &Client,
    (plan, known): (&Value, &Value),
    id: &str,
    manifest: &Path,
) -> Result<Standing, ClientError> {
    let number = |version: &Value| version.get("version").and_then(Value::as_u64).unwrap_or_default();
    let applied = known.get("applied_version").and_then(Value::as_u64);
    let history = client.all(&format!("/api/v1/intents/{}/history", crate::client::escaped(id)), "").await?;
    let in_force = history.iter().find(|version| applied == Some(number(version)));
    let same = |version: &&Value| version.get("digest").is_some_and(|digest| plan.get("intent_digest") == Some(digest));
    if in_force.is_some_and(|version| same(&version)) {
        return Ok(Standing::InForce);
    }
    let Some(of_file) = history.iter().filter(same).max_by_key(|version| number(version)) else {
        return Ok(Standing::New);
    };
    // What somebody said no to is not asked for again by itself.
    let given_up = Some(super::text(of_file, "/state")).filter(|state| GIVEN_UP.contains(&state.as_str()));
    if given_up.is_none() && applied.is_none_or(|applied| applied < number(of_file)) {
        return Ok(Standing::New);
    }
    let (file, of_file) = (manifest.display(), number(of_file));
    let because = given_up.map(|state| format!(", which was {state}")).unwrap_or_default();
    let Some(applied) = applied else {
        let told = format!("`{file}` is v{of_file} of intent {id}{because}: ask for it with `writ apply -f {file}`");
        return Ok(Standing::Overtaken(told, None));
    };
    let text = match in_force {
        Some(in_force) => manifest_of(client, in_force).await?,
        None => None,
    };
    let told = format!(
        "intent {id} v{applied} is what holds, and `{file}` is v{of_file}{because}: see `writ intent diff {id} {of_file} {applied}`, \
         or ask for it with `writ apply -f {file}`"
    );
    Ok(Standing::Overtaken(told, text.map(|text| json!({"name": format!("{id} v{applied}"), "text": text}))))
}

/// The text that a version was handed in as, where the journal has it.
async fn manifest_of(client: &Client, version: &Value) -> Result<Option<String>, ClientError> {
    let digest = super::text(version, "/manifest");
    let text = client.bytes(&format!("/log/attachment/{}", digest.trim_start_matches("sha256:"))).await?;
    Ok(text.map(|text| String::from_utf8_lossy(&text).into_owned()))
}

/// What the manifest would come to, and what is known of its intent; none where it comes to nothing, or its intent is new.
async fn planned_and_known(client: &Client, body: &Value) -> Result<Option<(Value, Value)>, ClientError> {
    let Some(plan) = planned(client, body).await? else { return Ok(None) };
    let id = super::text(&plan, "/intent");
    match client.get(&format!("/api/v1/intents/{}", crate::client::escaped(&id))).await {
        Err(ClientError::Problem { code, .. }) if code == "not-found" => Ok(None),
        known => Ok(Some((plan, known?))),
    }
}

/// What the manifest would come to; none where whoever hands it in is told what is wrong with it.
async fn planned(client: &Client, body: &Value) -> Result<Option<Value>, ClientError> {
    match client.post("/api/v1/plan", body).await {
        Err(ClientError::Problem { code, .. }) if matches!(code.as_str(), "invalid" | "infeasible") => Ok(None),
        plan => plan.map(Some),
    }
}

/// Where the service answers, and which processes stand behind it.
async fn show_service(common: &Common) -> Result<(), Failure> {
    let (out, client) = (common.out(), common.client()?);
    // Healing begins right after the run; until then there is nothing to show of it.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let processes = client.get("/api/v1/processes").await?;
    for process in processes.get("items").and_then(Value::as_array).into_iter().flatten() {
        let field = |name: &str| super::text(process, &format!("/{name}"));
        let what =
            if field("slot") == "lb" { "balancer".to_owned() } else { format!("{} {}", field("slot"), field("zone")) };
        out.line(&format!("       {:<20} http://{}  pid {}", what, field("address"), field("pid")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::tests::answering;

    #[test]
    fn only_what_a_person_gave_up_or_took_away_stays_so() {
        for (known, stays) in [
            (json!({"to": "archived"}), true),
            (json!({"to": "degraded", "taken_away": ["web/i-4"]}), true),
            (json!({"to": "degraded", "taken_away": [], "unwatched": true}), true),
            (json!({"to": "failed", "unwatched": true}), true),
            (json!({"to": "degraded", "taken_away": null}), false),
            (json!({"to": "degraded", "taken_away": []}), false),
            (json!({"to": "failed"}), false),
            (json!({"to": "monitoring"}), false),
        ] {
            assert_eq!(taken_away("WEB", &known, Path::new("web.yaml")).is_some(), stays, "{known}");
        }
    }

    /// How a file that asks for `wanted` stands to versions, each what it asks for and how it stands, `in_force` that so manieth.
    async fn stands_so(in_force: Option<u64>, versions: &[(&str, &str)]) -> Standing {
        let version = |(at, (digest, state)): (usize, &(&str, &str))| json!({"version": at + 1, "digest": digest, "state": state});
        let items: Vec<Value> = versions.iter().enumerate().map(version).rev().collect();
        let mut answers = vec![json!({ "items": items })];
        // Of the version in force the text is asked for, and there is none.
        answers.extend(in_force.map(|_| json!({})));
        let (client, _server) = answering(answers);
        let known = in_force.map_or(json!({}), |version| json!({"applied_version": version}));
        standing(&client, (&json!({"intent_digest": "wanted"}), &known), "WEB-1", Path::new("intent.yaml"))
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn what_a_file_asks_for_decides_and_of_several_versions_that_ask_the_same_the_newest() {
        let (wanted, other) = ("wanted", "other");
        for (in_force, versions, told) in [
            (None, &[][..], "new"),
            (None, &[(wanted, "rolled_back")], "new"),
            (None, &[(wanted, "expired")], "new"),
            (None, &[(wanted, "rejected")], "`intent.yaml` is v1 of intent WEB-1, which was rejected: "),
            (Some(1), &[(wanted, "active"), (other, "rejected")], "in force"),
            (Some(1), &[(wanted, "active"), (wanted, "rejected")], "in force"),
            (Some(1), &[(other, "active")], "new"),
            (Some(1), &[(other, "active"), (wanted, "rolled_back")], "new"),
            (Some(1), &[(other, "active"), (wanted, "expired")], "new"),
            (
                Some(2),
                &[(wanted, "superseded"), (other, "active")],
                "intent WEB-1 v2 is what holds, and `intent.yaml` is v1: ",
            ),
            (
                Some(1),
                &[(other, "active"), (wanted, "rolled_back"), (wanted, "rejected")],
                "intent WEB-1 v1 is what holds, and `intent.yaml` is v3, which was rejected: ",
            ),
            (Some(1), &[(other, "active"), (wanted, "rejected"), (wanted, "rolled_back")], "new"),
        ] {
            let said = match stands_so(in_force, versions).await {
                Standing::New => "new".to_owned(),
                Standing::InForce => "in force".to_owned(),
                Standing::Overtaken(told, body) => {
                    assert!(body.is_none() || in_force.is_some(), "{told}");
                    told
                }
            };
            assert!(said.starts_with(told), "{in_force:?} {versions:?}: {said}");
        }
    }
}
