//! Markdown for a comment or a job's summary, for people who decide: the verdict first, failures by
//! signature, then what passed.
//!
//! GitHub takes comments of up to 65,536 characters, and some of its APIs count bytes. What has to go
//! goes in this order, and it is said: cases that passed, the details of failures, the rest from the
//! end. Text from elsewhere stands in code, so that it can mention nobody (`@name`, `#123`), draw
//! nothing, and end nothing.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::clean;
use crate::text::{human, troubles};
use crate::{Attempt, CaseResult, Outcome, Run, Verdict, WaiverUse};

#[cfg(test)]
mod tests;

/// The longest report, in bytes.
const MOST: usize = 65_535;

/// What is kept for each line that says what was left out.
const RESERVE: usize = 120;

/// How much of a failure's detail is shown, in bytes: the first with which all failures fit.
const DETAILS: [usize; 4] = [4096, 1024, 256, 0];

/// Cases listed below one signature or one reason; beyond them a number says more.
const CASES: usize = 20;

/// Renders the Markdown, with a newline at its end.
pub(crate) fn render(run: &Run) -> String {
    let passed = passed(run);
    // The rows of what passed have a section of their own, which needs room even if it is empty.
    let fits = |sections: &[Section]| size(sections) + RESERVE * (sections.len() + 2) <= MOST;
    let mut tried = DETAILS.iter().map(|detail| (sections(run, *detail), *detail));
    let (sections, detail) =
        tried.find(|(sections, detail)| *detail == 0 || fits(sections)).unwrap_or_default();
    let mut out = String::new();
    // Heads come first: they must fit, whatever is left out.
    let heads: usize = sections.iter().map(|section| section.head.len() + RESERVE).sum();
    let mut room = MOST.saturating_sub(heads + passed.head.len() + 2 * RESERVE);
    for section in &sections {
        section.write(&mut out, &mut room);
    }
    if detail < DETAILS[0] && any_detail(run) {
        let _ = writeln!(out, "\nTo stay short, this has at most {detail} bytes of each detail.");
    }
    if !passed.items.is_empty() {
        passed.write(&mut out, &mut room);
    }
    out
}

/// A part of the report: what is always there, and what may be left out from the end.
#[derive(Default)]
struct Section {
    head: String,
    items: Vec<String>,
    /// What the items are, to say how many were left out.
    of: &'static str,
}

impl Section {
    fn write(&self, out: &mut String, room: &mut usize) {
        out.push_str(&self.head);
        for (index, item) in self.items.iter().enumerate() {
            if item.len() > *room {
                let more = self.items.len() - index;
                let _ = writeln!(out, "\n… {more} more {} left out, to stay short.", self.of);
                // What comes later is less important than what was just left out.
                *room = 0;
                return;
            }
            *room -= item.len();
            out.push_str(item);
        }
    }
}

fn size(sections: &[Section]) -> usize {
    let items = |section: &Section| section.items.iter().map(String::len).sum::<usize>();
    sections.iter().map(|section| section.head.len() + items(section)).sum()
}

fn sections(run: &Run, detail: usize) -> Vec<Section> {
    let of = |verdict| run.cases.iter().filter(move |case| case.verdict == verdict);
    let (waived, fail): (Vec<_>, Vec<_>) =
        of(Verdict::Fail).partition(|case| case.waived.is_some());
    let defects = run.defects.iter().map(|text| format!("- {}\n", code(text))).collect();
    let all = [
        Section { head: head(run), items: Vec::new(), of: "" },
        titled("Defects of wheeltap itself", defects, "defects are"),
        titled("Failures", by_signature(run, &fail, detail), "failures are"),
        titled(
            "Not judged: infrastructure",
            by_signature(run, &of(Verdict::Infra).collect::<Vec<_>>(), detail),
            "failures are",
        ),
        titled("Not run", by_reason(run, Verdict::NotRun), "reasons are"),
        titled("Waived", waived.iter().filter_map(|case| waived_item(case)).collect(), "cases are"),
        titled(
            "Flaky",
            of(Verdict::Flaky).map(|case| flaky_item(run, case)).collect(),
            "cases are",
        ),
        titled("Skipped", by_reason(run, Verdict::Skip), "reasons are"),
        titled("To know", to_know(run), "notes are"),
        titled("Cells", cells(run), "cells are"),
    ];
    all.into_iter().filter(|section| !section.head.is_empty()).collect()
}

/// A section that isn't there without items.
fn titled(title: &str, items: Vec<String>, of: &'static str) -> Section {
    let head = match items.first() {
        None => String::new(),
        // Those that are sections themselves bring their own line.
        Some(first) if first.starts_with('\n') => format!("\n### {title}\n"),
        Some(_) => format!("\n### {title}\n\n"),
    };
    Section { head, items, of }
}

/// The verdict, what was tested, and how to run it again.
fn head(run: &Run) -> String {
    let outcome = run.outcome();
    let mark = match outcome {
        Outcome::AllPassed => "✅",
        Outcome::FlakyOnly => "⚠️",
        _ => "❌",
    };
    let counts = run.counts();
    let mut words: Vec<_> = Verdict::ALL
        .into_iter()
        .filter(|verdict| counts.get(*verdict) > 0)
        .map(|verdict| format!("{} {verdict}", counts.get(verdict)))
        .collect();
    let rest = [(counts.waived, "waived"), (counts.elsewhere, "in other partitions")];
    words.extend(
        rest.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")),
    );
    let waived = match counts.waived {
        0 => String::new(),
        count => format!(", {count} waived"),
    };
    let image = &run.plan.image;
    let mut out = format!(
        "## {mark} {outcome}{waived}\n\n**{}** of {} planned, in {}\n\n- image: {} {}",
        if words.is_empty() { "nothing".to_owned() } else { words.join(", ") },
        counts.planned,
        human(run.seconds),
        code(&image.name),
        code(&image.version),
    );
    let _ = writeln!(out, ", sha256 {}", code(&image.digest));
    if image.insecure {
        let origin = image.origin.as_deref().unwrap_or("an unknown place");
        let _ = writeln!(out, "- insecure: nobody checked who signed it; from {}", code(origin));
    }
    match run.parts().len() {
        0 => {
            let _ = writeln!(out, "- run: {}", code(&run.dir.display().to_string()));
        }
        parts => {
            let _ = writeln!(out, "- {parts} runs merged: {}", code(&run.plan.run));
        }
    }
    if let Some(started) = &run.started {
        let command: Vec<_> = started.command.iter().map(|word| quoted(word)).collect();
        let command = clean::line(&command.join(" "), clean::LINE);
        let _ = writeln!(out, "- command: {}", code(&command));
    }
    if counts.fail + counts.infra + counts.flaky + counts.waived > 0 && run.parts().is_empty() {
        let again = format!("wheeltap rerun {} --failed", quoted(&run.dir.display().to_string()));
        let _ = writeln!(out, "- what failed, again: {}", code(&again));
    }
    out
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@+%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Failures by signature, the most frequent first: what is one defect is looked at once.
fn by_signature(run: &Run, cases: &[&CaseResult], detail: usize) -> Vec<String> {
    let mut groups: Vec<(String, Vec<&CaseResult>)> = Vec::new();
    let mut places = BTreeMap::new();
    for case in cases {
        let failure = case.telling_attempt().and_then(|attempt| attempt.failure.as_ref());
        let signature = failure.map(crate::Failure::signature).unwrap_or_default();
        let place = *places.entry(signature.clone()).or_insert_with(|| {
            groups.push((signature, Vec::new()));
            groups.len() - 1
        });
        groups[place].1.push(case);
    }
    groups.sort_by_key(|(_, cases)| std::cmp::Reverse(cases.len()));
    groups.iter().map(|(signature, cases)| group(run, signature, cases, detail)).collect()
}

fn group(run: &Run, signature: &str, cases: &[&CaseResult], detail: usize) -> String {
    let attempt = cases.first().and_then(|case| case.telling_attempt());
    let headline = attempt.map_or("no attempt explains this verdict", Attempt::headline);
    let mut out = format!("\n#### {}\n\n", code(headline));
    let failure = attempt.and_then(|attempt| attempt.failure.as_ref());
    if let Some(failure) = failure {
        let (class, phase) = (failure.class, failure.phase);
        let _ =
            writeln!(out, "{class}, {phase}, {}; signature `{signature}`\n", code(&failure.kind));
    }
    for case in cases.iter().take(CASES) {
        let _ = write!(out, "- {}", code(&case.planned.id.to_string()));
        if let Some(attempt) = case.telling_attempt() {
            if case.attempts.len() > 1 {
                let _ = write!(out, ", attempt {} of {}", attempt.number, case.attempts.len());
            }
            let _ = write!(out, ": {}", code(&evidence(run, attempt)));
        }
        out.push('\n');
    }
    if let Some(more) = cases.len().checked_sub(CASES + 1) {
        let _ = writeln!(out, "- and {} more", more + 1);
    }
    if let Some(failure) = failure.filter(|failure| detail > 0 && !failure.detail.is_empty()) {
        out += &block(&clean::block(&failure.detail, detail));
    }
    out
}

fn any_detail(run: &Run) -> bool {
    let attempts = run.cases.iter().filter_map(CaseResult::telling_attempt);
    attempts
        .filter_map(|attempt| attempt.failure.as_ref())
        .any(|failure| !failure.detail.is_empty())
}

/// What to read first: relative to the run's directory, which is said above; whole if there are several.
fn evidence(run: &Run, attempt: &Attempt) -> String {
    let file = attempt.evidence.first().unwrap_or(&attempt.dir);
    match attempt.run_dir {
        Some(_) => run.path_of(attempt, file).display().to_string(),
        None => file.clone(),
    }
}

fn waived_item(case: &CaseResult) -> Option<String> {
    let WaiverUse { id, owner, tracker, expires, reason } = case.waived.as_ref()?;
    let headline = case.telling_attempt().map(Attempt::headline).unwrap_or_default();
    Some(format!(
        "- {}: {}\n  - by {} until {expires}, {}, {}: {}\n",
        code(&case.planned.id.to_string()),
        code(headline),
        code(id),
        code(owner),
        link(tracker),
        code(reason),
    ))
}

fn flaky_item(run: &Run, case: &CaseResult) -> String {
    let mut out = format!("- {}", code(&case.planned.id.to_string()));
    if let Some(attempt) = case.telling_attempt() {
        let (number, of) = (attempt.number, case.attempts.len());
        let _ = write!(out, ", attempt {number} of {of}: {}", code(attempt.headline()));
        if let Some(failure) = &attempt.failure {
            let _ = write!(out, " ({}, signature `{}`)", failure.class, failure.signature());
        }
        let _ = write!(out, "; {}", code(&evidence(run, attempt)));
    }
    out.push('\n');
    out
}

/// Cases with one verdict, by reason, the most frequent reason first.
fn by_reason(run: &Run, verdict: Verdict) -> Vec<String> {
    let mut reasons: BTreeMap<&str, Vec<&CaseResult>> = BTreeMap::new();
    for case in run.cases.iter().filter(|case| case.verdict == verdict && !case.elsewhere) {
        reasons.entry(case.reason.as_deref().unwrap_or_default()).or_default().push(case);
    }
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, cases)| std::cmp::Reverse(cases.len()));
    let item = |(reason, cases): &(&str, Vec<&CaseResult>)| {
        let names = cases.iter().take(CASES).map(|case| code(&case.planned.id.to_string()));
        let more = match cases.len().saturating_sub(CASES) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let names: Vec<_> = names.collect();
        format!("- {} because {}: {}{more}\n", cases.len(), code(reason), names.join(", "))
    };
    reasons.iter().map(item).collect()
}

/// What was left behind, what is to be done about waivers, and notes.
fn to_know(run: &Run) -> Vec<String> {
    let troubles = troubles(run).map(|(case, text)| {
        format!("- teardown of {}: {}\n", code(&case.planned.id.to_string()), code(text))
    });
    let waivers = run.waivers.iter().filter_map(|status| {
        let remark = status.remark.as_deref()?;
        Some(format!("- waiver {}: {}\n", code(&status.waiver.id), code(remark)))
    });
    let notes = run.notes.iter().map(|note| format!("- {}\n", code(note)));
    troubles.chain(waivers).chain(notes).collect()
}

/// How each cell did, if there are several.
fn cells(run: &Run) -> Vec<String> {
    let mut cells: BTreeMap<&str, [usize; 7]> = BTreeMap::new();
    for case in run.cases.iter().filter(|case| !case.elsewhere) {
        let place = match (&case.waived, case.verdict) {
            (Some(_), _) => 3,
            (None, Verdict::Pass) => 0,
            (None, Verdict::Flaky) => 1,
            (None, Verdict::Fail) => 2,
            (None, Verdict::Infra) => 4,
            (None, Verdict::Skip) => 5,
            (None, Verdict::NotRun) => 6,
        };
        cells.entry(&case.planned.id.cell).or_default()[place] += 1;
    }
    if cells.len() < 2 {
        return Vec::new();
    }
    let row = |(cell, counts): (&&str, &[usize; 7])| {
        let counts: Vec<_> = counts
            .iter()
            .map(|count| if *count == 0 { String::new() } else { count.to_string() })
            .collect();
        format!("| {} | {} |\n", in_table(cell), counts.join(" | "))
    };
    let mut rows: Vec<String> = cells.iter().map(row).collect();
    let head = "| cell | pass | flaky | fail | waived | infra | skip | not-run |\n\
                | --- | --- | --- | --- | --- | --- | --- | --- |\n";
    rows[0].insert_str(0, head);
    rows
}

fn passed(run: &Run) -> Section {
    let cases = run.cases.iter().filter(|case| case.verdict == Verdict::Pass);
    let row = |case: &CaseResult| {
        let id = &case.planned.id;
        let (scenario, cell) = (in_table(&id.scenario), in_table(&id.cell));
        format!("| {scenario} | {cell} | {} |\n", human(case.seconds))
    };
    let items: Vec<_> = cases.map(row).collect();
    let head = "\n### Passed\n\n| scenario | cell | time |\n| --- | --- | --- |\n".to_owned();
    Section { head, items, of: "cases that passed are" }
}

/// Text as code, whatever backticks are in it.
fn code(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    if longest == 0 && !text.is_empty() {
        return format!("{fence}{text}{fence}");
    }
    // A space on both sides belongs to the fence.
    format!("{fence} {text} {fence}")
}

/// The same in a table, in which a bar would end the cell even in code.
fn in_table(text: &str) -> String {
    code(text).replace('|', r"\|")
}

/// Lines as a block of code.
fn block(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("\n{fence}text\n{text}\n{fence}\n")
}

/// An address that can be followed, if it is one.
fn link(url: &str) -> String {
    let is_url = url.starts_with("https://") || url.starts_with("http://");
    let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '<' | '>' | '`' | '\\' | '@');
    if is_url && url.chars().all(is_plain) { format!("<{url}>") } else { code(url) }
}
