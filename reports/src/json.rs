//! The JSON report, for programs.
//!
//! ```text
//! { "version": 1,                    see FORMAT_VERSION; it grows when a reader would break
//!   "run": "…", "created": "…Z",     the run's id; when it was planned
//!   "runs": [ { run, dir, created, state, started, partition, seconds } … ]  if several were merged
//!   "state": "ended" | "killed" | "running" | "interrupted", "signal": "SIGINT" (if interrupted)
//!   "outcome": "all-passed" | …      the exit code in words, see Outcome
//!   "started": { at, wheeltap, command, host } | null
//!   "image": { name, digest, version, profile,
//!              origin, signed_by, insecure (if it was fetched),
//!              update: { version, digest } (what it is updated to, if that is known) },
//!   "plan_digest": "…", "seed": 1 (if there is one)
//!   "repeat": 100 (if each case was run so often on purpose)
//!   "partition": "hash:2/3"          if the run does only a part of the plan
//!   "seconds": 12.3, "counts": { planned, pass, flaky, fail, waived, infra, skip, not_run, elsewhere }
//!   "cells": [ … ], "cases": [ … ]   as in plan.json; each case with what came of it
//!   "waivers": [ { id, owner, tracker, expires, reason, state, cases, remark } … ]  if there are any
//!   "notes": [ "…" ], "defects": [ "…" ] }
//! ```
//! A case has `scenario`, `cell`, `verdict`, `reason` (for `skip` and `not-run`), `waived` (with
//! `id`, `owner`, `tracker`, `expires`, `reason`), `elsewhere` (`true` if another partition has it), `seconds` and `attempts`; an attempt has `number`, `dir`, `started`, `verdict`, `failure` (with `phase`,
//! `class`, `kind`, `headline`, `detail`, `signature`), `seconds`, `timeline` and `evidence`. Durations are in
//! seconds, times in UTC, paths relative to the run directory; of merged runs, to the attempt's `run_dir`. Keys may be added within a version.

use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

use crate::{
    CaseResult, Cell, Counts, Error, FORMAT_VERSION, Image, Outcome, Result, Run, Started, State,
    WaiverStatus,
};

#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    run: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    runs: Vec<Part<'a>>,
    created: Timestamp,
    #[serde(flatten)]
    state: &'a State,
    outcome: Outcome,
    started: Option<&'a Started>,
    image: &'a Image,
    plan_digest: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    partition: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repeat: Option<u32>,
    seconds: f64,
    counts: Counts,
    cells: &'a [Cell],
    cases: &'a [CaseResult],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    waivers: &'a [WaiverStatus],
    notes: &'a [String],
    defects: &'a [String],
}

/// One of several runs that were merged.
#[derive(Serialize)]
struct Part<'a> {
    run: &'a str,
    dir: &'a Path,
    created: Timestamp,
    #[serde(flatten)]
    state: &'a State,
    started: Option<&'a Started>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partition: Option<&'a str>,
    seconds: f64,
}

impl<'a> Part<'a> {
    fn new(run: &'a Run) -> Self {
        Self {
            run: &run.plan.run,
            dir: &run.dir,
            created: run.plan.created,
            state: &run.state,
            started: run.started.as_ref(),
            partition: run.partition.as_deref(),
            seconds: run.seconds,
        }
    }
}

/// Renders the JSON report, indented, with a newline at its end.
pub(crate) fn render(run: &Run) -> Result<String> {
    let document = Document {
        version: FORMAT_VERSION,
        run: &run.plan.run,
        runs: run.parts().iter().map(|part| Part::new(part)).collect(),
        created: run.plan.created,
        state: &run.state,
        outcome: run.outcome(),
        started: run.started.as_ref(),
        image: &run.plan.image,
        plan_digest: &run.plan_digest,
        partition: run.partition.as_deref(),
        seed: run.plan.seed,
        repeat: run.plan.repeat,
        seconds: run.seconds,
        counts: run.counts(),
        cells: &run.plan.cells,
        cases: &run.cases,
        waivers: &run.waivers,
        notes: &run.notes,
        defects: &run.defects,
    };
    let mut json = serde_json::to_string_pretty(&document)
        .map_err(|source| Error::Render { format: "JSON", source: source.into() })?;
    json.push('\n');
    Ok(json)
}
