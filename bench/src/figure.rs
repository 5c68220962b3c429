//! Figures: samples, their quantiles, and the disk's own speed.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

/// Samples of one quantity.
#[derive(Debug, Clone, Default)]
pub struct Figures(Vec<f64>);

impl Figures {
    /// Adds a sample.
    pub fn add(&mut self, sample: f64) {
        self.0.push(sample);
        self.0.sort_by(f64::total_cmp);
    }

    /// How many samples there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The sample that a share of `part` does not exceed; not a number when there is none.
    #[must_use]
    pub fn quantile(&self, part: f64) -> f64 {
        let last = self.0.len().saturating_sub(1) as f64;
        self.0.get((last * part).round() as usize).copied().unwrap_or(f64::NAN)
    }

    /// The middle sample.
    #[must_use]
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [least, middle, p95, most] = [0.0, 0.5, 0.95, 1.0].map(|part| self.quantile(part));
        write!(f, "median {middle:.3}  min {least:.3}  p95 {p95:.3}  max {most:.3}  n={}", self.count())
    }
}

/// Times `fdatasync` after small appends in a directory, in milliseconds.
///
/// # Errors
/// When the directory cannot be written.
#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
pub fn fdatasync_ms(dir: &Path, samples: usize) -> std::io::Result<Figures> {
    let mut file = File::create(dir.join("fdatasync"))?;
    let mut figures = Figures::default();
    for _ in 0..samples {
        file.write_all(&[0x5a; 700])?;
        let began = Instant::now();
        file.sync_data()?;
        figures.add(began.elapsed().as_secs_f64() * 1_000.0);
    }
    Ok(figures)
}
