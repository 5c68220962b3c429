//! What a request brings: its body, the parts of its path, its query. What is wrong with one is a problem that names the value.

use crate::error::{Failure, short};
use crate::wrong::Wrong;
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{self, FromRequest, FromRequestParts, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use serde::de::value::Error as QueryError;
use serde_json::Value;
use serde_json::value::RawValue;
use serde_path_to_error::{Path as At, Segment};
use std::error::Error;

/// The most that is said to be wrong with one body.
const FOUND_MAX: usize = 20;

/// The longest pointer that is told, in bytes; beyond that, the value above is named.
const POINTER_MAX: usize = 512;

/// A JSON body.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let text = Json::<Box<RawValue>>::from_request(request, state).await;
        let Json(text) = text.map_err(|rejected| Failure::unreadable(rejected.status(), &rejected.body_text()))?;
        read(text.get()).map(Self)
    }
}

/// What a text says, which is JSON.
fn read<T: DeserializeOwned>(text: &str) -> Result<T, Failure> {
    let mut reader = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let found = match serde_json::from_str(text) {
            Ok(body) => findings::<T>(body),
            // Nested deeper than is looked at: what was met first has to do.
            Err(_) => vec![wrong(&Value::Null, &error)],
        };
        Failure::of_findings(StatusCode::UNPROCESSABLE_ENTITY, "the body", found)
    })
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
    let message = message(error.inner());
    let missing = message.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
    Wrong::at(pointer(body, error.path(), missing), message)
}

/// The words of a reader: not where it was, which the pointer says, and not what we call our types.
fn message(error: &serde_json::Error) -> String {
    let mut text = error.to_string();
    if let Some(end) = text.rfind(" at line ").filter(|_| error.line() > 0) {
        text.truncate(end);
    }
    for ours in ["struct ", "internally tagged enum ", "adjacently tagged enum ", "tuple struct "] {
        if let Some(begin) = text.find(&format!("expected {ours}")) {
            text.truncate(begin);
            text.push_str("expected an object");
        }
    }
    short(&text)
}

/// The pointer to what a path names, as far as it is there; and to a field that should be.
fn pointer(body: &Value, path: &At, missing: Option<&str>) -> String {
    let (mut told, mut at) = (String::new(), Some(body));
    let push = |told: &mut String, part: &str| {
        let part = part.replace('~', "~0").replace('/', "~1");
        let fits = told.len() + part.len() < POINTER_MAX;
        if fits {
            *told = format!("{told}/{part}");
        }
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
    if let Some(field) = missing {
        push(&mut told, field);
    }
    told
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

/// The parts of a path.
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
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
        let rejected = match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(asked)) => return Ok(Self(asked)),
            Err(rejected) => rejected,
        };
        let told = rejected.source().and_then(Error::source);
        let told = told.and_then(|told| told.downcast_ref::<serde_path_to_error::Error<QueryError>>());
        Err(match told {
            Some(told) => of_query(told),
            None => Failure::unreadable(rejected.status(), &rejected.body_text()),
        })
    }
}

/// What is wrong with a query, and with which of its parameters.
fn of_query(told: &serde_path_to_error::Error<QueryError>) -> Failure {
    let text = told.inner().to_string();
    let missing = text.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
    let named = told.path().iter().find_map(|segment| match segment {
        Segment::Map { key } => Some(key.as_str()),
        Segment::Seq { .. } | Segment::Enum { .. } | Segment::Unknown => None,
    });
    let Some(name) = missing.or(named) else {
        return Failure::new(StatusCode::BAD_REQUEST, "invalid", format!("the query: {}", short(&text)));
    };
    let detail = format!("`{}` of the query: {}", short(name), short(&text));
    Failure::new(StatusCode::BAD_REQUEST, "invalid", detail).parameter(short(name))
}
