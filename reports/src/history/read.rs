//! Asking the history.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, Row, TransactionBehavior};
use serde::Serialize;

use super::write::verdict_of;
use super::{Bisection, Build, History, HistoryResult, Summary, median};
use crate::{CaseId, Image, Verdict};

/// Passing attempts that make a case's expected duration: enough that one slow night doesn't matter,
/// few enough that a scenario that became slower is noticed within two weeks.
const EXPECTED_OF: u32 = 10;

/// The seconds of the last passing attempts of each case, as a JSON array. Joined in this order, a case
/// costs as many steps as it has results of interest.
const EXPECTED: &str = "
SELECT scenario, cell, (
    SELECT json_group_array(seconds) FROM (
        SELECT attempts.seconds
        FROM results
        CROSS JOIN runs ON runs.id = results.run_id
        CROSS JOIN attempts ON attempts.result_id = results.id
        WHERE results.case_id = cases.id
            AND results.verdict IN ('pass', 'flaky')
            AND runs.accelerator = ?1
            AND attempts.verdict = 'pass'
        ORDER BY results.started DESC, results.run_id DESC
        LIMIT ?2))
FROM cases";

/// How long cases take, as far as the history knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Durations(HashMap<CaseId, Duration>);

impl Durations {
    /// The median of the case's last passing attempts; `None` if it never passed.
    #[must_use]
    pub fn of(&self, case: &CaseId) -> Option<Duration> {
        self.0.get(case).copied()
    }

    /// How many cases have one.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(CaseId, Duration)> for Durations {
    fn from_iter<T: IntoIterator<Item = (CaseId, Duration)>>(durations: T) -> Self {
        Self(durations.into_iter().collect())
    }
}

/// What a case did, run by run.
#[derive(Clone, Debug, PartialEq)]
pub struct CaseHistory {
    /// The case.
    pub id: CaseId,
    /// The architecture of its cell.
    pub arch: String,
    /// What it did, oldest first; at least one.
    pub results: Vec<PastResult>,
}

/// What a case did in a run.
#[derive(Clone, Debug, PartialEq)]
pub struct PastResult {
    /// The run.
    pub run: Arc<PastRun>,
    /// What came of it.
    pub verdict: Verdict,
    /// Why it is `skip` or `not-run`.
    pub reason: Option<String>,
    /// With all attempts, in seconds.
    pub seconds: f64,
    /// Its attempts, in order.
    pub attempts: Vec<PastAttempt>,
}

/// A recorded run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PastRun {
    /// Its id.
    pub run: String,
    /// When it began, in UTC.
    pub started: Timestamp,
    /// The host's name.
    pub host: String,
    /// The accelerator, such as `kvm` or `tcg`.
    pub accelerator: String,
    /// What was tested.
    pub image: Image,
    /// Whether it was part of a bisection. It tried an older image then, so that it says something
    /// about that image and nothing about how the scenario does nowadays.
    pub bisecting: bool,
}

/// A recorded attempt.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PastAttempt {
    /// From 1.
    pub number: u32,
    /// How it ended.
    pub verdict: Verdict,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// `class.phase.kind` of its failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slug: Option<String>,
    /// Its failure in one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headline: Option<String>,
    /// What its failure has in common with the same one elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

impl PastResult {
    /// The attempt that explains the verdict: the first that has it. For a flaky case that is the
    /// first that didn't pass.
    #[must_use]
    pub fn telling_attempt(&self) -> Option<&PastAttempt> {
        self.attempts.iter().find(|attempt| match self.verdict {
            Verdict::Flaky => attempt.verdict != Verdict::Pass,
            verdict => attempt.verdict == verdict,
        })
    }
}

type Runs = HashMap<i64, Arc<PastRun>>;

impl History {
    /// How long each case is expected to take on this accelerator: the median of its last passing
    /// attempts, at most ten. Cases with deliberate faults are cases of their own.
    ///
    /// One query for all cases: its cost grows with their number, hardly with that of the runs.
    ///
    /// # Errors
    /// If the file can't be read or is damaged.
    pub fn expected(&self, accelerator: &str) -> HistoryResult<Durations> {
        self.transaction(TransactionBehavior::Deferred, |connection| {
            let mut statement = connection.prepare(EXPECTED)?;
            let rows = statement.query_map((accelerator, EXPECTED_OF), |row| {
                let case = CaseId::new(row.get::<_, String>(0)?, row.get::<_, String>(1)?);
                Ok(expected_of(&row.get::<_, String>(2)?).map(|expected| (case, expected)))
            })?;
            rows.filter_map(Result::transpose).collect()
        })
    }

    /// The cases that say something about images, that is those without deliberate faults, by name.
    ///
    /// # Errors
    /// If the file can't be read or is damaged.
    pub fn case_ids(&self) -> HistoryResult<Vec<CaseId>> {
        let cases = self.transaction(TransactionBehavior::Deferred, known_cases)?;
        Ok(cases.into_iter().map(|case| case.id).collect())
    }

    /// The summary of each wanted case that has results with wanted images, by name.
    ///
    /// # Errors
    /// If the file can't be read or is damaged.
    pub fn summaries(
        &self,
        wanted: &dyn Fn(&CaseId) -> bool,
        image: &dyn Fn(&Image) -> bool,
    ) -> HistoryResult<Vec<Summary>> {
        // One case after the other: the results of all of them may be millions.
        self.map_cases(wanted, image, |case| Summary::of(&case))
    }

    /// All results of each wanted case that has results with wanted images, by name.
    ///
    /// # Errors
    /// If the file can't be read or is damaged.
    pub fn cases(
        &self,
        wanted: &dyn Fn(&CaseId) -> bool,
        image: &dyn Fn(&Image) -> bool,
    ) -> HistoryResult<Vec<CaseHistory>> {
        self.map_cases(wanted, image, |case| case)
    }

    /// Which build broke a case, among the wanted images; `None` if none of them ever ran it.
    ///
    /// Images that never ran it count as gaps if they are of the same profile and were tested on
    /// the same architecture.
    ///
    /// # Errors
    /// If the file can't be read or is damaged.
    pub fn bisection(
        &self,
        case: &CaseId,
        image: &dyn Fn(&Image) -> bool,
    ) -> HistoryResult<Option<Bisection>> {
        let found = self.cases(&|id| id == case, image)?;
        let Some(history) = found.into_iter().next() else { return Ok(None) };
        let others = self.transaction(TransactionBehavior::Deferred, |connection| {
            let runs = runs(connection)?;
            let mut statement = connection.prepare(
                "SELECT DISTINCT results.run_id
                 FROM cases JOIN results ON results.case_id = cases.id
                 WHERE cases.arch = ? AND cases.faults = 0",
            )?;
            let ids: rusqlite::Result<Vec<i64>> =
                statement.query_map([&history.arch], |row| row.get(0))?.collect();
            Ok(ids?.iter().filter_map(|id| runs.get(id).cloned()).collect::<Vec<_>>())
        })?;
        let of_profile = |run: &PastRun| {
            history.results.iter().any(|result| result.run.image.profile == run.image.profile)
        };
        let mut builds = Build::of_results(&history.results);
        for run in others.iter().filter(|run| image(&run.image) && of_profile(run)) {
            Build::add_untested(&mut builds, run);
        }
        Ok(Some(Bisection::of(history.id, builds)))
    }

    fn map_cases<T>(
        &self,
        wanted: &dyn Fn(&CaseId) -> bool,
        image: &dyn Fn(&Image) -> bool,
        mut map: impl FnMut(CaseHistory) -> T,
    ) -> HistoryResult<Vec<T>> {
        // One snapshot, so that no run is seen in one case and not in the next.
        self.transaction(TransactionBehavior::Deferred, |connection| {
            let mut runs = runs(connection)?;
            runs.retain(|_, run| image(&run.image));
            let mut found = Vec::new();
            for case in known_cases(connection)?.into_iter().filter(|case| wanted(&case.id)) {
                let results = results(connection, case.key, &runs)?;
                if !results.is_empty() {
                    found.push(map(CaseHistory { id: case.id, arch: case.arch, results }));
                }
            }
            Ok(found)
        })
    }
}

/// The median of a JSON array of seconds. Nonsense in a log is no duration.
fn expected_of(seconds: &str) -> Option<Duration> {
    let seconds: Vec<f64> = serde_json::from_str(seconds).ok()?;
    Duration::try_from_secs_f64(median(&seconds)?).ok()
}

struct KnownCase {
    key: i64,
    id: CaseId,
    arch: String,
}

fn known_cases(connection: &Connection) -> rusqlite::Result<Vec<KnownCase>> {
    let mut statement = connection.prepare(
        "SELECT id, scenario, cell, arch FROM cases WHERE faults = 0 ORDER BY scenario, cell",
    )?;
    let cases = statement.query_map([], |row| {
        let id = CaseId::new(row.get::<_, String>(1)?, row.get::<_, String>(2)?);
        Ok(KnownCase { key: row.get(0)?, id, arch: row.get(3)? })
    })?;
    cases.collect()
}

fn runs(connection: &Connection) -> rusqlite::Result<Runs> {
    let mut statement = connection.prepare(
        "SELECT id, run, started, host, accelerator, image, digest, version, profile, bisecting
         FROM runs",
    )?;
    let runs = statement.query_map([], |row| {
        let run = PastRun {
            run: row.get(1)?,
            started: Timestamp::from_millisecond(row.get(2)?).unwrap_or_default(),
            host: row.get(3)?,
            accelerator: row.get(4)?,
            image: Image {
                name: row.get(5)?,
                digest: row.get(6)?,
                version: row.get(7)?,
                profile: row.get(8)?,
                ..Image::default()
            },
            bisecting: row.get(9)?,
        };
        Ok((row.get(0)?, Arc::new(run)))
    })?;
    runs.collect()
}

/// The results of a case in these runs, oldest first.
fn results(connection: &Connection, case: i64, runs: &Runs) -> rusqlite::Result<Vec<PastResult>> {
    let mut statement = connection.prepare_cached(
        "SELECT results.id, run_id, results.verdict, reason, results.seconds,
             number, attempts.verdict, attempts.seconds, slug, headline, signature
         FROM results LEFT JOIN attempts ON attempts.result_id = results.id
         WHERE case_id = ?
         ORDER BY results.started, run_id, number",
    )?;
    let mut rows = statement.query([case])?;
    let mut results: Vec<PastResult> = Vec::new();
    let mut last = None;
    while let Some(row) = rows.next()? {
        let Some(run) = runs.get(&row.get(1)?) else { continue };
        let id: i64 = row.get(0)?;
        if last.replace(id) != Some(id) {
            results.push(PastResult {
                run: Arc::clone(run),
                verdict: verdict_of(&row.get::<_, String>(2)?),
                reason: row.get(3)?,
                seconds: row.get(4)?,
                attempts: Vec::new(),
            });
        }
        if let (Some(result), Some(attempt)) = (results.last_mut(), attempt(row)?) {
            result.attempts.push(attempt);
        }
    }
    Ok(results)
}

/// The attempt in a row, unless the result has none.
fn attempt(row: &Row<'_>) -> rusqlite::Result<Option<PastAttempt>> {
    let Some(number) = row.get(5)? else { return Ok(None) };
    Ok(Some(PastAttempt {
        number,
        verdict: verdict_of(&row.get::<_, String>(6)?),
        seconds: row.get(7)?,
        slug: row.get(8)?,
        headline: row.get(9)?,
        signature: row.get(10)?,
    }))
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::{EXPECTED, expected_of};
    use crate::history::History;

    #[test]
    fn durations_are_found_by_the_index() {
        let dir = TempDir::new().unwrap();
        let history = History::open(&dir.path().join("history.sqlite")).unwrap();
        let explain = format!("EXPLAIN QUERY PLAN {EXPECTED}");
        let mut statement = history.connection.prepare(&explain).unwrap();
        let plan = statement.query_map(("tcg", 10), |row| row.get::<_, String>(3)).unwrap();
        let plan: Vec<String> = plan.map(Result::unwrap).collect();
        let text = plan.join("\n");
        assert!(text.contains("results USING COVERING INDEX results_of_case"), "{text}");
        assert!(!text.contains("B-TREE"), "nothing is sorted:\n{text}");
        // Only the cases, and the ten that were found, are read from one end to the other.
        let scans = plan.iter().filter(|step| step.starts_with("SCAN"));
        assert!(
            scans.clone().all(|step| step.starts_with("SCAN cases") || step.contains("subquery")),
            "{text}"
        );
        assert!(scans.count() > 0, "{text}");
    }

    #[test]
    fn nonsense_is_no_duration() {
        assert_eq!(expected_of("[1.0,2.0]").map(|expected| expected.as_millis()), Some(1500));
        for nonsense in ["[]", "[-1.0]", "[1e300]", "[null]", ""] {
            assert_eq!(expected_of(nonsense), None, "{nonsense}");
        }
    }
}
