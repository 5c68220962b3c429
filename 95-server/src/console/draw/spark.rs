//! A small line over windows of time.

use crate::console::words::Html;
use std::fmt::Write;

const WIDTH: f64 = 120.0;
const HEIGHT: f64 = 24.0;

/// Values from 0 to 1, oldest first; where there is none, there was nothing to measure. The floor is at `low`. One value is no
/// line.
pub(crate) fn spark(values: &[Option<f64>], low: f64, label: &str) -> Html {
    if values.iter().flatten().count() < 2 {
        return Html::default();
    }
    let step = WIDTH / (values.len().max(2) - 1) as f64;
    let mut path = String::new();
    let mut drawing = false;
    for (at, value) in values.iter().enumerate() {
        match value {
            None => drawing = false,
            Some(value) => {
                let part = ((value - low) / (1.0 - low)).clamp(0.0, 1.0);
                let y = HEIGHT - 3.0 - part * (HEIGHT - 6.0);
                // Writing to a string cannot fail.
                let _ = write!(path, "{}{:.1} {y:.1}", if drawing { 'L' } else { 'M' }, at as f64 * step);
                if !drawing {
                    let _ = write!(path, "h0.1");
                }
                drawing = true;
            }
        }
    }
    Html(format!(
        "<svg class=\"spark\" viewBox=\"0 0 {WIDTH:.0} {HEIGHT:.0}\" width=\"{WIDTH:.0}\" height=\"{HEIGHT:.0}\" role=\"img\" \
         aria-label=\"{}\"><path d=\"{path}\"/></svg>",
        crate::console::words::escape(label)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nothing_was_measured_the_line_breaks() {
        let drawn = spark(&[Some(1.0), Some(0.5), None, Some(0.75), Some(0.0)], 0.5, "a<b").0;
        assert_eq!(drawn.matches('M').count(), 2, "{drawn}");
        assert!(drawn.contains("L30.0 21.0") && drawn.ends_with("L120.0 21.0\"/></svg>"), "{drawn}");
        assert!(drawn.contains("a&lt;b"));
        assert_eq!(spark(&[None, Some(1.0)], 0.5, ""), Html::default());
    }
}
