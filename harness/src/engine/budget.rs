//! What ends a run early: its deadline, and too many failures.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use wheeltap_reports::{CaseId, Verdict};

/// What is left of a run's time and patience.
#[derive(Debug)]
pub(crate) struct Budget {
    deadline: Option<(Instant, Duration)>,
    max_fail: Option<u32>,
    failed: AtomicU32,
    /// Why nothing more is started.
    stopped: OnceLock<String>,
}

impl Budget {
    /// `deadline` is from now on.
    pub(crate) fn new(deadline: Option<Duration>, max_fail: Option<u32>) -> Self {
        Self {
            deadline: deadline.map(|limit| (Instant::now() + limit, limit)),
            max_fail,
            failed: AtomicU32::new(0),
            stopped: OnceLock::new(),
        }
    }

    /// Why a case that is expected to take so long is not started, if it isn't.
    pub(crate) fn refusal(&self, expected: Option<Duration>) -> Option<String> {
        if let Some(why) = self.stopped.get() {
            return Some(why.clone());
        }
        let (deadline, limit) = self.deadline?;
        let left = deadline.saturating_duration_since(Instant::now());
        let expected = expected.unwrap_or_default();
        if left.is_zero() {
            return Some(format!("deadline: the run's {} are over", span(limit)));
        }
        (left < expected).then(|| {
            format!(
                "deadline: it usually takes {}, and {} of {} are left",
                span(expected),
                span(left),
                span(limit)
            )
        })
    }

    /// Takes note of how a case ended. Returns why nothing more is started, if that is because of it.
    pub(crate) fn judged(&self, case: &CaseId, verdict: Verdict) -> Option<String> {
        if !matches!(verdict, Verdict::Fail | Verdict::Infra) {
            return None;
        }
        let failed = self.failed.fetch_add(1, Ordering::SeqCst) + 1;
        let limit = self.max_fail.filter(|limit| failed >= *limit)?;
        let why = match limit {
            1 => format!("fail-fast: {case} did not pass"),
            _ => format!("max-fail: {limit} cases did not pass, {case} the last of them"),
        };
        self.stopped.set(why.clone()).is_ok().then_some(why)
    }

    /// When what still runs is cut off.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline.map(|(at, _)| at)
    }
}

fn span(duration: Duration) -> String {
    let rounded = Duration::from_secs(duration.as_secs_f64().round() as u64);
    match jiff::SignedDuration::try_from(rounded) {
        Ok(rounded) => format!("{rounded:#}"),
        Err(_) => format!("{} s", rounded.as_secs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(deadline: Option<u64>, max_fail: Option<u32>) -> Budget {
        Budget::new(deadline.map(Duration::from_secs), max_fail)
    }

    fn id(name: &str) -> CaseId {
        CaseId::new(name, "qemu_bios.amd64")
    }

    #[test]
    fn what_can_not_end_in_time_is_not_started() {
        let budget = budget(Some(3600), None);
        assert_eq!(budget.refusal(None), None, "unknown is no reason");
        assert_eq!(budget.refusal(Some(Duration::from_secs(60))), None);
        let why = budget.refusal(Some(Duration::from_secs(5400))).unwrap();
        assert_eq!(why, "deadline: it usually takes 1h 30m, and 1h of 1h are left");
    }

    #[test]
    fn after_the_deadline_nothing_is_started() {
        let why = budget(Some(0), None).refusal(None).unwrap();
        assert_eq!(why, "deadline: the run's 0s are over");
    }

    #[test]
    fn too_many_failures_stop_the_run_once() {
        let budget = budget(None, Some(2));
        assert_eq!(budget.judged(&id("a"), Verdict::Fail), None);
        assert_eq!(budget.judged(&id("b"), Verdict::Flaky), None, "a flaky case has passed");
        assert_eq!(budget.refusal(None), None);
        let why = budget.judged(&id("c"), Verdict::Infra).unwrap();
        assert_eq!(why, "max-fail: 2 cases did not pass, c [qemu_bios.amd64] the last of them");
        assert_eq!(budget.judged(&id("d"), Verdict::Fail), None, "it is said once");
        assert_eq!(budget.refusal(None), Some(why));
    }
}
