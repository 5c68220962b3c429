//! A run over time: a lane for each step, a bar for each attempt. Where nothing happened for long, time is compressed, and the
//! picture says so.

use crate::console::words::{Html, escape, span, tone};
use std::fmt::Write;
use writ_core::Timestamp;

const WIDTH: f64 = 720.0;
const LABEL: f64 = 210.0;
const LANE: f64 = 22.0;

/// The part of the whole work's time beyond which a pause is compressed, and what it is compressed to.
const PAUSE_PART: f64 = 0.25;
const PAUSE_SHOWN: f64 = 0.06;

/// Lanes beyond which the list alone is shown.
const LANES_MAX: usize = 200;

/// One attempt.
pub(crate) struct Bar {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    /// The word for what came of it.
    pub(crate) state: String,
}

/// A step's attempts.
pub(crate) struct Lane {
    pub(crate) name: String,
    pub(crate) bars: Vec<Bar>,
}

/// Moments and where they are drawn: stretches of work in scale, pauses between them short.
struct Scale {
    /// Beginning and end of a stretch, and where it begins and ends, from 0 to 1.
    stretches: Vec<(i64, i64, f64, f64)>,
}

impl Scale {
    fn of(lanes: &[Lane]) -> Option<Self> {
        let mut busy: Vec<(i64, i64)> =
            lanes.iter().flat_map(|lane| &lane.bars).map(|bar| (bar.from.micros(), bar.to.micros())).collect();
        busy.sort_unstable();
        let mut merged: Vec<(i64, i64)> = Vec::new();
        for (from, to) in busy {
            match merged.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(to),
                _ => merged.push((from, to)),
            }
        }
        let (first, last) = (merged.first()?.0, merged.last()?.1);
        let worked: i64 = merged.iter().map(|(from, to)| to - from).sum();
        let limit = (worked.max(1) as f64) * PAUSE_PART;
        // Short pauses are drawn as they were.
        let mut stretches: Vec<(i64, i64)> = Vec::new();
        for (from, to) in merged {
            match stretches.last_mut() {
                Some(last) if ((from - last.1) as f64) <= limit => last.1 = to,
                _ => stretches.push((from, to)),
            }
        }
        let shown: i64 = stretches.iter().map(|(from, to)| to - from).sum::<i64>().max(1);
        let pauses = (stretches.len() - 1) as f64 * PAUSE_SHOWN;
        let scale = (1.0 - pauses).max(0.2) / shown as f64;
        let mut at = 0.0;
        let mut placed = Vec::new();
        for (from, to) in stretches {
            let end = at + (to - from) as f64 * scale;
            placed.push((from, to, at, end));
            at = end + PAUSE_SHOWN;
        }
        debug_assert!(first <= last);
        Some(Self { stretches: placed })
    }

    fn at(&self, moment: Timestamp) -> f64 {
        let moment = moment.micros();
        for (from, to, begin, end) in &self.stretches {
            if moment <= *to {
                let part = (moment - from).max(0) as f64 / (to - from).max(1) as f64;
                return begin + (end - begin) * part;
            }
        }
        self.stretches.last().map_or(0.0, |(_, _, _, end)| *end)
    }

    /// Where time was left out: the middle of the gap, and how long it was.
    fn pauses(&self) -> Vec<(f64, String)> {
        let pairs = self.stretches.iter().zip(self.stretches.iter().skip(1));
        pairs
            .map(|(before, after)| {
                let long = span(Timestamp::from_micros(before.1), Timestamp::from_micros(after.0));
                (f64::midpoint(before.3, after.2), long)
            })
            .collect()
    }
}

/// The picture; none when nothing has begun, or there are too many lanes.
pub(crate) fn timeline(lanes: &[Lane]) -> Option<Html> {
    let scale = Scale::of(lanes)?;
    if lanes.len() > LANES_MAX {
        return None;
    }
    let (height, axis) = (lanes.len() as f64 * LANE + 24.0, lanes.len() as f64 * LANE + 4.0);
    let wide = WIDTH - LABEL - 8.0;
    let mut out = format!(
        "<svg class=\"timeline\" viewBox=\"0 0 {WIDTH:.0} {height:.0}\" width=\"{WIDTH:.0}\" height=\"{height:.0}\" role=\"img\" \
         aria-label=\"when each step ran; the list below says the same\">"
    );
    for (middle, long) in scale.pauses() {
        let x = LABEL + middle * wide;
        // Writing to a string cannot fail.
        let _ = write!(
            out,
            "<line class=\"pause\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"0\" y2=\"{axis:.0}\"/>\
             <text class=\"pause\" x=\"{x:.1}\" y=\"{:.0}\" text-anchor=\"middle\">{long}</text>",
            axis + 14.0
        );
    }
    for (lane, number) in lanes.iter().zip(0_u16..) {
        let y = f64::from(number) * LANE;
        let _ = write!(out, "<text x=\"0\" y=\"{:.0}\">{}</text>", y + 15.0, escape(&lane.name));
        for bar in &lane.bars {
            let (x, end) = (LABEL + scale.at(bar.from) * wide, LABEL + scale.at(bar.to) * wide);
            let _ = write!(
                out,
                "<rect class=\"bar {}\" x=\"{x:.1}\" y=\"{:.0}\" width=\"{:.1}\" height=\"12\" rx=\"3\"><title>{}: {} {}</title></rect>",
                tone(&bar.state).class(),
                y + 5.0,
                (end - x).max(3.0),
                escape(&lane.name),
                escape(&bar.state),
                span(bar.from, bar.to)
            );
        }
    }
    out.push_str("</svg>");
    Some(Html(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(bars: &[(i64, i64)]) -> Lane {
        let at = Timestamp::from_micros;
        let bar = |(from, to): &(i64, i64)| Bar { from: at(*from), to: at(*to), state: "succeeded".into() };
        Lane { name: "x<y".into(), bars: bars.iter().map(bar).collect() }
    }

    #[test]
    fn a_long_pause_is_compressed_and_said_and_a_short_one_is_drawn() {
        let second = 1_000_000;
        let lanes = [lane(&[(0, 10 * second)]), lane(&[(11 * second, 20 * second), (7_200 * second, 7_210 * second)])];
        let scale = Scale::of(&lanes).unwrap();
        assert_eq!(scale.pauses().iter().map(|(_, long)| long.as_str()).collect::<Vec<_>>(), ["1 h 59 min"]);
        let at = |seconds: i64| scale.at(Timestamp::from_micros(seconds * second));
        assert_eq!(at(0), 0.0);
        assert!((at(7_210) - 1.0).abs() < 1e-9);
        assert!(at(10) < at(11) && at(20) < at(7_200));
        assert!(at(10) > 0.25, "ten of thirty seconds of work take about a third");
        let drawn = timeline(&lanes).unwrap().0;
        assert!(drawn.contains("1 h 59 min") && drawn.contains("x&lt;y") && !drawn.contains("x<y"));
        assert_eq!(timeline(&[lane(&[])]), None);
    }
}
