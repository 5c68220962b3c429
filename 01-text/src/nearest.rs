//! Did you mean …? And what else there is.

use std::fmt::Display;

/// The candidate that a misspelt name most likely stood for, if one is near enough: at most a third of its letters wrong,
/// counting a swap of two neighbours once and taking no notice of case or of `-` against `_`. Failing that, the first one
/// that begins with the name.
#[must_use]
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name: Vec<char> = plain(name);
    if name.len() > 64 {
        return None;
    }
    let allowed = (name.len() / 3).max(1);
    let candidates: Vec<&str> = candidates.into_iter().collect();
    let near = candidates
        .iter()
        .map(|candidate| (distance(&name, &plain(candidate)), candidate))
        .filter(|(wrong, _)| *wrong <= allowed && *wrong < name.len().max(1))
        .min()
        .map(|(_, candidate)| *candidate);
    let longer = |candidate: &&&str| name.len() >= 4 && plain(candidate).starts_with(&name);
    near.or_else(|| candidates.iter().find(longer).copied())
}

fn plain(name: &str) -> Vec<char> {
    name.chars().take(65).map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() }).collect()
}

/// Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut best = (last[j] + usize::from(x != y)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i - 1] == *y && *x == b[j - 1] {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}

/// Names one after the other, as messages tell them: `a`, `b`.
#[must_use]
pub fn listed<T: Display>(names: impl IntoIterator<Item = T>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_word_and_a_stranger_none() {
        let known = ["availability", "performance", "scalability", "latency_p95", "budget", "region"];
        for (typed, meant) in [
            ("avalability", Some("availability")),
            ("budegt", Some("budget")),
            ("regions", Some("region")),
            ("latency-p95", Some("latency_p95")),
            ("Budget", Some("budget")),
            ("latency", Some("latency_p95")),
            ("colour", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(nearest(typed, known), meant, "{typed}");
        }
    }
}
