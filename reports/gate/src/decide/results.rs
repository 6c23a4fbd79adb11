//! Whether the results are whole, recent, and of one image.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use wheeltap_reports::{CaseId, EVENTS_FILE, PLAN_FILE, Run, State};

use super::Judge;
use crate::inputs::Loaded;
use crate::{Effect, Finding, ImageSummary};

/// The runs, by what they are about. Runs of one plan are one.
pub(super) struct Tested {
    /// Runs of the image that is judged.
    pub(super) candidate: Vec<Run>,
    /// Runs of versions before it, which were updated to it.
    pub(super) updates: Vec<Run>,
    /// The image, one for each architecture and variant.
    pub(super) images: Vec<ImageSummary>,
}

pub(super) fn sort(judge: &Judge<'_>, findings: &mut Vec<Finding>) -> Tested {
    let policy = &judge.inputs.policy;
    let runs = whole(judge, &judge.inputs.results, "results", Effect::Incomplete, findings);
    count(policy.results.runs, &runs, "results", Effect::Incomplete, findings);
    for run in &runs {
        age(judge, run, findings);
    }
    let is_update =
        |run: &Run| policy.update_path.iter().any(|path| path.from == run.plan.image.version);
    let (updates, candidate): (Vec<_>, Vec<_>) = runs.into_iter().partition(is_update);
    let mut merged = [updates, candidate].map(merge);
    if let Some(waivers) = &judge.inputs.waivers {
        for run in merged.iter_mut().flatten() {
            waivers.apply(run, judge.inputs.as_of);
        }
    }
    let [updates, candidate] = merged;
    let images = identity(judge, &candidate, findings);
    duplicates(judge, &candidate, findings);
    duplicates(judge, &updates, findings);
    if judge.inputs.results.is_empty() {
        let text = "no results are given; name directories of runs with --results";
        findings.push(Finding::new(Effect::Incomplete, "results.none", "results", text));
    }
    Tested { candidate, updates, images }
}

/// The runs that can be read, each once; and what is wrong with any of them.
pub(super) fn whole(
    judge: &Judge<'_>,
    all: &[Loaded],
    area: &str,
    effect: Effect,
    findings: &mut Vec<Finding>,
) -> Vec<Run> {
    let mut seen = BTreeSet::new();
    let mut runs = Vec::new();
    for loaded in all {
        let dir = judge.place.name_of(&loaded.dir);
        let mut wrong = |rule: &str, file: &str, text: String| {
            let path = judge.place.name_of(&loaded.dir.join(file));
            let finding = Finding::new(effect, &format!("{area}.{rule}"), &dir, text);
            findings.push(finding.seen_in([path]));
        };
        let run = match &loaded.run {
            Ok(run) => run,
            Err(why) => {
                wrong("damaged", PLAN_FILE, why.clone());
                continue;
            }
        };
        let events = loaded.dir.join(EVENTS_FILE);
        let events = events.display();
        match &run.state {
            State::Running => {
                wrong(
                    "state",
                    EVENTS_FILE,
                    format!("{events}: this run still goes on; wait for its end"),
                );
            }
            State::Killed => wrong(
                "state",
                EVENTS_FILE,
                format!(
                    "{events} just stops: the run was killed, or the file is truncated; go on with `wheeltap run --resume`"
                ),
            ),
            State::Interrupted { signal } => wrong(
                "state",
                EVENTS_FILE,
                format!(
                    "{events}: {signal} ended this run early; go on with `wheeltap run --resume`"
                ),
            ),
            State::Ended if !run.sealed => wrong(
                "seal",
                EVENTS_FILE,
                format!(
                    "{events} doesn't end with the digest of its lines, so that nobody can tell whether any are missing; an older wheeltap wrote it, or it was cut"
                ),
            ),
            State::Ended => {}
        }
        if run.started.is_none() {
            wrong("state", EVENTS_FILE, format!("{events} doesn't say which plan it began with"));
        }
        for defect in &run.defects {
            wrong(
                "defect",
                EVENTS_FILE,
                format!("wheeltap itself went wrong in this run: {defect}"),
            );
        }
        let image = &run.plan.image;
        if image.insecure {
            wrong(
                "insecure",
                PLAN_FILE,
                format!(
                    "the image {} was fetched with --insecure: nobody vouches for it",
                    image.name
                ),
            );
        }
        if image.digest.is_empty() {
            wrong(
                "identity",
                PLAN_FILE,
                format!(
                    "the image {} has no digest, so that nobody can tell what was tested",
                    image.name
                ),
            );
        }
        let mut planned = run.cases.iter().map(|case| &case.planned);
        if let Some(case) = planned.find(|case| !case.faults.is_empty()) {
            wrong(
                "fault",
                PLAN_FILE,
                format!(
                    "{} ran with the fault {} on purpose, so that it says nothing about the image",
                    case.id,
                    case.faults.join(", ")
                ),
            );
        }
        // A copy, or the same directory twice, is one run.
        if seen.insert(&loaded.log) {
            runs.push(run.clone());
        }
    }
    runs
}

/// Whether as many runs are there as there should be.
pub(super) fn count(
    wanted: Option<usize>,
    runs: &[Run],
    area: &str,
    effect: Effect,
    findings: &mut Vec<Finding>,
) {
    if let Some(wanted) = wanted.filter(|wanted| *wanted != runs.len()) {
        let text = format!("the policy wants {wanted} runs, and {} can be read", runs.len());
        findings.push(Finding::new(effect, &format!("{area}.runs"), area, text));
    }
}

/// The day on which a run began: the earliest that any of its times says.
fn day(run: &Run) -> Date {
    let attempts = run.cases.iter().flat_map(|case| &case.attempts).map(|attempt| attempt.started);
    let times = attempts.chain([run.plan.created]).chain(run.started.as_ref().map(|it| it.at));
    let first = times.min().unwrap_or(run.plan.created);
    jiff::tz::TimeZone::UTC.to_datetime(first).date()
}

fn age(judge: &Judge<'_>, run: &Run, findings: &mut Vec<Finding>) {
    let (day, as_of) = (day(run), judge.inputs.as_of);
    let mut wrong = |text| {
        let dir = judge.place.name_of(&run.dir);
        let finding = Finding::new(Effect::Incomplete, "results.age", dir, text);
        findings.push(finding.seen_in([judge.events(run)]));
    };
    // Else an early day would make old results new, and expired waivers good.
    if day > as_of {
        wrong(format!("this run began on {day}, after the day of the decision, {as_of}"));
    }
    let days = day.until(as_of).map_or(i32::MAX, |span| span.get_days());
    if let Some(max) = judge.inputs.policy.results.max_age
        && i64::from(days) > i64::from(max.0)
    {
        wrong(format!(
            "this run began on {day}, {days} days before {as_of}; the policy allows {}",
            max.0
        ));
    }
}

/// Runs of one plan as one.
pub(super) fn merge(runs: Vec<Run>) -> Vec<Run> {
    let mut plans: BTreeMap<String, Vec<Run>> = BTreeMap::new();
    for run in runs {
        plans.entry(run.plan_digest.clone()).or_default().push(run);
    }
    plans
        .into_values()
        .map(|runs| {
            Run::merge(runs).expect("runs of one plan, without waivers of their own, can be merged")
        })
        .collect()
}

/// One image for each architecture and variant, and one version of all.
fn identity(judge: &Judge<'_>, runs: &[Run], findings: &mut Vec<Finding>) -> Vec<ImageSummary> {
    let mut images: BTreeMap<ImageSummary, &Run> = BTreeMap::new();
    let mut digests: BTreeMap<(&str, Option<&str>), BTreeMap<&str, &Run>> = BTreeMap::new();
    let mut versions: BTreeMap<&str, &Run> = BTreeMap::new();
    for run in runs {
        let image = &run.plan.image;
        versions.entry(&image.version).or_insert(run);
        for cell in &run.plan.cells {
            let place = (&*cell.arch, cell.variant.as_deref());
            digests.entry(place).or_default().entry(&image.digest).or_insert(run);
            let summary = ImageSummary {
                name: image.name.clone(),
                version: image.version.clone(),
                arch: cell.arch.clone(),
                digest: image.digest.clone(),
            };
            images.entry(summary).or_insert(run);
        }
    }
    let several = |what: &str, found: &BTreeMap<&str, &Run>| {
        let named: Vec<_> = found
            .iter()
            .map(|(it, run)| format!("{} ({it})", judge.place.name_of(&run.dir)))
            .collect();
        let files = found.values().map(|run| judge.place.name_of(&run.dir.join(PLAN_FILE)));
        let text = format!("these runs are of different images, by {what}: {}", named.join(", "));
        Finding::new(Effect::Incomplete, "results.identity", "image", text).seen_in(files)
    };
    for ((arch, _), found) in digests.iter().filter(|(_, found)| found.len() > 1) {
        findings.push(several(&format!("the digest for {arch}"), found));
    }
    if versions.len() > 1 {
        findings.push(several("their version", &versions));
    }
    images.into_keys().collect()
}

/// A case in runs of two plans has two results, and nobody knows which is true.
fn duplicates(judge: &Judge<'_>, runs: &[Run], findings: &mut Vec<Finding>) {
    let mut seen: BTreeMap<(&CaseId, &str), &Run> = BTreeMap::new();
    let mut pairs: BTreeMap<(String, String), Vec<&CaseId>> = BTreeMap::new();
    for run in runs {
        for case in &run.cases {
            // Of updates, those from different versions are different.
            let key = (&case.planned.id, &*run.plan.image.version);
            if let Some(other) = seen.get(&key) {
                let pair = [other.dir.as_path(), &run.dir].map(|dir| judge.place.name_of(dir));
                let [one, other] = pair;
                pairs.entry((one, other)).or_default().push(&case.planned.id);
            } else {
                seen.insert(key, run);
            }
        }
    }
    for ((one, other), cases) in pairs {
        let text = format!(
            "{one} and {other} have different plans, and both have {}{}; which one counts isn't guessed: leave one out",
            cases[0],
            match cases.len() {
                1 => String::new(),
                more => format!(" and {} more", more - 1),
            },
        );
        let files = [&one, &other].map(|dir| format!("{dir}/{PLAN_FILE}"));
        findings
            .push(Finding::new(Effect::Incomplete, "results.duplicate", &one, text).seen_in(files));
    }
}
