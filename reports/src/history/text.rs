//! The history for people: a line per case, all about a case, which build broke it.

use std::fmt::Write;

use jiff::Timestamp;

use super::summary::SHOWN;
use super::{
    Ambiguity, Bisection, Build, BuildOrder, BuildVerdict, CaseHistory, Finding, FirstPass, Glyphs,
    PastRun, Summary, Trouble, sparkline,
};
use crate::clean::{self, LINE};
use crate::text::human;
use crate::{Image, Paint, Verdict};

/// Renders one line per case, and for one that fails since when and which image introduced it.
#[must_use]
pub fn overview(summaries: &[Summary], paint: Paint, glyphs: Glyphs) -> String {
    let head = ["scenario", "cell", "first pass (95 %)", "last 20", "median", "p95"];
    let mut rows = vec![head.map(str::to_owned)];
    for summary in summaries {
        let durations = summary.durations.as_ref();
        let seconds = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), human);
        rows.push([
            shown(&summary.id.scenario),
            shown(&summary.id.cell),
            first_pass(&summary.first_pass),
            sparkline(&summary.last, glyphs),
            seconds(durations.map(|durations| durations.median)),
            seconds(durations.map(|durations| durations.p95)),
        ]);
    }
    let mut lines = table(&rows).into_iter();
    let mut out = lines.next().unwrap_or_default() + "\n";
    for (summary, line) in summaries.iter().zip(lines) {
        let _ = writeln!(out, "{line}");
        if let Some(trouble) = &summary.failing {
            failing(&mut out, trouble, paint);
        }
    }
    let failing = summaries.iter().filter(|summary| summary.failing.is_some()).count();
    let _ = writeln!(out, "{failing} of {} fail; {}", cases(summaries.len()), legend(glyphs));
    out
}

/// Renders all about some cases: the summary, and the last 20 results, the latest first.
#[must_use]
pub fn details(cases: &[CaseHistory], paint: Paint, glyphs: Glyphs) -> String {
    let parts: Vec<_> = cases.iter().map(|case| detail(case, paint, glyphs)).collect();
    parts.join("\n")
}

fn detail(case: &CaseHistory, paint: Paint, glyphs: Glyphs) -> String {
    let summary = Summary::of(case);
    let mut out = format!("{}\n", shown(&case.id.to_string()));
    let _ = writeln!(out, "    first pass: {}", first_pass(&summary.first_pass));
    let last = sparkline(&summary.last, glyphs);
    let _ = writeln!(out, "    last {}: {last}  ({})", summary.last.len(), legend(glyphs));
    if let Some(durations) = &summary.durations {
        let _ = writeln!(
            out,
            "    duration: median {}, p95 {}, of {} that passed ({})",
            human(durations.median),
            human(durations.p95),
            durations.attempts,
            durations.accelerator
        );
    }
    if let Some(trouble) = &summary.failing {
        failing(&mut out, trouble, paint);
    }
    let head = ["started (UTC)", "run", "image", "verdict", "signature", "headline"];
    let mut rows = vec![head.map(str::to_owned)];
    for result in case.results.iter().rev().take(SHOWN) {
        let telling = result.telling_attempt();
        let signature = telling.and_then(|attempt| attempt.signature.clone());
        let headline = telling.and_then(|attempt| attempt.headline.clone());
        rows.push([
            when(result.run.started),
            shown(&result.run.run) + if result.run.bisecting { " (bisect)" } else { "" },
            described(&result.run.image),
            result.verdict.to_string(),
            signature.unwrap_or_else(|| "-".to_owned()),
            headline.or_else(|| result.reason.clone()).unwrap_or_default(),
        ]);
    }
    for line in table(&rows) {
        let _ = writeln!(out, "    {line}");
    }
    out
}

/// Renders which build broke a case, and what speaks against it.
#[must_use]
pub fn bisection(bisection: &Bisection, paint: Paint) -> String {
    let order = match bisection.order {
        BuildOrder::Version => "by version",
        BuildOrder::FirstSeen => "as first seen",
    };
    let mut out = format!("{}: {}, {order}\n", shown(&bisection.case.to_string()), {
        let count = bisection.builds.len();
        if count == 1 { "1 build".to_owned() } else { format!("{count} builds") }
    });
    let rows: Vec<_> = bisection
        .builds
        .iter()
        .map(|build| {
            [build_word(build.verdict()).to_owned(), described(&build.image), counts(build)]
        })
        .collect();
    for line in table(&rows) {
        let _ = writeln!(out, "    {line}");
    }
    let name = |place: usize| described(&bisection.builds[place].image);
    let names = |places: &[usize]| places.iter().map(|&place| name(place)).collect::<Vec<_>>();
    let first = match bisection.finding {
        Finding::Broke { last_good, first_bad } => paint.apply(
            Verdict::Fail,
            format_args!("last good: {}\nfirst bad: {}", name(last_good), name(first_bad)),
        ),
        Finding::Mended { last_bad, first_good } => paint.apply(
            Verdict::Pass,
            format_args!("last bad: {}\nmended in: {}", name(last_bad), name(first_good)),
        ),
        Finding::AlwaysGood => "it passed on every build on which it was judged".to_owned(),
        Finding::AlwaysBad => "it failed on every build on which it was judged, \
             so the build that broke it is older than those recorded, if there is one"
            .to_owned(),
        Finding::Unsteady { first } => {
            format!(
                "it passes and fails, first on {}, and no two builds say when that began",
                name(first)
            )
        }
        Finding::Unjudged => "it was never judged on any build".to_owned(),
    };
    let _ = writeln!(out, "{first}");
    for ambiguity in &bisection.ambiguities {
        let line = match ambiguity {
            Ambiguity::Unsteady(places) => format!(
                "it passed and failed on {}, so that one result of another build proves little",
                names(places).join(", ")
            ),
            Ambiguity::Gaps(places) => {
                format!("it was never judged on {} between the two", names(places).join(", "))
            }
            Ambiguity::Earlier(places) => {
                format!("it failed before, on {}, and passed again", names(places).join(", "))
            }
            Ambiguity::NoVersions => {
                "an image doesn't say its version, so the builds are in the order of their runs"
                    .to_owned()
            }
        };
        let _ = writeln!(out, "unclear: {line}");
    }
    out
}

/// The two lines about a case that fails.
fn failing(out: &mut String, trouble: &Trouble, paint: Paint) {
    let runs = match trouble.failures {
        1 => "1 run".to_owned(),
        many => format!("{many} runs"),
    };
    let since = format_args!("fails since {} ({runs})", when_and_run(&trouble.since)).to_string();
    let since = paint.apply(Verdict::Fail, since);
    let headline = trouble.headline.as_deref().unwrap_or("no cause was recorded");
    let _ = writeln!(out, "    {since}: {headline}");
    let cause = match (&trouble.introduced_by, &trouble.last_good) {
        (Some(image), Some(good)) => {
            let more = match trouble.unjudged_between {
                0 => String::new(),
                1 => ", or by an image before it that couldn't be judged".to_owned(),
                many => format!(", or by one of {many} images before it that couldn't be judged"),
            };
            let (image, last) = (described(image), described(&good.image));
            format!("introduced by {image}{more}; passed last on {last}")
        }
        (_, Some(good)) => format!(
            "not introduced by its image: {} passed on {}",
            described(&good.image),
            when_and_run(good)
        ),
        (_, None) => {
            format!("never passed, since it first ran on {}", described(&trouble.since.image))
        }
    };
    let _ = writeln!(out, "    {cause}");
}

/// `83 % (55 to 95 %) of 12, 2 infra`.
fn first_pass(first: &FirstPass) -> String {
    let infra = match first.infra {
        0 => String::new(),
        infra => format!(", {infra} infra"),
    };
    match first.interval {
        // Rounded to whole per cents only as far as it stays true: 99.9 % is not always.
        Some(found) => format!(
            "{} % ({} to {} %) of {}{infra}",
            percent(found.rate),
            percent(found.low),
            percent(found.high),
            first.judged
        ),
        None => format!("never judged{infra}"),
    }
}

/// Whole per cents; what isn't quite all or nothing doesn't become so.
fn percent(rate: f64) -> u32 {
    let rounded = (rate * 100.0).round() as u32;
    match rounded {
        100 if rate < 1.0 => 99,
        0 if rate > 0.0 => 1,
        _ => rounded,
    }
}

fn legend(glyphs: Glyphs) -> String {
    let words = Verdict::ALL.map(|verdict| format!("{} {verdict}", glyphs.of(verdict)));
    words.join(", ")
}

fn cases(count: usize) -> String {
    if count == 1 { "1 case".to_owned() } else { format!("{count} cases") }
}

fn counts(build: &Build) -> String {
    let words: Vec<_> = [
        (build.pass, Verdict::Pass.word()),
        (build.flaky, Verdict::Flaky.word()),
        (build.fail, Verdict::Fail.word()),
        (build.unjudged, "not judged"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, word)| format!("{count} {word}"))
    .collect();
    if words.is_empty() { "never ran it".to_owned() } else { words.join(", ") }
}

fn build_word(verdict: BuildVerdict) -> &'static str {
    match verdict {
        BuildVerdict::Good => "good",
        BuildVerdict::Bad => "bad",
        BuildVerdict::Unsteady => "unsteady",
        BuildVerdict::Untested => "untested",
    }
}

/// `flatcar:stable 4593.2.3 (5e5e5e5e5e5e)`.
fn described(image: &Image) -> String {
    let mut out = shown(&image.name);
    // `reference:4000.0.0` says it already.
    let in_name = image.name.split_once(':').is_some_and(|(_, version)| version == image.version);
    if !image.version.is_empty() && !in_name {
        let _ = write!(out, " {}", shown(&image.version));
    }
    if !image.digest.is_empty() {
        // As long as in `wheeltap image list`, and by characters: a file can hold anything.
        let short: String = image.digest.chars().take(12).collect();
        let _ = write!(out, " ({})", shown(&short));
    }
    out
}

fn when(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M").to_string()
}

fn when_and_run(run: &PastRun) -> String {
    format!("{}, run {}", when(run.started), shown(&run.run))
}

/// Names are whatever the plan said.
fn shown(text: &str) -> String {
    clean::line(text, LINE)
}

/// Columns as wide as their widest cell, two blanks apart, nothing at the end of a line.
fn table<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let width = |text: &String| text.chars().count();
    let widths: [usize; N] =
        std::array::from_fn(|column| rows.iter().map(|row| width(&row[column])).max().unwrap_or(0));
    let line = |row: &[String; N]| {
        let mut line = String::new();
        for (text, max) in row.iter().zip(widths) {
            let _ = write!(line, "{text:max$}  ");
        }
        line.trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}
