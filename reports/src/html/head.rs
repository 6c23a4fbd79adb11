//! The verdict, and what it is about.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use maud::{Markup, html};

use super::page::plural;
use crate::text::human;
use crate::{CaseResult, Happening, Outcome, Run, State, Verdict, WaiverStatus};

/// Names listed per reason; beyond them a number says more.
const NAMES: usize = 12;
/// Notes, troubles and the like that are shown.
const NOTES: usize = 200;

/// The style of an outcome.
pub(super) fn outcome_class(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::AllPassed => "pass",
        Outcome::FlakyOnly => "flaky",
        Outcome::InfraFailure => "infra",
        Outcome::Interrupted
        | Outcome::HarnessDefect
        | Outcome::ProductFailure
        | Outcome::LessThanPlanned
        | Outcome::NothingRan => "fail",
    }
}

pub(super) fn banner(run: &Run) -> Markup {
    let outcome = run.outcome();
    let image = &run.plan.image;
    let cells = super::matrix::cells(run).len();
    html! {
        header.banner {
            div.top {
                p.kicker { "wheeltap " span { (run.plan.run) } }
                button #theme type="button" hidden { "Dark" }
            }
            h1 { (capital(&outcome.to_string())) }
            p.subject {
                b { (image.name) " " (image.version) }
                " · " (run.cases.len()) (plural(run.cases.len(), " case", " cases"))
                " in " (cells) (plural(cells, " cell", " cells"))
                " · " (human(run.seconds))
            }
            (counts(run))
            nav aria-label="Parts of this page" {
                a href="#causes" { "Causes" } " "
                a href="#matrix" { "Matrix" } " "
                a href="#boots" { "Boots" } " "
                a href="#run" { "Run" } " "
                a href="#about" { "About" }
            }
        }
    }
}

fn counts(run: &Run) -> Markup {
    let counts = run.counts();
    let mut words: Vec<(&str, usize, String)> = Verdict::ALL
        .into_iter()
        .map(|verdict| (verdict.word(), counts.get(verdict), verdict.word().replace('-', " ")))
        .collect();
    words.push(("waived", counts.waived, "waived".to_owned()));
    words.push(("not-run", counts.elsewhere, "left to other runs".to_owned()));
    html! {
        ul.counts aria-label="How many cases ended how" {
            @for (class, count, word) in words.iter().filter(|(_, count, _)| *count > 0) {
                li class={ "v-" (class) } { b { (count) } " " (word) }
            }
        }
    }
}

/// What a reader should know before the causes.
pub(super) fn notices(run: &Run) -> Markup {
    let mut notices: Vec<(&str, String)> = Vec::new();
    match &run.state {
        State::Running => {
            notices.push(("warn", "The run was going on when this was written.".into()));
        }
        State::Killed => {
            notices.push(("bad", "The run was killed; this is how far it got.".into()));
        }
        State::Interrupted { signal } => {
            notices.push(("bad", format!("{signal} ended the run; this is how far it got.")));
        }
        State::Ended => {}
    }
    let image = &run.plan.image;
    if image.insecure {
        let origin = image.origin.as_deref().unwrap_or("an unknown place");
        let text = format!(
            "Insecure: nobody checked who signed the image, which was fetched from {origin}."
        );
        notices.push(("bad", text));
    }
    let defects = run.defects.iter().map(|defect| ("bad", format!("Defect of wheeltap: {defect}")));
    notices.extend(defects);
    notices
        .extend(troubles(run).map(|(case, trouble)| {
            ("warn", format!("Teardown of {}: {trouble}", case.planned.id))
        }));
    for WaiverStatus { waiver, remark, .. } in &run.waivers {
        if let Some(remark) = remark {
            notices.push(("warn", format!("Waiver {} {remark}.", waiver.id)));
        }
    }
    notices.extend(run.notes.iter().map(|note| ("", note.clone())));
    let left_out = notices.len().saturating_sub(NOTES);
    html! {
        @if !notices.is_empty() {
            section #notices aria-label="To be known" {
                ul {
                    @for (class, notice) in notices.iter().take(NOTES) { li class=(class) { (notice) } }
                    @if left_out > 0 { li { "and " (left_out) " more, see the run's events.jsonl" } }
                }
            }
        }
    }
}

fn troubles(run: &Run) -> impl Iterator<Item = (&CaseResult, &str)> {
    run.cases.iter().flat_map(|case| {
        let moments = case.attempts.iter().flat_map(|attempt| &attempt.timeline);
        moments.filter_map(move |moment| match &moment.what {
            Happening::Trouble { text } => Some((case, &**text)),
            _ => None,
        })
    })
}

/// What wasn't judged, by reason.
pub(super) fn unjudged(run: &Run) -> Markup {
    let of = |verdict: Verdict| {
        let mut reasons: BTreeMap<&str, Vec<&CaseResult>> = BTreeMap::new();
        for case in run.cases.iter().filter(|case| case.verdict == verdict && !case.elsewhere) {
            reasons.entry(case.reason.as_deref().unwrap_or_default()).or_default().push(case);
        }
        let mut reasons: Vec<_> = reasons.into_iter().collect();
        reasons.sort_by_key(|(_, cases)| std::cmp::Reverse(cases.len()));
        reasons
    };
    let groups = [("Not run", of(Verdict::NotRun)), ("Skipped", of(Verdict::Skip))];
    html! {
        @for (title, reasons) in groups.iter().filter(|(_, reasons)| !reasons.is_empty()) {
            section {
                h2 { (title) }
                @for (reason, cases) in reasons {
                    @let names: Vec<_> = cases.iter().take(NAMES).map(|case| case.planned.id.to_string()).collect();
                    p {
                        b { (cases.len()) ": " (reason) } br;
                        span.note {
                            (names.join(", "))
                            @if cases.len() > NAMES { " and " (cases.len() - NAMES) " more" }
                        }
                    }
                }
            }
        }
    }
}

/// Where and how it ran.
pub(super) fn about(run: &Run) -> Markup {
    let image = &run.plan.image;
    let mut facts: Vec<(&str, String)> = vec![
        ("Image", format!("{} {}, profile {}", image.name, image.version, image.profile)),
        ("Digest", format!("sha256:{}", image.digest)),
    ];
    let mut add = |name, value: Option<String>| facts.extend(value.map(|value| (name, value)));
    add("Fetched from", image.origin.clone());
    add("Signed by", image.signed_by.clone());
    if let Some(started) = &run.started {
        let host = &started.host;
        add("Began", Some(TimeZone::UTC.to_datetime(started.at).strftime("%F %T UTC").to_string()));
        add("Command", Some(started.command.join(" ")));
        let machine = format!(
            "{} ({}, {}), {} CPUs, {} MiB, {}",
            host.name, host.os, host.arch, host.cpus, host.memory_mib, host.accelerator
        );
        add("Host", Some(machine));
        add("wheeltap", Some(started.wheeltap.clone()));
    }
    add("Partition", run.partition.clone());
    add("Seed", run.plan.seed.map(|seed| seed.to_string()));
    add("Plan", Some(format!("sha256:{}", run.plan_digest)));
    match run.parts() {
        [] => add("Directory", Some(run.dir.display().to_string())),
        parts => {
            for part in parts {
                add("Directory", Some(part.dir.display().to_string()));
            }
        }
    }
    html! {
        section #about {
            h2 { "About this run" }
            dl { @for (name, value) in facts { dt { (name) } dd { (value) } } }
        }
    }
}

fn capital(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
