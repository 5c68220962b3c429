//! A plan as SVG: rows by the longest way from the start, boxes in a row ordered by where their needs stand, whole coordinates.

use crate::diff::change_of;
use crate::document::mark;
use crate::draw::{colour, entities, label};
use crate::order::{closure_and_reduction, ranks};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use writ_core::{Plan, Step, StepKey};

const BOX_HEIGHT: usize = 44;
const ROW_HEIGHT: usize = 84;
const GAP: usize = 24;
const MARGIN: usize = 20;
/// A letter of the 12-pixel face, taken a little wide so that texts always fit.
const LETTER: usize = 8;

/// The plan as an SVG drawing.
#[must_use]
pub fn svg(plan: &Plan) -> String {
    let rows = rows(plan);
    let boxes = placed(&rows);
    let width = rows.iter().map(|row| row_width(row)).max().unwrap_or(0) + 2 * MARGIN;
    let height = rows.len() * ROW_HEIGHT + 2 * MARGIN;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         role=\"img\" font-family=\"monospace\" font-size=\"12\">\n<title>plan of {}@{}</title>\n",
        entities(plan.intent.as_str()),
        plan.intent_version
    );
    let (_, reduction) = closure_and_reduction(&plan.steps);
    for step in &plan.steps {
        for need in reduction.get(&step.key).into_iter().flatten() {
            if let (Some(from), Some(to)) = (boxes.get(need), boxes.get(&step.key)) {
                out.push_str(&edge(from, to));
            }
        }
    }
    for step in rows.iter().flatten() {
        if let Some(place) = boxes.get(&step.key) {
            out.push_str(&drawn(step, place));
        }
    }
    out.push_str("</svg>\n");
    out
}

/// Where a box stands.
struct Placed {
    x: usize,
    y: usize,
    width: usize,
}

impl Placed {
    fn middle(&self) -> usize {
        self.x + self.width / 2
    }
}

fn rows(plan: &Plan) -> Vec<Vec<&Step>> {
    let ranks = ranks(&plan.steps);
    let deepest = ranks.values().max().map_or(0, |deepest| deepest + 1);
    let mut rows: Vec<Vec<&Step>> = vec![Vec::new(); deepest];
    for step in &plan.steps {
        if let Some(row) = ranks.get(&step.key).and_then(|rank| rows.get_mut(*rank)) {
            row.push(step);
        }
    }
    // One sweep from the top: a box goes to the middle of what it needs, in thousandths of a place.
    let mut stands: BTreeMap<&StepKey, usize> = BTreeMap::new();
    for row in &mut rows {
        let middle = |step: &Step| {
            let above: Vec<usize> = step.needs.iter().filter_map(|need| stands.get(need)).copied().collect();
            above.iter().sum::<usize>() * 1_000 / above.len().max(1)
        };
        row.sort_by_cached_key(|step| middle(step));
        for (at, step) in row.iter().enumerate() {
            stands.insert(&step.key, at);
        }
    }
    rows
}

fn box_width(step: &Step) -> usize {
    let letters = label(step).chars().count().max(step.action_name.chars().count() + 2);
    letters * LETTER + 2 * 10
}

fn row_width(row: &[&Step]) -> usize {
    row.iter().map(|step| box_width(step) + GAP).sum::<usize>().saturating_sub(GAP)
}

fn placed(rows: &[Vec<&Step>]) -> BTreeMap<StepKey, Placed> {
    let widest = rows.iter().map(|row| row_width(row)).max().unwrap_or(0);
    let mut boxes = BTreeMap::new();
    for (number, row) in rows.iter().enumerate() {
        let mut x = MARGIN + (widest - row_width(row)) / 2;
        for step in row {
            let width = box_width(step);
            boxes.insert(step.key.clone(), Placed { x, y: MARGIN + number * ROW_HEIGHT, width });
            x += width + GAP;
        }
    }
    boxes
}

fn edge(from: &Placed, to: &Placed) -> String {
    let (x1, y1, x2, y2) = (from.middle(), from.y + BOX_HEIGHT, to.middle(), to.y);
    let half = y1.midpoint(y2);
    format!(
        "<path d=\"M{x1} {y1} C{x1} {half} {x2} {half} {x2} {y2}\" fill=\"none\" stroke=\"#8c959f\" stroke-width=\"1.5\"/>\n"
    )
}

fn drawn(step: &Step, place: &Placed) -> String {
    let mark = mark(&change_of(step));
    let mut out = String::new();
    let _ = writeln!(
        out,
        "<g><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{BOX_HEIGHT}\" rx=\"6\" fill=\"#ffffff\" stroke=\"{}\" \
         stroke-width=\"1.5\"/>",
        place.x,
        place.y,
        place.width,
        colour(mark)
    );
    for (line, text) in [format!("{mark} {}", step.action_name), label(step)].iter().enumerate() {
        let _ = writeln!(
            out,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\" fill=\"#1f2328\">{}</text>",
            place.middle(),
            place.y + 18 + 16 * line,
            entities(text)
        );
    }
    out.push_str("</g>\n");
    out
}
