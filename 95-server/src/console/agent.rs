//! One agent: what it is and may do, what it holds now, and what it can be told, with what follows from that.

use super::agents::{Row, rows};
use super::audit::{EntryRow, Said, rows as entry_rows, said_in};
use super::frame::{Done, Frame, Page, shown, told};
use super::given::{Form, Path, Query};
use super::session::Visitor;
use super::words::segment;
use crate::api::{AgentDetails, App, Caller, Needs, Of, parsed, reason, tell_agent};
use crate::error::Failure;
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect};
use serde::Deserialize;
use serde_json::Value;
use writ_core::AgentId;
use writ_pipeline::{AgentState, Scope};

/// Something that can be told to an agent as it is now.
struct Command {
    word: &'static str,
    label: &'static str,
    means: &'static str,
    grave: bool,
}

/// What can be told to an agent in a state, and what follows from it.
fn commands(state: AgentState) -> Vec<Command> {
    let activate = |means| Command { word: "activate", label: "Activate", means, grave: false };
    let drain = Command {
        word: "drain",
        label: "Drain",
        means: "It finishes what it holds, and is given nothing more until it is activated.",
        grave: false,
    };
    let quarantine = Command {
        word: "quarantine",
        label: "Quarantine",
        means: "Everything is taken from it at once: its permits are worth nothing, and a step that it had begun is looked into. To give it \
                work again, two people must agree.",
        grave: true,
    };
    let retire = Command {
        word: "retire",
        label: "Retire",
        means: "It is gone for good: its permits are worth nothing, and its id stays taken.",
        grave: true,
    };
    match state {
        AgentState::Enrolled => {
            vec![activate("It is given work from now on, within its permissions and limits."), quarantine, retire]
        }
        AgentState::Active => vec![drain, quarantine, retire],
        AgentState::Draining => vec![activate("It is given work again."), quarantine, retire],
        AgentState::Quarantined => {
            vec![activate("It is given work again; on a server, once somebody else agrees."), retire]
        }
        AgentState::Retired => Vec::new(),
    }
}

#[derive(Template)]
#[template(path = "agent.html")]
struct AgentPage {
    frame: Frame,
    row: Row,
    commands: Vec<Command>,
    /// Why the visitor cannot tell it anything; empty when they can.
    barred: String,
    said: Vec<Said>,
    entries: Vec<EntryRow>,
    told: String,
}

pub(crate) async fn page(
    State(shared): App,
    visitor: Visitor,
    Path(id): Path<String>,
    Query(Done { done }): Query<Done>,
) -> Page {
    let agent: AgentId = parsed(&id)?;
    let journal = shared.pipeline.journal();
    let state = shared.pipeline.gate().state().roster.get(&agent).map(|agent| agent.state);
    let state = state.ok_or_else(|| Failure::not_found("agent", &id))?;
    let doc = journal.doc("agents", &id).await?.unwrap_or_default();
    let row = rows(&shared, &[(id.clone(), doc)]).pop().ok_or_else(|| Failure::not_found("agent", &id))?;
    let frame = Frame::new(&shared, &visitor, "/agents", &id).await?.live(&format!("agent/{id} safety/"));
    let entries = journal.stream(&format!("agent/{id}")).await?;
    shown(&AgentPage {
        frame,
        row,
        commands: commands(state),
        barred: visitor.barred(&["admin"], &Scope::whole()),
        said: said_in(journal, &format!("agent/{id}")).await?,
        entries: entry_rows(journal, &entries).await?,
        told: told(&done, &["activate", "drain", "quarantine", "retire"]),
    })
}

/// What somebody tells an agent.
#[derive(Debug, Deserialize)]
pub(crate) struct Told {
    command: String,
    #[serde(default)]
    reason: String,
}

pub(crate) async fn command(
    State(shared): App,
    visitor: Visitor,
    Path(id): Path<String>,
    Form(wish): Form<Told>,
) -> Page {
    visitor.must_of(&shared, Needs::Admin, Of::Realm, &id).await?;
    let details = AgentDetails { reason: reason(&wish.reason)?.to_owned(), ..AgentDetails::default() };
    let done = tell_agent(&shared, &Caller(visitor.principal.clone()), &id, &wish.command, details).await?;
    let to = match done.get("approval").and_then(Value::as_str) {
        Some(approval) => format!("/approvals/{}", segment(approval)),
        None => format!("/agents/{}?done={}", segment(&id), segment(&wish.command)),
    };
    Ok(Redirect::to(&to).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use writ_pipeline::AgentMove;

    #[test]
    fn what_is_offered_is_what_the_state_has() {
        use AgentState::{Active, Draining, Enrolled, Quarantined, Retired};
        for state in [Enrolled, Active, Draining, Quarantined, Retired] {
            let offered: Vec<&str> = commands(state).iter().map(|command| command.word).collect();
            for (word, asked) in [
                ("activate", AgentMove::Activate),
                ("drain", AgentMove::Drain),
                ("quarantine", AgentMove::Quarantine),
                ("retire", AgentMove::Retire),
            ] {
                assert_eq!(offered.contains(&word), state.after(asked).is_ok(), "{state}: {word}");
            }
        }
    }
}
