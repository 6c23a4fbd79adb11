//! What is drawn again and again below the lines that stay: a line per running case, and one with counts.

use jiff::Timestamp;
use wheeltap_reports::{Paint, Verdict};

use super::{
    lines::{bracketed, name},
    state::{Running, State, seconds},
};

/// A terminal's size, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) rows: usize,
}

/// A terminal that is narrower shows nothing that could be read.
const LEAST_COLUMNS: usize = 12;

/// Lines of at most `size.columns - 1` columns, and fewer than `size.rows` of them: what doesn't fit would scroll, and a line
/// that has scrolled can't be drawn over.
pub(super) fn frame(state: &State, now: Timestamp, size: Size, paint: Paint) -> Vec<String> {
    let Some(started) = state.started.filter(|_| size.columns >= LEAST_COLUMNS) else {
        return Vec::new();
    };
    // One row is for the counts, and one stays free for what was said last.
    let room = size.rows.saturating_sub(2);
    let shown = match state.running.len() {
        all if all <= room => all,
        // One row says how many there are besides.
        _ => room.saturating_sub(1),
    };
    let mut lines: Vec<String> =
        state.running.iter().take(shown).map(|running| running_line(running, now)).collect();
    let more = state.running.len() - shown;
    if more > 0 && room > 0 {
        lines.push(format!("{:>8} {more} more", "…"));
    }
    lines.push(counts(state, started, now, paint));
    let width = size.columns - 1;
    lines.iter().map(|line| console::truncate_str(line, width, "…").into_owned()).collect()
}

/// `   reach [     42s] boot.release [qemu_bios.amd64], try 2`.
fn running_line(running: &Running, now: Timestamp) -> String {
    let phase = match (running.phase, &running.ended) {
        // Its attempt ended so, and either another follows, or the case's end.
        (_, Some(ended)) => ended.verdict.to_string(),
        (Some(phase), None) => phase.to_string(),
        (None, None) => "start".to_owned(),
    };
    let time = format!("{:.0}s", seconds(running.since, now).floor());
    let attempt = match running.attempt {
        0 | 1 => String::new(),
        attempt => format!(", try {attempt}"),
    };
    format!("{} {}{attempt}", bracketed(&phase, &time, None), name(&running.case))
}

/// `12/45 done, 1 failed, 2 flaky in 12 min 3 s, about 8 min left`.
fn counts(state: &State, started: Timestamp, now: Timestamp, paint: Paint) -> String {
    let done = state.done();
    let count = |count: usize, verdict, word| {
        (count > 0).then(|| paint.apply(verdict, format_args!("{count} {word}")))
    };
    let counts = [
        Some(format!("{}/{} done", done.all, state.planned)),
        count(done.failed, Verdict::Fail, "failed"),
        count(done.infra, Verdict::Infra, "infra"),
        count(done.flaky, Verdict::Flaky, "flaky"),
        count(done.not_run, Verdict::NotRun, "not run"),
    ];
    let counts = counts.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let elapsed = match seconds(started, now) as u64 {
        elapsed @ 0..60 => format!("{elapsed} s"),
        elapsed @ 60..3600 => format!("{} min {} s", elapsed / 60, elapsed % 60),
        elapsed => format!("{} h {} min", elapsed / 3600, elapsed % 3600 / 60),
    };
    match (&state.interrupted, state.remaining(now)) {
        // A run that takes its machines down starts nothing more.
        (Some(signal), _) => format!("{signal}: {counts} in {elapsed}"),
        (None, None) => format!("{counts} in {elapsed}"),
        (None, Some(rest)) => {
            format!("{counts} in {elapsed}, about {} left", roughly(rest.as_secs()))
        }
    }
}

/// A guess, rounded up so that it isn't mistaken for knowledge.
fn roughly(seconds: u64) -> String {
    match seconds {
        0..=50 => format!("{} s", (seconds + 1).next_multiple_of(10)),
        51..3540 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{} h {} min", seconds.div_ceil(60) / 60, seconds.div_ceil(60) % 60),
    }
}
