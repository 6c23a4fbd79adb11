//! Numbers out of results. Pure functions; an empty input has no statistics, and gives `None`.

use serde::Serialize;

use crate::Verdict;

/// A rate, and where the true one is with 95 % confidence. All between 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// What was seen.
    pub rate: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// The Wilson score interval of `passed` out of `judged`. Unlike the usual normal approximation it
/// says something sensible about three passes out of three: at least 44 %.
#[must_use]
pub fn wilson(passed: usize, judged: usize) -> Option<Interval> {
    /// The quantile of the normal distribution that has 2.5 % above it.
    const Z: f64 = 1.959_963_984_540_054;

    if judged == 0 {
        return None;
    }
    let n = judged as f64;
    let rate = passed.min(judged) as f64 / n;
    let scale = 1.0 + Z * Z / n;
    let centre = (rate + Z * Z / (2.0 * n)) / scale;
    let half = Z * (rate * (1.0 - rate) / n + Z * Z / (4.0 * n * n)).sqrt() / scale;
    // Rounding must not put the rate itself outside.
    Some(Interval {
        rate,
        low: (centre - half).clamp(0.0, rate),
        high: (centre + half).clamp(rate, 1.0),
    })
}

/// The median: of an even number of values the mean of the two in the middle.
#[must_use]
pub fn median(values: &[f64]) -> Option<f64> {
    let sorted = sorted(values);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        return Some(sorted[middle]);
    }
    Some(f64::midpoint(sorted[middle.checked_sub(1)?], sorted[middle]))
}

/// The smallest of the values that at least `percent` of them don't exceed (nearest rank).
#[must_use]
pub fn percentile(values: &[f64], percent: u8) -> Option<f64> {
    let sorted = sorted(values);
    let rank = (sorted.len() * usize::from(percent.min(100))).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// The characters of a sparkline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Glyphs {
    /// Letters, for terminals and logs that know nothing else.
    #[default]
    Ascii,
    /// Blocks: the higher, the worse.
    Unicode,
}

impl Glyphs {
    /// The character for a verdict.
    #[must_use]
    pub fn of(self, verdict: Verdict) -> char {
        let (ascii, unicode) = match verdict {
            Verdict::Pass => ('.', '▁'),
            Verdict::Flaky => ('~', '▄'),
            Verdict::Fail => ('F', '█'),
            Verdict::Infra => ('i', '░'),
            Verdict::Skip => ('s', '·'),
            Verdict::NotRun => ('-', '-'),
        };
        match self {
            Self::Ascii => ascii,
            Self::Unicode => unicode,
        }
    }
}

/// One character per result, oldest first.
#[must_use]
pub fn sparkline(results: &[Verdict], glyphs: Glyphs) -> String {
    results.iter().map(|verdict| glyphs.of(*verdict)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop, prop_assert, prop_assert_eq, proptest};
    use test_case::test_case;

    use super::{Glyphs, median, percentile, sparkline, wilson};
    use crate::Verdict;

    // The ends are where |rate - p| = z √(p (1 - p) / n), found by trying, not by the formula.
    #[test_case(0, 10 => (0.0, 0.0, 0.278); "none of ten")]
    #[test_case(3, 3 => (1.0, 0.439, 1.0); "three of three")]
    #[test_case(10, 12 => (0.833, 0.552, 0.953); "ten of twelve")]
    #[test_case(55, 56 => (0.982, 0.906, 0.997); "fifty-five of fifty-six")]
    #[test_case(990, 1000 => (0.990, 0.982, 0.995); "many")]
    fn wilson_intervals(passed: usize, judged: usize) -> (f64, f64, f64) {
        let interval = wilson(passed, judged).unwrap();
        let rounded = |rate: f64| (rate * 1000.0).round() / 1000.0;
        (rounded(interval.rate), rounded(interval.low), rounded(interval.high))
    }

    #[test_case(&[] => None)]
    #[test_case(&[3.0] => Some(3.0))]
    #[test_case(&[9.0, 1.0] => Some(5.0); "two")]
    #[test_case(&[9.0, 1.0, 2.0] => Some(2.0); "three")]
    fn medians(values: &[f64]) -> Option<f64> {
        median(values)
    }

    #[test_case(&[], 95 => None)]
    #[test_case(&[3.0], 95 => Some(3.0))]
    #[test_case(&[5.0, 4.0, 3.0, 2.0, 1.0], 95 => Some(5.0); "of few the largest")]
    #[test_case(&[5.0, 4.0, 3.0, 2.0, 1.0], 40 => Some(2.0); "nearest rank")]
    #[test_case(&[5.0, 4.0, 3.0, 2.0, 1.0], 0 => Some(1.0); "the least")]
    fn percentiles(values: &[f64], percent: u8) -> Option<f64> {
        percentile(values, percent)
    }

    #[test]
    fn nothing_has_no_rate() {
        assert_eq!(wilson(0, 0), None);
    }

    #[test]
    fn every_verdict_has_a_character_of_its_own() {
        insta::assert_snapshot!(sparkline(&Verdict::ALL, Glyphs::Ascii), @".~Fis-");
        insta::assert_snapshot!(sparkline(&Verdict::ALL, Glyphs::Unicode), @"▁▄█░·-");
    }

    proptest! {
        #[test]
        fn the_rate_is_in_its_interval(judged in 1_usize..5000, part in 0.0_f64..=1.0) {
            let passed = (judged as f64 * part) as usize;
            let found = wilson(passed, judged).unwrap();
            prop_assert!(0.0 <= found.low && found.low <= found.rate);
            prop_assert!(found.rate <= found.high && found.high <= 1.0);
            prop_assert!(found.low < found.high, "nothing is certain");
        }

        #[test]
        fn more_results_say_more(judged in 1_usize..500, passed in 0_usize..500) {
            let passed = passed.min(judged);
            let (few, many) = (wilson(passed, judged), wilson(passed * 4, judged * 4));
            let width = |interval: Option<super::Interval>| interval.map(|it| it.high - it.low);
            prop_assert!(width(many) < width(few));
        }

        #[test]
        fn half_of_the_values_are_on_each_side(values in prop::collection::vec(-1e6_f64..1e6, 1..50)) {
            let middle = median(&values).unwrap();
            let below = values.iter().filter(|value| **value < middle).count();
            let above = values.iter().filter(|value| **value > middle).count();
            prop_assert!(below * 2 <= values.len() && above * 2 <= values.len());
            prop_assert!(percentile(&values, 50).unwrap() <= middle);
            prop_assert_eq!(percentile(&values, 100), values.iter().copied().reduce(f64::max));
        }
    }
}
