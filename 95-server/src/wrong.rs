//! Which value of a request is wrong, and where in a document that is sent as a text.

use serde::Serialize;
use utoipa::ToSchema;
use writ_pipeline::OutsideRefused;
use writ_pipeline::input::{ArgumentProblem, BindError};

/// One thing that is wrong with a body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Wrong {
    /// Which value: a JSON pointer into the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pointer: Option<String>,
    /// What is wrong with it.
    pub(crate) detail: String,
    /// Where in the document that the value is the text of.
    #[serde(skip_serializing_if = "Option::is_none")]
    within: Option<Within>,
}

/// A place in a document that is sent as a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Within {
    /// The line, from 1.
    line: u32,
    /// The column in characters, from 1.
    column: u32,
    /// Which value of it, where that is known: a JSON pointer into the document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<String>,
}

impl Wrong {
    pub(crate) fn at(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: Some(pointer.into()), detail: detail.into(), within: None }
    }

    /// A problem of a document whose text is a value of the body.
    pub(crate) fn within(pointer: impl Into<String>, problem: &writ_text::Problem) -> Self {
        let within = Within { line: problem.at.line, column: problem.at.column, pointer: problem.pointer.clone() };
        Self { within: Some(within), ..Self::at(pointer, &*problem.message) }
    }
}

/// Which value of what was asked for it is that cannot be judged.
pub(crate) fn place_of(refused: &OutsideRefused) -> String {
    match refused {
        OutsideRefused::Nothing | OutsideRefused::TooMany { .. } | OutsideRefused::TooLarge { .. } => "/command".into(),
        OutsideRefused::TooLong { at, .. } | OutsideRefused::Unsound { at } => format!("/command/{at}"),
        OutsideRefused::Name { .. } | OutsideRefused::Reserved { .. } | OutsideRefused::Unfit { .. } => {
            "/action".into()
        }
        OutsideRefused::Resource { .. } => "/resource".into(),
        OutsideRefused::Path { .. } => "/directory".into(),
        OutsideRefused::Files { .. } => "/files".into(),
        OutsideRefused::Changes { .. } | OutsideRefused::Unfounded => "/changes".into(),
    }
}

/// Which arguments do not fit a playbook.
pub(crate) fn arguments(refused: &BindError) -> Vec<Wrong> {
    match refused {
        BindError::Arguments(problems) => {
            let wrong = |problem: &ArgumentProblem| {
                // What an action is given comes of more than one argument.
                let name = Some(&problem.parameter).filter(|name| !name.contains('/'));
                let pointer = name.map_or("/arguments".to_owned(), |name| format!("/arguments/{name}"));
                Wrong::at(pointer, &*problem.because)
            };
            problems.iter().map(wrong).collect()
        }
        BindError::Nothing | BindError::Components(_) | BindError::Condition { .. } => {
            vec![Wrong::at("/arguments", refused.to_string())]
        }
    }
}
