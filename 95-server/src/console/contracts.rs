//! Contracts: who needs which, which versions there are, and which of them would fit.

use super::frame::{Frame, Page, shown};
use super::session::Visitor;
use super::words::{Html, agent_page, badge, escape, list as items, parted, text};
use crate::api::App;
use askama::Template;
use axum::extract::State;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

struct Cell {
    /// The contract, its version and how that stands: where there is no room for columns, it stands with what it says.
    of: String,
    fits: Html,
    because: String,
}

struct Row {
    by: Html,
    cells: Vec<Option<Cell>>,
}

#[derive(Template)]
#[template(path = "contracts.html")]
struct ContractsPage {
    frame: Frame,
    columns: Vec<(Html, String, Html)>,
    rows: Vec<Row>,
}

/// Who needs a contract: an agent leads to its page, actions have none.
fn party(by: &str) -> Html {
    let by_name = escape(by);
    match by.strip_prefix("agent/") {
        Some(agent) => Html(format!("<a href=\"{}\">{by_name}</a>", agent_page(agent))),
        None => Html(by_name),
    }
}

pub(crate) async fn page(State(shared): App, visitor: Visitor) -> Page {
    let frame = Frame::new(&shared, &visitor, "/contracts", "Contracts").await?.live("contract/");
    let matrix = shared.pipeline.contracts_matrix();
    let all = items(&matrix, "/matrix");
    let column = |one: &Value| (text(one, "/contract").to_owned(), text(one, "/version").to_owned());
    let columns: BTreeSet<(String, String)> = all.iter().map(column).collect();
    let mut rows: BTreeMap<&str, BTreeMap<(String, String), &Value>> = BTreeMap::new();
    let mut states: BTreeMap<(String, String), &str> = BTreeMap::new();
    for one in all {
        rows.entry(text(one, "/by")).or_default().insert(column(one), one);
        states.insert(column(one), text(one, "/status"));
    }
    let cell = |one: &Value| {
        let fits = one.get("fits") == Some(&Value::Bool(true));
        let of = format!("{} {}, {}", text(one, "/contract"), text(one, "/version"), text(one, "/status"));
        Cell { of, fits: badge(if fits { "fits" } else { "incompatible" }), because: text(one, "/because").to_owned() }
    };
    let rows = rows.into_iter().map(|(by, cells)| Row {
        by: party(by),
        cells: columns.iter().map(|column| cells.get(column).map(|one| cell(one))).collect(),
    });
    let rows = rows.collect();
    let columns = columns.into_iter().map(|column| {
        let state = badge(states.get(&column).copied().unwrap_or_default());
        (parted(&column.0), column.1, state)
    });
    shown(&ContractsPage { frame, columns: columns.collect(), rows })
}
