//! Validation: compile once, check many values.

use crate::SchemaError;
use crate::limits::{self, PATTERN_SIZE_MAX, VALUE_DEPTH_MAX, VISITS_MAX};
use crate::model::{self, Model};
use serde_json::Value;

/// How many findings one check returns.
const MISFITS_MAX: usize = 100;
/// How long a message may be, in characters.
const MESSAGE_MAX: usize = 300;

/// A compiled JSON Schema.
///
/// Draft 2020-12 unless `$schema` names another (04, 06, 07, 2019-09). `format` is an annotation in every draft. Patterns
/// are ECMA 262 without look-around, matched in linear time. References stay inside the document.
#[derive(Debug)]
pub struct Schema {
    document: Value,
    recursion: model::Recursion,
    root: Model,
    validator: jsonschema::Validator,
}

/// One way in which a value does not fit its schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// Where in the value, as a JSON pointer; empty is the whole.
    pub instance: String,
    /// The keyword that speaks against it.
    pub keyword: String,
    /// One sentence for a person.
    pub message: String,
    /// Where in the schema that keyword stands, as a JSON pointer.
    pub schema: String,
}

impl Schema {
    /// Compiles a schema.
    ///
    /// # Errors
    /// When the document is not a valid schema, is larger than the limits, refers out of itself, or could make a validation
    /// endless.
    pub fn compile(document: &Value) -> Result<Self, SchemaError> {
        limits::check_document(document)?;
        let root = Model::of(&[document])?;
        let recursion = root.check_shape()?;
        let patterns =
            jsonschema::PatternOptions::regex().size_limit(PATTERN_SIZE_MAX).dfa_size_limit(PATTERN_SIZE_MAX);
        let validator = jsonschema::options()
            .offline()
            .should_validate_formats(false)
            .with_pattern_options(patterns)
            .build(document)
            .map_err(|error| SchemaError::Invalid {
                pointer: error.instance_path().to_string(),
                message: sentence(&error.masked_with("the value").to_string()),
            })?;
        Ok(Self { document: document.clone(), recursion, root, validator })
    }

    /// The document it was compiled from.
    #[must_use]
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// Whether the value fits.
    #[must_use]
    pub fn accepts(&self, value: &Value) -> bool {
        self.beyond(value).is_none() && self.validator.is_valid(value)
    }

    /// Every way in which the value does not fit, at most 100, in the order of the value's pointers.
    #[must_use]
    pub fn check(&self, value: &Value) -> Vec<Misfit> {
        if let Some(misfit) = self.beyond(value) {
            return vec![misfit];
        }
        let misfit = |error: jsonschema::ValidationError<'_>| Misfit {
            instance: error.instance_path().to_string(),
            keyword: error.kind().keyword().to_owned(),
            message: sentence(&error.masked_with("the value").to_string()),
            schema: error.schema_path().to_string(),
        };
        let mut found: Vec<Misfit> = self.validator.iter_errors(value).take(MISFITS_MAX).map(misfit).collect();
        found.sort_by(|left, right| (&left.instance, &left.schema).cmp(&(&right.instance, &right.schema)));
        found
    }

    /// A value that would take too long or nests too deep is a misfit of its own, never an attempt.
    fn beyond(&self, value: &Value) -> Option<Misfit> {
        let refuse = |message: String| {
            Some(Misfit { instance: String::new(), keyword: "limit".into(), message, schema: String::new() })
        };
        if limits::is_too_deep(value) {
            return refuse(format!("the value nests deeper than {VALUE_DEPTH_MAX} levels"));
        }
        let heavy = || model::weigh(&self.root, self.root.roots[0], value) > VISITS_MAX;
        if self.recursion == model::Recursion::Yes && heavy() {
            return refuse(format!("checking the value would take more than {VISITS_MAX} visits of a subschema"));
        }
        None
    }
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let lowered: String = match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => String::new(),
    };
    if lowered.chars().count() <= MESSAGE_MAX {
        return lowered;
    }
    lowered.chars().take(MESSAGE_MAX).chain("…".chars()).collect()
}
