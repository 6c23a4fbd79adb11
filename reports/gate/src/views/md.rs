//! For the release's ticket: the decision and its checklist, at most as long as GitHub takes comments.

use std::fmt::Write as _;

use super::{SECTIONS, link, probability};
use crate::write::GATE_FILE;
use crate::{Decision, Effect, Finding};

/// The longest comment that GitHub takes, in bytes.
const MAX: usize = 65_535;

/// The decision as Markdown. What is least important is left out first if it gets too long, and said so.
#[must_use]
pub fn markdown(decision: &Decision) -> String {
    // So many rows of each table and list; what blocks comes first in any case.
    let sizes = [1000, 300, 100, 30, 10, 3, 1, 0];
    let render = |rows: usize| document(decision, rows);
    sizes.into_iter().map(render).find(|text| text.len() <= MAX).unwrap_or_else(|| {
        format!("# {}\n\nThis is too long for a comment; see `{GATE_FILE}`.\n", decision.verdict)
    })
}

fn document(decision: &Decision, rows: usize) -> String {
    let mut out = format!("# {}\n\n", decision.headline());
    // Writing to a string can't fail.
    let _ = writeln!(out, "As of {} (UTC).\n", decision.as_of);
    if !decision.images.is_empty() {
        out.push_str("| image | version | arch | sha256 |\n| --- | --- | --- | --- |\n");
        for image in decision.images.iter().take(rows.max(1)) {
            let cells = [&image.name, &image.version, &image.arch, &image.digest];
            let cells = cells.map(|cell| code(cell));
            let _ = writeln!(out, "| {} |", cells.join(" | "));
        }
        more(&mut out, decision.images.len(), rows.max(1));
    }
    for (effect, title) in SECTIONS {
        let findings: Vec<_> = decision.with(effect).collect();
        if findings.is_empty() {
            continue;
        }
        let _ = writeln!(out, "\n## {title} ({})\n", findings.len());
        // What blocks is what everybody looks for.
        let rows = if effect == Effect::Blocks { rows.max(3) } else { rows };
        for finding in findings.iter().take(rows) {
            out.push_str(&item(finding));
        }
        more(&mut out, findings.len(), rows);
    }
    matrix(&mut out, decision, rows);
    waivers(&mut out, decision, rows);
    flakes(&mut out, decision);
    out.push_str("\n## Checklist\n\n");
    for (index, checkbox) in decision.checklist.iter().enumerate() {
        let mark = if checkbox.done == Some(true) { "x" } else { " " };
        let owner = checkbox.owner.as_ref().map(|owner| format!(" ({})", code(owner)));
        // Our own sentences are plain; those of the policy are somebody else's.
        let text = match checkbox.done {
            Some(_) => format!("{} ([evidence]({GATE_FILE}))", checkbox.text),
            None => code(&checkbox.text),
        };
        if index < rows.max(30) {
            let _ = writeln!(out, "- [{mark}] {text}{}", owner.unwrap_or_default());
        }
    }
    more(&mut out, decision.checklist.len(), rows.max(30));
    out
}

fn item(finding: &Finding) -> String {
    let mut item = format!("- {}: {}", code(&finding.id), code(&finding.text));
    if let Some(owner) = &finding.owner {
        let _ = write!(item, " ({})", code(owner));
    }
    for path in &finding.evidence {
        let name = path.rsplit('/').next().unwrap_or(path);
        let _ = write!(item, " [{}]({})", label(name), link(path));
    }
    item.push('\n');
    item
}

fn matrix(out: &mut String, decision: &Decision, rows: usize) {
    if decision.cells.is_empty() {
        return;
    }
    out.push_str("\n## Matrix\n\n| cell | | owner | passed | flaky | failed | waived | open | skipped | before |\n");
    out.push_str("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n");
    for cell in decision.cells.iter().take(rows) {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {}/{} | {} | {} | {} | {} | {} | {} |",
            code(&cell.name),
            if cell.required { "required" } else { "optional" },
            cell.owner.as_deref().map(code).unwrap_or_default(),
            cell.passed,
            cell.planned,
            cell.flaky,
            cell.failed,
            cell.waived,
            cell.open,
            cell.skipped,
            cell.baseline.map(|before| before.to_string()).unwrap_or_default(),
        );
    }
    more(out, decision.cells.len(), rows);
}

fn waivers(out: &mut String, decision: &Decision, rows: usize) {
    if decision.waivers.is_empty() {
        return;
    }
    out.push_str("\n## Waivers\n\n| waiver | state | owner | until | tracker | reason |\n");
    out.push_str("| --- | --- | --- | --- | --- | --- |\n");
    for waiver in decision.waivers.iter().take(rows) {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} |",
            code(&waiver.id),
            waiver.state,
            code(&waiver.owner),
            waiver.expires,
            code(&waiver.tracker),
            code(&waiver.reason)
        );
    }
    more(out, decision.waivers.len(), rows);
}

fn flakes(out: &mut String, decision: &Decision) {
    let Some(flakes) = &decision.flakes else { return };
    let _ = write!(out, "\n## First-pass rate\n\n{} of all cases in required cells", flakes.all);
    if let Some((now, before, p)) = &flakes.compared {
        let _ = write!(
            out,
            "; of those that the baseline has {now}, and {before} then (p = {})",
            probability(*p)
        );
    }
    out.push_str(".\n");
}

fn more(out: &mut String, all: usize, shown: usize) {
    if all > shown {
        let _ = writeln!(out, "\n{} more are in [{GATE_FILE}]({GATE_FILE}).", all - shown);
    }
}

/// Somebody else's text: nothing in it means anything, not even to notify people.
fn code(text: &str) -> String {
    let text: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
    // A table would end at a bar, also within code.
    let text = text.replace('|', "¦");
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    if longest == 0 { format!("`{text}`") } else { format!("{fence} {text} {fence}") }
}

/// A file's name as the text of a link.
fn label(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' })
        .collect()
}
