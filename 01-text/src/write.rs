//! From a value back to YAML that people read.

use serde_json::Value as Json;
use std::fmt::Write;

/// The value as block YAML: texts in single quotes, as the sources write them, and keys in the value's order.
#[must_use]
pub fn to_yaml(value: &Json) -> String {
    let mut out = String::new();
    match value {
        Json::Object(map) if !map.is_empty() => entries(&mut out, value, 0),
        Json::Array(items) if !items.is_empty() => entries(&mut out, value, 0),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) | Json::Object(_) => {
            let _ = writeln!(out, "{}", scalar(value));
        }
    }
    out
}

fn entries(out: &mut String, value: &Json, indent: usize) {
    let pad = " ".repeat(indent);
    match value {
        Json::Object(map) => {
            for (key, value) in map {
                let _ = write!(out, "{pad}{}:", word(key));
                below(out, value, indent + 2);
            }
        }
        Json::Array(items) => {
            for item in items {
                let mut inner = String::new();
                match item {
                    Json::Object(map) if !map.is_empty() => entries(&mut inner, item, indent + 2),
                    Json::Array(list) if !list.is_empty() => entries(&mut inner, item, indent + 2),
                    Json::Null
                    | Json::Bool(_)
                    | Json::Number(_)
                    | Json::String(_)
                    | Json::Array(_)
                    | Json::Object(_) => {
                        let _ = writeln!(inner, "{pad}  {}", scalar(item));
                    }
                }
                let _ = write!(out, "{pad}- {}", inner.get(indent + 2..).unwrap_or_default());
            }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

/// What follows a key's colon.
fn below(out: &mut String, value: &Json, indent: usize) {
    let plain = |item: &Json| !matches!(item, Json::Object(_) | Json::Array(_));
    match value {
        Json::Array(items) if !items.is_empty() && items.iter().all(plain) && items.len() <= 8 => {
            let items: Vec<String> = items.iter().map(scalar).collect();
            let _ = writeln!(out, " [{}]", items.join(", "));
        }
        Json::Object(map) if !map.is_empty() => {
            out.push('\n');
            entries(out, value, indent);
        }
        Json::Array(items) if !items.is_empty() => {
            out.push('\n');
            entries(out, value, indent);
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) | Json::Object(_) => {
            let _ = writeln!(out, " {}", scalar(value));
        }
    }
}

fn scalar(value: &Json) -> String {
    match value {
        Json::String(text) if text.chars().any(char::is_control) => value.to_string(),
        Json::String(text) => format!("'{}'", text.replace('\'', "''")),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => value.to_string(),
    }
}

/// A key without quotes where it cannot be mistaken.
fn word(key: &str) -> String {
    let sound = key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
        && !matches!(key.to_ascii_lowercase().as_str(), "null" | "true" | "false");
    if sound { key.to_owned() } else { scalar(&Json::String(key.to_owned())) }
}
