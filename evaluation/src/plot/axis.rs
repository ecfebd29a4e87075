//! An axis of a panel: its range, with ticks at round values.

/// An axis.
#[derive(Debug, Clone)]
pub struct Axis {
    /// Smallest value shown.
    pub low: f64,
    /// Largest.
    pub high: f64,
    /// Marked values and their words.
    pub ticks: Vec<(f64, String)>,
}

impl Axis {
    /// From `low` to `high` with about `count` round ticks, widened to them where `widen`.
    pub fn round(low: f64, high: f64, count: usize, widen: bool) -> Self {
        let (low, mut high) = (low.min(high), low.max(high));
        if high - low < 1e-9 {
            high = low + 1.0;
        }
        let step = step((high - low) / count.max(1) as f64);
        let (first, last) = match widen {
            true => ((low / step).floor(), (high / step - 1e-9).ceil()),
            false => ((low / step - 1e-9).ceil(), (high / step + 1e-9).floor()),
        };
        let ticks = (first as i64..=last as i64)
            .map(|i| {
                let value = i as f64 * step;
                (value, word(value, step, low.abs().max(high.abs())))
            })
            .collect();
        match widen {
            true => Self {
                low: first * step,
                high: last * step,
                ticks,
            },
            false => Self { low, high, ticks },
        }
    }
}

/// A tick's word with the places that its step needs; in powers of ten where those would be many and even the `largest`
/// value is small.
fn word(value: f64, step: f64, largest: f64) -> String {
    let places = (-(1.01 * step).log10()).ceil().max(0.0) as usize;
    match places {
        4.. if value == 0.0 => "0".to_owned(),
        4.. if largest < 0.01 => format!("{value:.1e}").replace('-', "−").replace(".0e", "e"),
        _ => format!("{value:.places$}").replace('-', "−"),
    }
}

/// 1, 2 or 5 times a power of ten, at least `least`.
fn step(least: f64) -> f64 {
    let scale = 10f64.powf(least.max(1e-12).log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|m| m * scale)
        .find(|s| *s >= least * (1.0 - 1e-9))
        .unwrap_or(10.0 * scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_words_have_the_places_they_need() {
        let words = |axis: Axis| -> Vec<String> { axis.ticks.into_iter().map(|t| t.1).collect() };
        assert_eq!(
            words(Axis::round(0.0, 1.0, 5, true)),
            ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
        );
        assert_eq!(
            words(Axis::round(0.0, 29.0, 6, false)),
            ["0", "5", "10", "15", "20", "25"]
        );
        assert_eq!(
            words(Axis::round(-0.07, 0.26, 4, true)),
            ["−0.1", "0.0", "0.1", "0.2", "0.3"]
        );
        assert_eq!(
            words(Axis::round(0.0, 3e-4, 3, true)),
            ["0", "1e−4", "2e−4", "3e−4"]
        );
        assert_eq!(
            words(Axis::round(0.6431, 0.6433, 2, true)),
            ["0.6431", "0.6432", "0.6433"],
            "a flat curve of large values"
        );
        let flat = Axis::round(0.4, 0.4, 4, true);
        assert!(flat.high > flat.low && flat.ticks.len() >= 2);
    }
}
