//! What a schema or a value may not exceed. Checked before anything recursive sees the document.

use crate::SchemaError;
use serde_json::Value;

/// How deep the JSON of a schema may nest.
pub(crate) const SCHEMA_DEPTH_MAX: usize = 96;
/// How many JSON values a schema may have.
pub(crate) const SCHEMA_VALUES_MAX: usize = 20_000;
/// How many bytes of text a schema may hold in all.
pub(crate) const SCHEMA_TEXT_MAX: usize = 1 << 20;
/// How long a regular expression may be.
pub(crate) const PATTERN_TEXT_MAX: usize = 1_024;
/// How large a compiled regular expression may become, in bytes.
pub(crate) const PATTERN_SIZE_MAX: usize = 1 << 20;
/// How many different regular expressions a schema may have.
pub(crate) const PATTERNS_MAX: usize = 256;
/// How many schemas may apply to one value, one inside the other (`allOf`, `$ref`, …).
pub(crate) const IN_PLACE_DEPTH_MAX: usize = 32;
/// How long a path through a schema and its references may be before it repeats.
pub(crate) const PATH_MAX: usize = 192;
/// How many schemas one schema may become when its references are written out.
pub(crate) const EXPANDED_MAX: u64 = 100_000;
/// How deep a value may nest.
pub(crate) const VALUE_DEPTH_MAX: usize = 64;
/// How many pairs of a schema and a part of the value one validation may visit.
pub(crate) const VISITS_MAX: u64 = 5_000_000;

/// Refuses a schema whose plain JSON is too deep, too long or too wordy. Walks without recursion.
pub(crate) fn check_document(document: &Value) -> Result<(), SchemaError> {
    let mut open: Vec<(&Value, usize)> = vec![(document, 0)];
    let (mut values, mut text) = (0_usize, 0_usize);
    let too_large = |what, limit| SchemaError::TooLarge { what, limit, pointer: String::new() };
    while let Some((value, depth)) = open.pop() {
        values += 1;
        if depth > SCHEMA_DEPTH_MAX {
            return Err(too_large("nesting", SCHEMA_DEPTH_MAX));
        }
        match value {
            Value::Array(items) => open.extend(items.iter().map(|item| (item, depth + 1))),
            Value::Object(members) => {
                text += members.keys().map(String::len).sum::<usize>();
                open.extend(members.values().map(|member| (member, depth + 1)));
            }
            Value::String(string) => text += string.len(),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
        if values + open.len() > SCHEMA_VALUES_MAX {
            return Err(too_large("values", SCHEMA_VALUES_MAX));
        }
        if text > SCHEMA_TEXT_MAX {
            return Err(too_large("bytes of text", SCHEMA_TEXT_MAX));
        }
    }
    Ok(())
}

/// Whether a value nests deeper than is validated. Walks without recursion.
pub(crate) fn is_too_deep(value: &Value) -> bool {
    let mut open: Vec<(&Value, usize)> = vec![(value, 0)];
    while let Some((value, depth)) = open.pop() {
        if depth > VALUE_DEPTH_MAX {
            return true;
        }
        match value {
            Value::Array(items) => open.extend(items.iter().map(|item| (item, depth + 1))),
            Value::Object(members) => open.extend(members.values().map(|member| (member, depth + 1))),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    false
}
