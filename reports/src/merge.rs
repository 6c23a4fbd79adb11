//! Several runs of one plan as one: partitions that ran side by side, or a run and what finished it.
//!
//! A merged run keeps the runs that it was made of and is computed from these alone, in an order of
//! their own. So neither the order in which they are given nor merging what was merged before makes
//! a difference, not even of a byte.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::waivers::Waivers;
use crate::{CaseResult, Error, Result, Run, State, Verdict};

impl Run {
    /// Several runs of one plan as one.
    ///
    /// - Each case is as in the run that ran it. Of a case that several ran, all attempts are kept, in
    ///   the order in which they began and numbered anew, and [`Verdict::of_attempts`] judges them:
    ///   a failure and a later pass are `flaky`. Attempts that were cut off don't count beside others.
    /// - A case that none of several runs has is `not-run`, and that counts: less ran than planned. In
    ///   a single run of a partition it doesn't; one run is returned as it is.
    /// - A run that is given twice, also as a copy, counts once.
    /// - The waivers of all runs are applied, as of the day on which the first began.
    ///
    /// Paths of evidence stay relative to the directory of the run that has it: `Attempt::run_dir`.
    ///
    /// # Errors
    /// If there are no runs, if they have different plans, or if they have different waivers with the
    /// same id.
    pub fn merge(runs: Vec<Self>) -> Result<Self> {
        let mut parts: Vec<Arc<Self>> = Vec::new();
        for run in runs {
            if run.parts.is_empty() { parts.push(Arc::new(run)) } else { parts.extend(run.parts) }
        }
        parts.sort_by(|one, other| one.order().cmp(&other.order()));
        parts.dedup_by(|later, first| later.order().0 == first.order().0);
        let Some(first) = parts.first() else { return Err(Error::NothingToMerge) };
        if let Some(other) = parts.iter().find(|part| part.plan_digest != first.plan_digest) {
            return Err(Error::OtherPlans {
                one: first.dir.clone(),
                one_digest: first.plan_digest.clone(),
                other: other.dir.clone(),
                other_digest: other.plan_digest.clone(),
            });
        }
        if let [only] = &*parts {
            return Ok(Self::clone(only));
        }
        let waivers = Waivers::union(
            parts.iter().filter_map(|part| Some((&*part.dir, part.own_waivers.as_deref()?))),
        )?;
        let mut run = assemble(parts);
        if let Some(waivers) = waivers {
            let day = run.day();
            waivers.apply(&mut run, day);
            run.own_waivers = Some(Arc::new(waivers));
        }
        Ok(run)
    }

    /// The runs that it was merged from, the first to begin first; empty if it wasn't merged.
    #[must_use]
    pub fn parts(&self) -> &[Arc<Self>] {
        &self.parts
    }

    /// When it began, or was planned if it never did.
    pub(crate) fn began(&self) -> Timestamp {
        self.started.as_ref().map_or(self.plan.created, |started| started.at)
    }

    /// Where it stands among other runs, and whether it is the same; then where its copies stand
    /// among each other. Ids alone don't tell runs apart: containers have the same PIDs.
    fn order(&self) -> ((Timestamp, &str, &str), &std::path::Path) {
        ((self.began(), &self.plan.run, &self.log_digest), &self.dir)
    }
}

/// A run from its parts, which are in order, of one plan, and at least two.
fn assemble(parts: Vec<Arc<Run>>) -> Run {
    let first = &parts[0];
    let missing = missing(&parts);
    let cases: Vec<_> =
        (0..first.cases.len()).map(|index| merge_case(index, &parts, &missing)).collect();
    let mut seen = HashSet::new();
    let notes = parts.iter().flat_map(|part| &part.notes).filter(|note| seen.insert(*note));
    let mut plan = first.plan.clone();
    plan.run = parts.iter().map(|part| &*part.plan.run).collect::<Vec<_>>().join("+");
    Run {
        dir: first.dir.clone(),
        plan,
        plan_digest: first.plan_digest.clone(),
        sealed: parts.iter().all(|part| part.sealed),
        log_digest: String::new(),
        partition: None,
        started: parts.iter().find_map(|part| part.started.clone()),
        state: state(&parts, &cases),
        notes: notes.cloned().collect(),
        defects: parts.iter().flat_map(|part| part.defects.iter().cloned()).collect(),
        waivers: Vec::new(),
        own_waivers: None,
        seconds: parts.iter().map(|part| part.seconds).sum(),
        cases,
        parts,
    }
}

/// How far all came together. That a run was cut off is made good where others have what it lacks.
fn state(parts: &[Arc<Run>], cases: &[CaseResult]) -> State {
    let find =
        |wanted: fn(&State) -> bool| parts.iter().map(|part| &part.state).find(|it| wanted(it));
    let is_complete = cases.iter().all(|case| case.verdict != Verdict::NotRun);
    find(|state| matches!(state, State::Running))
        .or_else(|| {
            find(|state| matches!(state, State::Interrupted { .. }))
                .or_else(|| find(|state| matches!(state, State::Killed)))
                .filter(|_| !is_complete)
        })
        .cloned()
        .unwrap_or(State::Ended)
}

fn merge_case(index: usize, parts: &[Arc<Run>], missing: &str) -> CaseResult {
    let ran: Vec<(&Run, &CaseResult)> = parts
        .iter()
        .map(|part| (&**part, &part.cases[index]))
        .filter(|(_, case)| !case.attempts.is_empty() || is_judged(case))
        .collect();
    let mut case = match &*ran {
        [] => not_run(index, parts, missing),
        [(_, only)] => CaseResult::clone(only),
        [(_, first), ..] => judge(first, &ran),
    };
    case.waived = None;
    case.attempts = attempts(&ran);
    case.seconds = ran.iter().map(|(_, case)| case.seconds).sum();
    case
}

/// Whether a run says what came of a case.
fn is_judged(case: &CaseResult) -> bool {
    matches!(case.verdict, Verdict::Pass | Verdict::Flaky | Verdict::Fail | Verdict::Infra)
}

/// A case that nobody started: the one who has it knows why.
fn not_run(index: usize, parts: &[Arc<Run>], missing: &str) -> CaseResult {
    let find = |wanted: fn(&CaseResult) -> bool| {
        parts.iter().map(|part| &part.cases[index]).find(|case| wanted(case)).cloned()
    };
    find(|case| case.verdict == Verdict::Skip)
        .or_else(|| find(|case| !case.elsewhere))
        .unwrap_or_else(|| CaseResult {
            reason: Some(missing.to_owned()),
            elsewhere: false,
            ..parts[0].cases[index].clone()
        })
}

/// Judges a case that several runs started.
fn judge(first: &CaseResult, ran: &[(&Run, &CaseResult)]) -> CaseResult {
    let judged = || ran.iter().map(|(_, case)| *case).filter(|case| is_judged(case));
    if judged().next().is_none() {
        return ran
            .iter()
            .find(|(_, case)| case.verdict == Verdict::Skip)
            .map_or(first, |it| it.1)
            .clone();
    }
    // In the order of all attempts, of which those that were cut off say nothing.
    let verdicts: Vec<_> = attempts(ran)
        .into_iter()
        .map(|attempt| attempt.verdict)
        .filter(|verdict| *verdict != Verdict::NotRun)
        .collect();
    let verdict = Verdict::of_attempts(&verdicts);
    // What a run says of a case that its attempts don't tell: a report never turns doubt into a pass.
    let doubts = judged().filter(|case| {
        let told: Vec<_> = case.attempts.iter().map(|attempt| attempt.verdict).collect();
        Verdict::of_attempts(&told) != Some(case.verdict)
    });
    let verdict = verdict.into_iter().chain(doubts.map(|case| case.verdict)).reduce(Verdict::worse);
    // One of both is there, since a run has judged it.
    let verdict = verdict.unwrap_or(first.verdict);
    CaseResult { verdict, reason: None, elsewhere: false, ..first.clone() }
}

/// All attempts of a case, in the order in which they began, numbered from 1.
fn attempts(ran: &[(&Run, &CaseResult)]) -> Vec<crate::Attempt> {
    let mut all: Vec<_> = ran
        .iter()
        .flat_map(|(run, case)| case.attempts.iter().map(move |attempt| (*run, attempt.clone())))
        .collect();
    all.sort_by(|(one_run, one), (other_run, other)| {
        (one.started, one_run.order(), one.number).cmp(&(
            other.started,
            other_run.order(),
            other.number,
        ))
    });
    (1..)
        .zip(all)
        .map(|(number, (run, attempt))| crate::Attempt {
            number,
            run_dir: Some(run.dir.clone()),
            ..attempt
        })
        .collect()
}

/// Why a case that no run has wasn't run.
fn missing(parts: &[Arc<Run>]) -> String {
    /// Partitions listed; beyond them a number says more.
    const NAMES: usize = 3;

    let what = format!("no run of these {} has it", parts.len());
    let missing = missing_partitions(parts);
    let names: Vec<_> = missing.iter().take(NAMES).map(String::as_str).collect();
    let (names, more) = (names.join(", "), missing.len().saturating_sub(NAMES));
    match missing.len() {
        0 => what,
        1 => format!("{what}: partition {names} is missing"),
        _ if more == 0 => format!("{what}: partitions {names} are missing"),
        _ => format!("{what}: partitions {names} and {more} more are missing"),
    }
}

/// The partitions that are missing, if all that are there are of one kind and number.
fn missing_partitions(parts: &[Arc<Run>]) -> Vec<String> {
    /// `hash:2/3` as `hash`, 2, 3.
    fn parse(partition: &str) -> Option<(&str, u32, u32)> {
        let (kind, place) = partition.split_once(':')?;
        let (number, count) = place.split_once('/')?;
        Some((kind, number.parse().ok()?, count.parse().ok()?))
    }

    let there =
        parts.iter().map(|part| parse(part.partition.as_deref()?)).collect::<Option<Vec<_>>>();
    let Some(there) = there else { return Vec::new() };
    let (kind, _, count) = there[0];
    if there.iter().any(|(other, _, of)| (*other, *of) != (kind, count)) {
        return Vec::new();
    }
    let numbers: BTreeSet<u32> = there.into_iter().map(|(_, number, _)| number).collect();
    // Nobody has more workers; a number that nobody wrote must not cost a minute.
    (1..=count.min(100_000))
        .filter(|number| !numbers.contains(number))
        .map(|number| format!("{kind}:{number}/{count}"))
        .collect()
}
