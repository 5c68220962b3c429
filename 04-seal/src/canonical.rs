//! Sorted-key JSON that equals RFC 8785 by construction: `serde_json` writes maps in key order, texts with the shortest
//! escapes and integers as they are; what it would write differently (floats, wide integers) is refused here.

use crate::sha256;
use serde::Serialize;
use serde_json::Value;
use writ_core::{Actor, Digest, Entry, EventId, Outcome, Timestamp, TraceId};

/// Why a value has no canonical bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotCanonical {
    /// A number with a fraction or an exponent.
    #[error("`{pointer}` is the number {number}; write fractions as text")]
    Float {
        /// Where it stands.
        pointer: String,
        /// The number.
        number: String,
    },
    /// An integer that other readers of JSON would round.
    #[error("`{pointer}` is the integer {number}, at or beyond 2^53; write it as text")]
    Wide {
        /// Where it stands.
        pointer: String,
        /// The number.
        number: String,
    },
    /// A key outside ASCII, whose sort order differs between UTF-8 and UTF-16.
    #[error("the key `{key}` at `{pointer}` is not ASCII")]
    Key {
        /// Where it stands.
        pointer: String,
        /// The key.
        key: String,
    },
    /// The value cannot be written as JSON at all.
    #[error("the value cannot be written as JSON: {because}")]
    Json {
        /// What the writer says.
        because: String,
    },
}

const WIDE: u64 = 1 << 53;

/// The canonical bytes of a value.
///
/// # Errors
/// When it holds a float, an integer at or beyond 2^53, or a key outside ASCII.
pub fn canonical(value: &Value) -> Result<Vec<u8>, NotCanonical> {
    check(value, &mut Vec::new())?;
    serde_json::to_vec(value).map_err(|error| NotCanonical::Json { because: error.to_string() })
}

/// The digest of a thing's canonical bytes.
///
/// # Errors
/// As [`canonical`].
pub fn digest_of<T: Serialize>(thing: &T) -> Result<Digest, NotCanonical> {
    let value = serde_json::to_value(thing).map_err(|error| NotCanonical::Json { because: error.to_string() })?;
    Ok(sha256(&canonical(&value)?))
}

/// The canonical bytes of an entry.
///
/// # Errors
/// As [`canonical`], for the body.
pub fn entry_bytes(entry: &Entry) -> Result<Vec<u8>, NotCanonical> {
    check(&entry.body, &mut vec!["body".to_owned()])?;
    let json = |error: serde_json::Error| NotCanonical::Json { because: error.to_string() };
    entry_around(entry, &serde_json::to_vec(&entry.body).map_err(json)?)
}

/// The fields of an entry before its body.
#[derive(Serialize)]
struct Before<'a> {
    action: &'a str,
    actor: &'a Actor,
}

/// The fields of an entry after its body.
#[derive(Serialize)]
struct After<'a> {
    cause: &'a Option<EventId>,
    event_id: &'a EventId,
    kind: &'a str,
    outcome: Outcome,
    prev: &'a str,
    resource: &'a str,
    seq: u64,
    stream: &'a str,
    timestamp: Timestamp,
    trace_id: &'a TraceId,
    trace_seq: u64,
    version: u64,
}

/// The canonical bytes of an entry around those of its body, which were made before. Fields stand in key order, so that an
/// entry is written without a detour.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn entry_around(entry: &Entry, body: &[u8]) -> Result<Vec<u8>, NotCanonical> {
    let Entry {
        action,
        actor,
        body: _,
        cause,
        event_id,
        kind,
        outcome,
        prev,
        resource,
        seq,
        stream,
        timestamp,
        trace_id,
        trace_seq,
        version,
    } = entry;
    let json = |error: serde_json::Error| NotCanonical::Json { because: error.to_string() };
    let mut bytes = Vec::with_capacity(body.len() + 768);
    serde_json::to_writer(&mut bytes, &Before { action, actor }).map_err(json)?;
    bytes.pop();
    bytes.extend_from_slice(b",\"body\":");
    bytes.extend_from_slice(body);
    let joint = bytes.len();
    let after = After {
        cause,
        event_id,
        kind,
        outcome: *outcome,
        prev,
        resource,
        seq: *seq,
        stream,
        timestamp: *timestamp,
        trace_id,
        trace_seq: *trace_seq,
        version: *version,
    };
    serde_json::to_writer(&mut bytes, &after).map_err(json)?;
    if let Some(brace) = bytes.get_mut(joint) {
        *brace = b',';
    }
    Ok(bytes)
}

fn check(value: &Value, path: &mut Vec<String>) -> Result<(), NotCanonical> {
    match value {
        Value::Number(number) => check_number(number, path),
        Value::Array(items) => items.iter().enumerate().try_for_each(|(at, item)| {
            // Only containers and numbers can offend; texts are most of what a journal holds and need no path.
            if matches!(item, Value::String(_) | Value::Bool(_) | Value::Null) {
                return Ok(());
            }
            path.push(at.to_string());
            check(item, path)?;
            path.pop();
            Ok(())
        }),
        Value::Object(fields) => fields.iter().try_for_each(|(key, item)| {
            if !key.is_ascii() {
                return Err(NotCanonical::Key { pointer: pointer(path), key: key.clone() });
            }
            if matches!(item, Value::String(_) | Value::Bool(_) | Value::Null) {
                return Ok(());
            }
            path.push(key.clone());
            check(item, path)?;
            path.pop();
            Ok(())
        }),
        Value::String(_) | Value::Bool(_) | Value::Null => Ok(()),
    }
}

fn check_number(number: &serde_json::Number, path: &[String]) -> Result<(), NotCanonical> {
    let width = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
    match width {
        Some(width) if width < WIDE => Ok(()),
        Some(_) => Err(NotCanonical::Wide { pointer: pointer(path), number: number.to_string() }),
        None => Err(NotCanonical::Float { pointer: pointer(path), number: number.to_string() }),
    }
}

fn pointer(path: &[String]) -> String {
    path.iter().map(|part| format!("/{}", part.replace('~', "~0").replace('/', "~1"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_are_sorted_at_every_depth_and_texts_keep_their_characters() {
        let value = json!({"b": {"z": 1, "a": "部署\n\u{1}"}, "a": [true, null, -5]});
        let bytes = canonical(&value).unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), r#"{"a":[true,null,-5],"b":{"a":"部署\n\u0001","z":1}}"#);
    }

    #[test]
    fn what_other_readers_would_write_differently_is_refused_with_its_place() {
        let float = canonical(&json!({"a": [1, {"b": 0.5}]})).unwrap_err();
        assert_eq!(float, NotCanonical::Float { pointer: "/a/1/b".into(), number: "0.5".into() });
        let wide = canonical(&json!({"a": 9_007_199_254_740_992_u64})).unwrap_err();
        assert_eq!(wide, NotCanonical::Wide { pointer: "/a".into(), number: "9007199254740992".into() });
        assert!(canonical(&json!({"a": 9_007_199_254_740_991_u64})).is_ok());
        assert!(matches!(canonical(&json!({"ä": 1})), Err(NotCanonical::Key { .. })));
    }

    #[test]
    fn an_entry_written_field_by_field_is_canonical() {
        let entry = Entry {
            action: "submit_intent".into(),
            actor: writ_core::Actor::system("pipeline"),
            body: json!({"z": 1, "a": {"y": [], "b": 2}}),
            cause: None,
            event_id: writ_core::EventId::mint(1, [0; 10]),
            kind: "intent.submitted/1".into(),
            outcome: writ_core::Outcome::Success,
            prev: "0".repeat(64),
            resource: "DEPLOY-WEB-001".into(),
            seq: 0,
            stream: "intent/DEPLOY-WEB-001".into(),
            timestamp: writ_core::Timestamp::from_micros(1),
            trace_id: writ_core::TraceId::of([1; 16]),
            trace_seq: 0,
            version: 1,
        };
        let direct = entry_bytes(&entry).unwrap();
        let by_value = canonical(&serde_json::to_value(&entry).unwrap()).unwrap();
        assert_eq!(String::from_utf8(direct).unwrap(), String::from_utf8(by_value).unwrap());
    }
}
