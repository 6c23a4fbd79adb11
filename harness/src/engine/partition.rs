//! One plan over several workers: which of its cases each runs.

use std::{collections::BTreeSet, fmt, num::NonZeroUsize, str::FromStr, time::Duration};

use sha2::{Digest as _, Sha256};
use wheeltap_reports::CaseId;

use super::schedule::unknown;

/// One of several parts of a plan, which together are all of it. Every worker decides for itself and they agree, as long as they
/// have the same plan; and, for `time`, the same history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    kind: PartitionKind,
    /// From 0.
    index: usize,
    count: NonZeroUsize,
}

/// How a plan is split. `slice` and `hash` are those of cargo-nextest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionKind {
    /// Cases are dealt like cards, in the order of the plan. All parts are of the same size; a new case moves those after it.
    Slice,
    /// By the name of the case alone: a case stays in its part whatever else is in the plan. The first 8 bytes of the sha256 of
    /// `SCENARIO [CELL]` are a big-endian number; its remainder, divided by the number of parts, is the part, from 0.
    Hash,
    /// By the expected duration: the longest case first, each to the part that has the least to do. What is unknown counts as
    /// twice the median of the known.
    Time,
}

impl Partition {
    const KINDS: [(&'static str, PartitionKind); 3] = [
        ("slice", PartitionKind::Slice),
        ("hash", PartitionKind::Hash),
        ("time", PartitionKind::Time),
    ];

    /// The places of the cases that this part has, in ascending order. Each comes with what is expected of it.
    #[must_use]
    pub fn select(&self, cases: &[(&CaseId, Option<Duration>)]) -> Vec<usize> {
        let all = 0..cases.len();
        match self.kind {
            PartitionKind::Slice => {
                all.filter(|place| place % self.count.get() == self.index).collect()
            }
            PartitionKind::Hash => {
                all.filter(|&place| self.bucket(cases[place].0) == self.index).collect()
            }
            PartitionKind::Time => self.balanced(cases),
        }
    }

    fn bucket(&self, case: &CaseId) -> usize {
        let digest = Sha256::digest(case.to_string());
        let number = u64::from_be_bytes(std::array::from_fn(|byte| digest[byte]));
        let rest = u128::from(number) % self.count.get() as u128;
        // A remainder is smaller than the count, which is a usize.
        usize::try_from(rest).unwrap_or_default()
    }

    fn balanced(&self, cases: &[(&CaseId, Option<Duration>)]) -> Vec<usize> {
        let unknown = unknown(cases.iter().filter_map(|(_, expected)| *expected).collect());
        let mut longest_first: Vec<(Duration, &CaseId, usize)> = cases
            .iter()
            .enumerate()
            .map(|(place, (id, expected))| (expected.unwrap_or(unknown), *id, place))
            .collect();
        // Not the order of the plan: so a part doesn't depend on it.
        longest_first.sort_by(|one, other| {
            other.0.cmp(&one.0).then_with(|| (one.1, one.2).cmp(&(other.1, other.2)))
        });
        // With how many cases each has: what takes no time at all is dealt out, too.
        let mut parts: BTreeSet<(Duration, usize, usize)> =
            (0..self.count.get()).map(|part| (Duration::ZERO, 0, part)).collect();
        let mut selected = Vec::new();
        for (expected, _, place) in longest_first {
            let Some((load, cases, part)) = parts.pop_first() else { break };
            if part == self.index {
                selected.push(place);
            }
            parts.insert((load.saturating_add(expected), cases + 1, part));
        }
        selected.sort_unstable();
        selected
    }
}

impl FromStr for Partition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, part) = text.split_once(':').unwrap_or(("", text));
        let Some((_, kind)) = Self::KINDS.into_iter().find(|(name, _)| *name == kind) else {
            let part = if part.contains('/') { part } else { "1/3" };
            return Err(match kind {
                "" => format!(
                    "say how to split: hash:{part} (by name), slice:{part} (in turn) or time:{part} (by duration)"
                ),
                "count" => format!("cases are in no binaries to count by; give slice:{part}"),
                other => format!(
                    "`{other}` is no way to split; give hash:{part}, slice:{part} or time:{part}"
                ),
            });
        };
        let numbers = part.split_once('/').and_then(|(index, count)| {
            Some((index.parse::<NonZeroUsize>().ok()?, count.parse::<NonZeroUsize>().ok()?))
        });
        match numbers {
            Some((index, count)) if index <= count => {
                Ok(Self { kind, index: index.get() - 1, count })
            }
            Some((index, count)) => {
                Err(format!("there is no part {index} of {count}; parts are 1 to {count}"))
            }
            None => {
                Err(format!("`{part}` is no part of a whole; give two numbers from 1, such as 1/3"))
            }
        }
    }
}

/// As it is written on the command line.
impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::KINDS.into_iter().find(|(_, kind)| *kind == self.kind);
        let (name, _) = name.unwrap_or(("", self.kind));
        write!(f, "{name}:{}/{}", self.index + 1, self.count)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use test_case::test_case;

    use super::*;

    fn cases(count: usize) -> Vec<CaseId> {
        (0..count).map(|index| CaseId::new(format!("a.case-{index}"), "qemu_bios.amd64")).collect()
    }

    /// All parts.
    fn split(kind: &str, count: usize, cases: &[(&CaseId, Option<Duration>)]) -> Vec<Vec<usize>> {
        (1..=count)
            .map(|index| {
                let partition: Partition = format!("{kind}:{index}/{count}").parse().unwrap();
                partition.select(cases)
            })
            .collect()
    }

    fn with<'a>(ids: &'a [CaseId], seconds: &[Option<u64>]) -> Vec<(&'a CaseId, Option<Duration>)> {
        ids.iter().zip(seconds.iter().map(|seconds| seconds.map(Duration::from_secs))).collect()
    }

    fn plans() -> impl Strategy<Value = Vec<Option<u64>>> {
        proptest::collection::vec(proptest::option::of(0..1_000_u64), 0..200)
    }

    proptest! {
        #[test]
        fn parts_are_disjoint_and_complete(
            kind in "slice|hash|time",
            count in 1..20_usize,
            seconds in plans(),
        ) {
            let ids = cases(seconds.len());
            let parts = split(&kind, count, &with(&ids, &seconds));
            let mut all = parts.concat();
            prop_assert!(parts.iter().all(|part| part.is_sorted()));
            all.sort_unstable();
            prop_assert_eq!(all, (0..seconds.len()).collect::<Vec<_>>());
        }

        /// Whatever else is in the plan, and in whatever order.
        #[test]
        fn a_hashed_case_stays_in_its_part(count in 1..20_usize, keep in 0..50_usize) {
            let ids = cases(50);
            let all = split("hash", count, &with(&ids, &[None; 50]));
            let alone = split("hash", count, &[(&ids[keep], None)]);
            let part = |parts: &[Vec<usize>], place| parts.iter().position(|part| part.contains(&place));
            prop_assert_eq!(part(&all, keep), part(&alone, 0));
        }

        #[test]
        fn the_order_of_the_plan_does_not_change_parts_by_time(count in 1..9_usize, seconds in plans()) {
            let ids = cases(seconds.len());
            let plan = with(&ids, &seconds);
            let backwards: Vec<_> = plan.iter().rev().copied().collect();
            let turned = split("time", count, &backwards).into_iter().map(|part| {
                let mut part: Vec<usize> = part.iter().map(|place| plan.len() - 1 - place).collect();
                part.reverse();
                part
            });
            prop_assert_eq!(split("time", count, &plan), turned.collect::<Vec<_>>());
        }

        /// The longest first, always to whom has the least: no part exceeds another by more than one case.
        #[test]
        fn parts_by_time_are_balanced(count in 1..9_usize, seconds in plans()) {
            let seconds: Vec<Option<u64>> = seconds.into_iter().map(|one| one.or(Some(60))).collect();
            let ids = cases(seconds.len());
            let parts = split("time", count, &with(&ids, &seconds));
            let load = |part: &Vec<usize>| part.iter().filter_map(|&place| seconds[place]).sum::<u64>();
            let longest = seconds.iter().flatten().max().copied().unwrap_or_default();
            let (least, most) = (parts.iter().map(load).min(), parts.iter().map(load).max());
            prop_assert!(most <= least.map(|least| least + longest), "{least:?} {most:?} {longest}");
        }

        #[test]
        fn what_is_written_is_read(kind in "slice|hash|time", index in 1..50_usize, more in 0..50_usize) {
            let text = format!("{kind}:{index}/{}", index + more);
            prop_assert_eq!(text.parse::<Partition>().unwrap().to_string(), text);
        }

        #[test]
        fn whatever_is_written_panics_nowhere(text in ".*|(slice|hash|time):[0-9]*/[0-9]*") {
            let _ = text.parse::<Partition>();
        }
    }

    #[test]
    fn the_hash_is_the_documented_one() {
        // printf 'boot.release [qemu_bios.amd64]' | sha256sum | cut -c-16
        let case = CaseId::new("boot.release", "qemu_bios.amd64");
        let head = u64::from_be_bytes(Sha256::digest(case.to_string())[..8].try_into().unwrap());
        assert_eq!(head, 0xace6_4667_2584_6367);
        for count in [1, 2, 3, 7, 1_000] {
            let part = usize::try_from(head % count as u64).unwrap() + 1;
            let partition: Partition = format!("hash:{part}/{count}").parse().unwrap();
            assert_eq!(partition.select(&[(&case, None)]), [0]);
        }
    }

    #[test]
    fn slices_are_dealt_in_turn() {
        let ids = cases(7);
        let parts = split("slice", 3, &with(&ids, &[None; 7]));
        assert_eq!(parts, [vec![0, 3, 6], vec![1, 4], vec![2, 5]]);
    }

    #[test]
    fn by_time_the_longest_is_alone() {
        let ids = cases(5);
        let seconds = [Some(10), Some(100), Some(20), None, Some(30)];
        // The unknown one counts as 60 s, twice the median.
        assert_eq!(split("time", 2, &with(&ids, &seconds)), [vec![0, 1], vec![2, 3, 4]]);
    }

    #[test_case("1/3" => "say how to split: hash:1/3 (by name), slice:1/3 (in turn) or time:1/3 (by duration)")]
    #[test_case("" => "say how to split: hash:1/3 (by name), slice:1/3 (in turn) or time:1/3 (by duration)"; "nothing")]
    #[test_case("count:2/4" => "cases are in no binaries to count by; give slice:2/4")]
    #[test_case("random:1/2" => "`random` is no way to split; give hash:1/2, slice:1/2 or time:1/2")]
    #[test_case("hash:4/3" => "there is no part 4 of 3; parts are 1 to 3")]
    #[test_case("hash:0/3" => "`0/3` is no part of a whole; give two numbers from 1, such as 1/3")]
    #[test_case("time:1" => "`1` is no part of a whole; give two numbers from 1, such as 1/3")]
    #[test_case("slice:a/b" => "`a/b` is no part of a whole; give two numbers from 1, such as 1/3")]
    fn no_partitions(text: &str) -> String {
        text.parse::<Partition>().unwrap_err()
    }
}
