//! What every page has around it, and what a page is when something went wrong.

use super::assets::STAMP;
use super::session::{Visitor, cookie};
use super::words::{Html, escape, number, phrase, segment, text};
use crate::api::{App, Shared};
use crate::error::Failure;
use askama::Template;
use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{Html as Markup, IntoResponse, Response};
use serde::Deserialize;
use serde_json::Value;
use writ_core::LedgerError;

/// How many of a sort are counted before it is only said that there are more.
const COUNTED_MAX: usize = 100;

/// Kill switches that every page tells of.
const HALTED_SHOWN: usize = 3;

/// Light, dark, or as the system is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Theme {
    System,
    Light,
    Dark,
}

impl Theme {
    /// As the visitor chose.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        Self::named(cookie(headers, "writ_theme").unwrap_or_default())
    }

    pub(crate) fn named(name: &str) -> Self {
        match name {
            "light" => Theme::Light,
            "dark" => Theme::Dark,
            _ => Theme::System,
        }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Theme::System => "system",
            Theme::Light => "light",
            Theme::Dark => "dark",
        }
    }
}

/// One place to go.
pub(crate) struct Place {
    pub(crate) path: &'static str,
    pub(crate) name: &'static str,
    pub(crate) key: &'static str,
    pub(crate) icon: &'static str,
    pub(crate) count: Count,
    pub(crate) here: bool,
}

/// How many there are of something that wants a look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Count(pub(crate) usize);

impl Count {
    pub(crate) fn is_some(self) -> bool {
        self.0 > 0
    }
}

impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0 > COUNTED_MAX { write!(f, "{COUNTED_MAX}+") } else { write!(f, "{}", self.0) }
    }
}

/// Path, name, the key that goes there after `g`, and a picture in a box of 16 by 16.
const PLACES: [(&str, &str, &str, &str); 11] = [
    ("/", "Home", "h", "M2 8l6-5.5L14 8M4 7v6.5h8V7"),
    ("/intents", "Intents", "i", "M8 2v12M8 2l4 4M8 2L4 6M3 14h10"),
    ("/runs", "Changes", "c", "M3 3v10M3 5h6a3 3 0 0 1 0 6H3M11 3v2M11 11v2"),
    ("/approvals", "Approvals", "a", "M2.5 8.5l3.5 3.5 7.5-8"),
    ("/incidents", "Incidents", "n", "M8 2l6.5 11.5h-13zM8 6.5v3.5M8 11.8v.2"),
    ("/policy", "Policy", "p", "M8 1.8l5.5 2v4.4c0 3-2.3 5-5.5 6-3.200-1-5.500-3-5.500-6V3.800z"),
    ("/audit", "Evidence", "e", "M4 2h6l3 3v9H4zM10 2v3h3M6 8h5M6 11h5"),
    ("/recommendations", "Recommendations", "r", "M8 2a4 4 0 0 0-2 7.500V11h4V9.500A4 4 0 0 0 8 2zM6.500 13.500h3"),
    ("/agents", "Agents", "t", "M8 8a2.500 2.500 0 1 0 0-5 2.500 2.500 0 0 0 0 5zM3 14c.5-3 2.500-4 5-4s4.500 1 5 4"),
    ("/contracts", "Contracts", "k", "M3 3h4v4H3zM9 3h4v4H9zM3 9h4v4H3zM9 9h4v4H9z"),
    ("/settings", "Settings", "s", "M2 5h7M12 5h2M2 11h2M7 11h7M10.500 3.500v3M5.500 9.500v3"),
];

/// What every page has around it.
pub(crate) struct Frame {
    pub(crate) title: String,
    pub(crate) places: Vec<Place>,
    pub(crate) person: String,
    pub(crate) roles: String,
    pub(crate) theme: Theme,
    pub(crate) stamp: &'static str,
    /// Entries there were before the page was made: what is newer comes as events.
    pub(crate) size: u64,
    /// Streams whose entries make the page anew: beginnings of their names, or `*`.
    pub(crate) live: String,
    /// What is stopped or frozen by people: kill switches, maintenance.
    pub(crate) halted: Vec<String>,
    /// Why nothing can be recorded any more.
    pub(crate) closed: Option<String>,
}

impl Frame {
    /// The frame of a page under one of the places.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub(crate) async fn new(shared: &Shared, visitor: &Visitor, here: &str, title: &str) -> Result<Self, LedgerError> {
        let journal = shared.pipeline.journal();
        let count = async |sort: &str| {
            let live = journal.ledger().views("live", sort, None, COUNTED_MAX + 1).await?;
            Ok::<_, LedgerError>(Count(live.len()))
        };
        let (runs, incidents) = (count("run/").await?, count("incident/").await?);
        let approvals = Count(super::approvals::waiting(journal, COUNTED_MAX + 1).await?.len());
        let places = PLACES.map(|(path, name, key, icon)| {
            let count = match path {
                "/runs" => runs,
                "/approvals" => approvals,
                "/incidents" => incidents,
                _ => Count::default(),
            };
            Place { path, name, key, icon, count, here: path == here }
        });
        let waits = if approvals.is_some() { format!("({approvals}) ") } else { String::new() };
        Ok(Self {
            title: format!("{waits}{title} · writ"),
            places: places.into(),
            person: visitor.name.clone(),
            roles: super::settings::held(&visitor.principal.roles),
            theme: visitor.theme,
            stamp: STAMP.as_str(),
            size: visitor.size,
            live: String::new(),
            halted: halted(shared),
            closed: journal.closed().map(str::to_owned),
        })
    }

    /// The page is made anew when one of these streams grows.
    pub(crate) fn live(mut self, streams: &str) -> Self {
        streams.clone_into(&mut self.live);
        self
    }
}

/// What people have stopped.
fn halted(shared: &Shared) -> Vec<String> {
    let state = shared.pipeline.gate().state();
    let pulled = state.switches.pulled().map(|(scope, _)| format!("The kill switch of {scope} is pulled"));
    let frozen = state.maintenance.then(|| "Changes are frozen for maintenance".to_owned());
    pulled.chain(frozen).take(HALTED_SHOWN).collect()
}

/// Why there is no page, which is a page as well.
#[derive(Debug, Clone)]
pub(crate) struct PageError(Failure);

impl From<Failure> for PageError {
    fn from(failure: Failure) -> Self {
        Self(failure)
    }
}

impl From<LedgerError> for PageError {
    fn from(error: LedgerError) -> Self {
        Self(Failure::from(error))
    }
}

impl From<askama::Error> for PageError {
    fn from(error: askama::Error) -> Self {
        Self(Failure::internal(&error))
    }
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage<'a> {
    stamp: &'static str,
    said: Trouble<'a>,
}

/// The same with the way on around it, for whoever is logged in.
#[derive(Template)]
#[template(path = "trouble.html")]
struct TroublePage<'a> {
    frame: Frame,
    said: Trouble<'a>,
}

/// What is the matter.
struct Trouble<'a> {
    status: u16,
    title: &'a str,
    code: &'a str,
    detail: Html,
    hint: Html,
    /// The page on which it was asked for; empty where it was this one, or is not known.
    back: String,
}

impl<'a> Trouble<'a> {
    fn of(said: &'a Value) -> Self {
        Self {
            status: u16::try_from(number(said, "/status")).unwrap_or_default(),
            title: text(said, "/title"),
            code: text(said, "/code"),
            detail: phrase(text(said, "/detail")),
            hint: hint_here(text(said, "/hint")),
            back: String::new(),
        }
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let status = self.0.status();
        let said = self.0.document();
        let page = ProblemPage { stamp: STAMP.as_str(), said: Trouble::of(&said) };
        let code = Extension(self.0.said());
        match page.render() {
            Ok(page) => (status, code, Extension(self), Markup(page)).into_response(),
            // Without its template there are still the words.
            Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, text(&said, "/detail").to_owned()).into_response(),
        }
    }
}

/// Gives pages that say what went wrong what goes around every page.
pub(crate) async fn around(State(shared): App, request: Request, next: Next) -> Response {
    let (headers, back) = (request.headers().clone(), back_from(request.method(), request.uri().path()));
    dressed(&shared, &headers, back, next.run(request).await).await
}

/// Pages with forms that post to them, by how their paths begin.
const FORMS_ON: [&str; 7] =
    ["/approvals/", "/runs/", "/incidents/", "/recommendations", "/agents", "/components/", "/intents/"];

/// The page that a form was on: the one that it was sent to.
fn back_from(method: &Method, path: &str) -> String {
    let known = FORMS_ON.iter().any(|page| path.starts_with(page)) && path != "/intents/check";
    if method == Method::POST && known { path.to_owned() } else { String::new() }
}

/// A page that says what went wrong with what goes around every page, where somebody is logged in. Whoever asked for a part of
/// a page has that around it already.
pub(crate) async fn dressed(shared: &Shared, headers: &HeaderMap, back: String, answer: Response) -> Response {
    let Some(error) = answer.extensions().get::<PageError>() else { return answer };
    let (said, whole) = (error.0.document(), !headers.contains_key("hx-target"));
    let Ok(Some(visitor)) = Visitor::of(shared, headers).await else { return answer };
    let title = text(&said, "/title");
    let page = match Frame::new(shared, &visitor, "", title).await {
        Ok(frame) if whole => TroublePage { frame, said: Trouble { back, ..Trouble::of(&said) } }.render().ok(),
        Ok(_) | Err(_) => None,
    };
    let (mut parts, old) = answer.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, page.map_or(old, Body::from))
}

/// What went wrong and what to do about it, for somebody at a page.
pub(crate) fn told_here(failure: &Failure) -> Html {
    let said = failure.document();
    let (detail, hint) = (phrase(text(&said, "/detail")), hint_here(text(&said, "/hint")));
    if hint.0.is_empty() { detail } else { Html(format!("{detail} — {hint}")) }
}

/// What the terminal calls the lists that places show.
const LISTS: [(&str, &str); 7] = [
    ("intent", "/intents"),
    ("run", "/runs"),
    ("incident", "/incidents"),
    ("approval", "/approvals"),
    ("recommend", "/recommendations"),
    ("agent", "/agents"),
    ("audit", "/audit"),
];

/// A hint for somebody at a page: a command that only looks is a link to the page that shows the same.
pub(crate) fn hint_here(hint: &str) -> Html {
    let hint = hint.replace("use a token of somebody who does, with `--as`", "log in as somebody who does");
    let (mut out, mut rest) = (String::new(), hint.as_str());
    while let Some((before, after)) = rest.split_once("writ ") {
        let end = after.find(['`', ',', ';']).unwrap_or(after.len());
        let (command, after) = after.split_at(end);
        let quoted = before.ends_with('`') && after.starts_with('`');
        let (before, after) = if quoted {
            (before.strip_suffix('`').unwrap_or(before), after.strip_prefix('`').unwrap_or(after))
        } else {
            (before, after)
        };
        let Some((preposition, to, called)) = page_for(command) else {
            let typed = if quoted { format!("`writ {command}`") } else { format!("writ {command}") };
            out.push_str(&phrase(&format!("{before}{typed}")).0);
            rest = after;
            continue;
        };
        let before = before.strip_suffix("with ").map_or(before.to_owned(), |before| format!("{before}{preposition} "));
        out.push_str(&phrase(&before).0);
        out.push_str(&format!("<a href=\"{}\">{}</a>", escape(&to), escape(called)));
        rest = after;
    }
    out.push_str(&phrase(rest).0);
    Html(out)
}

/// The page that shows what a command shows: how one says that one is there, its path, and what it is called.
fn page_for(command: &str) -> Option<(&'static str, String, &'static str)> {
    let mut words = command.split(' ');
    let list = |noun: &str| LISTS.iter().find(|(name, _)| *name == noun).map(|(_, path)| *path);
    match (words.next()?, words.next()?, words.next()) {
        ("why", id, None) => Some(("on", format!("/why/{}", segment(id)), "why")),
        (noun, "list" | "query", None) => {
            let path = list(noun)?;
            let place = PLACES.iter().find(|(at, ..)| *at == path)?;
            Some(("under", path.to_owned(), place.1))
        }
        (noun, "get" | "watch" | "cancel", Some(id)) => {
            Some(("on", format!("{}/{}", list(noun)?, segment(id)), "its page"))
        }
        _ => None,
    }
}

/// What the address of a page may say: what was done just now.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Done {
    pub(crate) done: String,
}

/// What a page says after something was done: one of the words that it may say, and nothing else that an address brings.
pub(crate) fn told(done: &str, may: &[&str]) -> String {
    may.iter().find(|word| **word == done).map_or_else(String::new, |word| word.replace('_', " "))
}

pub(crate) type Page = Result<Response, PageError>;

/// A rendered template as an answer.
pub(crate) fn shown(page: &impl Template) -> Page {
    Ok(Markup(page.render()?).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_lead_to_pages_where_a_command_only_looks() {
        for (hint, told) in [
            ("list them with `writ agent list`", "list them under <a href=\"/agents\">Agents</a>"),
            ("find them with `writ audit query`", "find them under <a href=\"/audit\">Evidence</a>"),
            ("see what it does: writ why run_x", "see what it does: <a href=\"/why/run_x\">why</a>"),
            (
                "follow it with `writ run watch run_x`, or end it with `writ run cancel run_x`",
                "follow it on <a href=\"/runs/run_x\">its page</a>, or end it on <a href=\"/runs/run_x\">its page</a>",
            ),
            (
                "run `writ audit verify`, then writ lint <dir>",
                "run <code>writ audit verify</code>, then writ lint &lt;dir&gt;",
            ),
            ("use a token of somebody who does, with `--as`", "log in as somebody who does"),
            ("writ why \"><b>", "<a href=\"/why/%22%3E%3Cb%3E\">why</a>"),
        ] {
            assert_eq!(hint_here(hint).0, told);
        }
    }
}
