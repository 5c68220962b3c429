//! What is wrong with a value, in the words of whoever sent it: a reader tells it in the words of the language that it is written in.

use crate::error::short;
use serde_json::Value;

/// What is told of a value when the reader's words say nothing to whoever sent it.
const UNFIT: &str = "it is not what belongs here";

/// What a reader expects, and what that is to whoever writes it.
const WANTED: [(&str, &str); 27] = [
    ("a string", "a text"),
    ("a borrowed string", "a text"),
    ("a character", "a single character"),
    ("a boolean", "`true` or `false`"),
    ("a sequence", "a list"),
    ("a map", "an object"),
    ("string or map", "a text"),
    ("unit", "`null`"),
    ("u8", "a whole number from 0 to 255"),
    ("u16", "a whole number from 0 to 65535"),
    ("u32", "a whole number from 0 to 4294967295"),
    ("u64", "a whole number, 0 or more"),
    ("u128", "a whole number, 0 or more"),
    ("usize", "a whole number, 0 or more"),
    ("i8", "a whole number from -128 to 127"),
    ("i16", "a whole number from -32768 to 32767"),
    ("i32", "a whole number from -2147483648 to 2147483647"),
    ("i64", "a whole number"),
    ("i128", "a whole number"),
    ("isize", "a whole number"),
    ("a nonzero u8", "a whole number from 1 to 255"),
    ("a nonzero u16", "a whole number from 1 to 65535"),
    ("a nonzero u32", "a whole number from 1 to 4294967295"),
    ("a nonzero u64", "a whole number, 1 or more"),
    ("a nonzero usize", "a whole number, 1 or more"),
    ("f32", "a number"),
    ("f64", "a number"),
];

/// The same of what has a name, or a length, of ours.
const WANTED_BEGINS: [(&str, &str); 7] = [
    ("struct ", "an object"),
    ("struct variant ", "an object"),
    ("internally tagged enum ", "an object"),
    ("adjacently tagged enum ", "an object"),
    ("a tuple of size ", "a list of another length"),
    ("an array of length ", "a list of another length"),
    ("tuple struct ", "a list"),
];

/// What is said of a value that came as a text, and of a body as a whole.
const SAID: [(&str, &str); 7] = [
    ("provided string was not `true` or `false`", "it has to be `true` or `false`"),
    ("invalid digit found in string", "it has to be a whole number"),
    ("cannot parse integer from empty string", "it is empty, and has to be a whole number"),
    ("number too large to fit in target type", "the number is too large"),
    ("number too small to fit in target type", "the number is too small"),
    ("invalid float literal", "it has to be a number"),
    ("recursion limit exceeded", "it is nested too deeply"),
];

/// What a reader says of a value, as whoever sent the value calls things.
pub(crate) fn phrase(said: &str, value: Option<&Value>) -> String {
    let told = SAID.iter().find(|(ours, _)| *ours == said).map(|(_, theirs)| (*theirs).to_owned());
    told.or_else(|| unfit(said, value)).or_else(|| unknown(said)).unwrap_or_else(|| short(said))
}

/// A value of the wrong sort, size or length.
fn unfit(said: &str, value: Option<&Value>) -> Option<String> {
    if said.starts_with("data did not match any variant") {
        return Some(UNFIT.to_owned());
    }
    ["invalid type: ", "invalid value: ", "invalid length "].iter().find(|begin| said.starts_with(**begin))?;
    let wanted = said.rsplit_once(", expected ").and_then(|(_, ours)| wanted(ours));
    Some(match (wanted, value) {
        (Some(wanted), Some(value)) => format!("it is {}, and has to be {wanted}", sort(value)),
        (Some(wanted), None) => format!("it has to be {wanted}"),
        (None, _) => UNFIT.to_owned(),
    })
}

fn wanted(ours: &str) -> Option<&'static str> {
    let exact = WANTED.iter().find(|(known, _)| *known == ours);
    exact.or_else(|| WANTED_BEGINS.iter().find(|(begin, _)| ours.starts_with(begin))).map(|(_, theirs)| *theirs)
}

/// What a value is; a text is not repeated, for it may be anything.
fn sort(value: &Value) -> String {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => format!("`{value}`"),
        Value::String(text) if text.is_empty() => "an empty text".to_owned(),
        Value::String(_) => "a text".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

/// A word that is none of those there are, and a field that is not known or stands twice.
fn unknown(said: &str) -> Option<String> {
    if let Some(rest) = said.strip_prefix("unknown variant `") {
        let told = rest.rsplit_once("`, expected ");
        return Some(told.map_or(UNFIT.to_owned(), |(word, words)| format!("`{}` is not {words}", short(word))));
    }
    let field = said.strip_prefix("unknown field `").and_then(|rest| rest.rsplit_once("`, expected "));
    if let Some((field, fields)) = field {
        let fields = fields.trim_start_matches("one of ").replace("` or `", "`, `");
        return Some(format!("unknown field `{}`; known are {fields}", short(field)));
    }
    let doubled = said.strip_prefix("duplicate field `").and_then(|rest| rest.strip_suffix('`'));
    doubled.map(|field| format!("`{}` stands twice", short(field)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::json;
    use std::collections::BTreeMap;
    use std::num::NonZeroU16;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case", deny_unknown_fields)]
    #[expect(dead_code, reason = "it is only read")]
    struct Everything {
        text: Option<String>,
        flag: Option<bool>,
        list: Option<Vec<u8>>,
        two: Option<(u8, u8)>,
        map: Option<BTreeMap<String, u8>>,
        small: Option<u8>,
        wide: Option<u64>,
        signed: Option<i16>,
        one: Option<NonZeroU16>,
        ratio: Option<f64>,
        letter: Option<char>,
        word: Option<Word>,
        either: Option<Either>,
        tagged: Option<Tagged>,
        nothing: Option<Box<()>>,
        inner: Option<Box<Everything>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Word {
        Auto,
        Shadow,
        Propose,
    }

    #[derive(Debug, Deserialize)]
    #[serde(untagged)]
    #[expect(dead_code, reason = "it is only read")]
    enum Either {
        Number(u8),
        List(Vec<u8>),
    }

    #[derive(Debug, Deserialize)]
    #[serde(tag = "sort", rename_all = "snake_case")]
    enum Tagged {
        All {},
    }

    #[test]
    fn what_a_reader_says_is_told_without_a_word_of_its_language() {
        for (field, value, told) in [
            ("text", json!(5), "it is `5`, and has to be a text"),
            ("text", json!(["x\u{202e}"]), "it is a list, and has to be a text"),
            ("flag", json!("x\u{202e}"), "it is a text, and has to be `true` or `false`"),
            ("flag", json!(""), "it is an empty text, and has to be `true` or `false`"),
            ("list", json!("a, expected u8"), "it is a text, and has to be a list"),
            ("list", json!([1, 300]), "it is `300`, and has to be a whole number from 0 to 255"),
            ("two", json!([1]), "it is a list, and has to be a list of another length"),
            ("map", json!([]), "it is a list, and has to be an object"),
            ("small", json!(-1), "it is `-1`, and has to be a whole number from 0 to 255"),
            ("small", json!(1.5), "it is `1.5`, and has to be a whole number from 0 to 255"),
            ("wide", json!("x"), "it is a text, and has to be a whole number, 0 or more"),
            ("signed", json!(40_000), "it is `40000`, and has to be a whole number from -32768 to 32767"),
            ("one", json!(0), "it is `0`, and has to be a whole number from 1 to 65535"),
            ("ratio", json!(true), "it is `true`, and has to be a number"),
            ("letter", json!("ab"), "it is a text, and has to be a single character"),
            ("word", json!("auto`, expected x"), "`auto`, expected x` is not one of `auto`, `shadow`, `propose`"),
            ("word", json!(5), "it is `5`, and has to be a text"),
            ("either", json!("x"), UNFIT),
            ("tagged", json!("x"), "it is a text, and has to be an object"),
            ("tagged", json!({"sort": "x"}), "`x` is not `all`"),
            ("nothing", json!(1), "it is `1`, and has to be `null`"),
            ("inner", json!(5), "it is `5`, and has to be an object"),
        ] {
            let body = json!({ field: value });
            let error = serde_path_to_error::deserialize::<_, Everything>(&body).unwrap_err();
            let at = error.path().to_string().replace('[', "/").replace(']', "");
            let at = body.pointer(&format!("/{}", at.replace('.', "/"))).unwrap_or(&body[field]);
            assert_eq!(phrase(&error.inner().to_string(), Some(at)), told, "{body}: {error}");
        }
        let error = serde_json::from_str::<Everything>("{\"x\\u202e\": 1}").unwrap_err().to_string();
        assert!(phrase(&error, None).starts_with("unknown field `x\u{202e}`; known are `text`, `flag`, "), "{error}");
    }
}
