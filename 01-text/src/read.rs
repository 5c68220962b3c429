//! From bytes to a tree.

use crate::{At, Entry, Limits, Node, Problem, Problems, Value, load, node, scalar};
use granit_parser::{ErrorKind, Event, Marker, Parser, ScalarStyle, ScanError, Span, Tag};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use writ_core::Place;

/// About how long a pointer may be, in bytes.
const POINTER_MAX: usize = 256;

/// The one document of a file; an empty file is null.
///
/// # Errors
/// Everything that is wrong with it, up to the first place where it stops being YAML. More than one document is a problem.
pub fn read(file: &str, bytes: &[u8], limits: &Limits) -> Result<Node, Vec<Problem>> {
    let mut documents = read_all(file, bytes, limits)?;
    if let Some(second) = documents.get(1) {
        let problem = Problem::new(second.place(), "a second document begins here, and this file may hold one only");
        return Err(vec![problem.hint("remove the `---` line, or split the file")]);
    }
    let empty = Node { at: At { file: file.into(), line: 1, column: 1, pointer: "".into() }, value: Value::Null };
    Ok(documents.pop().unwrap_or(empty))
}

/// All documents of a file, which `---` lines divide.
///
/// # Errors
/// Everything that is wrong with it, up to the first place where it stops being YAML.
pub fn read_all(file: &str, bytes: &[u8], limits: &Limits) -> Result<Vec<Node>, Vec<Problem>> {
    let source = decode(file, bytes, limits).map_err(|problem| vec![problem])?;
    let mut options = granit_parser::options! {
        flow_nesting_limit: limits.depth,
        block_nesting_limit: limits.depth,
        disallow_directives: true,
    };
    options.set_emit_comments(false);
    let mut tree = Tree::new(file, *limits);
    for next in Parser::new_from_str_with_options(source, options) {
        let step = match next {
            Ok((event, span)) => tree.take(event, span),
            Err(error) => Err(tree.scan_problem(&error)),
        };
        if let Err(problem) = step {
            tree.problems.push(problem);
            break;
        }
    }
    tree.problems.result(Some(tree.documents))
}

/// The text of the bytes, if they are no more than allowed, UTF-8, and without characters that no editor shows.
fn decode<'a>(file: &str, bytes: &'a [u8], limits: &Limits) -> Result<&'a str, Problem> {
    let place = |line, column| Place { file: file.to_owned(), line, column };
    if bytes.len() > limits.bytes {
        return Err(load::too_large(place(1, 1), bytes.len() as u64, limits));
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(Problem::new(place(1, 1), "this file is UTF-16").hint("save it as UTF-8"));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let (line, column) = position(&bytes[..error.valid_up_to()]);
        let byte = bytes.get(error.valid_up_to()).copied().unwrap_or_default();
        Problem::new(place(line, column), format!("the byte 0x{byte:02x} is not UTF-8 here"))
            .hint("save the file as UTF-8")
    })?;
    if let Some(offset) = text.find('\0') {
        let (line, column) = position(&bytes[..offset]);
        return Err(
            Problem::new(place(line, column), "a NUL character stands here").hint("this looks like a binary file")
        );
    }
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// Line and column, from 1, of what follows these bytes; they are valid UTF-8.
fn position(before: &[u8]) -> (u32, u32) {
    let text = String::from_utf8_lossy(before);
    let line = text.matches('\n').count() + 1;
    let column = text.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    (small(line), small(column))
}

/// A key as a part of a JSON pointer.
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// A list or map that is being read.
struct Frame {
    at: At,
    anchor: usize,
    items: Vec<Node>,
    entries: Vec<Entry>,
    seen: HashSet<String>,
    /// The key whose value comes next; a map waits for a key when there is none.
    key: Option<(String, At)>,
    is_map: bool,
    size: Size,
}

/// What a value costs with everything in it.
#[derive(Clone, Copy, Default)]
struct Size {
    nodes: usize,
    text: usize,
    height: usize,
}

struct Tree {
    file: Arc<str>,
    limits: Limits,
    open: Vec<Frame>,
    anchors: BTreeMap<usize, (Node, Size)>,
    used: Size,
    repeated: usize,
    documents: Vec<Node>,
    problems: Problems,
}

impl Tree {
    fn new(file: &str, limits: Limits) -> Self {
        Self {
            file: file.into(),
            limits,
            open: Vec::new(),
            anchors: BTreeMap::new(),
            used: Size::default(),
            repeated: 0,
            documents: Vec::new(),
            problems: Problems::new(),
        }
    }

    fn at(&self, mark: &Marker) -> At {
        let (line, column) = (small(mark.line()).max(1), small(mark.col().saturating_add(1)));
        At { file: self.file.clone(), line, column, pointer: self.pointer(None) }
    }

    /// What comes next, as a JSON pointer; the value above it, where the pointer would be longer than is useful: many values
    /// under long keys would have a file of a megabyte take gigabytes.
    fn pointer(&self, key: Option<&str>) -> Arc<str> {
        let Some(frame) = self.open.last() else { return "".into() };
        let above = &frame.at.pointer;
        let key = key.or(frame.key.as_ref().map(|(key, _)| key.as_str()));
        let next = match key {
            Some(key) if above.len() + key.len() < POINTER_MAX => format!("{above}/{}", escaped(key)),
            None if !frame.is_map && above.len() < POINTER_MAX => format!("{above}/{}", frame.items.len()),
            Some(_) | None => return above.clone(),
        };
        next.into()
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Problem> {
        let at = self.at(&span.start);
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "the parser's list of events is open; the rest are marks of today"
        )]
        match event {
            Event::DocumentStart(..) => self.anchors.clear(),
            Event::Scalar(text, style, anchor, tag) => {
                if self.open.last().is_some_and(|frame| frame.is_map && frame.key.is_none()) {
                    let at = At { pointer: self.pointer(Some(&text)), ..at };
                    self.key(&text, style, at.clone());
                    if anchor != 0 {
                        self.problems.suggest(&at, "a key cannot be anchored", "anchor the value");
                    }
                    return Ok(());
                }
                let size = Size { nodes: 1, text: text.len(), height: 0 };
                self.charge(&at, size)?;
                let value = self.scalar(&text, style, tag.as_deref(), &at);
                self.finish(Node { at, value }, anchor, size)?;
            }
            Event::Alias(anchor) => {
                let Some((named, size)) = self.anchors.get(&anchor) else {
                    return Err(Problem::new(at.place(), "this alias stands inside what it names"));
                };
                let size = *size;
                self.repeated = self.repeated.saturating_add(size.nodes);
                if self.repeated > self.limits.repeated {
                    let message = format!("aliases repeat more than {} values up to here", self.limits.repeated);
                    return Err(Problem::new(at.place(), message).hint("write the values out, or use fewer aliases"));
                }
                let value = named.value.clone();
                if let Some(frame) = self.open.last()
                    && frame.is_map
                    && frame.key.is_none()
                {
                    return Err(Problem::new(at.place(), "a key cannot be an alias"));
                }
                self.charge(&at, size)?;
                self.finish(Node { at, value }, 0, size)?;
            }
            Event::SequenceStart(_, anchor, tag) => self.begin(at, anchor, tag.as_deref(), false)?,
            Event::MappingStart(_, anchor, tag) => self.begin(at, anchor, tag.as_deref(), true)?,
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(frame) = self.open.pop() {
                    let value = if frame.is_map { Value::Map(frame.entries) } else { Value::List(frame.items) };
                    let size = Size { height: frame.size.height + 1, ..frame.size };
                    self.finish(Node { at: frame.at, value }, frame.anchor, size)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self, at: At, anchor: usize, tag: Option<&Tag>, is_map: bool) -> Result<(), Problem> {
        if self.open.last().is_some_and(|frame| frame.is_map && frame.key.is_none()) {
            return Err(Problem::new(at.place(), "a key must be a text").hint("put it in quotes"));
        }
        if self.open.len() >= self.limits.depth {
            return Err(self.too_deep(&at));
        }
        let wanted = if is_map { "map" } else { "seq" };
        if let Some(tag) = tag.filter(|tag| !tag.is_yaml_core_schema_tag(wanted)) {
            self.unknown_tag(tag, &at);
        }
        let size = Size { nodes: 1, text: 0, height: 0 };
        self.charge(&at, size)?;
        self.open.push(Frame {
            at,
            anchor,
            items: Vec::new(),
            entries: Vec::new(),
            seen: HashSet::new(),
            key: None,
            is_map,
            size,
        });
        Ok(())
    }

    fn key(&mut self, text: &str, style: ScalarStyle, at: At) {
        let plain = style == ScalarStyle::Plain;
        if plain && text == "<<" {
            self.problems.suggest(&at, "merge keys (`<<`) are not read", "write the fields out");
        } else if plain && scalar::plain(text) == Ok(Value::Null) {
            self.problems.suggest(&at, "this key is empty", "give it a name, or put it in quotes");
        }
        let Some(frame) = self.open.last_mut() else { return };
        if !frame.seen.insert(text.to_owned()) {
            let first = frame.entries.iter().find(|entry| entry.key == text).map(|entry| entry.key_at.line);
            let hint = format!("it was given on line {}; remove one of them", first.unwrap_or_default());
            self.problems.suggest(&at, format!("the key `{}` stands here a second time", node::cut(text)), hint);
        }
        frame.size.text += text.len();
        self.used.text += text.len();
        frame.key = Some((text.to_owned(), at));
    }

    fn scalar(&self, text: &str, style: ScalarStyle, tag: Option<&Tag>, at: &At) -> Value {
        let quoted = Value::Text { value: text.to_owned(), quoted: true };
        let resolve = || {
            scalar::plain(text).unwrap_or_else(|(message, hint)| {
                self.problems.suggest(at, message, hint);
                Value::Null
            })
        };
        let Some(tag) = tag else {
            return if style == ScalarStyle::Plain { resolve() } else { quoted };
        };
        let fits = |value: &Value| match tag.core_suffix() {
            Some("null") => matches!(value, Value::Null),
            Some("bool") => matches!(value, Value::Bool(_)),
            Some("int") => matches!(value, Value::Int(_)),
            Some("float") => matches!(value, Value::Int(_) | Value::Float { .. }),
            Some(_) | None => false,
        };
        match tag.core_suffix() {
            Some("str") => quoted,
            Some("null" | "bool" | "int" | "float") => {
                let value = resolve();
                if !fits(&value) {
                    self.problems.say(at, format!("`{}` does not fit its tag `{}`", node::cut(text), tag.original()));
                }
                value
            }
            Some(_) | None if tag.original() == "!" => quoted,
            Some(_) | None => {
                self.unknown_tag(tag, at);
                quoted
            }
        }
    }

    fn unknown_tag(&self, tag: &Tag, at: &At) {
        let message = format!("the tag `{}` is not known here", node::cut(&tag.original()));
        self.problems.suggest(at, message, "remove the tag");
    }

    /// Puts a whole value where it belongs.
    fn finish(&mut self, node: Node, anchor: usize, size: Size) -> Result<(), Problem> {
        if self.open.len() + size.height > self.limits.depth {
            return Err(self.too_deep(&node.at));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), size));
        }
        let Some(frame) = self.open.last_mut() else {
            self.documents.push(node);
            return Ok(());
        };
        frame.size.nodes += size.nodes;
        frame.size.text += size.text;
        frame.size.height = frame.size.height.max(size.height);
        match frame.key.take() {
            Some((key, key_at)) => frame.entries.push(Entry { key, key_at, value: node }),
            None => frame.items.push(node),
        }
        Ok(())
    }

    fn charge(&mut self, at: &At, size: Size) -> Result<(), Problem> {
        self.used.nodes = self.used.nodes.saturating_add(size.nodes);
        self.used.text = self.used.text.saturating_add(size.text);
        if self.used.nodes > self.limits.nodes {
            let message = format!("this document has more than {} values, aliases expanded", self.limits.nodes);
            return Err(Problem::new(at.place(), message).hint("split the file, or use fewer aliases"));
        }
        if self.used.text > self.limits.text {
            let message = format!("this document has more than {} bytes of text, aliases expanded", self.limits.text);
            return Err(Problem::new(at.place(), message).hint("split the file, or use fewer aliases"));
        }
        Ok(())
    }

    fn too_deep(&self, at: &At) -> Problem {
        Problem::new(at.place(), format!("lists and maps are nested more than {} deep here", self.limits.depth))
    }

    fn scan_problem(&self, error: &ScanError) -> Problem {
        let at = self.at(error.marker());
        let said = error.info();
        #[expect(clippy::wildcard_enum_match_arm, reason = "the parser's list of errors is open")]
        let (message, hint) = match error.kind() {
            ErrorKind::UnknownAnchor => ("this alias names an anchor that is not defined above".to_owned(), None),
            ErrorKind::DirectiveDisallowed => ("`%` directives are not read".to_owned(), Some("remove the line")),
            _ if said.contains("nesting") || said.contains("recursion") => return self.too_deep(&at),
            _ if said.contains('\t') || said.contains("tab") => (said, Some("indent with spaces")),
            _ if said.contains("quoted scalar") => {
                (format!("this is not YAML: {said}"), Some("a quote above may not have been closed"))
            }
            _ => (format!("this is not YAML: {said}"), None),
        };
        let problem = Problem::new(at.place(), message);
        match hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_and_key_knows_its_pointer_and_the_pointer_finds_it() {
        fn look(root: &Node, node: &Node, found: &mut usize) {
            assert!(std::ptr::eq(root.pointer(&node.at.pointer).unwrap(), node), "{}", node.at.pointer);
            *found += 1;
            for entry in node.entries() {
                assert_eq!(entry.key_at.pointer, entry.value.at.pointer);
                look(root, &entry.value, found);
            }
            if let Value::List(items) = &node.value {
                items.iter().for_each(|item| look(root, item, found));
            }
        }
        let text = b"a:\n  - 1\n  - {b/c: [x], d~e: ~}\n? q\n: - - y\n'': z\n";
        let node = read("x", text, &Limits::default()).unwrap();
        let mut found = 0;
        look(&node, &node, &mut found);
        assert_eq!(found, 11);
        assert_eq!(&*node.pointer("/a/1/b~1c/0").unwrap().at.pointer, "/a/1/b~1c/0");
    }

    #[test]
    fn a_pointer_stays_short_whatever_the_keys_are() {
        let text = format!("{{\"{}\": {{a: [1, 2], b: {{c: 3}}}}, d: 4}}\n", "k".repeat(1_000));
        let node = read("x", text.as_bytes(), &Limits::default()).unwrap();
        let long = &node.entries()[0].value;
        for at in [&long.at, &long.entries()[0].value.at, &long.entries()[1].value.entries()[0].key_at] {
            assert!(at.pointer.len() < POINTER_MAX + 32, "{}", at.pointer.len());
        }
        assert_eq!(&*node.entries()[1].key_at.pointer, "/d");
    }
}
