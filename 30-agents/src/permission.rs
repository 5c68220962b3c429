//! Permissions: `read:metrics`, `execute:recovery`, and `read:*` for every object of a verb.

use writ_core::Permission;

/// A text is not a permission.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a permission; write `verb:object`, for example `execute:recovery`, or `read:*` for every object"
)]
pub struct PermissionError {
    /// What was given.
    pub text: String,
}

/// The permission that a text names. A verb is never left open: nobody holds everything.
///
/// # Errors
/// When it has another form.
pub fn permission(text: &str) -> Result<Permission, PermissionError> {
    let word = |part: &str| {
        !part.is_empty()
            && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-' | '.'))
    };
    let sound = text.len() <= 128
        && text.split_once(':').is_some_and(|(verb, object)| word(verb) && (object == "*" || word(object)));
    if sound {
        Ok(Permission(text.to_owned()))
    } else {
        Err(PermissionError { text: text.chars().take(140).collect() })
    }
}

/// Whether a held permission covers a needed one. What is needed is never a pattern.
#[must_use]
pub fn covers(held: &Permission, needed: &Permission) -> bool {
    if permission(&needed.0).is_err() || needed.0.ends_with('*') {
        return false;
    }
    match held.0.strip_suffix(":*") {
        Some(verb) => needed.0.split_once(':').is_some_and(|(wanted, _)| wanted == verb),
        None => held == needed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permission_covers_itself_and_a_star_covers_every_object_of_its_verb() {
        for (held, needed, wanted) in [
            ("execute:recovery", "execute:recovery", true),
            ("execute:recovery", "execute:scale_operations", false),
            ("read:*", "read:metrics", true),
            ("read:*", "write:metrics", false),
            ("read:*", "readx:metrics", false),
            ("read:*", "read:*", false),
            ("read:metrics", "read:*", false),
            ("read:*", "read:", false),
            ("*", "read:metrics", false),
        ] {
            assert_eq!(covers(&Permission(held.into()), &Permission(needed.into())), wanted, "{held} {needed}");
        }
    }

    #[test]
    fn a_text_of_another_form_is_no_permission() {
        for bad in
            ["", "read", ":metrics", "read:", "*:metrics", "*", "read:met*", "Read:metrics", "read:a:b", "read:a b"]
        {
            assert!(permission(bad).is_err(), "{bad}");
        }
        assert!(permission("read:health_status").is_ok());
    }
}
