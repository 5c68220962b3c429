//! Patterns over names: `*` stands for any letters, also none.

/// Whether a pattern matches a name.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(rest) = name.strip_prefix(pieces.next().unwrap_or_default()) else { return false };
    let mut rest = rest;
    let mut last = None;
    for piece in pieces {
        if let Some(before) = last.replace(piece) {
            match rest.find(before) {
                Some(at) => rest = &rest[at + before.len()..],
                None => return false,
            }
        }
    }
    match last {
        Some(end) => rest.ends_with(end),
        None => rest.is_empty(),
    }
}

/// What stands before the first star: every name that matches begins with it.
pub(crate) fn prefix(pattern: &str) -> &str {
    pattern.split('*').next().unwrap_or_default()
}

/// Whether every name that `narrow` matches is matched by `wide`, as far as that is easy to see.
pub(crate) fn covers(wide: &str, narrow: &str) -> bool {
    wide == "*" || wide == narrow || (!narrow.contains('*') && matches(wide, narrow))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_letters() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("*", "a/b", true),
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "ab", true),
            ("*b", "ab", true),
            ("a*c", "abc", true),
            ("a*c", "ac", true),
            ("a*b*c", "a-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("ab*ba", "aba", false),
            ("**", "x", true),
            ("web-*/i-*", "web-service-001/i-2", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
