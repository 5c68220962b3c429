//! Conditions of triggers, in the source's syntax: `error_rate > 5%`.

use writ_expr::Limits;
use writ_expr::trigger::{METRICS, condition};
use writ_text::{Fields, Problem};

/// The condition as it was written, once it is known to compile against the metrics that every component has.
pub(crate) fn checked(fields: &Fields<'_>, text: &str) -> Option<String> {
    let Err(problems) = condition(text, METRICS, &Limits::default()) else { return Some(text.to_owned()) };
    let at = fields.node().nearest_at("/condition");
    for problem in problems {
        let (_, column) = problem.line_column(text);
        let mut told =
            Problem::new(at.place(), format!("the condition is not sound at character {column}: {}", problem.message))
                .about(&*at.pointer);
        told.hint = problem.hint;
        fields.problems().push(told);
    }
    None
}
