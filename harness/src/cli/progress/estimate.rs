//! How long the rest of a run may take.

use std::time::Duration;

/// A case that has not ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Left {
    /// How long such a case took before, if it has a history.
    pub(super) expected: Option<Duration>,
    /// For how long it has been running.
    pub(super) elapsed: Duration,
}

/// The time until all of these have ended, when `slots` run at the same time.
///
/// A case without a history takes as long as the others do on average. `None` if no case has one, and when all run longer than
/// they ever did: a guess that is known to be wrong is worse than none.
pub(super) fn remaining(left: &[Left], slots: usize) -> Option<Duration> {
    let known: Vec<Duration> = left.iter().filter_map(|case| case.expected).collect();
    let count = u32::try_from(known.len()).ok().filter(|count| *count > 0)?;
    let mean = known.into_iter().fold(Duration::ZERO, Duration::saturating_add) / count;
    let rest = left.iter().map(|case| case.expected.unwrap_or(mean).saturating_sub(case.elapsed));
    let (sum, longest) = rest.fold((Duration::ZERO, Duration::ZERO), |(sum, longest), rest| {
        (sum.saturating_add(rest), longest.max(rest))
    });
    // No number of slots makes the longest case shorter.
    let shared = sum / u32::try_from(slots.max(1)).unwrap_or(u32::MAX);
    Some(shared.max(longest)).filter(|rest| !rest.is_zero())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use test_case::test_case;

    use super::*;

    fn left(expected: Option<u64>, elapsed: u64) -> Left {
        Left { expected: expected.map(Duration::from_secs), elapsed: Duration::from_secs(elapsed) }
    }

    #[test_case(&[], 1 => None; "nothing left")]
    #[test_case(&[(None, 0), (None, 5)], 1 => None; "no history")]
    #[test_case(&[(Some(60), 0), (Some(40), 10)], 1 => Some(90); "one after the other")]
    #[test_case(&[(Some(60), 0), (Some(40), 0)], 2 => Some(60); "the longest decides")]
    #[test_case(&[(Some(60), 0), (None, 0)], 1 => Some(120); "a case without history is like the others")]
    #[test_case(&[(Some(60), 90)], 1 => None; "longer than ever")]
    #[test_case(&[(Some(60), 90), (Some(60), 0)], 0 => Some(60); "before anything ran")]
    fn estimates(cases: &[(Option<u64>, u64)], slots: usize) -> Option<u64> {
        let cases: Vec<_> =
            cases.iter().map(|&(expected, elapsed)| left(expected, elapsed)).collect();
        remaining(&cases, slots).map(|rest| rest.as_secs())
    }

    proptest! {
        /// It is never less than the longest case, nor more than all of them one after the other.
        #[test]
        fn between_the_bounds(cases in proptest::collection::vec((1_u64..100_000, 0_u64..1000), 1..50), slots in 0_usize..20) {
            let cases: Vec<_> = cases.into_iter().map(|(expected, elapsed)| left(Some(expected), elapsed)).collect();
            let rests = cases.iter().filter_map(|case| Some(case.expected?.saturating_sub(case.elapsed)));
            let (sum, longest) = (rests.clone().sum::<Duration>(), rests.max().unwrap_or_default());
            let estimate = remaining(&cases, slots).unwrap_or_default();
            prop_assert!(longest <= estimate && estimate <= sum.max(longest));
        }
    }
}
