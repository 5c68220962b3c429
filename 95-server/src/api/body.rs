//! What a request brings: its body, the parts of its path, its query. What is wrong with one is a problem that names the value.

use super::Shared;
use super::phrase::phrase;
use super::shape::lists;
use crate::error::{Failure, short};
use crate::wrong::Wrong;
use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{self, FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::de::value::Error as QueryError;
use serde::de::{self, Deserialize, DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use serde_path_to_error::{Path as At, Segment};
use std::collections::HashSet;
use std::error::Error;
use std::fmt;
use std::iter::successors;
use std::sync::Arc;
use utoipa::ToSchema;

/// The most that is said to be wrong with one body.
pub(super) const FOUND_MAX: usize = 20;

/// The longest pointer that is told, in bytes; beyond that, the value above is named.
const POINTER_MAX: usize = 512;

/// Where it stands what is taken.
const DOCUMENT: &str = "`/api/v1/openapi.json` says what is taken here";

/// What a reader says of what is no object.
const NO_OBJECT: &str = "invalid type: another, expected a map";

/// A JSON body.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned + ToSchema> FromRequest<Arc<Shared>> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &Arc<Shared>) -> Result<Self, Failure> {
        let text = Json::<Box<RawValue>>::from_request(request, state).await;
        let Json(text) = text.map_err(|rejected| unread(&rejected, state.config.limits.body_bytes))?;
        read(text.get()).map(Self)
    }
}

/// A body that is no JSON, or does not say that it is.
fn unread(rejected: &JsonRejection, most: u64) -> Failure {
    if rejected.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return too_large(most);
    }
    if let JsonRejection::MissingJsonContentType(_) = rejected {
        let detail = "the body is not said to be JSON";
        let failure = Failure::new(rejected.status(), "invalid", detail).parameter(header::CONTENT_TYPE.as_str());
        return failure.hint(
            "send it with `content-type: application/json`; a manifest or another text goes in it as \
             `{\"name\": \"web.yaml\", \"text\": \"…\"}`",
        );
    }
    let mut causes = successors(rejected.source(), |cause: &&(dyn Error + 'static)| (*cause).source());
    let told = causes.find_map(|cause| {
        let placed = cause.downcast_ref::<serde_path_to_error::Error<serde_json::Error>>();
        placed.map(serde_path_to_error::Error::inner).or_else(|| cause.downcast_ref::<serde_json::Error>())
    });
    match told {
        Some(error) if error.is_eof() => {
            Failure::new(rejected.status(), "invalid", "the body is not JSON: it ends before it is whole")
                .hint(DOCUMENT)
        }
        Some(error) => {
            let detail = format!("the body is not JSON at line {}, column {}", error.line(), error.column());
            Failure::new(rejected.status(), "invalid", detail).hint(DOCUMENT)
        }
        None => Failure::unreadable(rejected.status(), &rejected.body_text()),
    }
    .at("")
}

/// More was sent than is taken.
pub(crate) fn too_large(most: u64) -> Failure {
    Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", format!("the body is larger than {most} bytes"))
        .hint("send less at once, or let the server take more: `limits.body_bytes` of its configuration")
}

/// What a text says, which is JSON. Every body is an object; of a list, a reader would take the fields in order.
fn read<T: DeserializeOwned + ToSchema>(text: &str) -> Result<T, Failure> {
    if !text.trim_start().starts_with('{') {
        // Nested deeper than is looked at, it has no value.
        let body = serde_json::from_str::<Value>(text).ok();
        let wrong = Wrong::at("", phrase(NO_OBJECT, body.as_ref()));
        let failure = Failure::of_findings(StatusCode::UNPROCESSABLE_ENTITY, "the body", vec![wrong]);
        return Err(failure.hint(DOCUMENT));
    }
    let said = told::<Singly>(text).and_then(|Singly| told::<T>(text));
    let body = serde_json::from_str::<Value>(text).ok();
    let lists = body.as_ref().map(lists::<T>).unwrap_or_default();
    let amiss = match said {
        Ok(read) if lists.is_empty() => return Ok(read),
        Ok(_) => Vec::new(),
        Err(error) => match body.clone() {
            Some(body) => {
                let met = wrong(&body, &error);
                let found = findings::<T>(body);
                // What stands twice stands once in a value.
                if found.iter().any(|one| one.pointer == met.pointer) { found } else { vec![met] }
            }
            // Nested deeper than is looked at: what was met first has to do.
            None => vec![wrong(&Value::Null, &error)],
        },
    };
    let told =
        |pointer: &String| Wrong::at(pointer, phrase(NO_OBJECT, body.as_ref().and_then(|body| body.pointer(pointer))));
    let mut found: Vec<Wrong> = lists.iter().map(told).collect();
    let within = |at: &str| {
        lists.iter().any(|list| at.strip_prefix(list).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    };
    found.extend(amiss.into_iter().filter(|one| !one.pointer.as_deref().is_some_and(within)));
    Err(Failure::of_findings(StatusCode::UNPROCESSABLE_ENTITY, "the body", found).hint(DOCUMENT))
}

fn told<T: DeserializeOwned>(text: &str) -> Result<T, serde_path_to_error::Error<serde_json::Error>> {
    serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(text))
}

/// Any JSON in which no field stands twice: of two values, readers differ in which they take.
struct Singly;

impl<'de> Deserialize<'de> for Singly {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Singly {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self, A::Error> {
        while list.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self, A::Error> {
        let mut seen = HashSet::new();
        while let Some(field) = fields.next_key::<String>()? {
            if seen.contains(&field) {
                return Err(de::Error::custom(format!("duplicate field `{field}`")));
            }
            seen.insert(field);
            fields.next_value::<Self>()?;
        }
        Ok(self)
    }
}

/// Everything that is wrong with a body, as far as it is seen by leaving out what was found before.
fn findings<T: DeserializeOwned>(mut body: Value) -> Vec<Wrong> {
    let mut found: Vec<Wrong> = Vec::new();
    while found.len() < FOUND_MAX {
        let Err(error) = serde_path_to_error::deserialize::<_, T>(&body) else { break };
        let wrong = wrong(&body, &error);
        // What was left out is missing now, which nobody has to be told.
        if found.iter().any(|known| known.pointer == wrong.pointer) {
            break;
        }
        let more = wrong.pointer.as_deref().is_some_and(|pointer| leave_out(&mut body, pointer));
        found.push(wrong);
        if !more {
            break;
        }
    }
    found
}

/// What a reader of JSON says, and of which value.
fn wrong(body: &Value, error: &serde_path_to_error::Error<serde_json::Error>) -> Wrong {
    let said = said(error.inner());
    let at = pointer(body, error.path(), None);
    let value = body.pointer(&at).filter(|_| !body.is_null() || at.is_empty());
    match (field(&said), value) {
        (Some(field), _) => Wrong::at(pointer(body, error.path(), Some(field)), phrase(&said, None)),
        (None, value) => Wrong::at(at, phrase(&said, value)),
    }
}

/// The field that is missing, or stands twice: such are told of the object that they belong to.
fn field(said: &str) -> Option<&str> {
    let named = ["missing field `", "duplicate field `"].iter().find_map(|begin| said.strip_prefix(begin));
    named.and_then(|rest| rest.strip_suffix('`'))
}

/// The words of a reader, without where it was, which the pointer says.
fn said(error: &serde_json::Error) -> String {
    let mut text = error.to_string();
    if let Some(end) = text.rfind(" at line ").filter(|_| error.line() > 0) {
        text.truncate(end);
    }
    text
}

/// The pointer to what a path names, as far as it is there; and to a field of it that it is about.
fn pointer(body: &Value, path: &At, field: Option<&str>) -> String {
    let (mut told, mut at) = (String::new(), Some(body));
    let push = |told: &mut String, part: &str| {
        let longer = below(told, part);
        let fits = longer.len() > told.len();
        *told = longer;
        fits
    };
    for segment in path {
        let (part, next) = match segment {
            Segment::Seq { index } => (index.to_string(), at.and_then(|value| value.get(index))),
            Segment::Map { key } | Segment::Enum { variant: key } => (key.clone(), at.and_then(|value| value.get(key))),
            Segment::Unknown => return told,
        };
        // Of a body that is nested too deep, only the path is known.
        if (next.is_none() && !body.is_null()) || !push(&mut told, &part) {
            return told;
        }
        at = next;
    }
    if let Some(field) = field {
        push(&mut told, field);
    }
    told
}

/// The pointer to a part of what a pointer names, or to what it names where that would be too long.
pub(super) fn below(above: &str, part: &str) -> String {
    let part = part.replace('~', "~0").replace('/', "~1");
    if above.len() + part.len() < POINTER_MAX { format!("{above}/{part}") } else { above.to_owned() }
}

/// Leaves a value out; whether it was there, and not the whole.
fn leave_out(body: &mut Value, pointer: &str) -> bool {
    let Some((above, part)) = pointer.rsplit_once('/') else { return false };
    match body.pointer_mut(above) {
        Some(Value::Object(fields)) => fields.remove(&part.replace("~1", "/").replace("~0", "~")).is_some(),
        // The others would move up, and be called by other names.
        Some(Value::Array(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) | None => false,
    }
}

/// A header that has one meaning, and so may stand once.
pub(super) fn single<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
    called: &str,
) -> Result<Option<&'a HeaderValue>, Failure> {
    let mut all = headers.get_all(name).iter();
    let first = all.next();
    if all.next().is_none() {
        return Ok(first);
    }
    let detail = format!("`{called}` stands more than once");
    Err(Failure::new(StatusCode::BAD_REQUEST, "invalid", detail).parameter(name.as_str()))
}

/// The parts of a path.
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        #[expect(
            clippy::disallowed_types,
            reason = "what it says of a path that it cannot read becomes a problem here"
        )]
        let rejected = match extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(extract::Path(parts)) => return Ok(Self(parts)),
            Err(rejected) => rejected,
        };
        let failure = Failure::unreadable(rejected.status(), &rejected.body_text());
        Err(match part(&rejected) {
            Some(name) => failure.parameter(name),
            None => failure,
        })
    }
}

/// Which part of a path it is that cannot be read.
fn part(rejected: &PathRejection) -> Option<String> {
    use extract::path::ErrorKind::{DeserializeError, InvalidUtf8InPathParam, ParseErrorAtKey};
    let PathRejection::FailedToDeserializePathParams(failed) = rejected else { return None };
    #[expect(clippy::wildcard_enum_match_arm, reason = "the list of errors is open; the others name no part")]
    match failed.kind() {
        InvalidUtf8InPathParam { key } | ParseErrorAtKey { key, .. } | DeserializeError { key, .. } => {
            Some(key.clone())
        }
        _ => None,
    }
}

/// A query string.
pub(crate) struct Asked<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        #[expect(
            clippy::disallowed_types,
            reason = "what it says of a query that it cannot read becomes a problem here"
        )]
        match extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(extract::Query(asked)) => Ok(Self(asked)),
            Err(rejected) => Err(misread("query", &rejected, rejected.status(), &rejected.body_text())),
        }
    }
}

/// A query or a form that cannot be read.
pub(crate) fn misread(what: &str, rejected: &dyn Error, status: StatusCode, text: &str) -> Failure {
    let mut causes = successors(rejected.source(), |cause: &&(dyn Error + 'static)| (*cause).source());
    match causes.find_map(|cause| cause.downcast_ref::<serde_path_to_error::Error<QueryError>>()) {
        Some(told) => of_fields(what, status, told),
        None => Failure::unreadable(status, text),
    }
}

/// What is wrong with a query or a form, and with which of its fields.
fn of_fields(what: &str, status: StatusCode, told: &serde_path_to_error::Error<QueryError>) -> Failure {
    let said = told.inner().to_string();
    let named = told.path().iter().find_map(|segment| match segment {
        Segment::Map { key } => Some(key.as_str()),
        Segment::Seq { .. } | Segment::Enum { .. } | Segment::Unknown => None,
    });
    let words = phrase(&said, None);
    let Some(name) = field(&said).or(named) else {
        return Failure::new(status, "invalid", format!("the {what}: {words}"));
    };
    let detail = format!("`{}` of the {what}: {words}", short(name));
    let failure = Failure::new(status, "invalid", detail).parameter(short(name));
    // A form is a page's own, and nobody writes one.
    if what == "form" { failure } else { failure.hint(DOCUMENT) }
}
