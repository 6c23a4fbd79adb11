//! Which build broke a case. Pure: from results, and images that have none, to a finding.

use jiff::Timestamp;
use serde::Serialize;

use super::summary::same_image;
use super::version::VersionKey;
use super::{PastResult, PastRun};
use crate::{CaseId, Image, Verdict};

/// An image, and what the case did on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Build {
    /// The image.
    #[serde(flatten)]
    pub image: Image,
    /// When it was first tested with anything, in UTC.
    pub first_seen: Timestamp,
    /// Runs in which it passed and never failed, though infrastructure may have got in the way.
    pub pass: usize,
    /// Runs in which it passed after failing.
    pub flaky: usize,
    /// Runs in which it failed.
    pub fail: usize,
    /// Runs in which it was planned and not judged: `infra`, `skip` or `not-run`.
    pub unjudged: usize,
}

/// What a build did to the case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BuildVerdict {
    /// It passed whenever it was judged.
    Good,
    /// It failed whenever it was judged.
    Bad,
    /// It passed and failed on the same image.
    Unsteady,
    /// It was never judged on this image.
    Untested,
}

/// To which side a build counts, also an unsteady one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lean {
    Good,
    Bad,
}

/// By what builds are in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BuildOrder {
    /// Version, and when first seen among those with the same.
    Version,
    /// When first seen, because an image doesn't say its version.
    FirstSeen,
}

/// What the builds of a case say about when it broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bisection {
    /// The case.
    pub case: CaseId,
    /// By what the builds are in order.
    pub order: BuildOrder,
    /// Every build, oldest first.
    pub builds: Vec<Build>,
    /// What they say.
    pub finding: Finding,
    /// Why they may not mean that.
    pub ambiguities: Vec<Ambiguity>,
}

/// What the builds say. Numbers are places in [`Bisection::builds`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It broke between these two, and has failed since.
    Broke {
        /// The last good build.
        last_good: usize,
        /// The first bad one after it.
        first_bad: usize,
    },
    /// It failed, and has passed since.
    Mended {
        /// The last bad build.
        last_bad: usize,
        /// The first good one after it.
        first_good: usize,
    },
    /// It passed on every build on which it was judged.
    AlwaysGood,
    /// It failed on every build on which it was judged.
    AlwaysBad,
    /// It passed and failed on this build and perhaps others, and no two builds differ enough to
    /// say when that began.
    Unsteady {
        /// The first such build.
        first: usize,
    },
    /// It was never judged on any build.
    Unjudged,
}

/// Why a finding may be wrong, or say too little. Numbers are places in [`Bisection::builds`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ambiguity {
    /// On these it passed and failed, so that one result of another build proves little.
    Unsteady(Vec<usize>),
    /// These lie between the last good and the first bad build, and it was never judged on them.
    Gaps(Vec<usize>),
    /// On these it failed as well, before it passed again on the last good build.
    Earlier(Vec<usize>),
    /// The order is that of the runs.
    NoVersions,
}

impl Build {
    fn new(run: &PastRun) -> Self {
        Self {
            image: run.image.clone(),
            first_seen: run.started,
            pass: 0,
            flaky: 0,
            fail: 0,
            unjudged: 0,
        }
    }

    /// What it did to the case.
    #[must_use]
    pub fn verdict(&self) -> BuildVerdict {
        match (self.pass, self.flaky, self.fail) {
            (0, 0, 0) => BuildVerdict::Untested,
            (_, 0, 0) => BuildVerdict::Good,
            (0, 0, _) => BuildVerdict::Bad,
            _ => BuildVerdict::Unsteady,
        }
    }

    /// Whether it passes rather than it fails, for builds on which it was judged. One flaky night
    /// among many doesn't make a build bad.
    fn leans(&self) -> Option<Lean> {
        match (self.pass + self.flaky, self.fail) {
            (0, 0) => None,
            (passed, failed) if passed >= failed => Some(Lean::Good),
            _ => Some(Lean::Bad),
        }
    }

    /// The builds that these results are about.
    #[must_use]
    pub fn of_results(results: &[PastResult]) -> Vec<Self> {
        let mut builds = Vec::new();
        for result in results {
            let build = Self::add_untested(&mut builds, &result.run);
            let failed = result.attempts.iter().any(|attempt| attempt.verdict == Verdict::Fail);
            match result.verdict {
                Verdict::Flaky if !failed => build.pass += 1,
                Verdict::Pass => build.pass += 1,
                Verdict::Flaky => build.flaky += 1,
                Verdict::Fail => build.fail += 1,
                Verdict::Infra | Verdict::Skip | Verdict::NotRun => build.unjudged += 1,
            }
        }
        builds
    }

    /// The build of a run, which is added if it isn't there.
    pub(super) fn add_untested<'a>(builds: &'a mut Vec<Self>, run: &PastRun) -> &'a mut Self {
        let known = builds.iter().position(|build| same_image(&build.image, &run.image));
        let index = known.unwrap_or_else(|| {
            builds.push(Self::new(run));
            builds.len() - 1
        });
        let build = &mut builds[index];
        build.first_seen = build.first_seen.min(run.started);
        build
    }
}

impl Bisection {
    /// Puts builds in order, and says when the case broke.
    #[must_use]
    pub fn of(case: CaseId, mut builds: Vec<Build>) -> Self {
        let order = if builds.iter().any(|build| build.image.version.is_empty()) {
            BuildOrder::FirstSeen
        } else {
            BuildOrder::Version
        };
        builds.sort_by_cached_key(|build| {
            let version = match order {
                BuildOrder::Version => VersionKey::of(&build.image.version),
                BuildOrder::FirstSeen => VersionKey::of(""),
            };
            (version, build.first_seen, build.image.digest.clone())
        });
        let finding = finding(&builds);
        let mut ambiguities = ambiguities(&builds, finding);
        if order == BuildOrder::FirstSeen && builds.len() > 1 {
            ambiguities.push(Ambiguity::NoVersions);
        }
        Self { case, order, builds, finding, ambiguities }
    }

    /// The last good build, and the first bad one after it, if it broke.
    #[must_use]
    pub fn bounds(&self) -> Option<(&Build, &Build)> {
        match self.finding {
            Finding::Broke { last_good, first_bad } => {
                Some((&self.builds[last_good], &self.builds[first_bad]))
            }
            _ => None,
        }
    }

    /// The builds between the last good and the first bad one on which the case was never judged.
    #[must_use]
    pub fn gaps(&self) -> Vec<&Build> {
        let Finding::Broke { last_good, first_bad } = self.finding else { return Vec::new() };
        let between = self.builds[last_good + 1..first_bad].iter();
        between.filter(|build| build.verdict() == BuildVerdict::Untested).collect()
    }

    /// The build to try next: in the middle of the gaps, whichever way it turns out half of them
    /// are done. `None` when there is nothing left to try.
    #[must_use]
    pub fn next(&self, leave_out: &dyn Fn(&Image) -> bool) -> Option<&Build> {
        let mut gaps = self.gaps();
        gaps.retain(|build| !leave_out(&build.image));
        gaps.get(gaps.len() / 2).copied()
    }
}

fn finding(builds: &[Build]) -> Finding {
    let leans: Vec<_> = builds.iter().map(Build::leans).collect();
    let last = |wanted| leans.iter().rposition(|lean| *lean == Some(wanted));
    let first_after = |start: usize, wanted| {
        let found = leans[start + 1..].iter().position(|lean| *lean == Some(wanted));
        found.map(|found| start + 1 + found)
    };
    let unsteady = builds.iter().position(|build| build.verdict() == BuildVerdict::Unsteady);
    match (last(Lean::Good), last(Lean::Bad), unsteady) {
        (Some(last_good), Some(last_bad), _) => {
            let broke = first_after(last_good, Lean::Bad)
                .map(|first_bad| Finding::Broke { last_good, first_bad });
            let mended = first_after(last_bad, Lean::Good)
                .map(|first_good| Finding::Mended { last_bad, first_good });
            // One of the two is the last of all, so that the other has nothing after it.
            broke.or(mended).unwrap_or(Finding::Unjudged)
        }
        (None, None, _) => Finding::Unjudged,
        (_, _, Some(first)) => Finding::Unsteady { first },
        (Some(_), None, None) => Finding::AlwaysGood,
        (None, Some(_), None) => Finding::AlwaysBad,
    }
}

fn ambiguities(builds: &[Build], finding: Finding) -> Vec<Ambiguity> {
    let places = |range: std::ops::Range<usize>, wanted| -> Vec<usize> {
        range.filter(|place| builds[*place].verdict() == wanted).collect()
    };
    let all = 0..builds.len();
    let mut found = vec![Ambiguity::Unsteady(places(all, BuildVerdict::Unsteady))];
    match finding {
        Finding::Broke { last_good, first_bad } => {
            found.push(Ambiguity::Gaps(places(last_good + 1..first_bad, BuildVerdict::Untested)));
            found.push(Ambiguity::Earlier(places(0..last_good, BuildVerdict::Bad)));
        }
        Finding::Mended { last_bad, first_good } => {
            found.push(Ambiguity::Gaps(places(last_bad + 1..first_good, BuildVerdict::Untested)));
        }
        Finding::AlwaysGood | Finding::AlwaysBad | Finding::Unsteady { .. } | Finding::Unjudged => {
        }
    }
    found.retain(|ambiguity| match ambiguity {
        Ambiguity::Unsteady(places) | Ambiguity::Gaps(places) | Ambiguity::Earlier(places) => {
            !places.is_empty()
        }
        Ambiguity::NoVersions => true,
    });
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop, prop_assert, prop_assert_eq, proptest};
    use test_case::test_case;

    use super::{Bisection, Build};
    use crate::{CaseId, Image};

    /// A build of a version that is its number.
    fn build(number: usize, (pass, flaky, fail): (usize, usize, usize)) -> Build {
        let image = Image {
            name: "image".into(),
            digest: format!("{number:064x}"),
            version: number.to_string(),
            profile: "reference".into(),
            ..Image::default()
        };
        let first_seen = "2026-01-01T00:00:00Z".parse().unwrap();
        Build { image, first_seen, pass, flaky, fail, unjudged: 0 }
    }

    fn bisection(builds: Vec<Build>) -> Bisection {
        Bisection::of(CaseId::new("a", "b"), builds)
    }

    /// Builds by letter: `g`ood, `b`ad, `u`nsteady but mostly good, `w` mostly bad, `.` untested.
    fn story(letters: &str) -> Bisection {
        let counts = |letter| match letter {
            'g' => (2, 0, 0),
            'b' => (0, 0, 2),
            'u' => (2, 1, 1),
            'w' => (1, 0, 2),
            _ => (0, 0, 0),
        };
        let builds = letters.chars().enumerate();
        let mut builds: Vec<_> =
            builds.map(|(number, letter)| build(number, counts(letter))).collect();
        // The order is found, not given.
        builds.reverse();
        bisection(builds)
    }

    #[test_case("", "Unjudged []"; "nothing")]
    #[test_case("..", "Unjudged []"; "only gaps")]
    #[test_case("gg.", "AlwaysGood []"; "always good")]
    #[test_case("b.b", "AlwaysBad []"; "always bad")]
    #[test_case("ggbb", "Broke { last_good: 1, first_bad: 2 } []"; "it broke")]
    #[test_case("g..b.", "Broke { last_good: 0, first_bad: 3 } [Gaps([1, 2])]"; "gaps between")]
    #[test_case("gbgb", "Broke { last_good: 2, first_bad: 3 } [Earlier([1])]"; "it broke twice")]
    #[test_case("gb.g", "Mended { last_bad: 1, first_good: 3 } [Gaps([2])]"; "mended")]
    #[test_case("gub", "Broke { last_good: 1, first_bad: 2 } [Unsteady([1])]"; "flaky before")]
    #[test_case("gwb", "Broke { last_good: 0, first_bad: 1 } [Unsteady([1])]"; "flaky since")]
    #[test_case("guu", "Unsteady { first: 1 } [Unsteady([1, 2])]"; "flaky only")]
    fn findings(letters: &str, expected: &str) {
        let found = story(letters);
        assert_eq!(format!("{:?} {:?}", found.finding, found.ambiguities), expected);
    }

    #[test]
    fn without_versions_the_runs_decide() {
        let mut builds = vec![build(9, (1, 0, 0)), build(10, (0, 0, 1))];
        builds[0].image.version.clear();
        builds[1].first_seen = "2025-12-31T00:00:00Z".parse().unwrap();
        let found = bisection(builds);
        let expected = "Mended { last_bad: 0, first_good: 1 } [NoVersions]";
        assert_eq!(format!("{:?} {:?}", found.finding, found.ambiguities), expected);
    }

    proptest! {
        #[test]
        fn booting_finds_the_build_that_broke_it(count in 2_usize..200, at in 0.0_f64..1.0) {
            let first_bad = 1 + ((count - 1) as f64 * at) as usize;
            let judge = |number: usize| if number < first_bad { (1, 0, 0) } else { (0, 0, 1) };
            let mut builds: Vec<Build> = (0..count).map(|number| build(number, (0, 0, 0))).collect();
            builds[0] = build(0, judge(0));
            builds[count - 1] = build(count - 1, judge(count - 1));
            let mut boots = 0;
            let found = loop {
                let found = bisection(builds.clone());
                let Some(next) = found.next(&|_| false) else { break found };
                let number = next.image.version.parse().unwrap();
                builds[number] = build(number, judge(number));
                boots += 1;
            };
            let (last_good, bad) = found.bounds().unwrap();
            prop_assert_eq!(&bad.image.version, &first_bad.to_string());
            prop_assert_eq!(&last_good.image.version, &(first_bad - 1).to_string());
            prop_assert_eq!(&found.ambiguities, &[]);
            prop_assert!(boots <= count.ilog2() + 1, "{boots} boots for {count} builds");
        }

        #[test]
        fn any_builds_have_a_finding(
            counts in prop::collection::vec((0_usize..3, 0_usize..2, 0_usize..3), 0..12),
        ) {
            let builds = counts.into_iter().enumerate();
            let found = bisection(builds.map(|(number, counts)| build(number, counts)).collect());
            if let Some((good, bad)) = found.bounds() {
                prop_assert!(good.pass + good.flaky >= good.fail);
                prop_assert!(bad.pass + bad.flaky < bad.fail);
            }
        }
    }
}
