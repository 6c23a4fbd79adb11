//! How each machine booted: a plot of each boot, the slowest first.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use maud::{Markup, html};

use super::causes::case_anchor;
use super::files::Files;
use super::gantt::{axis, px};
use super::journal::{self, Boot, Kind};
use super::page::plural;
use crate::text::human;
use crate::{Attempt, Run, Verdict};

/// Journals that are read, those of what didn't pass first.
const JOURNALS: usize = 400;
/// Bytes of each, from its beginning, where the boot is.
const READ: u64 = 2 * 1024 * 1024;

/// The plot's width, and that of its labels; a row's height and a bar's.
const WIDTH: f64 = 1000.0;
const LABELS: f64 = 240.0;
const ROW: f64 = 18.0;
const BAR: f64 = 11.0;
const AXIS: f64 = 22.0;
/// The width of a boot in the list.
const SMALL: f64 = 160.0;

/// The boots of a run's machines.
pub(super) struct Boots<'a> {
    run: &'a Run,
    all: Vec<Booted<'a>>,
    /// Places in `all`, by journal.
    by_journal: HashMap<PathBuf, Vec<usize>>,
    /// Journals that were not read.
    left_out: usize,
}

struct Booted<'a> {
    case: usize,
    attempt: &'a Attempt,
    machine: String,
    /// Which boot of the machine, from 1.
    number: usize,
    boot: Boot,
    /// Machines that started from its state, and have it in their journals, too.
    forks: usize,
}

impl<'a> Boots<'a> {
    /// Reads the journals of a run. One that is shared by several attempts counts once.
    pub(super) fn read(run: &'a Run, files: &Files<'_>) -> Self {
        let mut cases: Vec<_> = run.cases.iter().enumerate().collect();
        cases.sort_by_key(|(_, case)| matches!(case.verdict, Verdict::Pass));
        let journals = cases.into_iter().flat_map(|(index, case)| {
            case.attempts.iter().flat_map(move |attempt| {
                attempt
                    .evidence
                    .iter()
                    .filter(|file| is_journal(file))
                    .map(move |file| (index, attempt, file))
            })
        });
        let mut boots = Self { run, all: Vec::new(), by_journal: HashMap::new(), left_out: 0 };
        let mut seen = BTreeSet::new();
        for (case, attempt, file) in journals {
            let Some(path) = files.find(attempt, file) else { continue };
            if !seen.insert(path.clone()) {
                continue;
            }
            if seen.len() > JOURNALS {
                boots.left_out += 1;
                continue;
            }
            let Some(journal) = beginning(&path) else { continue };
            let machine = machine(file);
            for (number, boot) in (1..).zip(journal::boots(&journal)) {
                let place = boots.all.iter().position(|it| it.boot == boot);
                let place = place.unwrap_or(boots.all.len());
                boots.by_journal.entry(path.clone()).or_default().push(place);
                match boots.all.get_mut(place) {
                    Some(same) => same.forks += 1,
                    None => {
                        let machine = machine.clone();
                        boots.all.push(Booted { case, attempt, machine, number, boot, forks: 0 });
                    }
                }
            }
        }
        boots
    }

    /// Links to the boots of a journal.
    pub(super) fn links(&self, journal: &Path) -> Markup {
        let places = self.by_journal.get(journal).map(Vec::as_slice).unwrap_or_default();
        html! {
            @for place in places {
                @let booted = &self.all[*place];
                a href={ "#b" (place) } {
                    "boot " (booted.number) " of " (booted.machine) ": "
                    (human(booted.boot.total()))
                    @if !booted.boot.is_up { ", not up" }
                }
                " "
            }
        }
    }

    pub(super) fn section(&self) -> Markup {
        let mut order: Vec<_> = self.all.iter().enumerate().collect();
        // One that never came up is what somebody looks for.
        order.sort_by(|(_, one), (_, other)| {
            one.boot
                .is_up
                .cmp(&other.boot.is_up)
                .then(other.boot.total().total_cmp(&one.boot.total()))
        });
        let longest = self.all.iter().map(|it| it.boot.total()).fold(0.1, f64::max);
        html! {
            section #boots {
                h2 { "Boots" }
                @if order.is_empty() {
                    p.note { "No machine left a journal that tells of a boot." }
                } @else {
                    p.note {
                        "By each machine's journal, those that never came up first, then the slowest. "
                        "Totals are systemd's own where it gives them; what was logged before journald ran "
                        "has the time at which journald read it."
                    }
                }
                @if !order.is_empty() { (legend()) }
                @for (place, booted) in order { (self.row(place, booted, longest)) }
                @if self.left_out > 0 {
                    p.note { "The journals of " (self.left_out) " other machines are not plotted." }
                }
            }
        }
    }

    fn row(&self, place: usize, booted: &Booted<'_>, longest: f64) -> Markup {
        let Booted { case, attempt, machine, number, boot, forks } = booted;
        let id = &self.run.cases[*case].planned.id;
        html! {
            details.boot id={ "b" (place) } {
                summary {
                    span.name { (id.scenario) " " small { (id.cell) } }
                    small.where {
                        (machine) ", attempt " (attempt.number)
                        @if *number > 1 { ", boot " (number) }
                        @if *forks > 0 { ", also " (forks) (plural(*forks, " fork", " forks")) " of it" }
                    }
                    (small(boot, longest))
                    b.num { (human(boot.total())) @if !boot.is_up { " not up" } }
                }
                @if !boot.parts.is_empty() {
                    p.note {
                        "systemd: "
                        @for (index, (name, seconds)) in boot.parts.iter().enumerate() {
                            @if index > 0 { " + " }
                            (human(*seconds)) " " (name)
                        }
                    }
                }
                (plot(boot))
                @if let Some(anchor) = case_anchor(self.run, *case) {
                    p { a href={ "#" (anchor) } { "What became of the case" } }
                }
            }
        }
    }
}

/// What the colours mean.
fn legend() -> Markup {
    let words = [
        ("kernel", "kernel"),
        ("initrd", "initrd, Ignition"),
        ("unit", "userspace, units"),
        ("target", "target reached"),
        ("failed", "failed"),
    ];
    html! {
        p.legend {
            @for (class, word) in words {
                span {
                    svg viewBox="0 0 10 10" aria-hidden="true" { rect class=(class) width="10" height="10" {} }
                    (word)
                }
            }
        }
    }
}

/// A boot in one bar.
fn small(boot: &Boot, longest: f64) -> Markup {
    let scale = SMALL / longest;
    let mut x = 0.0;
    html! {
        svg.bar viewBox={ "0 0 " (SMALL) " 10" } width=(SMALL) height="10" aria-hidden="true" {
            @if boot.parts.is_empty() {
                rect.other x="0" y="0" height="10" width=(px(boot.seconds * scale)) {}
            }
            @for (name, seconds) in &boot.parts {
                @let to = x + seconds * scale;
                @let from = std::mem::replace(&mut x, to);
                rect class=(part_class(name)) x=(px(from)) y="0" height="10" width=(px(seconds * scale)) {}
            }
        }
    }
}

/// The style of a part of systemd's sum.
fn part_class(name: &str) -> &'static str {
    match name {
        "kernel" => "kernel",
        "initrd" => "initrd",
        "userspace" => "unit",
        _ => "other",
    }
}

/// A row for each span.
fn plot(boot: &Boot) -> Markup {
    let end = boot.seconds.max(0.01);
    let height = AXIS + ROW * boot.spans.len() as f64;
    let scale = (WIDTH - LABELS) / end;
    let label = format!("What booted when, in {}", human(boot.seconds));
    html! {
        div.scroll tabindex="0" role="region" aria-label=(label) {
            svg.plot viewBox={ "0 0 " (WIDTH) " " (px(height)) } role="img" aria-label=(label) {
                (axis(WIDTH, LABELS, height, end))
                @for (row, span) in boot.spans.iter().enumerate() {
                    @let y = AXIS + ROW * row as f64;
                    @let x = LABELS + span.from * scale;
                    @let took = span.to - span.from;
                    text.label x=(px(LABELS - 8.0)) y=(px(y + 10.0)) { (shortened(&span.name)) }
                    rect class=(class(span.kind)) x=(px(x)) y=(px(y)) height=(BAR)
                        width=(px((took * scale).max(2.0))) {
                        title {
                            (span.name) ": "
                            @if span.kind == Kind::Target { "reached after " (human(span.from)) }
                            @else { (human(took)) " after " (human(span.from)) }
                        }
                    }
                }
            }
        }
    }
}

fn class(kind: Kind) -> &'static str {
    match kind {
        Kind::Kernel => "kernel",
        Kind::Ignition => "initrd",
        Kind::Unit => "unit",
        Kind::Target => "target",
        Kind::Failed => "failed",
    }
}

/// A name that fits into its label.
fn shortened(name: &str) -> String {
    crate::clean::line(name, 36)
}

pub(super) fn is_journal(file: &str) -> bool {
    file.ends_with("/journal.log")
}

/// The machine whose file it is, by its directory.
pub(super) fn machine(file: &str) -> String {
    let name = Path::new(file).parent().and_then(Path::file_name);
    name.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn beginning(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(READ).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
