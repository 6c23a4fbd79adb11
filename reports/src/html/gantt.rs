//! When what ran: the attempts of a run over time, as many lanes as ran side by side.

use std::path::Path;

use maud::{Markup, html};

use super::causes::case_anchor;
use super::page::plural;
use crate::text::human;
use crate::{Attempt, Run, Verdict};

/// The plot's width, and a lane's height and the gap below it; in the plot's own pixels.
const WIDTH: f64 = 1000.0;
const LANE: f64 = 14.0;
const GAP: f64 = 3.0;
/// Room for the axis.
const AXIS: f64 = 22.0;
/// Bars that are drawn; beyond them a picture says nothing.
const BARS: usize = 5_000;

/// An attempt as a bar. Times are seconds from the first attempt.
#[derive(Clone, Debug, PartialEq)]
struct Bar {
    from: f64,
    to: f64,
    case: usize,
    attempt: u32,
    verdict: Verdict,
}

/// One plot for each run that was merged, or the only one.
pub(super) fn section(run: &Run) -> Markup {
    let dirs: Vec<Option<&Path>> = match run.parts() {
        [] => vec![None],
        parts => parts.iter().map(|part| Some(&*part.dir)).collect(),
    };
    html! {
        section #run {
            h2 { "The run over time" }
            @for dir in dirs {
                @if let Some(dir) = dir { h3 { (dir.display().to_string()) } }
                (plot(run, dir))
            }
        }
    }
}

fn plot(run: &Run, dir: Option<&Path>) -> Markup {
    let attempts = || {
        run.cases
            .iter()
            .enumerate()
            .flat_map(|(index, case)| case.attempts.iter().map(move |attempt| (index, attempt)))
    };
    let own = || attempts().filter(|(_, attempt)| attempt.run_dir.as_deref() == dir);
    let Some(first) = own().map(|(_, attempt)| attempt.started).min() else {
        return html! { p { "No attempt was started." } };
    };
    let mut bars: Vec<Bar> = own()
        .map(|(case, attempt)| {
            let from = attempt.started.duration_since(first).as_secs_f64();
            Bar {
                from,
                to: from + took(attempt),
                case,
                attempt: attempt.number,
                verdict: attempt.verdict,
            }
        })
        .collect();
    bars.sort_by(|one, other| {
        one.from
            .total_cmp(&other.from)
            .then(one.case.cmp(&other.case))
            .then(one.attempt.cmp(&other.attempt))
    });
    let left_out = bars.len().saturating_sub(BARS);
    bars.truncate(BARS);
    let end = bars.iter().map(|bar| bar.to).fold(1.0, f64::max);
    let lanes = lanes(&bars);
    let count = lanes.iter().max().map_or(0, |last| last + 1);
    let height = AXIS + count as f64 * (LANE + GAP);
    html! {
        div.scroll tabindex="0" role="region" aria-label="The run over time" {
            svg.gantt viewBox={ "0 0 " (WIDTH) " " (height) } role="img"
                aria-label={
                    (bars.len()) (plural(bars.len(), " attempt in ", " attempts in "))
                    (count) (plural(count, " lane, ", " lanes, ")) (human(end))
                } {
                (axis(WIDTH, 0.0, height, end))
                @for (bar, lane) in bars.iter().zip(&lanes) {
                    (draw(run, bar, *lane, end))
                }
            }
        }
        @if left_out > 0 { p.note { (left_out) " later attempts are not drawn." } }
    }
}

fn draw(run: &Run, bar: &Bar, lane: usize, end: f64) -> Markup {
    let case = &run.cases[bar.case];
    let scale = WIDTH / end;
    let title = format!(
        "{} attempt {}: {}, {} after {}",
        case.planned.id,
        bar.attempt,
        bar.verdict,
        human(bar.to - bar.from),
        human(bar.from)
    );
    let rect = html! {
        rect class={ "v-" (bar.verdict) } x=(px(bar.from * scale))
            y=(px(AXIS + lane as f64 * (LANE + GAP)))
            width=(px(((bar.to - bar.from) * scale - 1.0).max(1.0))) height=(LANE) {
            title { (title) }
        }
    };
    match case_anchor(run, bar.case) {
        Some(anchor) => html! { a href={ "#" (anchor) } { (rect) } },
        None => rect,
    }
}

/// Ticks at round times, with their lines.
pub(super) fn axis(width: f64, left: f64, height: f64, end: f64) -> Markup {
    let step = step(end);
    let count = (end / step) as usize;
    html! {
        @for tick in 0..=count {
            @let at = tick as f64 * step;
            @let x = left + at / end * (width - left);
            line.grid x1=(px(x)) x2=(px(x)) y1="14" y2=(px(height)) {}
            // The last one would stick out.
            @if x < width - 40.0 { text.tick x=(px(x + 3.0)) y="11" { (label(at, step)) } }
        }
    }
}

/// A round number of seconds of which at most eight fit.
fn step(end: f64) -> f64 {
    const STEPS: [f64; 18] = [
        0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0,
        900.0, 1800.0, 3600.0,
    ];
    STEPS
        .into_iter()
        .find(|step| end / step <= 8.0)
        .unwrap_or_else(|| (end / 8.0 / 3600.0).ceil() * 3600.0)
}

fn label(at: f64, step: f64) -> String {
    if step < 1.0 {
        format!("{at:.2} s")
    } else if step < 60.0 {
        format!("{at} s")
    } else if step < 3600.0 {
        format!("{} min", at / 60.0)
    } else {
        format!("{} h", at / 3600.0)
    }
}

/// A coordinate; a tenth of a pixel is what can be seen.
pub(super) fn px(value: f64) -> String {
    format!("{value:.1}")
}

/// How long an attempt took; of one that was cut off, how long it is known to have run.
fn took(attempt: &Attempt) -> f64 {
    let last = attempt.timeline.last().map_or(attempt.started, |moment| moment.at);
    let seen = last.duration_since(attempt.started).as_secs_f64();
    if attempt.seconds > 0.0 { attempt.seconds } else { seen.max(0.0) }
}

/// The lane of each bar, from 0: the first that is free when it begins. They are in the order of
/// beginning, so there are as many lanes as ever ran side by side.
fn lanes(bars: &[Bar]) -> Vec<usize> {
    let mut free_from: Vec<f64> = Vec::new();
    bars.iter()
        .map(|bar| {
            let lane = free_from.iter().position(|free| *free <= bar.from);
            let lane = lane.unwrap_or_else(|| {
                free_from.push(0.0);
                free_from.len() - 1
            });
            free_from[lane] = bar.to;
            lane
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop, prop_assert, prop_assert_eq, proptest};

    use super::{Bar, lanes, step};
    use crate::Verdict;

    proptest! {
        #[test]
        fn nothing_overlaps_and_no_lane_is_wasted(
            times in prop::collection::vec((0_u32..100, 1_u32..30), 0..60)
        ) {
            let mut bars: Vec<_> = times
                .into_iter()
                .map(|(from, took)| Bar {
                    from: f64::from(from),
                    to: f64::from(from + took),
                    case: 0,
                    attempt: 1,
                    verdict: Verdict::Pass,
                })
                .collect();
            bars.sort_by(|one, other| one.from.total_cmp(&other.from));
            let lanes = lanes(&bars);
            for (index, (one, lane)) in bars.iter().zip(&lanes).enumerate() {
                for (other, other_lane) in bars.iter().zip(&lanes).skip(index + 1) {
                    prop_assert!(lane != other_lane || other.from >= one.to);
                }
            }
            let most = bars
                .iter()
                .map(|bar| bars.iter().filter(|it| it.from <= bar.from && bar.from < it.to).count())
                .max();
            prop_assert_eq!(lanes.iter().max().map(|lane| lane + 1), most);
        }

        #[test]
        fn an_axis_has_few_ticks(end in 0.05_f64..1e7) {
            prop_assert!((1.0..=8.1).contains(&(end / step(end)).max(1.0)));
        }
    }
}
