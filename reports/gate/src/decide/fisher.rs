//! Fisher's exact test: the probability that chance alone makes a rate so much worse.

use crate::Rate;

/// The probability that at most `now.passed` of `now.all` pass if both samples have the same rate: the lower tail of the
/// hypergeometric distribution.
pub(super) fn worse(now: Rate, before: Rate) -> f64 {
    let all = now.all + before.all;
    let passed = now.passed + before.passed;
    // Logarithms of factorials: products of thousands don't fit into a number.
    let mut factorials = vec![0.0_f64; all + 1];
    for n in 1..=all {
        factorials[n] = factorials[n - 1] + (n as f64).ln();
    }
    let choose = |n: usize, k: usize| factorials[n] - factorials[k] - factorials[n - k];
    let least = passed.saturating_sub(before.all);
    let tail: f64 = (least..=now.passed)
        .map(|k| {
            let ways = choose(now.all, k) + choose(before.all, passed - k);
            (ways - choose(all, passed)).exp()
        })
        .sum();
    tail.min(1.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, proptest};
    use test_case::test_case;

    use super::worse;
    use crate::Rate;

    // Computed with fractions of whole numbers, as the definition says; the small ones can be counted by hand.
    #[test_case((93, 100), (99, 100), 0.0324; "worse")]
    #[test_case((99, 100), (93, 100), 0.9966; "better")]
    #[test_case((0, 1), (1, 1), 0.5; "one of each")]
    #[test_case((1, 4), (3, 4), 0.2429; "the lady tasting tea")]
    #[test_case((5, 5), (5, 5), 1.0; "all pass")]
    #[test_case((0, 0), (5, 5), 1.0; "nothing")]
    fn known_values(now: (usize, usize), before: (usize, usize), expected: f64) {
        let rate = |(passed, all)| Rate { passed, all };
        let p = worse(rate(now), rate(before));
        assert!((p - expected).abs() < 0.00051, "{p}");
    }

    proptest! {
        #[test]
        fn it_is_a_probability_and_falls_with_the_rate(
            n in 1_usize..200, m in 1_usize..200, k in 0_usize..200, j in 0_usize..200,
        ) {
            let (k, j) = (k % n, j.min(m));
            let rate = |passed, all| Rate { passed, all };
            let (less, more) = (worse(rate(k, n), rate(j, m)), worse(rate(k + 1, n), rate(j, m)));
            prop_assert!((0.0..=1.0).contains(&less) && (0.0..=1.0).contains(&more));
            prop_assert!(less <= more + 1e-9);
        }
    }
}
