//! What changed since an earlier run.

use std::collections::{BTreeSet, HashMap};

use crate::{CaseId, CaseResult, Run, Verdict};

/// An earlier run that this one is compared with.
pub(super) struct Baseline<'a> {
    cases: HashMap<&'a CaseId, &'a CaseResult>,
}

/// How a case compares with the same case of the baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Delta {
    /// It passed then.
    Broken,
    /// It didn't pass then either, for another cause.
    OtherCause,
    /// It didn't pass then, for the same cause.
    Known,
    /// It passes now.
    Fixed,
    /// It was judged then, and isn't now.
    Lost,
    /// It wasn't judged then.
    Added,
}

impl Delta {
    pub(super) const ALL: [Self; 6] =
        [Self::Broken, Self::OtherCause, Self::Known, Self::Fixed, Self::Lost, Self::Added];

    /// In a word or two.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Broken => "new",
            Self::OtherCause => "other cause",
            Self::Known => "known",
            Self::Fixed => "fixed",
            Self::Lost => "not judged now",
            Self::Added => "not judged before",
        }
    }

    /// The name of its style.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Broken | Self::OtherCause | Self::Lost => "worse",
            Self::Fixed => "better",
            Self::Known | Self::Added => "same",
        }
    }
}

impl<'a> Baseline<'a> {
    pub(super) fn new(run: &'a Run) -> Self {
        Self { cases: run.cases.iter().map(|case| (&case.planned.id, case)).collect() }
    }

    /// The case as it was then.
    pub(super) fn case(&self, case: &CaseResult) -> Option<&'a CaseResult> {
        self.cases.get(&case.planned.id).copied()
    }

    /// What is different about it now; nothing if it is as it was, or was never judged.
    pub(super) fn delta(&self, case: &CaseResult) -> Option<Delta> {
        let then = self.case(case).filter(|then| is_judged(then));
        match (then, is_judged(case)) {
            (None, false) => None,
            (None, true) => Some(Delta::Added),
            (Some(_), false) => Some(Delta::Lost),
            (Some(then), true) => match (then.verdict, case.verdict) {
                (Verdict::Pass, Verdict::Pass) => None,
                (Verdict::Pass, _) => Some(Delta::Broken),
                (_, Verdict::Pass) => Some(Delta::Fixed),
                _ if signature(then) == signature(case) => Some(Delta::Known),
                _ => Some(Delta::OtherCause),
            },
        }
    }

    /// How much longer a case takes that passed then and now, in seconds; nothing below half as much
    /// again and ten seconds, which is what chance brings.
    pub(super) fn slower(&self, case: &CaseResult) -> Option<f64> {
        const SECONDS: f64 = 10.0;
        const PART: f64 = 0.5;
        let then = self.case(case)?;
        let passed = then.verdict == Verdict::Pass && case.verdict == Verdict::Pass;
        let more = case.seconds - then.seconds;
        let is_much = more.abs() >= SECONDS && more.abs() >= PART * then.seconds.min(case.seconds);
        (passed && is_much).then_some(more)
    }

    /// How many cases have which delta, in words.
    pub(super) fn summary(&self, run: &Run) -> String {
        let deltas: Vec<_> = run.cases.iter().filter_map(|case| self.delta(case)).collect();
        let count = |delta| deltas.iter().filter(|it| **it == delta).count();
        let mut words: Vec<_> = Delta::ALL
            .into_iter()
            .filter(|delta| count(*delta) > 0)
            .map(|delta| format!("{} {}", count(delta), delta.word()))
            .collect();
        let planned: BTreeSet<_> = run.cases.iter().map(|case| &case.planned.id).collect();
        match self.cases.keys().filter(|id| !planned.contains(*id)).count() {
            0 => {}
            gone => words.push(format!("{gone} no longer planned")),
        }
        if words.is_empty() { "nothing changed".to_owned() } else { words.join(", ") }
    }
}

fn is_judged(case: &CaseResult) -> bool {
    matches!(case.verdict, Verdict::Pass | Verdict::Flaky | Verdict::Fail | Verdict::Infra)
}

/// What the case failed by.
pub(super) fn signature(case: &CaseResult) -> Option<String> {
    Some(super::causes::telling(case)?.failure.as_ref()?.signature())
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::{Baseline, Delta};
    use crate::{Attempt, CaseId, CaseResult, Failure, FailureClass, Phase, PlannedCase, Verdict};

    fn case(verdict: Verdict, headline: &str) -> CaseResult {
        let planned = PlannedCase {
            id: CaseId::new("boot.it", "qemu"),
            summary: String::new(),
            claims: Vec::new(),
            tags: Vec::new(),
            faults: Vec::new(),
            skip: None,
        };
        let failure = |headline: &str| Failure {
            phase: Phase::Boot,
            class: FailureClass::Product,
            kind: "kind".to_owned(),
            headline: headline.to_owned(),
            detail: String::new(),
        };
        let attempt = Attempt {
            verdict: if verdict == Verdict::Flaky { Verdict::Fail } else { verdict },
            failure: (!headline.is_empty()).then(|| failure(headline)),
            ..Attempt::new(1, "2026-01-31T12:00:00Z".parse().unwrap())
        };
        CaseResult { verdict, attempts: vec![attempt], ..CaseResult::planned(planned) }
    }

    #[test_case((Verdict::Pass, ""), (Verdict::Pass, "") => None; "passes on")]
    #[test_case((Verdict::Pass, ""), (Verdict::Fail, "a") => Some(Delta::Broken); "fails now")]
    #[test_case((Verdict::Pass, ""), (Verdict::Flaky, "a") => Some(Delta::Broken); "flaky now")]
    #[test_case((Verdict::Fail, "a 17"), (Verdict::Fail, "a 18") => Some(Delta::Known); "fails on")]
    #[test_case((Verdict::Fail, "a"), (Verdict::Fail, "b") => Some(Delta::OtherCause); "another cause")]
    #[test_case((Verdict::Fail, "a"), (Verdict::Flaky, "a") => Some(Delta::Known); "the same now and then")]
    #[test_case((Verdict::Infra, "a"), (Verdict::Pass, "") => Some(Delta::Fixed); "mended")]
    #[test_case((Verdict::Pass, ""), (Verdict::NotRun, "") => Some(Delta::Lost); "not run now")]
    #[test_case((Verdict::Skip, ""), (Verdict::Fail, "a") => Some(Delta::Added); "skipped then")]
    #[test_case((Verdict::Skip, ""), (Verdict::NotRun, "") => None; "never judged")]
    fn deltas(then: (Verdict, &str), now: (Verdict, &str)) -> Option<Delta> {
        let (then, now) = (case(then.0, then.1), case(now.0, now.1));
        let id = then.planned.id.clone();
        Baseline { cases: [(&id, &then)].into() }.delta(&now)
    }

    #[test_case(20.0, 31.0 => Some(11.0); "longer")]
    #[test_case(31.0, 20.0 => Some(-11.0); "shorter")]
    #[test_case(100.0, 140.0 => None; "not by half")]
    #[test_case(1.0, 9.0 => None; "only seconds")]
    fn slower(then: f64, now: f64) -> Option<f64> {
        let timed = |seconds| CaseResult { seconds, ..case(Verdict::Pass, "") };
        let (then, now) = (timed(then), timed(now));
        let id = then.planned.id.clone();
        Baseline { cases: [(&id, &then)].into() }.slower(&now)
    }
}
