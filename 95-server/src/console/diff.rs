//! Two texts side by side.

use similar::{ChangeTag, DiffOp, TextDiff};

/// A line of the one beside a line of the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Side {
    pub(crate) old: Option<(usize, String)>,
    pub(crate) new: Option<(usize, String)>,
    /// `same`, `changed`, `added` or `removed`.
    pub(crate) sort: &'static str,
}

/// The lines of both texts, those that changed beside each other.
pub(crate) fn sides(old: &str, new: &str) -> Vec<Side> {
    let diff = TextDiff::from_lines(old, new);
    let mut all = Vec::new();
    for op in diff.ops() {
        let (mut gone, mut come) = (Vec::new(), Vec::new());
        for change in diff.iter_changes(op) {
            let line = change.value().trim_end_matches('\n').to_owned();
            match change.tag() {
                ChangeTag::Equal => {
                    let at = |index: Option<usize>| index.map(|index| (index + 1, line.clone()));
                    all.push(Side { old: at(change.old_index()), new: at(change.new_index()), sort: "same" });
                }
                ChangeTag::Delete => gone.push((change.old_index().unwrap_or_default() + 1, line)),
                ChangeTag::Insert => come.push((change.new_index().unwrap_or_default() + 1, line)),
            }
        }
        let sort = match op {
            DiffOp::Equal { .. } => "same",
            DiffOp::Delete { .. } => "removed",
            DiffOp::Insert { .. } => "added",
            DiffOp::Replace { .. } => "changed",
        };
        let rows = gone.len().max(come.len());
        let (mut gone, mut come) = (gone.into_iter(), come.into_iter());
        all.extend((0..rows).map(|_| Side { old: gone.next(), new: come.next(), sort }));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_lines_stand_beside_each_other() {
        let at = |number, text: &str| Some((number, text.to_owned()));
        assert_eq!(
            sides("a\nb\nc\n", "a\nB\nc\nd\n"),
            [
                Side { old: at(1, "a"), new: at(1, "a"), sort: "same" },
                Side { old: at(2, "b"), new: at(2, "B"), sort: "changed" },
                Side { old: at(3, "c"), new: at(3, "c"), sort: "same" },
                Side { old: None, new: at(4, "d"), sort: "added" },
            ]
        );
    }
}
