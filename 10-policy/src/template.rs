//! A message with facts in it: `{plan.cost_per_month} a month is more than {intent.constraints.budget_per_month}`.

use crate::source::Source;
use writ_expr::{Facts, Schema, shown};
use writ_text::{Node, nearest};

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Fact(String),
}

/// A message whose facts are known to exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template(Vec<Piece>);

impl Template {
    pub(crate) fn read(node: &Node, schema: &Schema, source: &Source<'_>) -> Option<Self> {
        let text = node.text(source.problems)?;
        let known: Vec<String> = schema.paths().into_iter().map(|(path, _)| path).collect();
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('{') {
            let Some((path, after)) = behind.split_once('}') else {
                source.problems.suggest(&node.at, "a `{` in this message is not closed", "write {plan.cost_per_month}");
                return None;
            };
            if !known.iter().any(|known| known == path) {
                let short: String = path.chars().take(60).collect();
                let message = format!("there is no fact `{short}` at this stage");
                match nearest(path, known.iter().map(String::as_str)) {
                    Some(near) => source.problems.suggest(&node.at, message, format!("did you mean `{near}`?")),
                    None => source.problems.say(&node.at, message),
                }
                return None;
            }
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(Piece::Fact(path.to_owned()));
            rest = after;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Some(Self(pieces))
    }

    pub(crate) fn fill(&self, facts: &Facts) -> String {
        let told = self.0.iter().map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Fact(path) => match facts.get(path) {
                Some(serde_json::Value::String(text)) => text.clone(),
                Some(value) => shown(value),
                None => "(missing)".to_owned(),
            },
        });
        told.collect()
    }
}
