//! From JSON to nodes. Every draft's spelling is lifted to that of 2020-12.

use super::keyword::{Bound, Items, Keyword, Properties, Type, Types};
use super::{Body, Draft, Id, Model, Node, Patterns};
use crate::SchemaError;
use crate::compat::rational::Rational;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

pub(super) fn model(documents: &[&Value]) -> Result<Model, SchemaError> {
    let mut reader = Reader::default();
    for (index, document) in documents.iter().enumerate() {
        reader.documents.push(Document::of(document)?);
        let twin = documents[..index].iter().position(|earlier| earlier == document).unwrap_or(index);
        reader.twins.push(twin);
    }
    let roots = (0..documents.len()).map(|document| reader.id(document, String::new())).collect();
    let mut read = Vec::new();
    while read.len() < reader.places.len() {
        let (document, pointer) = reader.places[read.len()].clone();
        let node = reader.node(document, pointer)?;
        read.push(node);
    }
    let drafts = reader.documents.iter().map(|document| document.draft).collect();
    Ok(Model { drafts, nodes: read, patterns: reader.patterns, roots })
}

struct Document<'d> {
    anchors: HashMap<&'d str, String>,
    draft: Draft,
    id: Option<&'d str>,
    root: &'d Value,
}

impl<'d> Document<'d> {
    fn of(root: &'d Value) -> Result<Self, SchemaError> {
        let draft = match root.get("$schema") {
            None => Draft::D2020,
            Some(Value::String(uri)) => draft_named(uri).ok_or_else(|| SchemaError::Draft { found: uri.clone() })?,
            Some(other) => return Err(SchemaError::Draft { found: other.to_string() }),
        };
        Ok(Self { anchors: anchors(root), draft, id: root.get("$id").and_then(Value::as_str), root })
    }

    /// The pointer that a reference names in this document.
    fn resolve(&self, reference: &str) -> Option<String> {
        let (before, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let own = self.id.map(|id| id.split('#').next().unwrap_or(id));
        if !(before.is_empty() || own == Some(before)) {
            return None;
        }
        let fragment = percent_decoded(fragment)?;
        let pointer = if fragment.is_empty() || fragment.starts_with('/') {
            fragment
        } else {
            self.anchors.get(fragment.as_str())?.clone()
        };
        self.root.pointer(&pointer)?;
        Some(pointer)
    }
}

fn draft_named(uri: &str) -> Option<Draft> {
    let name = uri.trim_end_matches('#');
    let name = name.strip_prefix("https://").or_else(|| name.strip_prefix("http://"))?;
    Some(match name {
        "json-schema.org/draft-04/schema" => Draft::Four,
        "json-schema.org/draft-06/schema" => Draft::Six,
        "json-schema.org/draft-07/schema" => Draft::Seven,
        "json-schema.org/draft/2019-09/schema" => Draft::D2019,
        "json-schema.org/draft/2020-12/schema" => Draft::D2020,
        _ => return None,
    })
}

/// `$anchor` names and where they stand. A depth limit was checked before.
fn anchors(root: &Value) -> HashMap<&str, String> {
    let mut found = HashMap::new();
    let mut open = vec![(root, String::new())];
    while let Some((value, pointer)) = open.pop() {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(name)) = members.get("$anchor") {
                    found.insert(name.as_str(), pointer.clone());
                }
                let skipped = |key: &str| matches!(key, "enum" | "const" | "default" | "examples");
                let members = members.iter().filter(|(key, _)| !skipped(key));
                open.extend(members.map(|(key, member)| (member, step(&pointer, key))));
            }
            Value::Array(items) => {
                open.extend(items.iter().enumerate().map(|(at, item)| (item, format!("{pointer}/{at}"))));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    found
}

pub(crate) fn step(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let hex = [rest.next()?, rest.next()?];
        bytes.push(u8::from_str_radix(std::str::from_utf8(&hex).ok()?, 16).ok()?);
    }
    String::from_utf8(bytes).ok()
}

/// Keywords that say nothing about which values are valid. `format` is an annotation in every draft here.
const ANNOTATIONS: [&str; 13] = [
    "title",
    "description",
    "default",
    "examples",
    "$comment",
    "readOnly",
    "writeOnly",
    "deprecated",
    "format",
    "$schema",
    "$id",
    "$anchor",
    "contentSchema",
];

#[derive(Default)]
struct Reader<'d> {
    classes: HashMap<String, usize>,
    documents: Vec<Document<'d>>,
    ids: HashMap<(usize, String), Id>,
    patterns: Patterns,
    places: Vec<(usize, String)>,
    twins: Vec<usize>,
}

impl<'d> Reader<'d> {
    fn id(&mut self, document: usize, pointer: String) -> Id {
        let next = Id(self.places.len());
        let places = &mut self.places;
        *self.ids.entry((document, pointer)).or_insert_with_key(|(document, pointer)| {
            places.push((*document, pointer.clone()));
            next
        })
    }

    fn node(&mut self, document: usize, pointer: String) -> Result<Node, SchemaError> {
        let root: &'d Value = self.documents[document].root;
        let raw = root.pointer(&pointer).unwrap_or(&Value::Null);
        let class = self.class(document, raw);
        let body = match raw {
            Value::Bool(true) => Body::Any,
            Value::Bool(false) => Body::Never,
            Value::Object(members) => Body::All(
                Object { document, draft: self.documents[document].draft, members, pointer: &pointer }.read(self)?,
            ),
            Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                return Err(SchemaError::Invalid { pointer, message: "a schema is an object or a boolean".into() });
            }
        };
        Ok(Node { body, class, pointer })
    }

    /// A number that equal schemas share. Text that refers elsewhere means the same only within equal documents.
    fn class(&mut self, document: usize, raw: &Value) -> usize {
        let plain = plain(raw).to_string();
        let draft = self.documents[document].draft;
        let refers = plain.contains("\"$ref\"");
        let key = if refers { format!("{}|{plain}", self.twins[document]) } else { format!("{draft:?}|{plain}") };
        let next = self.classes.len();
        *self.classes.entry(key).or_insert(next)
    }
}

/// The schema without what does not decide.
fn plain(raw: &Value) -> Value {
    let Value::Object(members) = raw else { return raw.clone() };
    let map_of_schemas =
        |key: &str| matches!(key, "properties" | "patternProperties" | "dependentSchemas" | "dependencies");
    let kept = members
        .iter()
        .filter(|(key, _)| !ANNOTATIONS.contains(&key.as_str()) && !matches!(key.as_str(), "$defs" | "definitions"));
    Value::Object(
        kept.map(|(key, value)| {
            let value = match value {
                _ if matches!(key.as_str(), "enum" | "const" | "required" | "type") => value.clone(),
                Value::Object(inner) if map_of_schemas(key) => {
                    Value::Object(inner.iter().map(|(name, schema)| (name.clone(), plain(schema))).collect())
                }
                Value::Array(items) => Value::Array(items.iter().map(plain).collect()),
                Value::Object(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => plain(value),
            };
            (key.clone(), value)
        })
        .collect(),
    )
}

/// One schema object while it is read.
struct Object<'r> {
    document: usize,
    draft: Draft,
    members: &'r Map<String, Value>,
    pointer: &'r str,
}

type Named = (&'static str, Keyword);

impl Object<'_> {
    fn read(&self, reader: &mut Reader<'_>) -> Result<Vec<Named>, SchemaError> {
        self.refuse_moving_targets()?;
        let mut found = Vec::new();
        if let Some(reference) = self.members.get("$ref") {
            found.push(("$ref", Keyword::Ref(self.reference(reader, reference)?)));
            if self.draft <= Draft::Seven {
                return Ok(found); // Up to draft 7, whatever stands beside `$ref` is ignored.
            }
        }
        self.any_type(reader, &mut found);
        self.numbers(&mut found);
        self.strings(reader, &mut found)?;
        self.arrays(reader, &mut found);
        self.objects(reader, &mut found)?;
        self.not_followed(reader, &mut found);
        Ok(found)
    }

    fn refuse_moving_targets(&self) -> Result<(), SchemaError> {
        let refuse = |keyword: &str, instead| {
            Err(SchemaError::Unsupported { keyword: keyword.into(), pointer: self.pointer.into(), instead })
        };
        for keyword in ["$dynamicRef", "$recursiveRef"] {
            if self.members.contains_key(keyword) {
                return refuse(keyword, "write `$ref`");
            }
        }
        for keyword in ["$id", "id", "$schema"] {
            let nested = !self.pointer.is_empty() && self.members.get(keyword).is_some_and(Value::is_string);
            // Draft 4 alone spelled the identifier `id`; later it is an unknown keyword without meaning.
            if nested && (keyword != "id" || self.draft == Draft::Four) {
                return refuse(keyword, "a contract's schema is one document with one base; give it at the top");
            }
        }
        Ok(())
    }

    fn reference(&self, reader: &mut Reader<'_>, reference: &Value) -> Result<Id, SchemaError> {
        let text = reference.as_str().unwrap_or_default();
        match reader.documents[self.document].resolve(text) {
            Some(target) if reference.is_string() => Ok(reader.id(self.document, target)),
            Some(_) | None => Err(SchemaError::Reference { reference: text.into(), pointer: self.pointer.into() }),
        }
    }

    fn child(&self, reader: &mut Reader<'_>, path: &[&str]) -> Id {
        let pointer = path.iter().fold(self.pointer.to_owned(), |pointer, key| step(&pointer, key));
        reader.id(self.document, pointer)
    }

    fn one(&self, reader: &mut Reader<'_>, key: &str) -> Option<Id> {
        self.members.get(key).map(|_| self.child(reader, &[key]))
    }

    fn list(&self, reader: &mut Reader<'_>, key: &str) -> Option<Vec<Id>> {
        let length = self.members.get(key)?.as_array()?.len();
        Some((0..length).map(|at| self.child(reader, &[key, &at.to_string()])).collect())
    }

    fn map(&self, reader: &mut Reader<'_>, key: &str) -> Vec<(Arc<str>, Id)> {
        let names = self.members.get(key).and_then(Value::as_object).map(|map| map.keys().cloned().collect::<Vec<_>>());
        names
            .unwrap_or_default()
            .into_iter()
            .map(|name| (Arc::from(name.as_str()), self.child(reader, &[key, &name])))
            .collect()
    }

    fn rational(&self, key: &str) -> Option<Rational> {
        match self.members.get(key) {
            Some(Value::Number(number)) => Rational::of_number(number),
            Some(_) | None => None,
        }
    }

    fn count(&self, key: &str) -> Option<u64> {
        self.rational(key).and_then(Rational::to_count)
    }

    /// An assertion that is there but not followed.
    fn opaque(&self, key: &str) -> Option<Keyword> {
        let value = self.members.get(key)?;
        let text = Arc::from(format!("{:?} {key} {value}", self.draft));
        Some(Keyword::Opaque { text, inside: Vec::new(), repeats: false })
    }

    fn any_type(&self, reader: &mut Reader<'_>, found: &mut Vec<Named>) {
        match self.members.get("type") {
            Some(Value::String(name)) => found.push(("type", Keyword::Types(types(&[name.as_str()])))),
            Some(Value::Array(names)) => {
                let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
                found.push(("type", Keyword::Types(types(&names))));
            }
            Some(_) | None => {}
        }
        if let Some(Value::Array(values)) = self.members.get("enum") {
            found.push(("enum", Keyword::OneOfValues(Arc::new(values.clone()))));
        }
        if let Some(value) = self.members.get("const").filter(|_| self.draft >= Draft::Six) {
            found.push(("const", Keyword::OneOfValues(Arc::new(vec![value.clone()]))));
        }
        found.extend(self.list(reader, "allOf").map(|ids| ("allOf", Keyword::All(ids))));
        found.extend(self.list(reader, "anyOf").map(|ids| ("anyOf", Keyword::Any(ids))));
        found.extend(self.list(reader, "oneOf").map(|ids| ("oneOf", Keyword::One(ids))));
        found.extend(self.one(reader, "not").map(|id| ("not", Keyword::Not(id))));
        if let Some(cond) = self.one(reader, "if").filter(|_| self.draft >= Draft::Seven) {
            let (then, otherwise) = (self.one(reader, "then"), self.one(reader, "else"));
            found.push(("if", Keyword::If { cond, then, otherwise }));
        }
    }

    fn numbers(&self, found: &mut Vec<Named>) {
        let bound = |key: &str, open: bool| self.rational(key).map(|at| Bound { at, open });
        let low = [("minimum", bound("minimum", false)), ("exclusiveMinimum", bound("exclusiveMinimum", true))];
        let high = [("maximum", bound("maximum", false)), ("exclusiveMaximum", bound("exclusiveMaximum", true))];
        for (key, bound) in low {
            match bound {
                Some(bound) => found.push((key, Keyword::Low(bound))),
                None => found.extend(self.opaque(key).map(|opaque| (key, opaque))),
            }
        }
        for (key, bound) in high {
            match bound {
                Some(bound) => found.push((key, Keyword::High(bound))),
                None => found.extend(self.opaque(key).map(|opaque| (key, opaque))),
            }
        }
        match self.rational("multipleOf").filter(|step| step.is_positive()) {
            Some(step) => found.push(("multipleOf", Keyword::MultipleOf(step))),
            None => found.extend(self.opaque("multipleOf").map(|opaque| ("multipleOf", opaque))),
        }
    }

    fn counted(&self, key: &'static str, keyword: fn(u64) -> Keyword, found: &mut Vec<Named>) {
        match self.count(key) {
            Some(count) => found.push((key, keyword(count))),
            None => found.extend(self.opaque(key).map(|opaque| (key, opaque))),
        }
    }

    fn strings(&self, reader: &mut Reader<'_>, found: &mut Vec<Named>) -> Result<(), SchemaError> {
        self.counted("minLength", Keyword::LengthMin, found);
        self.counted("maxLength", Keyword::LengthMax, found);
        if let Some(Value::String(pattern)) = self.members.get("pattern") {
            let pattern = reader.patterns.add(pattern, || step(self.pointer, "pattern"))?;
            found.push(("pattern", Keyword::Pattern(pattern)));
        }
        Ok(())
    }

    fn arrays(&self, reader: &mut Reader<'_>, found: &mut Vec<Named>) {
        let items = if self.draft == Draft::D2020 {
            Items { prefix: self.list(reader, "prefixItems").unwrap_or_default(), rest: self.one(reader, "items") }
        } else if let Some(prefix) = self.list(reader, "items") {
            Items { prefix, rest: self.one(reader, "additionalItems") }
        } else {
            Items { prefix: Vec::new(), rest: self.one(reader, "items") }
        };
        if !items.prefix.is_empty() || items.rest.is_some() {
            found.push(("items", Keyword::Items(Arc::new(items))));
        }
        self.counted("minItems", Keyword::ItemsMin, found);
        self.counted("maxItems", Keyword::ItemsMax, found);
        if self.members.get("uniqueItems") == Some(&Value::Bool(true)) {
            found.push(("uniqueItems", Keyword::Unique));
        }
        if let Some(item) = self.one(reader, "contains").filter(|_| self.draft >= Draft::Six) {
            let counts = self.draft >= Draft::D2019;
            let min = if counts { self.count("minContains").unwrap_or(1) } else { 1 };
            let max = if counts { self.count("maxContains") } else { None };
            found.push(("contains", Keyword::Contains { item, min, max }));
        }
    }

    fn objects(&self, reader: &mut Reader<'_>, found: &mut Vec<Named>) -> Result<(), SchemaError> {
        let named: BTreeMap<Arc<str>, Id> = self.map(reader, "properties").into_iter().collect();
        let mut patterns = Vec::new();
        for (pattern, id) in self.map(reader, "patternProperties") {
            let place = || step(&step(self.pointer, "patternProperties"), &pattern);
            patterns.push((reader.patterns.add(&pattern, place)?, id));
        }
        let rest = self.one(reader, "additionalProperties");
        if !named.is_empty() || !patterns.is_empty() || rest.is_some() {
            found.push(("properties", Keyword::Properties(Arc::new(Properties { named, patterns, rest }))));
        }
        if let Some(Value::Array(names)) = self.members.get("required") {
            found.push(("required", Keyword::Required(texts(names))));
        }
        self.counted("minProperties", Keyword::PropertiesMin, found);
        self.counted("maxProperties", Keyword::PropertiesMax, found);
        if self.draft >= Draft::Six {
            found.extend(self.one(reader, "propertyNames").map(|id| ("propertyNames", Keyword::Names(id))));
        }
        let (required, schemas) = if self.draft >= Draft::D2019 {
            ("dependentRequired", "dependentSchemas")
        } else {
            ("dependencies", "dependencies")
        };
        for (on, value) in self.members.get(required).and_then(Value::as_object).into_iter().flatten() {
            if let Value::Array(needs) = value {
                let on = Arc::from(on.as_str());
                found.push((required, Keyword::DependentRequired { on, needs: texts(needs) }));
            }
        }
        for (name, value) in self.members.get(schemas).and_then(Value::as_object).into_iter().flatten() {
            if !value.is_array() {
                let then = self.child(reader, &[schemas, name]);
                found.push((schemas, Keyword::DependentSchema { on: Arc::from(name.as_str()), then }));
            }
        }
        Ok(())
    }

    /// Assertions that the prover does not follow, each under a text that is equal only where the meaning is.
    fn not_followed(&self, reader: &mut Reader<'_>, found: &mut Vec<Named>) {
        if self.draft >= Draft::D2019 {
            for key in ["unevaluatedProperties", "unevaluatedItems"] {
                if let Some(id) = self.one(reader, key) {
                    // Its meaning depends on everything beside it, references included.
                    let text = format!("{} {key} {}", self.document, self.pointer);
                    found.push((key, Keyword::Opaque { text: text.into(), inside: vec![id], repeats: true }));
                }
            }
        }
        let contents: &[&'static str] =
            if self.draft <= Draft::Seven { &["contentEncoding", "contentMediaType"] } else { &[] };
        let strays: &[&'static str] = match self.draft {
            Draft::D2020 => &["additionalItems", "dependencies"],
            Draft::D2019 => &["dependencies"],
            Draft::Four | Draft::Six | Draft::Seven => &[],
        };
        for key in contents.iter().chain(strays) {
            let stray = matches!(*key, "additionalItems" | "dependencies");
            if stray {
                found.extend(self.members.get(*key).map(|_| {
                    let text = format!("{} {key} {}", self.document, self.pointer);
                    (*key, Keyword::Opaque { text: text.into(), inside: Vec::new(), repeats: false })
                }));
            } else {
                found.extend(self.opaque(key).map(|opaque| (*key, opaque)));
            }
        }
    }
}

fn types(names: &[&str]) -> Types {
    let mut types = Types::default();
    for name in names {
        match *name {
            "null" => types.named.push(Type::Null),
            "boolean" => types.named.push(Type::Boolean),
            "string" => types.named.push(Type::String),
            "number" => types.named.push(Type::Number),
            "object" => types.named.push(Type::Object),
            "array" => types.named.push(Type::Array),
            "integer" => types.integer = true,
            _ => {} // The draft's own schema has refused any other name.
        }
    }
    types
}

fn texts(values: &[Value]) -> Vec<Arc<str>> {
    values.iter().filter_map(Value::as_str).map(Arc::from).collect()
}
