//! Journeys: a script of what operators do, what goes wrong, and how much time passes; a transcript of what came of it.
//!
//! ```text
//! submit intent.yaml               the operator submits a file; `by deputy` names somebody else
//! decommission                     the newest intent is to be taken away
//! playbook restart-web NAME=VALUE   a playbook is run; the component is the one that every script is about
//! plan intent.yaml / apply …       the plan is shown, and later carried out only if it is still the same
//! approve / reject [by deputy]     the newest question is answered, by the reviewer
//! pause resume rollback cancel     the newest run; `cancel keep` leaves what was done
//! retry i-2 / resolve i-2 yes      a step of it, by the last part of its resource
//! kill-switch all on               or `agent ID`, `action NAME`, `resource NAME`; `off` releases it
//! reflect 60s / recommend approve  feedback, and the newest recommendation
//! skip 40s                         time passes
//! exec / exec away COMMAND          somebody asks for a command of their own, and stays or goes; `come` is their return
//! take P / alive P / ended P 0     process P takes its order, lives, says how the command ended
//! crash / crash after run.started  now, or at the next commit of such an entry (`before`: it is lost)
//! break-glass 10m ACTION TARGET    what needs approval passes for a while; `end-glass`, `review-glass`, `findings`
//! propose policy FILE …            a change of what governs: also `agent ID permissions …`, `agent ID activate`, `person NAME ROLES`,
//!                                  `roles ID ROLES`, `standing ACTION TARGET SPAN`; `change` shows the newest; `revoke-standing`
//! judge right i-2                  somebody says that what was not done to an instance would have been right, or `wrong`
//! mode restart_instance auto citing i-1 i-2   an action is to go further on its own, or less far; `modes` shows how far each goes
//! tell people                      the control plane is started again with a channel; `deafen` and `listen` are what it does
//! second-person                    the control plane is started again where such changes need two people
//! add policy FILE                  the control plane is started again with one policy more
//! kill hang slow errors break hide mend SLOT, load N, fail next VERB, refuse next VERB, lose answer|order VERB,
//! late answer|order 20s VERB, double VERB, stall VERB       what goes wrong in the world
//! why / state / world / notices    what is known now; `why last` tells a story
//! quietly COMMAND                  the same, without telling what was recorded
//! ```

use crate::life::{Deathbed, Moment};
use crate::site::person;
use crate::{Files, Mishap, Site, SiteError, Transcript, judge};
use crate::{governance, outside};
use std::sync::Arc;
use std::time::Duration;
use writ_core::{Actor, ApprovalId, Digest, Filter, Ledger, LedgerError, NotifyError, RunId, StepKey, Telling};
use writ_pipeline::{KillScope, Origin, PlaybookOrder, Principal, RunSignal};

/// The component that every script is about.
pub(crate) const COMPONENT: &str = "web-service-001";

/// How long whatever happens at once may take.
const MOMENT: Duration = Duration::from_millis(5);

/// Why a script cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// A line is no command.
    #[error("line {line}: `{command}` cannot be played: {because}")]
    Command {
        /// The line, from 1.
        line: usize,
        /// The command.
        command: String,
        /// What is wrong with it.
        because: String,
    },
    /// The site.
    #[error("the site does not open")]
    Site(#[from] SiteError),
    /// The journal.
    #[error("the journal cannot be read")]
    Ledger(#[from] LedgerError),
}

/// Plays a script on a fresh site and answers the script with what came of each command beneath it. `read` gives the text
/// of the files that it names. At the end the judge speaks.
///
/// # Errors
/// When a line is no command, or the site does not open.
pub async fn play(
    script: &str,
    files: Arc<Files>,
    seed: u64,
    read: &(dyn Fn(&str) -> Option<String> + Sync),
) -> Result<String, ScriptError> {
    let site = Site::open(files, seed).await?;
    let mut player = Player { site, transcript: Transcript::new(), planned: None, told_notices: 0, read };
    player.site.pass(MOMENT).await;
    player.transcript.entries(&**player.site.ledger(), true).await?;
    for (at, line) in script.lines().enumerate() {
        let line = line.trim_end();
        match line.strip_prefix("> ") {
            Some(command) => player.command(at + 1, command).await?,
            None if line.starts_with('#') || line.is_empty() => player.transcript.line(line),
            None => {} // What came of it the last time.
        }
    }
    let violations = judge(&player.site).await?;
    if violations.is_empty() {
        player.transcript.line("= the judge finds nothing");
    }
    for violation in violations {
        player.transcript.line(&format!("= the judge finds: {violation}"));
    }
    Ok(player.transcript.text().to_owned())
}

struct Player<'a> {
    site: Site,
    transcript: Transcript,
    planned: Option<Digest>,
    told_notices: usize,
    read: &'a (dyn Fn(&str) -> Option<String> + Sync),
}

/// A command that makes no sense, in words.
type Senseless = String;

impl Player<'_> {
    async fn command(&mut self, line: usize, command: &str) -> Result<(), ScriptError> {
        self.transcript.line(&format!("> {command}"));
        let (quietly, command) = command.strip_prefix("quietly ").map_or((false, command), |rest| (true, rest));
        let life = self.site.life().clone();
        let said = {
            let played = self.play(command);
            tokio::select! {
                biased;
                () = life.ended() => None,
                said = played => Some(said),
            }
        };
        let senseless = |because| ScriptError::Command { line, command: command.to_owned(), because };
        let said = said.transpose().map_err(senseless)?;
        if !self.site.life().is_over() {
            self.site.pass(MOMENT).await;
        }
        self.transcript.entries(&**self.site.ledger(), quietly).await?;
        if let Some(said) = said {
            self.transcript.say(&said);
        }
        if self.site.life().is_over() {
            self.transcript.say("! the control plane died and is started again");
            self.site.restart().await?;
            self.site.pass(MOMENT).await;
            self.transcript.entries(&**self.site.ledger(), false).await?;
        }
        Ok(())
    }

    async fn play(&mut self, command: &str) -> Result<String, Senseless> {
        let words: Vec<&str> = command.split_whitespace().collect();
        let (words, by) = match words.as_slice() {
            [before @ .., "by", name] => (before, Some(person(name).ok_or(format!("`{name}` is nobody"))?)),
            all => (all, None),
        };
        let asks = || by.clone().or_else(|| person("operator")).ok_or_else(|| "nobody asks".to_owned());
        let answers = || by.clone().or_else(|| person("reviewer")).ok_or_else(|| "nobody answers".to_owned());
        match words {
            ["submit", file] => self.submit(file, &asks()?, None).await,
            ["apply", file] => self.submit(file, &asks()?, self.planned).await,
            ["plan", file] => self.plan(file, &asks()?).await,
            ["decommission"] => self.decommission(&asks()?).await,
            ["playbook", id, arguments @ ..] => self.playbook(id, arguments, &asks()?).await,
            ["rehearse", id, arguments @ ..] => self.rehearse(id, arguments, &asks()?).await,
            ["approve"] => self.answer(&answers()?, true).await,
            ["reject"] => self.answer(&answers()?, false).await,
            ["pause"] => self.tell(RunSignal::Pause, &asks()?).await,
            ["resume"] => self.tell(RunSignal::Resume, &asks()?).await,
            ["rollback"] => self.tell(RunSignal::Rollback, &asks()?).await,
            ["cancel"] => self.tell(RunSignal::Cancel { compensate: true }, &asks()?).await,
            ["cancel", "keep"] => self.tell(RunSignal::Cancel { compensate: false }, &asks()?).await,
            ["retry", slot] => {
                let step = self.step(slot).await?;
                self.tell(RunSignal::Retry { step }, &asks()?).await
            }
            ["resolve", slot, happened @ ("yes" | "no")] => {
                let (step, reason) = (self.step(slot).await?, writ_seal::sha256(b"looked"));
                let happened = *happened == "yes";
                self.tell(RunSignal::OperatorResolved { happened, reason, step }, &asks()?).await
            }
            ["kill-switch", scope @ .., pulled @ ("on" | "off")] => {
                let scope = kill_scope(scope)?;
                let by = Actor::human(&asks()?.id);
                let moved = self.site.pipeline().kill_switch(scope, *pulled == "on", "", &by).await;
                Ok(moved.map_or_else(|error| refused(&error), |()| String::new()))
            }
            ["exec", "away", command @ ..] => Ok(outside::exec(&self.site, command, false, &asks()?).await),
            ["exec", command @ ..] => Ok(outside::exec(&self.site, command, true, &asks()?).await),
            ["come"] => Ok(outside::come(&self.site, &self.run().await?, &asks()?).await),
            ["take", process] => Ok(outside::take(&self.site, &self.run().await?, process, &asks()?).await),
            ["alive", process] => Ok(outside::lives(&self.site, &self.run().await?, process, &asks()?).await),
            ["ended", process, code] => {
                let code = code.parse().map_err(|_| format!("`{code}` is no exit status"))?;
                Ok(outside::ended(&self.site, &self.run().await?, process, code, &asks()?).await)
            }
            ["reflect", span] => self.reflect(duration(span)?, &asks()?).await,
            ["recommend", "approve"] => self.recommend(&answers()?, true).await,
            ["recommend", "reject"] => self.recommend(&answers()?, false).await,
            ["skip", span] => {
                self.site.pass(duration(span)?).await;
                Ok(String::new())
            }
            ["crash"] => {
                self.site.life().end();
                Ok(String::new())
            }
            ["crash", moment @ ("before" | "after"), kind] => {
                let moment = if *moment == "before" { Moment::Before } else { Moment::After };
                self.site.life().end_at(Deathbed { moment, kind: (*kind).to_owned(), spared: 0 });
                Ok(String::new())
            }
            ["add", "policy", file] => {
                let text = self.file(file)?;
                let files = self.site.files().and_policy(file, &text).map_err(|error| refused(&error))?;
                self.site.change_files(Arc::new(files));
                self.site.life().end();
                Ok(String::new())
            }
            ["break-glass", span, action, target] => {
                Ok(governance::break_glass(&self.site, duration(span)?, action, target, &asks()?).await)
            }
            ["end-glass"] => governance::end(&self.site, &asks()?).await,
            ["review-glass"] => governance::review(&self.site, &answers()?).await,
            ["second-person"] => {
                let files = self.site.files().with_second_person();
                self.site.change_files(Arc::new(files));
                self.site.life().end();
                Ok(String::new())
            }
            ["tell", "people"] => {
                let files = self.site.files().with_channel();
                self.site.change_files(Arc::new(files));
                self.site.life().end();
                Ok(String::new())
            }
            ["deafen"] => {
                let because = "nobody is there".to_owned();
                self.site.channel.says(Some(NotifyError::Unreachable { because }));
                Ok(String::new())
            }
            ["listen"] => {
                self.site.channel.says(None);
                Ok(String::new())
            }
            ["propose", "policy", file] => {
                let text = self.file(file)?;
                Ok(governance::propose_policy(&self.site, file, &text, &asks()?).await)
            }
            ["propose", what @ ..] => governance::propose(&self.site, what, &asks()?).await,
            ["judge", word @ ("right" | "wrong"), slot] => {
                governance::judge(&self.site, *word == "right", slot, &asks()?).await
            }
            ["mode", action, mode] => governance::mode(&self.site, action, mode, &[], &asks()?).await,
            ["mode", action, mode, "citing", slots @ ..] => {
                governance::mode(&self.site, action, mode, slots, &asks()?).await
            }
            ["modes"] => governance::modes(&self.site).await,
            ["revoke-standing"] => governance::revoke_standing(&self.site, &asks()?).await,
            ["change"] => governance::change(&self.site, &self.question().await?).await,
            ["findings"] => Ok(governance::findings(&self.site)),
            ["why"] => self.why().await,
            ["why", id] => governance::story(&self.site, id).await,
            ["state"] => self.state().await,
            ["world"] => Ok(self.world()),
            ["notices"] => Ok(self.notices()),
            _ => self.mishap(words),
        }
    }

    fn mishap(&self, words: &[&str]) -> Result<String, Senseless> {
        let world = &self.site.world;
        let slot = |slot: &str| format!("{COMPONENT}/{slot}");
        let there = |there: bool| if there { Ok(()) } else { Err("there is no such instance".to_owned()) };
        match words {
            ["kill", name] => there(world.kill(&slot(name)))?,
            ["hang", name] => there(world.hang(&slot(name)))?,
            ["slow", name] => there(world.slow_down(&slot(name), Duration::from_millis(900)))?,
            ["errors", name, percent] => there(world.fail_requests(&slot(name), number(percent)?))?,
            ["break", name] => world.break_slot(&slot(name), true),
            ["hide", name] => world.hide(&slot(name)),
            ["mend", name] => world.break_slot(&slot(name), false),
            ["load", requests] => world.set_load(number(requests)?),
            ["fail", "next", target] => world.plan_fault(Mishap::Fails, target),
            ["refuse", "next", target] => world.plan_fault(Mishap::Refused, target),
            ["lose", "answer", target] => world.plan_fault(Mishap::AnswerLost, target),
            ["lose", "order", target] => world.plan_fault(Mishap::OrderLost, target),
            ["late", "answer", span, target] => world.plan_fault(Mishap::AnswerLate(duration(span)?), target),
            ["late", "order", span, target] => world.plan_fault(Mishap::OrderLate(duration(span)?), target),
            ["double", target] => world.plan_fault(Mishap::Twice, target),
            ["stall", target] => world.plan_fault(Mishap::Hangs, target),
            _ => return Err("it is no command".to_owned()),
        }
        Ok(String::new())
    }

    fn file(&self, name: &str) -> Result<String, Senseless> {
        (self.read)(name).ok_or_else(|| format!("there is no file `{name}`"))
    }

    async fn submit(&self, file: &str, by: &Principal, planned: Option<Digest>) -> Result<String, Senseless> {
        let text = self.file(file)?;
        let submitted = self.site.pipeline().submit(file, text.as_bytes(), by, planned, Origin::Intent).await;
        Ok(match submitted {
            Ok(accepted) => match accepted.run {
                Some(run) => format!("= version {}, {run}", accepted.prepared.version),
                None => format!("= version {}, nothing to do", accepted.prepared.version),
            },
            Err(error) => refused(&error),
        })
    }

    async fn plan(&mut self, file: &str, by: &Principal) -> Result<String, Senseless> {
        let text = self.file(file)?;
        Ok(match self.site.pipeline().prepare(file, text.as_bytes(), by).await {
            Ok(prepared) => {
                self.planned = prepared.digest();
                let steps = prepared.diff.as_ref().map_or(0, |diff| diff.plan.steps.len());
                format!("= version {} would take {steps} steps", prepared.version)
            }
            Err(error) => refused(&error),
        })
    }

    async fn decommission(&self, by: &Principal) -> Result<String, Senseless> {
        let intents = self.site.ledger().views("intents", "", None, 100).await.map_err(|error| error.to_string())?;
        let (intent, _) = intents.last().ok_or("there is no intent")?;
        let intent = intent.parse().map_err(|_| "it is no intent".to_owned())?;
        Ok(match self.site.pipeline().decommission(&intent, by, None, "moved elsewhere").await {
            Ok(leaving) => match leaving.run {
                Some(run) => format!("= it is taken away, {run}"),
                None => "= it is archived, nothing to do".to_owned(),
            },
            Err(error) => refused(&error),
        })
    }

    async fn playbook(&self, id: &str, arguments: &[&str], by: &Principal) -> Result<String, Senseless> {
        let order = order_of(id, arguments)?;
        Ok(match self.site.pipeline().run_playbook(&order, by, "").await {
            Ok((_, run)) => format!("= {run}"),
            Err(error) => refused(&error),
        })
    }

    async fn rehearse(&self, id: &str, arguments: &[&str], by: &Principal) -> Result<String, Senseless> {
        let order = order_of(id, arguments)?;
        Ok(match self.site.pipeline().rehearse(&order, by).await {
            Ok(rehearsed) => {
                let way = rehearsed.under_way.map_or_else(String::new, |run| format!(", once {run} is over"));
                format!("= {} steps{way}", rehearsed.plan.steps.len())
            }
            Err(error) => refused(&error),
        })
    }

    async fn answer(&self, by: &Principal, agrees: bool) -> Result<String, Senseless> {
        let id = self.question().await?;
        Ok(match self.site.pipeline().answer(&id, by, agrees, "").await {
            Ok(_) => String::new(),
            Err(error) => refused(&error),
        })
    }

    /// The newest question that nobody has answered yet, or else the newest.
    async fn question(&self) -> Result<ApprovalId, Senseless> {
        let asked =
            self.site.ledger().query(&newest("approval.asked/1"), 100).await.map_err(|error| error.to_string())?;
        let mut all: Vec<(bool, ApprovalId)> = Vec::new();
        for stored in &asked {
            let entry = writ_pipeline::decode(stored).map_err(|error| error.to_string())?;
            let entries =
                self.site.pipeline().journal().stream(&entry.stream).await.map_err(|error| error.to_string())?;
            let decided =
                entries.iter().any(|one| !matches!(one.kind.as_str(), "approval.asked/1" | "approval.voted/1"));
            all.extend(entry.stream.strip_prefix("approval/").and_then(|id| id.parse().ok()).map(|id| (decided, id)));
        }
        let open = all.iter().find(|(decided, _)| !decided).or(all.first());
        open.map(|(_, id)| id.clone()).ok_or_else(|| "nobody was asked".to_owned())
    }

    async fn tell(&self, signal: RunSignal, by: &Principal) -> Result<String, Senseless> {
        let run = self.run().await?;
        let told = self.site.pipeline().drive().tell(&run, signal, &Actor::human(&by.id)).await;
        Ok(told.map_or_else(|error| refused(&error), |()| String::new()))
    }

    /// The newest run that lives, or else the newest.
    async fn run(&self) -> Result<RunId, Senseless> {
        let live = self.site.pipeline().drive().live_runs().into_iter().max();
        if let Some(live) = live {
            return Ok(live);
        }
        let stored =
            self.site.ledger().query(&newest("run.submitted/1"), 1).await.map_err(|error| error.to_string())?;
        let entry = stored.first().map(writ_pipeline::decode).transpose().map_err(|error| error.to_string())?;
        entry
            .and_then(|entry| entry.stream.strip_prefix("run/")?.parse().ok())
            .ok_or_else(|| "there is no run".to_owned())
    }

    async fn step(&self, slot: &str) -> Result<StepKey, Senseless> {
        let (run, _) = self.site.pipeline().drive().run(&self.run().await?).await.map_err(|error| error.to_string())?;
        let wanted = format!("{COMPONENT}/{slot}");
        let step = run
            .steps()
            .find(|(step, _)| step.resource == wanted || step.resource == slot)
            .map(|(step, _)| step.key.clone());
        step.ok_or_else(|| format!("the run has no step on `{wanted}`"))
    }

    async fn reflect(&self, span: Duration, by: &Principal) -> Result<String, Senseless> {
        Ok(match self.site.pipeline().reflect(span, None, by).await {
            Ok(document) => {
                let of =
                    |pointer: &str| document.pointer(pointer).map_or(0, |list| list.as_array().map_or(0, Vec::len));
                let took = document.pointer("/intents/0/feedback/metrics_collected/deployment/average_deployment_time");
                let took = took
                    .filter(|took| !took.is_null())
                    .map_or_else(String::new, |took| format!(", deployed in {took} s"));
                format!("= {} recommendations, {} judged{took}", of("/intents/0/recommendations"), of("/judged"))
            }
            Err(error) => refused(&error),
        })
    }

    async fn recommend(&self, by: &Principal, agrees: bool) -> Result<String, Senseless> {
        let known = self.site.ledger().views("recommendations", "", None, 1_000).await;
        let known = known.map_err(|error| error.to_string())?;
        let (id, _) = known.last().ok_or("nothing was recommended")?;
        let pipeline = self.site.pipeline();
        let done = if agrees {
            pipeline.approve_recommendation(id, by).await
        } else {
            pipeline.reject_recommendation(id, by).await
        };
        Ok(match done {
            Ok(done) => format!("= {done}"),
            Err(error) => refused(&error),
        })
    }

    async fn why(&self) -> Result<String, Senseless> {
        let run = self.run().await?;
        let (run, _) = self.site.pipeline().drive().run(&run).await.map_err(|error| error.to_string())?;
        let mut lines = vec![match run.waiting() {
            Some(waiting) => format!("= {} is {}: {}", run.id(), run.state().name(), waiting.sentence),
            None => format!("= {} is {}", run.id(), run.state().name()),
        }];
        for (step, cell) in run.steps() {
            if let Some(waiting) = run.step_waiting(&step.key) {
                lines.push(format!("=   {} is {}: {}", step.resource, cell.state.name(), waiting.sentence));
            }
        }
        Ok(lines.join("\n"))
    }

    async fn state(&self) -> Result<String, Senseless> {
        let mut lines = Vec::new();
        for (view, field) in [("intents", "to"), ("runs", "last")] {
            let docs = self.site.pipeline().journal().docs(view, "", None, 1_000).await;
            for (key, doc) in docs.map_err(|error| error.to_string())?.0 {
                let word = doc.get(field).map(|found| found.get("kind").unwrap_or(found).to_string());
                lines.push(format!("= {key} {}", word.unwrap_or_default().trim_matches('"')));
            }
        }
        Ok(lines.join("\n"))
    }

    fn world(&self) -> String {
        let told = |(name, generation, health)| format!("= {name} generation {generation} {health}");
        let mut lines: Vec<String> = self.site.world.instances().into_iter().map(told).collect();
        let tally = self.site.world.tally();
        lines.push(format!(
            "= {} orders: {} carried out, {} repeated, {} refused",
            tally.orders,
            self.site.world.deeds().len(),
            tally.repeated,
            tally.refused
        ));
        lines.join("\n")
    }

    fn notices(&mut self) -> String {
        let all = self.site.channel.notices();
        let told = |one: &Telling| format!("= {}: {}: {}\n  {}", one.severity, one.title, one.text, one.link);
        let new: Vec<String> = all.iter().skip(self.told_notices).map(told).collect();
        self.told_notices = all.len();
        new.join("\n")
    }
}

fn newest(kind: &str) -> Filter {
    Filter { kind: Some(kind.to_owned()), newest_first: true, ..Filter::default() }
}

/// What was refused, with what led to it.
pub(crate) fn refused(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    format!("! {}", causes.map(ToString::to_string).collect::<Vec<_>>().join(": "))
}

/// A playbook, told of the component and of what else is given.
fn order_of(id: &str, arguments: &[&str]) -> Result<PlaybookOrder, Senseless> {
    let mut order = PlaybookOrder { id: id.to_owned(), ..PlaybookOrder::default() };
    order.arguments.insert("component".to_owned(), COMPONENT.into());
    for argument in arguments {
        let (name, value) = argument.split_once('=').ok_or(format!("`{argument}` is no NAME=VALUE"))?;
        order.arguments.insert(name.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| value.into()));
    }
    Ok(order)
}

fn kill_scope(words: &[&str]) -> Result<KillScope, Senseless> {
    match words {
        ["all"] => Ok(KillScope::All),
        ["agent", agent] => {
            agent.parse().map(|agent| KillScope::Agent { agent }).map_err(|error: writ_core::IdError| error.to_string())
        }
        ["action", action] => Ok(KillScope::Action { action: (*action).to_owned() }),
        ["resource", resource] => Ok(KillScope::Resource { resource: (*resource).to_owned() }),
        _ => Err("a kill switch stops `all`, or one `agent`, `action` or `resource`".to_owned()),
    }
}

fn number(word: &str) -> Result<u64, Senseless> {
    word.parse().map_err(|_| format!("`{word}` is no number"))
}

/// `250ms`, `40s`, `10m`, `2h`.
pub(crate) fn duration(word: &str) -> Result<Duration, Senseless> {
    let end = word.find(|c: char| !c.is_ascii_digit()).unwrap_or(word.len());
    let (digits, unit) = word.split_at(end);
    let count = number(digits)?;
    match unit {
        "ms" => Ok(Duration::from_millis(count)),
        "s" => Ok(Duration::from_secs(count)),
        "m" => Ok(Duration::from_secs(count * 60)),
        "h" => Ok(Duration::from_secs(count * 3_600)),
        _ => Err(format!("`{word}` is no duration")),
    }
}
