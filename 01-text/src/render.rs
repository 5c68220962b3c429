//! A problem as people read it in a terminal.

use crate::Problem;
use std::fmt::Write;

/// How much of a long line is shown.
const WIDTH: usize = 100;

/// The problem with its source line and a caret under the word it is about, without colour. `source` is the text of the file
/// that the problem names; without it the line is left out. `label` is `error` or `warning`.
#[must_use]
pub fn render(label: &str, problem: &Problem, source: Option<&str>) -> String {
    let mut out = format!("{label}: {}\n  --> {}\n", problem.message, problem.at);
    let line = source.and_then(|text| text.lines().nth(problem.at.line.saturating_sub(1) as usize));
    if let Some(line) = line {
        let number = problem.at.line.to_string();
        let gutter = " ".repeat(number.len());
        let (shown, indent, carets) = window(line, problem.at.column.saturating_sub(1) as usize);
        let _ = writeln!(out, "{gutter} |\n{number} | {shown}\n{gutter} | {indent}{carets}");
    }
    if let Some(hint) = &problem.hint {
        let _ = writeln!(out, "  hint: {hint}");
    }
    out
}

/// The part of the line that is shown, the blanks up to the word, and the carets below it.
fn window(line: &str, column: usize) -> (String, String, String) {
    let line = line.trim_start_matches('\u{feff}');
    let characters: Vec<char> = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let column = column.min(characters.len());
    let from = if column > WIDTH * 2 / 3 { column - WIDTH / 3 } else { 0 };
    let to = characters.len().min(from + WIDTH);
    let word = word_length(&characters[column..]).min(to - column).max(1);
    let shown: String = characters[from..to].iter().collect();
    let cells = |part: &[char]| part.iter().map(|c| if is_wide(*c) { 2 } else { 1 }).sum::<usize>();
    let under = cells(&characters[column..(column + word).min(characters.len())]).max(1);
    (shown.trim_end().to_owned(), " ".repeat(cells(&characters[from..column])), "^".repeat(under))
}

/// How long the word is that these characters begin with: up to its closing quote, or to a blank, comma or bracket.
fn word_length(rest: &[char]) -> usize {
    match rest.first() {
        Some(quote @ ('\'' | '"')) => rest.iter().skip(1).position(|c| c == quote).map_or(rest.len(), |end| end + 2),
        Some(_) => {
            rest.iter().position(|c| c.is_whitespace() || matches!(c, ',' | ']' | '}' | ':')).unwrap_or(rest.len())
        }
        None => 1,
    }
}

/// Whether a terminal gives the character two cells: the East Asian wide blocks.
fn is_wide(c: char) -> bool {
    matches!(c, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}' | '\u{ffe0}'..='\u{ffe6}' | '\u{1f300}'..='\u{1faff}' | '\u{20000}'..='\u{3fffd}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use writ_core::Place;

    fn at(line: u32, column: u32) -> Place {
        Place { file: "web.yaml".to_owned(), line, column }
    }

    #[test]
    fn the_caret_stands_under_the_word() {
        let problem = Problem::new(at(2, 11), "`budget` cannot be `free`").hint("write '$500/month'");
        let told = render("error", &problem, Some("constraints:\n  budget: 'for free'\n"));
        assert_eq!(
            told,
            "error: `budget` cannot be `free`\n  --> web.yaml:2:11\n  |\n2 |   budget: 'for free'\n  |           ^^^^^^^^^^\n  hint: write '$500/month'\n"
        );
    }

    #[test]
    fn wide_characters_and_ends_of_lines_do_not_mislead() {
        let told = render("error", &Problem::new(at(1, 5), "x"), Some("部署: y"));
        assert!(told.contains("1 | 部署: y\n  |       ^\n"), "{told}");
        for (line, column) in [(1, 99), (7, 1), (0, 0), (1, 1)] {
            assert!(render("error", &Problem::new(at(line, column), "x"), Some("a")).contains("error: x"));
        }
    }

    #[test]
    fn a_long_line_is_cut_around_the_word_and_escapes_are_not_passed_on() {
        let source = format!("{}bad\u{1b}[31m{}", "x ".repeat(5_000), " y".repeat(5_000));
        let told = render("error", &Problem::new(at(1, 10_001), "x"), Some(&source));
        assert!(told.len() < 400 && told.contains("bad") && !told.contains('\u{1b}'), "{told}");
    }
}
