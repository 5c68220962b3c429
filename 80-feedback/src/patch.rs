//! A machine-applicable change of one document, bound to the very bytes it was made for.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use writ_core::Digest;

/// One change. Pointers are RFC 6901's, into the document's own root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Op {
    /// Puts a value in the place of one that is there.
    Replace {
        /// Where.
        path: String,
        /// What.
        value: Value,
    },
    /// Puts a value under a key that is not there yet, in a map that is.
    Add {
        /// Where.
        path: String,
        /// What.
        value: Value,
    },
}

impl Op {
    /// Where it changes something.
    #[must_use]
    pub fn path(&self) -> &str {
        match self {
            Op::Replace { path, .. } | Op::Add { path, .. } => path,
        }
    }

    /// What it puts there.
    #[must_use]
    pub fn value(&self) -> &Value {
        match self {
            Op::Replace { value, .. } | Op::Add { value, .. } => value,
        }
    }
}

/// A change of one document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Patch {
    /// Digest of the document it was made for.
    pub base: Digest,
    /// In order.
    pub ops: Vec<Op>,
    /// Which document: `intent/DEPLOY-WEB-001`.
    pub target: String,
}

/// Why a patch does not fit a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// The document has changed since.
    #[error("the patch was made for {base} and the document is {now}")]
    Stale {
        /// What it was made for.
        base: Digest,
        /// What is there.
        now: Digest,
    },
    /// Nothing stands where a value should be replaced.
    #[error("nothing stands at `{path}`")]
    Missing {
        /// The pointer.
        path: String,
    },
    /// Something stands where a value should be added.
    #[error("something stands at `{path}` already")]
    Taken {
        /// The pointer.
        path: String,
    },
    /// The text is written in a way that cannot be changed in place; the document must be written anew.
    #[error("the value at `{path}` is not written on a line of its own")]
    Text {
        /// The pointer.
        path: String,
    },
}

impl Patch {
    /// The changed document; `now` is the digest of the one given.
    ///
    /// # Errors
    /// When the patch was made for another document, or does not fit it.
    pub fn apply(&self, document: &Value, now: &Digest) -> Result<Value, PatchError> {
        if *now != self.base {
            return Err(PatchError::Stale { base: self.base, now: *now });
        }
        let mut changed = document.clone();
        for op in &self.ops {
            let path = || op.path().to_owned();
            match op {
                Op::Replace { path: at, value } => {
                    *changed.pointer_mut(at).ok_or_else(|| PatchError::Missing { path: path() })? = value.clone();
                }
                Op::Add { path: at, value } => {
                    let (parent, key) = at.rsplit_once('/').ok_or_else(|| PatchError::Missing { path: path() })?;
                    let map = changed.pointer_mut(parent).and_then(Value::as_object_mut);
                    let map = map.ok_or_else(|| PatchError::Missing { path: parent.to_owned() })?;
                    let key = key.replace("~1", "/").replace("~0", "~");
                    if map.contains_key(&key) {
                        return Err(PatchError::Taken { path: path() });
                    }
                    map.insert(key, value.clone());
                }
            }
        }
        Ok(changed)
    }
}

/// Replaces scalars in the text of a YAML document and leaves every other byte as it stands: comments, order, quotes. Only block
/// maps with a scalar on the key's own line can be changed so. The caller reads the result back and compares it with
/// [`Patch::apply`]'s; this knows too little of YAML to be believed.
///
/// # Errors
/// When a value stands in any other way, or is added.
pub fn patch_text(text: &str, ops: &[Op]) -> Result<String, PatchError> {
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    for op in ops {
        let not_simple = || PatchError::Text { path: op.path().to_owned() };
        let (Op::Replace { path, value }, true) = (op, op.value().is_number() || op.value().is_string()) else {
            return Err(not_simple());
        };
        let at = line_of(&lines, path).ok_or_else(not_simple)?;
        let line = lines.get_mut(at).ok_or_else(not_simple)?;
        *line = with_scalar(line, value).ok_or_else(not_simple)?;
    }
    Ok(lines.concat())
}

fn line_of(lines: &[String], path: &str) -> Option<usize> {
    let (mut from, mut to, mut indent) = (0, lines.len(), None::<usize>);
    let mut found = None;
    for token in path.strip_prefix('/')?.split('/') {
        let key = token.replace("~1", "/").replace("~0", "~");
        let block = lines.get(from..to)?;
        let own = block.iter().filter_map(|line| depth(line)).next()?;
        if indent.is_some_and(|outer| own <= outer) {
            return None;
        }
        let matches = |line: &String| depth(line) == Some(own) && key_of(line) == Some(key.as_str());
        let mut hits = block.iter().enumerate().filter(|(_, line)| matches(line)).map(|(at, _)| at);
        let (hit, None) = (from + hits.next()?, hits.next()) else { return None };
        let rest = lines.get(hit + 1..to)?;
        let end = rest.iter().position(|line| depth(line).is_some_and(|deep| deep <= own));
        (from, to, indent, found) = (hit + 1, end.map_or(to, |end| hit + 1 + end), Some(own), Some(hit));
    }
    found
}

/// How far the line is indented; nothing of lines without content.
fn depth(line: &str) -> Option<usize> {
    let content = line.trim_start_matches(' ');
    let blank = content.trim_end().is_empty() || content.starts_with('#');
    (!blank).then(|| line.len() - content.len())
}

fn key_of(line: &str) -> Option<&str> {
    let (key, rest) = line.trim_start_matches(' ').split_once(':')?;
    let bounded = rest.is_empty() || rest.starts_with([' ', '\n', '\r']);
    bounded.then(|| key.trim_end().trim_matches(['\'', '"']))
}

fn with_scalar(line: &str, value: &Value) -> Option<String> {
    let colon = line.find(": ")?;
    let (head, tail) = line.split_at(colon + 2);
    let old = tail.trim_start_matches(' ');
    let pad = tail.len() - old.len();
    let first = old.chars().next()?;
    let length = match first {
        '\'' | '"' => old.get(1..)?.find(first)? + 2,
        // Flow collections, block scalars, anchors, aliases and tags are more than a scalar; a comment is less.
        '[' | '{' | '|' | '>' | '&' | '*' | '!' | '#' | '\n' | '\r' => return None,
        _ => old.find(" #").unwrap_or(old.len()).min(old.trim_end().len()),
    };
    let rest = old.get(length..)?;
    if !rest.trim().is_empty() && !rest.starts_with(' ') {
        return None;
    }
    let written = match value {
        Value::String(text) if text.contains(['\n', '\r']) => return None,
        Value::String(text) => format!("'{}'", text.replace('\'', "''")),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    Some(format!("{head}{:pad$}{written}{rest}", ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const TEXT: &str = "\
# The web service.
intent:
  id: 'DEPLOY-WEB-001'
  requirements:
    availability: '99.9%'   # the contract says so
    scalability:
      min_instances: 3 # one to spare
      max_instances: 10

  constraints:
    budget: '$500/month'
    region: ['us-west', 'us-east']
";

    fn replace(path: &str, value: Value) -> Op {
        Op::Replace { path: path.to_owned(), value }
    }

    #[test]
    fn a_text_is_changed_in_just_one_place() {
        let ops = [
            replace("/intent/requirements/scalability/min_instances", json!(4)),
            replace("/intent/requirements/availability", json!("99.95%")),
        ];
        let changed = patch_text(TEXT, &ops).unwrap();
        let expected = TEXT.replace("min_instances: 3 #", "min_instances: 4 #").replace("'99.9%' ", "'99.95%' ");
        assert_eq!(changed, expected);
    }

    #[test]
    fn what_is_not_a_scalar_on_its_own_line_is_left_to_others() {
        let cases = [
            replace("/intent/constraints/region", json!("us-west")),
            replace("/intent/requirements", json!(1)),
            replace("/intent/nothing", json!(1)),
            replace("/intent/requirements/min_instances", json!(1)),
            replace("/intent/id", json!(["x"])),
            Op::Add { path: "/intent/new".to_owned(), value: json!(1) },
        ];
        for op in cases {
            assert_eq!(
                patch_text(TEXT, std::slice::from_ref(&op)),
                Err(PatchError::Text { path: op.path().to_owned() })
            );
        }
        let twice = "a:\n  b: 1\n  b: 2\n";
        assert!(patch_text(twice, &[replace("/a/b", json!(3))]).is_err());
    }

    #[test]
    fn a_patch_fits_only_the_document_it_was_made_for() {
        let base = Digest([1; 32]);
        let document = json!({"requirements": {"scalability": {"min_instances": 3}}});
        let patch = |op: Op| Patch { base, ops: vec![op], target: "intent/DEPLOY-WEB-001".to_owned() };
        let path = "/requirements/scalability/min_instances";
        let changed = patch(replace(path, json!(4))).apply(&document, &base).unwrap();
        assert_eq!(changed, json!({"requirements": {"scalability": {"min_instances": 4}}}));

        let now = Digest([2; 32]);
        assert_eq!(patch(replace(path, json!(4))).apply(&document, &now), Err(PatchError::Stale { base, now }));
        let missing = patch(replace("/requirements/nothing", json!(4))).apply(&document, &base);
        assert_eq!(missing, Err(PatchError::Missing { path: "/requirements/nothing".to_owned() }));
        let taken = patch(Op::Add { path: path.to_owned(), value: json!(4) }).apply(&document, &base);
        assert_eq!(taken, Err(PatchError::Taken { path: path.to_owned() }));
    }
}
