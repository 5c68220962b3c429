//! The text of a policy file while it is being read: where in it a byte of an expression stands.

use writ_core::Place;
use writ_expr::ExprProblem;
use writ_text::{Node, Problem, Problems, Value};

pub(crate) struct Source<'a> {
    pub(crate) text: &'a str,
    pub(crate) problems: &'a Problems,
}

impl Source<'_> {
    /// A problem of an expression, at its place in the file.
    pub(crate) fn expr_problem(&self, node: &Node, expr: &str, problem: ExprProblem) {
        let at = self.place(node, expr, &problem);
        let told = Problem::new(at, problem.message).about(&*node.at.pointer);
        self.problems.push(match problem.hint {
            Some(hint) => told.hint(hint),
            None => told,
        });
    }

    /// Where a problem of the text in `node` stands. Exact for texts on one line and for literal blocks; for texts that YAML
    /// folded, the place where the text begins.
    fn place(&self, node: &Node, expr: &str, problem: &ExprProblem) -> Place {
        let start = node.place();
        let (line, column) = problem.line_column(expr);
        let lines: Vec<&str> = self.text.lines().collect();
        let line_at =
            |number: u32| usize::try_from(number).ok().and_then(|number| lines.get(number.checked_sub(1)?)).copied();
        let Some(first) = line_at(start.line) else { return start };
        let opening = first.chars().nth(start.column.saturating_sub(1) as usize);
        let quoted = matches!(opening, Some('\'' | '"'));
        let block = matches!(node.value, Value::Text { quoted: true, .. }) && !quoted;
        if block {
            let wanted = expr.lines().nth(line as usize).unwrap_or_default();
            let header = if matches!(opening, Some('|' | '>')) { start.line } else { start.line.saturating_sub(1) };
            let number = header + 1 + line;
            return match line_at(number).map(|found| (found, found.find(wanted))) {
                Some((found, Some(indent)))
                    if found.trim_end() == format!("{}{}", &found[..indent], wanted).trim_end() =>
                {
                    let indent = found[..indent].chars().count();
                    Place { line: number, column: u32::try_from(indent).unwrap_or(0) + column + 1, ..start }
                }
                _ => start,
            };
        }
        let skip = start.column.saturating_sub(1) as usize + usize::from(quoted);
        let rest: String = first.chars().skip(skip).collect();
        if line == 0 && expr.lines().next().is_some_and(|line| rest.starts_with(line)) {
            return Place { column: start.column + u32::from(quoted) + column, ..start };
        }
        start
    }
}
