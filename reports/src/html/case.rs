//! All that is told about a case that didn't pass.

use maud::{Markup, html};

use super::PICTURES;
use super::baseline::Baseline;
use super::boots::{Boots, is_journal, machine};
use super::causes::telling;
use super::excerpt::{self, Excerpt};
use super::files::{Files, Picture};
use super::page::{plural, ran_in, verdict_class, verdict_word};
use crate::clean::{self, BLOCK};
use crate::text::human;
use crate::{Attempt, CaseResult, Failure, Happening, Moment, Run, Severity, Verdict, WaiverUse};

/// Attempts that are told in full; of more there is a list.
const ATTEMPTS: usize = 4;
/// Attempts in that list.
const LISTED: usize = 100;
/// Moments of a timeline at its beginning, and at its end.
const MOMENTS: (usize, usize) = (30, 90);

/// Tells cases, as long as there is room.
pub(super) struct Teller<'a> {
    pub(super) run: &'a Run,
    pub(super) baseline: Option<&'a Baseline<'a>>,
    pub(super) files: &'a Files<'a>,
    pub(super) boots: &'a Boots<'a>,
    /// Bytes that are left for evidence.
    pub(super) room: usize,
    pictures: usize,
    is_spent: bool,
}

impl<'a> Teller<'a> {
    pub(super) fn new(
        run: &'a Run,
        baseline: Option<&'a Baseline<'a>>,
        files: &'a Files<'a>,
        boots: &'a Boots<'a>,
    ) -> Self {
        Self { run, baseline, files, boots, room: 0, pictures: PICTURES, is_spent: false }
    }

    /// Whether anything was left out.
    pub(super) fn is_spent(&self) -> bool {
        self.is_spent
    }

    /// A case, with its evidence if there is room for it.
    pub(super) fn case(&mut self, index: usize) -> String {
        let case = &self.run.cases[index];
        // Where there is hardly any left, no file need be read to find out that it won't fit.
        if self.room > BLOCK {
            let pictures = self.pictures;
            let evidence = self.evidence(case).into_string();
            if let Some(room) = self.room.checked_sub(evidence.len()) {
                self.room = room;
                return self.frame(index, &maud::PreEscaped(evidence)).into_string();
            }
            self.pictures = pictures;
        }
        self.is_spent = true;
        self.frame(index, &self.brief(case)).into_string()
    }

    fn frame(&self, index: usize, body: &Markup) -> Markup {
        let case = &self.run.cases[index];
        let id = &case.planned.id;
        let delta = self.baseline.and_then(|baseline| baseline.delta(case));
        html! {
            details.case id={ "c" (index) } data-verdict=(verdict_class(case)) data-cell=(id.cell) {
                summary {
                    span class={ "badge v-" (verdict_class(case)) } { (verdict_word(case)) }
                    span.name { (id.scenario) " " small { (id.cell) } }
                    @if let Some(delta) = delta { small class=(delta.class()) { (delta.word()) } }
                    span.num {
                        @if case.attempts.len() > 1 { (case.attempts.len()) " attempts, " }
                        (ran_in(case.seconds))
                    }
                }
                div.body {
                    @if !case.planned.summary.is_empty() { p { (case.planned.summary) } }
                    (facts(case))
                    (reproduce(self.run, case))
                    (body)
                }
            }
        }
    }

    /// What is left of the evidence where there is no room for it.
    fn brief(&self, case: &CaseResult) -> Markup {
        let Some(attempt) = telling(case) else { return html! {} };
        html! {
            p { (attempt.headline()) }
            p.note { "Its evidence is not in this page, which would be too large; it lies here:" }
            p { code { (self.run.path_of(attempt, &attempt.dir).display().to_string()) } }
        }
    }

    fn evidence(&mut self, case: &CaseResult) -> Markup {
        let number = telling(case).map(|attempt| attempt.number);
        let mut shown: Vec<&Attempt> = case.attempts.iter().take(ATTEMPTS).collect();
        // The one that explains the verdict is among them, whatever its number.
        if let Some(attempt) = telling(case)
            && shown.iter().all(|one| one.number != attempt.number)
            && let Some(last) = shown.last_mut()
        {
            *last = attempt;
        }
        let class = if shown.len() > 1 { "attempts several" } else { "attempts" };
        html! {
            @if case.attempts.len() > ATTEMPTS { (list(case)) }
            div class=(class) {
                @for attempt in shown { (self.attempt(case, attempt, number == Some(attempt.number))) }
            }
        }
    }

    fn attempt(&mut self, case: &CaseResult, attempt: &Attempt, is_telling: bool) -> Markup {
        let console = console(self.files, attempt).filter(|_| attempt.verdict != Verdict::Pass);
        html! {
            section.attempt {
                @if case.attempts.len() > 1 {
                    h4 {
                        "Attempt " (attempt.number) " "
                        span class={ "badge v-" (attempt.verdict) } { (attempt.verdict) }
                        " " small { (ran_in(attempt.seconds)) }
                    }
                }
                @if attempt.verdict != Verdict::Pass && (case.attempts.len() > 1 || !is_telling) {
                    p.headline { (attempt.headline()) }
                }
                @if let Some(console) = &console { (log(console)) }
                @if let Some(failure) = &attempt.failure { (detail(failure, console.is_none())) }
                (timeline(attempt))
                (self.journals(attempt, is_telling))
                (self.pictures(attempt))
                (self.files(attempt))
            }
        }
    }

    /// How each machine booted, and of the attempt that tells most also what it said last.
    fn journals(&self, attempt: &Attempt, with_tail: bool) -> Markup {
        let journals = attempt.evidence.iter().filter(|file| is_journal(file));
        html! {
            @for file in journals {
                @if let Some(path) = self.files.find(attempt, file) {
                    @if with_tail && let Ok(tail) = excerpt::tail(&path) && !tail.lines.is_empty() {
                        (log(&Log {
                            title: format!("The journal's end, {}", machine(file)),
                            link: self.files.link(attempt, file),
                            excerpt: tail,
                        }))
                    }
                    p.boots { (self.boots.links(&path)) }
                }
            }
        }
    }

    fn pictures(&mut self, attempt: &Attempt) -> Markup {
        let mut shown = Vec::new();
        for file in attempt.evidence.iter().filter(|file| file.ends_with(".png")) {
            let Some(picture) = self.files.picture(attempt, file) else { continue };
            let picture = match picture {
                Picture::Embedded { uri, .. } if uri.len() > self.pictures => {
                    self.is_spent = true;
                    Picture::LeftOut("this page would be too large")
                }
                Picture::Embedded { uri, width, height } => {
                    self.pictures -= uri.len();
                    Picture::Embedded { uri, width, height }
                }
                left_out @ Picture::LeftOut(_) => left_out,
            };
            shown.push((file, picture));
        }
        html! {
            @for (file, picture) in shown {
                figure.screen {
                    figcaption { "The screen of " (machine(file)) " when it failed" }
                    @match picture {
                        Picture::Embedded { uri, width, height } => {
                            img src=(uri) width=(width) height=(height) loading="lazy"
                                alt={ "Screenshot of " (machine(file)) };
                        }
                        Picture::LeftOut(why) => {
                            p.note { "Not shown, since " (why) ": " code { (file) } }
                        }
                    }
                }
            }
        }
    }

    fn files(&self, attempt: &Attempt) -> Markup {
        html! {
            @if !attempt.evidence.is_empty() {
                p.files {
                    "Files: "
                    @for (index, file) in attempt.evidence.iter().enumerate() {
                        @if index > 0 { ", " }
                        @let name = file.strip_prefix(&attempt.dir).unwrap_or(file).trim_start_matches('/');
                        @match self.files.link(attempt, file) {
                            Some(link) => a href=(link) { (name) },
                            None => code { (name) },
                        }
                    }
                    " in " code { (attempt.dir) }
                }
            }
        }
    }
}

/// What a case is about, and who has accepted that it fails.
fn facts(case: &CaseResult) -> Markup {
    html! {
        @if let Some(WaiverUse { id, owner, tracker, expires, reason }) = &case.waived {
            p.waived {
                "Waived by " b { (id) } " until " (expires) ": " (reason)
                " (" (owner) ", " (tracker) ")"
            }
        }
        @if !case.planned.faults.is_empty() {
            p { "With the " (plural(case.planned.faults.len(), "fault ", "faults "))
                (case.planned.faults.join(", ")) ", put in on purpose." }
        }
        @if !case.planned.claims.is_empty() {
            p.note { "Checks " (case.planned.claims.join(", ")) }
        }
    }
}

/// The command that runs this case again, as it ran.
fn reproduce(run: &Run, case: &CaseResult) -> Markup {
    let id = &case.planned.id;
    let dir = telling(case).and_then(|attempt| attempt.run_dir.as_deref());
    let dir = dir.unwrap_or(&run.dir).display().to_string();
    let command =
        ["wheeltap", "rerun", &dir, &id.scenario, "--cell", &id.cell].map(quoted).join(" ");
    html! {
        div.reproduce {
            span { "Reproduce" }
            code { (command) }
            button.copy type="button" hidden { "Copy" }
        }
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:,@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// All attempts of a case that has many, in short.
fn list(case: &CaseResult) -> Markup {
    html! {
        ol.list {
            @for attempt in case.attempts.iter().take(LISTED) {
                li {
                    span class={ "badge v-" (attempt.verdict) } { (attempt.verdict) } " "
                    (ran_in(attempt.seconds))
                    @if attempt.verdict != Verdict::Pass { ": " (attempt.headline()) }
                }
            }
        }
        @if case.attempts.len() > LISTED {
            p.note { "and " (case.attempts.len() - LISTED) " more" }
        }
    }
}

/// Lines of a log with what they are.
struct Log {
    title: String,
    link: Option<String>,
    excerpt: Excerpt,
}

/// The console around the fatal line, or its end.
fn console(files: &Files<'_>, attempt: &Attempt) -> Option<Log> {
    let fatal = attempt.timeline.iter().find_map(|moment| match &moment.what {
        Happening::Console { severity: Severity::Fatal, line, text, .. } => Some((*line, &**text)),
        _ => None,
    });
    let consoles = || attempt.evidence.iter().filter(|file| file.ends_with("/console.log"));
    let around = |file: &String, (line, _): (u64, &str)| {
        let excerpt = excerpt::around(&files.find(attempt, file)?, line).ok()??;
        let title = format!("{}'s console around line {line}", machine(file));
        Some(Log { title, link: files.link(attempt, file), excerpt })
    };
    let found = fatal.and_then(|fatal| {
        // The event doesn't say whose console it was.
        let mut logs: Vec<_> = consoles().filter_map(|file| around(file, fatal)).collect();
        let has_it = |log: &Log| {
            log.excerpt.lines.iter().any(|line| line.is_fatal && says(&line.text, fatal.1))
        };
        let at = logs.iter().position(has_it).unwrap_or_default();
        (at < logs.len()).then(|| logs.swap_remove(at))
    });
    found.or_else(|| {
        let file = consoles().next()?;
        let excerpt = excerpt::tail(&files.find(attempt, file)?).ok()?;
        let title = format!("{}'s console, its end", machine(file));
        (!excerpt.lines.is_empty()).then(|| Log { title, link: files.link(attempt, file), excerpt })
    })
}

/// Whether a line of a log is the one of which an event has the cleaned text.
fn says(line: &str, text: &str) -> bool {
    let line = clean::line(line, clean::LINE);
    !text.is_empty() && (line.contains(text) || text.contains(&line) && !line.is_empty())
}

fn log(Log { title, link, excerpt }: &Log) -> Markup {
    html! {
        figure.log {
            figcaption {
                (title)
                @if let Some(link) = link { " " a href=(link) { "all of it" } }
            }
            pre tabindex="0" role="region" aria-label=(title) {
                @if excerpt.is_cut { span.cut { "…" } "\n" }
                @for line in &excerpt.lines {
                    @if let Some(number) = line.number { span.nr { (number) } " " }
                    @if line.is_fatal { mark { (line.text) } } @else { (line.text) }
                    "\n"
                }
            }
        }
    }
}

/// What else is known of a failure; open if nothing else shows the console.
fn detail(failure: &Failure, open: bool) -> Markup {
    html! {
        @if !failure.detail.is_empty() {
            details.more open[open] {
                summary { "Details" }
                pre tabindex="0" role="region" aria-label="Details" { (clean::block(&failure.detail, BLOCK)) }
            }
        }
    }
}

fn timeline(attempt: &Attempt) -> Markup {
    let (first, last) = MOMENTS;
    let moments = &attempt.timeline;
    let cut = (moments.len() > first + last).then(|| moments.len() - first - last);
    let head = if cut.is_some() { &moments[..first] } else { &moments[..] };
    let tail = if cut.is_some() { &moments[moments.len() - last..] } else { &[] };
    html! {
        @if !moments.is_empty() {
            details.more open[attempt.verdict != Verdict::Pass] {
                summary { "Timeline" }
                ol.timeline {
                    @for moment in head { (at(attempt, moment)) }
                    @if let Some(cut) = cut { li.note { "… " (cut) " more …" } }
                    @for moment in tail { (at(attempt, moment)) }
                }
            }
        }
    }
}

fn at(attempt: &Attempt, moment: &Moment) -> Markup {
    let seconds = moment.at.duration_since(attempt.started).as_secs_f64();
    let (class, what) = happening(&moment.what);
    html! { li class=(class) { time { (format!("{seconds:.1} s")) } " " span { (what) } } }
}

fn happening(what: &Happening) -> (&'static str, Markup) {
    match what {
        Happening::Phase { phase } => ("phase", html! { (phase) }),
        Happening::Machine { machine, from: Some(from), .. } => {
            ("step", html! { (machine) " starts as a fork of " (from) })
        }
        Happening::Machine { machine, .. } => ("step", html! { (machine) " boots" }),
        Happening::Step { text: said } => ("step", html! { (said) }),
        Happening::Console { rule, severity, text: said, line, boot } => {
            let class = if *severity == Severity::Fatal { "fatal" } else { "warn" };
            let place = format!("console, line {line}, boot {boot}, rule {rule}");
            (class, html! { (said) " " small { (place) } })
        }
        Happening::Slow { seconds } => {
            ("warn", html! { "slow: runs for " (human(*seconds as f64)) })
        }
        Happening::Trouble { text: said } => ("warn", html! { "trouble: " (said) }),
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::quoted;

    #[test_case("boot.multi-user", "boot.multi-user"; "plain")]
    #[test_case("a b", "'a b'"; "space")]
    #[test_case("it's $(x)", r"'it'\''s $(x)'"; "quote")]
    #[test_case("", "''"; "empty")]
    fn words(word: &str, expected: &str) {
        assert_eq!(quoted(word), expected);
    }
}
