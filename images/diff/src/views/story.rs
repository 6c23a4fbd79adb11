//! What is told to people, and in which order. Everything in it is fit to be shown.

use std::collections::BTreeMap;

use super::words;
use crate::limits::{Judgement, Severity};
use crate::{Alarm, Change, Diff, Inventory, Origin, PackageMove, Presence, visible};

/// A comparison as people are told it.
pub(super) struct Story {
    /// The images: which, and what they are.
    pub(super) sides: [(&'static str, String); 2],
    /// In one line.
    pub(super) verdict: String,
    pub(super) tone: Tone,
    /// The most important first.
    pub(super) sections: Vec<Section>,
}

pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) summary: String,
    pub(super) rows: Vec<Row>,
    /// How many of the rows are on a screen of 40 lines.
    pub(super) on_screen: usize,
}

pub(super) struct Row {
    pub(super) tone: Tone,
    /// One word.
    pub(super) label: &'static str,
    /// What it is known by, if it has an id.
    pub(super) id: Option<String>,
    pub(super) text: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Bad,
    Warn,
    Good,
    Plain,
}

/// Rows of each section on one screen. With the heads and the lines that say how many more there are, at most 40 lines.
const ON_SCREEN: [usize; 7] = [6, 6, 3, 3, 3, 2, 0];

pub(super) fn tell(diff: &Diff<'_>, judgement: &Judgement) -> Story {
    let (errors, warnings) = (judgement.count(Severity::Error), judgement.count(Severity::Warn));
    let tone = match (errors, warnings) {
        (0, 0) => Tone::Good,
        (0, _) => Tone::Warn,
        _ => Tone::Bad,
    };
    let mut sections = vec![
        hits(judgement),
        alarming(diff),
        packages(diff),
        files(diff),
        sizes(diff),
        system(diff),
        incomparable(diff),
    ];
    for (section, on_screen) in sections.iter_mut().zip(ON_SCREEN) {
        section.on_screen = on_screen;
    }
    sections.retain(|section| !section.rows.is_empty() || section.title == "Limits");
    Story {
        sides: [("old", side(diff.old)), ("new", side(diff.new))],
        verdict: verdict(diff, judgement, errors, warnings),
        tone,
        sections,
    }
}

fn side(inventory: &Inventory) -> String {
    let source = match inventory.origin {
        Origin::Image => "image",
        Origin::Listings => "listings",
    };
    let mut words = vec![source.to_owned()];
    words.extend(inventory.version.iter().map(|version| format!("version {version}")));
    words.extend(inventory.board.clone());
    words.extend(inventory.size.map(words::bytes_of_disk));
    format!("{} ({})", visible(&inventory.name), visible(&words.join(", ")))
}

fn verdict(diff: &Diff<'_>, judgement: &Judgement, errors: usize, warnings: usize) -> String {
    let what = match (errors, warnings) {
        _ if judgement.rules.is_empty() => "no limits".to_owned(),
        (0, 0) => "within the limits".to_owned(),
        _ => format!("{}, {}", counted(errors, "error"), counted(warnings, "warning")),
    };
    let accepted = match judgement.allowed() {
        0 => String::new(),
        count => format!(", {count} accepted"),
    };
    let changes = match diff.changes.len() {
        0 => "nothing changed".to_owned(),
        count => counted(count, "change"),
    };
    format!("{what}{accepted}; {changes}")
}

pub(super) fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

fn hits(judgement: &Judgement) -> Section {
    let mut rows: Vec<Row> = judgement
        .hits()
        .map(|(rule, hit)| {
            let (tone, label, more) = match (&hit.allowed, rule.severity) {
                (Some(allowed), _) => {
                    let by = format!(
                        "; accepted until {} ({}: {})",
                        allowed.expires, allowed.owner, allowed.reason
                    );
                    (Tone::Plain, "allowed", visible(&by).into_owned())
                }
                (None, Severity::Error) => (Tone::Bad, "error", String::new()),
                (None, Severity::Warn) => (Tone::Warn, "warn", String::new()),
            };
            let id = Some(hit.id.clone());
            Row { tone, label, id, text: format!("{}{more}", hit.message) }
        })
        .collect();
    let remark =
        |text: &String| Row { tone: Tone::Warn, label: "note", id: None, text: text.clone() };
    rows.extend(judgement.remarks.iter().map(remark));
    let hold = judgement
        .rules
        .iter()
        .filter(|rule| rule.hits.iter().all(|hit| hit.allowed.is_some()))
        .count();
    let (source, all) = (visible(&judgement.limits), judgement.rules.len());
    let summary = match all {
        0 => format!("{source}: nothing is checked"),
        all => format!("{hold} of {all} hold ({source})"),
    };
    Section { title: "Limits", summary, rows, on_screen: 0 }
}

fn row(change: &Change<'_>) -> Row {
    let (label, text) = words::of(change);
    let tone = match change.alarm() {
        Alarm::Rights => Tone::Bad,
        Alarm::Loss | Alarm::Look => Tone::Warn,
        Alarm::Ordinary => Tone::Plain,
    };
    Row { tone, label, id: None, text }
}

fn section(
    diff: &Diff<'_>,
    title: &'static str,
    summary: String,
    wanted: impl Fn(&Change<'_>) -> bool,
) -> Section {
    let rows = diff.changes.iter().filter(|change| wanted(change)).map(row).collect();
    Section { title, summary, rows, on_screen: 0 }
}

fn alarming(diff: &Diff<'_>) -> Section {
    let is_alarming = |change: &Change<'_>| change.alarm() < Alarm::Ordinary;
    let count = |alarm| diff.changes.iter().filter(|change| change.alarm() == alarm).count();
    let summary = format!(
        "{} give rights, {} lose or open something, {} to look at",
        count(Alarm::Rights),
        count(Alarm::Loss),
        count(Alarm::Look)
    );
    section(diff, "Most alarming", summary, is_alarming)
}

fn packages(diff: &Diff<'_>) -> Section {
    let mut counts: BTreeMap<PackageMove, usize> = BTreeMap::new();
    for change in &diff.changes {
        if let Change::Package(package) = change {
            *counts.entry(package.change).or_default() += 1;
        }
    }
    let words = |(change, count): (PackageMove, usize)| {
        let word = match change {
            PackageMove::Down => "down",
            PackageMove::Unordered => "unordered",
            PackageMove::Removed => "gone",
            PackageMove::Added => "new",
            PackageMove::Up => "up",
            PackageMove::Same => "alike",
        };
        format!("{count} {word}")
    };
    let summary = counts.into_iter().map(words).collect::<Vec<_>>().join(", ");
    section(diff, "Packages", summary, |change| {
        matches!(change, Change::Package(_)) && is_ordinary(change)
    })
}

fn is_ordinary(change: &Change<'_>) -> bool {
    change.alarm() == Alarm::Ordinary
}

fn files(diff: &Diff<'_>) -> Section {
    let mut counts: BTreeMap<Presence, usize> = BTreeMap::new();
    for change in &diff.changes {
        if let Change::File(file) = change {
            *counts.entry(file.change).or_default() += 1;
        }
    }
    let count = |presence| counts.get(&presence).copied().unwrap_or(0);
    let summary = format!(
        "{} new, {} gone, {} changed",
        count(Presence::Added),
        count(Presence::Removed),
        count(Presence::Changed)
    );
    section(diff, "Files", summary, |change| {
        matches!(change, Change::File(_)) && is_ordinary(change)
    })
}

fn sizes(diff: &Diff<'_>) -> Section {
    let is_size = |change: &Change<'_>| {
        matches!(
            change,
            Change::ImageSize { .. }
                | Change::ContentSize { .. }
                | Change::Partition { .. }
                | Change::Directory { .. }
        )
    };
    let total = diff.changes.iter().find_map(|change| match change {
        Change::ContentSize { old, new } => {
            Some(format!("all files {} to {}", words::growth(*old, *new), super::bytes(*new)))
        }
        _ => None,
    });
    let summary =
        total.unwrap_or_else(|| "the sum of all files is as before, or unknown".to_owned());
    section(diff, "Sizes", summary, |change| {
        is_size(change) && is_ordinary(change) && !matches!(change, Change::ContentSize { .. })
    })
}

fn system(diff: &Diff<'_>) -> Section {
    let is_system = |change: &Change<'_>| {
        matches!(
            change,
            Change::KernelOption { .. }
                | Change::Unit { .. }
                | Change::Listener { .. }
                | Change::User(_)
                | Change::Component { .. }
        )
    };
    let count = |wanted: fn(&Change<'_>) -> bool| {
        diff.changes.iter().filter(|change| wanted(change)).count()
    };
    let summary = format!(
        "{}, {}, {}, {}, {}",
        counted(count(|change| matches!(change, Change::Unit { .. })), "unit"),
        counted(count(|change| matches!(change, Change::Listener { .. })), "listener"),
        counted(count(|change| matches!(change, Change::User(_))), "user"),
        counted(count(|change| matches!(change, Change::Component { .. })), "extension"),
        counted(count(|change| matches!(change, Change::KernelOption { .. })), "kernel option"),
    );
    section(diff, "System", summary, |change| is_system(change) && is_ordinary(change))
}

fn incomparable(diff: &Diff<'_>) -> Section {
    let names: Vec<_> =
        diff.incomparable.iter().map(|one| visible(&one.name()).into_owned()).collect();
    let rows = diff.incomparable.iter().map(|one| Row {
        tone: Tone::Warn,
        label: "unknown",
        id: None,
        text: visible(&one.why).into_owned(),
    });
    Section {
        title: "Can't be compared",
        summary: names.join(", "),
        rows: rows.collect(),
        on_screen: 0,
    }
}
