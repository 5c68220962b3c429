//! What people and scripts read: answers on standard output, everything else on standard error.

use clap::{Subcommand, ValueEnum};
use serde_json::Value;
use std::io::{self, IsTerminal, Write};

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// Aligned words.
    Table,
    /// A table with everything.
    Wide,
    /// One JSON document.
    Json,
    /// One YAML document.
    Yaml,
    /// One JSON document a line.
    Ndjson,
    /// SARIF 2.1.0, for checks.
    Sarif,
    /// JUnit XML, for checks.
    Junit,
}

/// Where answers go. A reader that has gone away (`| head`) is no error.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Out {
    pub(crate) form: Form,
    pub(crate) quiet: bool,
    /// Options that the next command needs too.
    pub(crate) at: &'static str,
}

impl Out {
    /// Prints text as it is.
    pub(crate) fn text(self, text: &str) {
        let mut out = io::stdout().lock();
        let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        if let Err(error) = written
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            self.say(&format!("error: standard output cannot be written: {error}"));
        }
    }

    /// Prints a line.
    pub(crate) fn line(self, text: &str) {
        self.text(&format!("{text}\n"));
    }

    /// Says something that is not the answer.
    pub(crate) fn say(self, text: &str) {
        // When even standard error is gone there is nobody to tell.
        drop(writeln!(io::stderr().lock(), "{text}"));
    }

    /// Names the next command to type.
    pub(crate) fn next(self, text: &str) {
        if !self.quiet && matches!(self.form, Form::Table | Form::Wide) {
            self.say(&format!("next: {}", self.placed(text)));
        }
    }

    /// Says what may help, below an error.
    pub(crate) fn hint(self, hint: &str) {
        self.say(&format!("  hint: {}", self.placed(hint)));
    }

    /// A sentence whose commands have the options that say where to look, as far as they look anywhere and do not say so.
    pub(crate) fn placed(self, text: &str) -> String {
        if text.contains("--state") {
            return text.to_owned();
        }
        let (mut placed, mut rest) = (String::new(), text);
        while let Some((before, after)) = rest.split_once("writ ") {
            placed.push_str(before);
            let at = if begins_command(&placed) && looks(after) { self.at } else { "" };
            placed.push_str(&format!("writ{at} "));
            rest = after;
        }
        placed + rest
    }

    /// Whether a person reads along.
    pub(crate) fn is_terminal(self) -> bool {
        io::stdout().is_terminal()
    }

    /// Prints one document; `table` makes the words for people.
    pub(crate) fn document(self, document: &Value, table: impl FnOnce(bool) -> String) {
        match self.form {
            Form::Table => self.text(&table(false)),
            Form::Wide => self.text(&table(true)),
            Form::Json | Form::Sarif | Form::Junit => self.line(&pretty(document)),
            Form::Yaml => self.text(&yaml(document)),
            Form::Ndjson => self.line(&document.to_string()),
        }
    }

    /// Prints a list; an empty one is `[]` in JSON and says so in words.
    pub(crate) fn list(self, items: &[Value], none: &str, table: impl FnOnce(bool) -> String) {
        match self.form {
            Form::Ndjson => items.iter().for_each(|item| self.line(&item.to_string())),
            Form::Table | Form::Wide if items.is_empty() => self.say(none),
            Form::Table | Form::Wide | Form::Json | Form::Yaml | Form::Sarif | Form::Junit => {
                self.document(&Value::Array(items.to_vec()), table);
            }
        }
    }
}

/// Commands that look at files alone, whatever stands in front of them.
const LOOK_NOWHERE: [&str; 5] = ["init", "policy test", "schema", "validate", "verify"];

/// Whether a command may follow these words: `writ` stands in sentences, too.
fn begins_command(before: &str) -> bool {
    let before = before.trim_end_matches(' ');
    before.is_empty() || before.ends_with(['`', ':', ',']) || before.ends_with(" or")
}

/// Whether these words are a command's, and one that looks at a server or its state.
fn looks(words: &str) -> bool {
    let end = |character: char| !character.is_ascii_alphanumeric() && character != '-';
    let known = words.split(end).next().is_some_and(crate::Noun::has_subcommand);
    let nowhere =
        |command: &&str| words.strip_prefix(*command).is_some_and(|rest| rest.is_empty() || rest.starts_with(end));
    known && !LOOK_NOWHERE.iter().any(nowhere)
}

fn pretty(document: &Value) -> String {
    serde_json::to_string_pretty(document).unwrap_or_else(|error| error.to_string())
}

/// A document as YAML: block style, texts quoted where they need it.
pub(crate) fn yaml(document: &Value) -> String {
    let mut text = String::new();
    write_yaml(document, 0, false, &mut text);
    text
}

fn write_yaml(value: &Value, depth: usize, inline: bool, text: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (at, (key, item)) in fields.iter().enumerate() {
                if at > 0 || !inline {
                    text.push_str(&indent);
                }
                text.push_str(&format!("{}:", scalar(key)));
                nested(item, depth + 1, text);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (at, item) in items.iter().enumerate() {
                if at > 0 || !inline {
                    text.push_str(&indent);
                }
                text.push_str("- ");
                write_yaml(item, depth + 1, true, text);
            }
        }
        Value::String(string) => text.push_str(&format!("{}\n", scalar(string))),
        Value::Object(_) | Value::Array(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {
            text.push_str(&format!("{value}\n"));
        }
    }
}

fn nested(item: &Value, depth: usize, text: &mut String) {
    let block = matches!(item, Value::Object(fields) if !fields.is_empty())
        || matches!(item, Value::Array(items) if !items.is_empty());
    text.push_str(if block { "\n" } else { " " });
    write_yaml(item, depth, false, text);
}

/// A text as a YAML scalar: plain when no reader can take it for anything else, else in JSON's quotes, which YAML shares.
fn scalar(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '/' | '.' | ' ' | '(' | ')' | '，');
    let words = ["true", "false", "null", "yes", "no", "on", "off", "y", "n", "~"];
    let safe = text.starts_with(char::is_alphabetic)
        && !text.ends_with(' ')
        && text.chars().all(plain)
        && !words.contains(&text.to_lowercase().as_str());
    if safe { text.to_owned() } else { Value::String(text.to_owned()).to_string() }
}

/// Rows as aligned columns; tab-separated words when nobody looks.
pub(crate) fn columns(head: &[&str], rows: &[Vec<String>], terminal: bool) -> String {
    if !terminal {
        return rows.iter().map(|row| format!("{}\n", row.join("\t"))).collect();
    }
    let mut widths: Vec<usize> = head.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let print = |cells: Vec<&str>| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        format!("{}\n", padded.collect::<Vec<_>>().join("  ").trim_end())
    };
    let mut text = print(head.to_vec());
    for row in rows {
        text.push_str(&print(row.iter().map(String::as_str).collect()));
    }
    text
}

/// What is told of one thing: a name and a value a line; what is empty is left out.
pub(crate) fn pairs(rows: &[(&str, String)]) -> String {
    let told = || rows.iter().filter(|(_, value)| !value.is_empty());
    let width = told().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    told().map(|(name, value)| pair(width + 1, name, value)).collect()
}

/// One name and its value; nothing when it is empty.
pub(crate) fn pair(width: usize, name: &str, value: &str) -> String {
    if value.trim().is_empty() { String::new() } else { format!("{name:<width$} {value}\n") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn yaml_quotes_what_could_be_taken_for_something_else() {
        let document =
            json!({"a": "yes", "b": [{"c": 1, "d": "x: y"}, "3", []], "e": {}, "f": null, "g": "部署 plain"});
        let expected = "a: \"yes\"\nb:\n  - c: 1\n    d: \"x: y\"\n  - \"3\"\n  - []\ne: {}\nf: null\ng: 部署 plain\n";
        assert_eq!(yaml(&document), expected);
    }

    #[test]
    fn commands_that_look_somewhere_say_where_and_other_words_stay() {
        let out = Out { form: Form::Table, quiet: false, at: " --state S" };
        for (text, placed) in [
            ("writ why run_x", "writ --state S why run_x"),
            ("see what it does: writ why run_x", "see what it does: writ --state S why run_x"),
            ("witness: `writ server doctor`", "witness: `writ --state S server doctor`"),
            ("`writ why` of it", "`writ --state S why` of it"),
            (
                "writ why last, writ audit verify, or `writ run list`",
                "writ --state S why last, writ --state S audit verify, or `writ --state S run list`",
            ),
            ("writ why i, or writ intent history i", "writ --state S why i, or writ --state S intent history i"),
            ("writ policy apply DIR", "writ --state S policy apply DIR"),
            ("writ acts on nothing until it is restarted", "writ acts on nothing until it is restarted"),
            ("the server is writ why not", "the server is writ why not"),
            (
                "writ validate -f F, writ policy test D, writ dev D",
                "writ validate -f F, writ policy test D, writ --state S dev D",
            ),
            ("`writ init DIR` writes some; `writ verify`", "`writ init DIR` writes some; `writ verify`"),
            ("`writ server restore B --state DIR`", "`writ server restore B --state DIR`"),
        ] {
            assert_eq!(out.placed(text), placed);
        }
    }
}
