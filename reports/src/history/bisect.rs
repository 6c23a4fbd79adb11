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
