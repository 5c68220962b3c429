//! A plan's steps as a graph from left to right.

use crate::console::words::{Html, escape, tone};
use rust_sugiyama::configure::Config;
use rust_sugiyama::from_vertices_and_edges;
use std::collections::BTreeMap;
use std::fmt::Write;

const WIDTH: f64 = 188.0;
const HEIGHT: f64 = 40.0;
const MARGIN: f64 = 8.0;
const GAP: f64 = 28.0;

/// Characters of a line that fit a box.
const LINE_MAX: usize = 23;

/// Nodes beyond which the list alone is shown.
const NODES_MAX: usize = 400;

/// One step.
pub(crate) struct Node {
    /// What others need it by.
    pub(crate) key: String,
    /// Where its row in the list is.
    pub(crate) anchor: String,
    /// The first line.
    pub(crate) title: String,
    /// The second line.
    pub(crate) about: String,
    /// The state's word.
    pub(crate) state: String,
    /// Keys of what it waits for.
    pub(crate) needs: Vec<String>,
}

/// The graph; none when it is too large to be of use.
pub(crate) fn dag(nodes: &[Node]) -> Option<Html> {
    if nodes.is_empty() || nodes.len() > NODES_MAX {
        return None;
    }
    let numbers: BTreeMap<&str, u32> = nodes.iter().zip(0..).map(|(node, at)| (node.key.as_str(), at)).collect();
    let edges = reduced(nodes, &numbers);
    let places = placed(nodes.len(), &edges);
    let right = places.values().map(|(x, _)| x + WIDTH).fold(0.0, f64::max) + MARGIN;
    let bottom = places.values().map(|(_, y)| y + HEIGHT).fold(0.0, f64::max) + MARGIN;
    let mut out = format!(
        "<svg class=\"dag\" viewBox=\"0 0 {right:.0} {bottom:.0}\" width=\"{right:.0}\" height=\"{bottom:.0}\" role=\"group\" \
         aria-label=\"{} steps; the list below says the same\">",
        nodes.len()
    );
    for (from, to) in &edges {
        if let (Some((x1, y1)), Some((x2, y2))) = (places.get(from), places.get(to)) {
            let (x1, y1, y2) = (x1 + WIDTH, y1 + HEIGHT / 2.0, y2 + HEIGHT / 2.0);
            let middle = f64::midpoint(x1, *x2);
            // Writing to a string cannot fail.
            let _ = write!(
                out,
                "<path class=\"edge\" d=\"M{x1:.0} {y1:.0}C{middle:.0} {y1:.0} {middle:.0} {y2:.0} {x2:.0} {y2:.0}\"/>"
            );
        }
    }
    for (node, number) in nodes.iter().zip(0_u32..) {
        let Some((x, y)) = places.get(&number) else { continue };
        let state = node.state.replace('_', " ");
        let _ = write!(
            out,
            "<a href=\"#{anchor}\"><g class=\"node {tone}\" transform=\"translate({x:.0} {y:.0})\"><title>{title} {about}: {state}</title>\
             <rect width=\"{WIDTH:.0}\" height=\"{HEIGHT:.0}\" rx=\"6\"/><text x=\"12\" y=\"17\">{line}</text>\
             <text class=\"about\" x=\"12\" y=\"32\">{below}</text></g></a>",
            anchor = escape(&node.anchor),
            tone = tone(&state).class(),
            title = escape(&node.title),
            about = escape(&node.about),
            line = escape(&cut(&node.title)),
            below = escape(&cut(&node.about)),
        );
    }
    out.push_str("</svg>");
    Some(Html(out))
}

/// Edges that no longer way says already.
fn reduced(nodes: &[Node], numbers: &BTreeMap<&str, u32>) -> Vec<(u32, u32)> {
    let needs: Vec<Vec<u32>> = nodes
        .iter()
        .map(|node| node.needs.iter().filter_map(|need| numbers.get(need.as_str()).copied()).collect())
        .collect();
    let of = |at: u32| needs.get(at as usize).map(Vec::as_slice).unwrap_or_default();
    let mut edges = Vec::new();
    for (to, direct) in (0_u32..).zip(&needs) {
        let mut beyond: Vec<u32> = direct.iter().flat_map(|need| of(*need)).copied().collect();
        let mut seen = std::collections::BTreeSet::new();
        while let Some(at) = beyond.pop() {
            if seen.insert(at) {
                beyond.extend(of(at));
            }
        }
        edges.extend(direct.iter().filter(|need| !seen.contains(need)).map(|need| (*need, to)));
    }
    edges
}

/// The upper left corner of each box. The layout is made from the top down and turned.
fn placed(count: usize, edges: &[(u32, u32)]) -> BTreeMap<u32, (f64, f64)> {
    let sizes: Vec<(u32, (f64, f64))> = (0_u32..).take(count).map(|at| (at, (HEIGHT, WIDTH))).collect();
    let config = Config { vertex_spacing: GAP, ..Config::default() };
    let mut places = BTreeMap::new();
    let mut top = MARGIN;
    for (layout, _, _) in from_vertices_and_edges(&sizes, edges, &config) {
        let least = |of: fn(&(f64, f64)) -> f64| layout.iter().map(|(_, at)| of(at)).fold(f64::MAX, f64::min);
        let (left, first) = (least(|at| at.1), least(|at| at.0));
        let mut lowest = top;
        for (number, (across, along)) in &layout {
            let (x, y) = (along - left + MARGIN, across - first + top);
            lowest = lowest.max(y + HEIGHT);
            places.insert(u32::try_from(*number).unwrap_or(u32::MAX), (x, y));
        }
        top = lowest + GAP;
    }
    places
}

fn cut(line: &str) -> String {
    if line.chars().count() <= LINE_MAX {
        return line.to_owned();
    }
    line.chars().take(LINE_MAX - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(key: &str, needs: &[&str]) -> Node {
        let needs = needs.iter().map(|&need| need.to_owned()).collect();
        let text = || key.to_owned();
        Node { key: text(), anchor: text(), title: text(), about: "a<b".into(), state: "running".into(), needs }
    }

    #[test]
    fn steps_stand_to_the_right_of_what_they_need_and_none_upon_another() {
        let nodes = [node("a", &[]), node("b", &["a"]), node("c", &["a"]), node("d", &["a", "b", "c"]), node("e", &[])];
        let numbers: BTreeMap<&str, u32> = nodes.iter().zip(0..).map(|(node, at)| (node.key.as_str(), at)).collect();
        let edges = reduced(&nodes, &numbers);
        assert_eq!(edges, [(0, 1), (0, 2), (1, 3), (2, 3)], "d need not say that it needs a");
        let places = placed(nodes.len(), &edges);
        assert_eq!(places.len(), 5);
        assert!(edges.iter().all(|(from, to)| places[from].0 + WIDTH < places[to].0));
        for (at, one) in &places {
            for (_, other) in places.range(at + 1..) {
                let apart = (one.0 - other.0).abs() >= WIDTH || (one.1 - other.1).abs() >= HEIGHT;
                assert!(apart, "{one:?} {other:?}");
            }
        }
        let drawn = dag(&nodes).unwrap().0;
        assert!(drawn.contains("a&lt;b") && !drawn.contains("a<b"));
        assert_eq!(dag(&[]), None);
    }
}
