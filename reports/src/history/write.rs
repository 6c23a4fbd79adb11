//! Taking in a run.

use rusqlite::{CachedStatement, Connection, OptionalExtension, TransactionBehavior, named_params};

use super::{History, HistoryResult};
use crate::{CaseResult, Failure, Run, Verdict};

impl History {
    /// Takes in a run with its cases and attempts, all or nothing.
    ///
    /// A run that is recorded already is updated, whether it went on meanwhile or is the same as
    /// before. Of a case that was told twice, what says more stays: a copy of a run directory from
    /// before its end, or another partition of the same plan, takes nothing away.
    ///
    /// # Errors
    /// If the file can't be written, is damaged, or is locked for longer than half a minute.
    pub fn record(&self, run: &Run) -> HistoryResult<()> {
        self.transaction(TransactionBehavior::Immediate, |connection| {
            let writer = Writer { connection, run_id: upsert_run(connection, run)?, run };
            run.cases.iter().try_for_each(|case| writer.case(case))
        })
    }
}

/// When a run began: at its first event, or when it was planned if it never came to that.
fn started(run: &Run) -> i64 {
    run.started.as_ref().map_or(run.plan.created, |started| started.at).as_millisecond()
}

fn upsert_run(connection: &Connection, run: &Run) -> rusqlite::Result<i64> {
    let image = &run.plan.image;
    let host = run.started.as_ref().map(|started| &started.host);
    connection.query_row(
        "INSERT INTO runs (run, plan, started, seconds, dir, wheeltap, host, accelerator,
             image, digest, version, profile, bisecting)
         VALUES (:run, :plan, :started, :seconds, :dir, :wheeltap, :host, :accelerator,
             :image, :digest, :version, :profile, :bisecting)
         ON CONFLICT (run, plan) DO UPDATE SET started = excluded.started,
             seconds = max(seconds, excluded.seconds), dir = excluded.dir,
             wheeltap = excluded.wheeltap, host = excluded.host,
             accelerator = excluded.accelerator, bisecting = excluded.bisecting
         RETURNING id",
        named_params! {
            ":run": run.plan.run,
            ":plan": run.plan_digest,
            ":started": started(run),
            ":seconds": run.seconds,
            ":dir": run.dir.to_string_lossy(),
            ":wheeltap": run.started.as_ref().map_or("", |started| &started.wheeltap),
            ":host": host.map_or("", |host| &host.name),
            ":accelerator": host.map_or("", |host| &host.accelerator),
            ":image": image.name,
            ":digest": image.digest,
            ":version": image.version,
            ":profile": image.profile,
            ":bisecting": run.started.as_ref().is_some_and(|it| is_bisecting(&it.command)),
        },
        |row| row.get(0),
    )
}

/// Whether this is the command line of `wheeltap history bisect`. The event log says so, and with it
/// a run that is imported elsewhere.
fn is_bisecting(command: &[String]) -> bool {
    let after = command.iter().skip(1).skip_while(|word| *word != "history");
    after.skip(1).any(|word| word == "bisect")
}

/// How much is known about a case: whether it has ended, its attempts that have, all its attempts.
type Knowledge = (bool, usize, usize);

fn knowledge(case: Verdict, attempts: &[Verdict]) -> Knowledge {
    let ended = |verdict: &&Verdict| **verdict != Verdict::NotRun;
    (case != Verdict::NotRun, attempts.iter().filter(ended).count(), attempts.len())
}

struct Writer<'a> {
    connection: &'a Connection,
    run_id: i64,
    run: &'a Run,
}

impl Writer<'_> {
    fn statement(&self, sql: &str) -> rusqlite::Result<CachedStatement<'_>> {
        self.connection.prepare_cached(sql)
    }

    fn case(&self, case: &CaseResult) -> rusqlite::Result<()> {
        let case_id = self.case_id(case)?;
        if let Some((id, known)) = self.recorded(case_id)? {
            let verdicts: Vec<_> = case.attempts.iter().map(|attempt| attempt.verdict).collect();
            if known > knowledge(case.verdict, &verdicts) {
                return Ok(());
            }
            self.statement("DELETE FROM results WHERE id = ?")?.execute([id])?;
        }
        let result_id: i64 = self
            .statement(
                "INSERT INTO results (case_id, run_id, started, verdict, reason, seconds)
                 VALUES (?, ?, ?, ?, ?, ?) RETURNING id",
            )?
            .query_row(
                (
                    case_id,
                    self.run_id,
                    started(self.run),
                    case.verdict.word(),
                    &case.reason,
                    case.seconds,
                ),
                |row| row.get(0),
            )?;
        let mut insert = self.statement(
            "INSERT INTO attempts
                 (result_id, number, started, verdict, seconds, slug, headline, signature)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )?;
        for attempt in &case.attempts {
            let failure = attempt.failure.as_ref();
            insert.execute((
                result_id,
                attempt.number,
                attempt.started.as_millisecond(),
                attempt.verdict.word(),
                attempt.seconds,
                failure.map(Failure::slug),
                failure.map(|failure| &failure.headline),
                failure.map(Failure::signature),
            ))?;
        }
        Ok(())
    }

    fn case_id(&self, case: &CaseResult) -> rusqlite::Result<i64> {
        let id = &case.planned.id;
        let known = self
            .statement("SELECT id FROM cases WHERE scenario = ? AND cell = ?")?
            .query_row((&id.scenario, &id.cell), |row| row.get(0))
            .optional()?;
        if let Some(known) = known {
            return Ok(known);
        }
        let cell = self.run.plan.cells.iter().find(|cell| cell.name == id.cell);
        self.statement(
            "INSERT INTO cases (scenario, cell, arch, faults) VALUES (?, ?, ?, ?) RETURNING id",
        )?
        .query_row(
            (
                &id.scenario,
                &id.cell,
                cell.map_or("", |cell| &cell.arch),
                !case.planned.faults.is_empty(),
            ),
            |row| row.get(0),
        )
    }

    /// What this run has said about the case before, if anything.
    fn recorded(&self, case_id: i64) -> rusqlite::Result<Option<(i64, Knowledge)>> {
        let found = self
            .statement("SELECT id, verdict FROM results WHERE run_id = ? AND case_id = ?")?
            .query_row((self.run_id, case_id), |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
            })
            .optional()?;
        let Some((id, verdict)) = found else { return Ok(None) };
        let mut attempts = self.statement("SELECT verdict FROM attempts WHERE result_id = ?")?;
        let attempts: rusqlite::Result<Vec<Verdict>> =
            attempts.query_map([id], |row| Ok(verdict_of(&row.get::<_, String>(0)?)))?.collect();
        Ok(Some((id, knowledge(verdict_of(&verdict), &attempts?))))
    }
}

/// The verdict that a word in the file means. A word that nobody knows is no pass.
pub(super) fn verdict_of(word: &str) -> Verdict {
    Verdict::ALL.into_iter().find(|verdict| verdict.word() == word).unwrap_or(Verdict::NotRun)
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::{is_bisecting, verdict_of};
    use crate::Verdict;

    #[test_case("wheeltap history bisect boot.release --boot" => true)]
    #[test_case("wheeltap -v history -v bisect boot.release" => true; "with options between")]
    #[test_case("wheeltap run boot.release --history bisect" => false; "a file of that name")]
    #[test_case("history run bisect" => false; "another program of that name")]
    #[test_case("" => false; "no command line")]
    fn command_lines(command: &str) -> bool {
        is_bisecting(&command.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn words_are_read_as_they_are_written() {
        for verdict in Verdict::ALL {
            assert_eq!(verdict_of(verdict.word()), verdict);
        }
        assert_eq!(verdict_of("splendid"), Verdict::NotRun, "what nobody knows is no pass");
    }
}
