//! Text as parts of documents that others read: attributes of XML, and references.

use std::fmt::Write;

/// Text that may stand in an attribute. Characters that XML 1.0 has no way to write become spaces.
#[must_use]
pub fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// Whether a character hides, turns text around or steers whoever shows it, so that what is read is not what is there: controls,
/// marks of direction, and what has no width.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Whether a character shows nothing: a space of any sort, what hides, and letters that are drawn as nothing.
#[must_use]
pub fn is_blank(c: char) -> bool {
    c.is_whitespace()
        || is_hidden(c)
        || matches!(c,
            '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{2800}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{1d159}' | '\u{e0100}'..='\u{e01ef}')
}

/// Text that people decide upon, with every hidden character written out; ends of lines stay.
#[must_use]
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) && c != '\n' {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// A word of a command as it would be typed into a shell, with every hidden character written out.
#[must_use]
pub fn typed(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", visible(&word.replace('\'', "'\\''")).replace('\n', "\\u{a}"))
}

/// A file's name as a relative reference.
#[must_use]
pub fn uri(file: &str) -> String {
    let mut out = String::new();
    for byte in file.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_a_command_is_shown_as_it_would_be_typed() {
        for (word, shown) in [
            ("--flag=a/b", "--flag=a/b"),
            ("", "''"),
            ("it's", "'it'\\''s'"),
            ("a\n\nrm", "'a\\u{a}\\u{a}rm'"),
            ("x\u{202e}y", "'x\\u{202e}y'"),
        ] {
            assert_eq!(typed(word), shown);
        }
    }

    #[test]
    fn what_shows_nothing_is_blank() {
        assert!(" \u{a0}\u{200b}\u{2800}\u{3164}\u{fe0f}\u{ffa0}\u{e0101}\u{34f}".chars().all(is_blank));
        assert!("ok 部署 é ❤.,-".chars().filter(|c| *c != ' ').all(|c| !is_blank(c)));
    }

    #[test]
    fn what_hides_or_turns_text_around_is_made_visible() {
        assert_eq!(visible("ok \u{202e}# evil"), "ok \\u{202e}# evil");
        assert_eq!(visible("a\u{200b}b\u{7}c\r\n"), "a\\u{200b}b\\u{7}c\\u{d}\n");
        assert_eq!(
            visible("部署 é 👩‍💻"),
            "部署 é 👩\\u{200d}💻",
            "what joins is shown as well: a command may hide behind it"
        );
    }
}
