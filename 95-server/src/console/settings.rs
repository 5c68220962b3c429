//! Settings: who one is, how pages look, people and tokens, the journal's key, and what this program is.

use super::frame::{Frame, Page, Theme, shown};
use super::given::{Form, Query};
use super::list::{PAGE, more_of};
use super::session::Visitor;
use super::words::{Html, badge, when};
use crate::api::{App, begins, begins_with_token};
use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use writ_pipeline::{Grant, Listing, Scope, Span, name_of, some_people, some_tokens};

struct Person {
    id: String,
    name: String,
    roles: String,
    since: Html,
}

struct TokenRow {
    id: String,
    whose: String,
    roles: String,
    issued: Html,
    until: Html,
}

struct ChannelRow {
    name: String,
    how: Html,
    because: String,
    waiting: usize,
    delivered: Html,
    failed: Html,
}

#[derive(Template)]
#[template(path = "settings.html")]
struct SettingsPage {
    frame: Frame,
    people: Vec<Person>,
    tokens: Vec<TokenRow>,
    more_people: Html,
    more_tokens: Html,
    channels: Vec<ChannelRow>,
    admin: bool,
    key: String,
    version: &'static str,
    maintenance: bool,
}

/// Roles, and where each holds, in words.
pub(crate) fn held(roles: &[String]) -> String {
    let told = |role: &String| match role.parse::<Grant>() {
        Ok(grant) if grant.within != Scope::whole() => format!("{} for {}", grant.role, grant.within).replace('`', ""),
        Ok(_) | Err(_) => role.clone(),
    };
    roles.iter().map(told).collect::<Vec<_>>().join(", ")
}

/// Where the lists of the page begin, as its address says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Wanted {
    /// The person before.
    people: Option<String>,
    /// The token before.
    tokens: Option<String>,
}

pub(crate) async fn page(State(shared): App, visitor: Visitor, Query(wanted): Query<Wanted>) -> Page {
    let journal = shared.pipeline.journal();
    let frame = Frame::new(&shared, &visitor, "/settings", "Settings").await?;
    let admin = visitor.holds("admin");
    let mut issued = Listing { rows: Vec::new(), next: None };
    if admin {
        begins_with_token(&shared, wanted.tokens.as_deref()).await?;
        issued = some_tokens(journal, Span::behind(wanted.tokens.as_deref(), PAGE)).await?;
    }
    let mut tokens = Vec::with_capacity(issued.rows.len());
    for token in issued.rows {
        tokens.push(TokenRow {
            whose: name_of(journal, &token.principal).await?,
            roles: held(&token.roles),
            issued: when(token.issued_at),
            until: token.expires_at.map_or_else(|| Html("it is revoked".to_owned()), when),
            id: token.id,
        });
    }
    begins(&shared, "people", wanted.people.as_deref()).await?;
    let known = some_people(journal, Span::behind(wanted.people.as_deref(), PAGE)).await?;
    let person = |person: &writ_pipeline::Person| Person {
        id: person.principal.to_string(),
        name: person.name.clone(),
        roles: held(&person.roles),
        since: when(person.since),
    };
    let people = known.rows.iter().map(person).collect();
    let (maintenance, _) = shared.pipeline.freeze().await?;
    let channels = shared.pipeline.channels().await?.into_iter().map(|channel| {
        let because = channel.failing.as_ref().or(channel.failed.as_ref()).map(|(_, because)| because.clone());
        let because = because.filter(|_| channel.ails().is_some()).unwrap_or_default();
        ChannelRow {
            how: badge(if because.is_empty() { "active" } else { "failing" }),
            because,
            waiting: channel.waiting,
            delivered: channel.delivered.map_or(Html("–".into()), when),
            failed: channel.failed.map_or(Html("–".into()), |(at, _)| when(at)),
            name: channel.name,
        }
    });
    let channels = channels.collect();
    shown(&SettingsPage {
        frame,
        people,
        channels,
        tokens,
        more_people: more_of("people", "/settings", "", known.next.as_deref()),
        more_tokens: more_of("tokens", "/settings", "", issued.next.as_deref()),
        admin,
        key: journal.key().to_string(),
        version: env!("CARGO_PKG_VERSION"),
        maintenance,
    })
}

/// A theme, as the form sends it, and the page that it was sent from.
#[derive(Debug, Deserialize)]
pub(crate) struct Wished {
    theme: String,
}

/// Remembers how pages are to look. Nothing but the browser's own cookie changes, so nobody has to be logged in.
pub(crate) async fn theme(headers: HeaderMap, Form(wished): Form<Wished>) -> Response {
    let theme = Theme::named(&wished.theme).word();
    let cookie = format!("writ_theme={theme}; Path=/; Max-Age=31536000; SameSite=Strict");
    let cookie = HeaderValue::from_str(&cookie).unwrap_or(HeaderValue::from_static(""));
    let from = headers.get(header::REFERER).and_then(|from| from.to_str().ok());
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let path = from.and_then(|from| from.split_once("://")?.1.strip_prefix(host)).filter(|path| path.starts_with('/'));
    ([(header::SET_COOKIE, cookie)], Redirect::to(path.unwrap_or("/"))).into_response()
}
