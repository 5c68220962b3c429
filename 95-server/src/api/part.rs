//! Pages of lists that are asked for no more than a part of.

use crate::error::{Failure, short};
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;
use writ_pipeline::Span;

/// Which part of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Part {
    /// The `next` of the page before.
    pub(super) after: Option<String>,
    /// Items at the most.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    pub(super) limit: usize,
}

impl Default for Part {
    fn default() -> Self {
        Self { after: None, limit: 100 }
    }
}

impl Part {
    /// The rows that are asked for of a list that a view holds.
    pub(super) fn span(&self) -> Result<Span<'_>, Failure> {
        Ok(Span::behind(self.after.as_deref(), super::limit(self.limit)?))
    }

    /// The page of a list that is read whole, because it is the fold of a stream, and where the next one begins.
    pub(super) fn of<T>(&self, all: Vec<(String, Option<T>)>) -> Result<(Vec<T>, Option<String>), Failure> {
        part(all, self.after.as_deref(), super::limit(self.limit)?)
    }
}

/// The page behind the row of a key, and where the next page begins. `all` are the rows that there ever were, in their order, each
/// with a key of its own; what is gone is none, and a page may begin behind it all the same.
///
/// # Errors
/// When there never was such a row.
fn part<T>(
    all: Vec<(String, Option<T>)>,
    after: Option<&str>,
    limit: usize,
) -> Result<(Vec<T>, Option<String>), Failure> {
    let begins = match after {
        None => 0,
        Some(after) => 1 + all.iter().position(|(key, _)| key == after).ok_or_else(|| no_next(after))?,
    };
    let (mut rows, mut last) = (Vec::new(), None);
    for (key, row) in all.into_iter().skip(begins).filter_map(|(key, row)| Some((key, row?))) {
        if rows.len() == limit {
            return Ok((rows, last));
        }
        rows.push(row);
        last = Some(key);
    }
    Ok((rows, None))
}

/// A page begins behind something that there is: another text is no `next` of any page.
pub(crate) fn no_next(after: &str) -> Failure {
    let detail = format!("`{}` is no `next` of a page", short(after));
    Failure::new(StatusCode::BAD_REQUEST, "invalid", detail)
        .hint("begin without `after`, and send each `next` as it was told")
        .parameter("after")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_begins_behind_what_is_gone_and_ends_with_what_is_there() {
        let all = || ["a", "-b", "c", "d", "-e"].map(|key| (key.to_owned(), (!key.starts_with('-')).then_some(key)));
        for (after, limit, rows, next) in [
            (None, 9, &["a", "c", "d"][..], None),
            (None, 3, &["a", "c", "d"], None),
            (None, 2, &["a", "c"], Some("c")),
            (Some("a"), 1, &["c"], Some("c")),
            (Some("-b"), 1, &["c"], Some("c")),
            (Some("c"), 1, &["d"], None),
            (Some("d"), 1, &[], None),
            (Some("-e"), 1, &[], None),
        ] {
            let (found, came) = part(all().to_vec(), after, limit).unwrap();
            assert_eq!((&found[..], came.as_deref()), (rows, next), "{after:?} {limit}");
        }
        let refused = part(all().to_vec(), Some("f"), 1).unwrap_err();
        assert_eq!((refused.status(), refused.code()), (StatusCode::BAD_REQUEST, "invalid"));
    }
}
