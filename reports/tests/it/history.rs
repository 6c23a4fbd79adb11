//! The history: what is recorded, and what is said about it.

use std::path::PathBuf;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;
use test_case::test_case;
use wheeltap_reports::history::{
    Bisection, Finding, Glyphs, History, bisection_json, bisection_text, details_json,
    details_text, overview_json, overview_text,
};
use wheeltap_reports::{
    CaseId, Event, Failure, FailureClass, Host, Image, Outcome, Paint, Phase, Run, Verdict,
};

use crate::fixture::{BIOS, Fixture, UEFI, failure};

const BOOT: (&str, &str) = ("boot.multi-user", UEFI);
const UPDATE: (&str, &str) = ("update.apply", BIOS);

/// A history in a directory of its own.
struct Store {
    dir: TempDir,
}

impl Store {
    fn new() -> Self {
        Self { dir: TempDir::new().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("state/history.sqlite")
    }

    fn open(&self) -> History {
        History::open(&self.path()).unwrap()
    }

    fn overview(&self) -> String {
        overview_text(&self.open().summaries(&any, &any).unwrap(), Paint::Plain, Glyphs::Ascii)
    }

    fn results_of(&self, (scenario, cell): (&str, &str)) -> Vec<Verdict> {
        let id = CaseId::new(scenario, cell);
        let cases = self.open().cases(&|other| *other == id, &any).unwrap();
        cases.iter().flat_map(|case| &case.results).map(|result| result.verdict).collect()
    }

    fn bisection(&self, (scenario, cell): (&str, &str)) -> Bisection {
        self.open().bisection(&CaseId::new(scenario, cell), &any).unwrap().unwrap()
    }
}

fn any<T>(_: &T) -> bool {
    true
}

/// Attempts of a case, by letter: `p`ass, `f`ail, `i`nfra, `.` cut off. `s` is a case that is skipped.
type Story<'a> = ((&'a str, &'a str), &'a str);

fn image(version: &str) -> Image {
    let number: u32 = version.bytes().map(u32::from).sum();
    Image {
        name: format!("reference:{version}"),
        digest: format!("{number:04x}").repeat(16),
        version: version.into(),
        profile: "reference".into(),
        ..Image::default()
    }
}

fn broken() -> Failure {
    let panic = "Kernel panic - not syncing: VFS: Unable to mount root fs";
    failure(FailureClass::Product, Phase::Boot, "kernel-panic", panic)
}

/// The run of a night; the first is that of 2026-01-01.
fn night(number: u32, version: &str, stories: &[Story<'_>]) -> Fixture {
    let cases: Vec<_> = stories.iter().map(|(case, _)| *case).collect();
    let mut run = Fixture::new(&cases);
    let first: Timestamp = "2026-01-01T22:00:00Z".parse().unwrap();
    run.plan.created = first + SignedDuration::from_hours(24 * i64::from(number));
    run.plan.run = format!("{}-7f3a", run.plan.created.strftime("%Y%m%d-%H%M%S"));
    run.plan.image = image(version);
    for (planned, (_, story)) in run.plan.cases.iter_mut().zip(stories) {
        planned.skip = (*story == "s").then(|| "needs a second disk".to_owned());
    }
    run.start();
    for (case, story) in stories.iter().filter(|(_, story)| *story != "s") {
        let mut verdicts = Vec::new();
        for (number, letter) in (1..).zip(story.chars()) {
            let failure = match letter {
                'f' => Some(broken()),
                'i' => {
                    Some(failure(FailureClass::Infra, Phase::Provision, "no-port", "no free port"))
                }
                _ => None,
            };
            if letter == '.' {
                let id = CaseId::new(case.0, case.1);
                let dir = String::new();
                run.push(Event::AttemptStarted { case: id, attempt: number, dir });
                break;
            }
            verdicts.push(failure.as_ref().map_or(Verdict::Pass, |it| it.class.verdict()));
            run.attempt(*case, number, failure);
        }
        if let Some(verdict) = Verdict::of_attempts(&verdicts) {
            run.end(*case, verdict);
        }
    }
    run.finish(Outcome::AllPassed);
    run
}

/// Gives every attempt of a run this duration, and the run this accelerator.
fn took(mut run: Fixture, seconds: f64, accelerator: &str) -> Run {
    run.each_event(|event| match event {
        Event::AttemptEnded { seconds: taken, .. } => *taken = seconds,
        Event::RunStarted { host: Host { accelerator: used, .. }, .. } => {
            *used = accelerator.to_owned();
        }
        _ => {}
    });
    run.load()
}

/// Three weeks with everything that is told about a case.
fn weeks() -> Store {
    let store = Store::new();
    let history = store.open();
    let other = ("reboot.clean", BIOS);
    let never = ("power.off", BIOS);
    let skipped = ("storage.swap", BIOS);
    for number in 0..24 {
        let version = match number {
            0..10 => "4000.0.0",
            10..20 => "4000.1.0",
            20 => "4000.2.0",
            _ => "4000.10.0",
        };
        let update = match number {
            4 => "fp",
            7 => "i",
            15 => "ip",
            20 => "i",
            21..24 => "f",
            _ => "p",
        };
        let reboot = if number == 23 { "ff" } else { "p" };
        let stories =
            [(BOOT, "p"), (UPDATE, update), (other, reboot), (never, "f"), (skipped, "s")];
        let run = night(number, version, &stories);
        history.record(&took(run, 40.0 + f64::from(number), "tcg")).unwrap();
    }
    store
}

#[test]
fn the_overview_is_a_line_per_case() {
    let history = weeks().open();
    let summaries = history.summaries(&any, &any).unwrap();
    insta::assert_snapshot!(
        "overview.ascii",
        overview_text(&summaries, Paint::Plain, Glyphs::Ascii)
    );
    insta::assert_snapshot!(
        "overview.colour",
        overview_text(&summaries, Paint::Colour, Glyphs::Unicode)
    );
    insta::assert_snapshot!("overview.json", overview_json(&summaries).unwrap());
}

#[test]
fn a_case_is_told_in_detail() {
    let history = weeks().open();
    let wanted = |id: &CaseId| id.scenario == "update.apply" || id.scenario == "storage.swap";
    let cases = history.cases(&wanted, &any).unwrap();
    insta::assert_snapshot!("details.text", details_text(&cases, Paint::Plain, Glyphs::Unicode));
    let cases = history.cases(&wanted, &|image| image.version == "4000.2.0").unwrap();
    insta::assert_snapshot!("details.json", details_json(&cases).unwrap());
}

#[test]
fn an_empty_history_is_none() {
    let store = Store::new();
    let history = store.open();
    assert!(history.expected("tcg").unwrap().is_empty());
    assert_eq!(history.case_ids().unwrap(), []);
    assert_eq!(history.bisection(&CaseId::new("a", "b"), &any).unwrap(), None);
    insta::assert_snapshot!(store.overview(), @r"
    scenario  cell  first pass (95 %)  last 20  median  p95
    0 of 0 cases fail; . pass, ~ flaky, F fail, i infra, s skip, - not-run
    ");
}

#[test]
fn recording_again_changes_nothing() {
    let store = Store::new();
    let run = night(0, "4000.0.0", &[(BOOT, "p"), (UPDATE, "ff")]).load();
    store.open().record(&run).unwrap();
    let once = store.overview();
    store.open().record(&run).unwrap();
    assert_eq!(store.overview(), once);
    assert_eq!(store.results_of(UPDATE), [Verdict::Fail]);
}

#[test]
fn a_run_that_went_on_is_updated() {
    let store = Store::new();
    let mut run = night(0, "4000.0.0", &[(BOOT, "."), (UPDATE, "")]);
    store.open().record(&run.load()).unwrap();
    assert_eq!(store.results_of(BOOT), [Verdict::NotRun]);
    run.attempt(BOOT, 2, None).end(BOOT, Verdict::Pass);
    store.open().record(&run.load()).unwrap();
    // The attempt that was cut off judged nothing.
    assert_eq!(store.results_of(BOOT), [Verdict::Pass]);
    assert_eq!(store.results_of(UPDATE), [Verdict::NotRun]);
}

#[test_case(".", "."; "cut off")]
#[test_case("", "p"; "of another partition")]
fn what_says_less_takes_nothing_away(boot: &str, update: &str) {
    let store = Store::new();
    let whole = night(0, "4000.0.0", &[(BOOT, "p"), (UPDATE, "ff")]);
    let less = night(0, "4000.0.0", &[(BOOT, boot), (UPDATE, update)]);
    assert_eq!(whole.plan, less.plan);
    store.open().record(&whole.load()).unwrap();
    store.open().record(&less.load()).unwrap();
    assert_eq!(store.results_of(BOOT), [Verdict::Pass]);
    assert_eq!(store.results_of(UPDATE), [Verdict::Fail]);
}

#[test]
fn two_runs_with_the_same_id_are_two_runs() {
    let store = Store::new();
    let one = night(0, "4000.0.0", &[(BOOT, "p")]);
    let mut other = night(0, "4000.1.0", &[(BOOT, "f")]);
    other.plan.run.clone_from(&one.plan.run);
    store.open().record(&one.load()).unwrap();
    store.open().record(&other.load()).unwrap();
    assert_eq!(store.results_of(BOOT).len(), 2);
}

#[test]
fn deliberate_faults_say_nothing_about_images() {
    let store = Store::new();
    let broken = ("boot.multi-user", "qemu_uefi.amd64+failing-unit");
    let mut run = night(0, "4000.0.0", &[(BOOT, "p"), (broken, "p")]);
    run.plan.cases[1].faults.push("failing-unit".into());
    run.restart();
    store.open().record(&run.load()).unwrap();
    let history = store.open();
    assert_eq!(history.case_ids().unwrap(), [CaseId::new(BOOT.0, BOOT.1)]);
    assert_eq!(history.summaries(&any, &any).unwrap().len(), 1);
    // They take their time all the same.
    assert_eq!(history.expected("tcg").unwrap().len(), 2);
}

#[test]
fn a_bisection_says_nothing_about_nowadays() {
    let store = Store::new();
    let history = store.open();
    history.record(&night(0, "4000.0.0", &[(UPDATE, "p")]).load()).unwrap();
    history.record(&night(1, "4000.2.0", &[(UPDATE, "f")]).load()).unwrap();
    let before = store.overview();
    let mut run = night(2, "4000.1.0", &[(UPDATE, "p")]);
    run.each_event(|event| {
        if let Event::RunStarted { command, .. } = event {
            *command = ["wheeltap", "history", "bisect", "update.apply"].map(Into::into).into();
        }
    });
    history.record(&run.load()).unwrap();
    assert_eq!(store.overview(), before, "it still fails");
    assert_eq!(store.bisection(UPDATE).finding, Finding::Broke { last_good: 1, first_bad: 2 });
    let cases = history.cases(&any, &any).unwrap();
    let details = details_text(&cases, Paint::Plain, Glyphs::Ascii);
    assert!(details.contains("(bisect)"), "{details}");
}

#[test]
fn durations_are_of_the_last_ten_that_passed() {
    let store = Store::new();
    let history = store.open();
    // Imported in any order, the latest count: 14 to 23 s, without what failed.
    for number in (0..24).rev() {
        let story = if number == 22 { "f" } else { "p" };
        let run = night(number, "4000.0.0", &[(BOOT, story)]);
        history.record(&took(run, f64::from(number), "tcg")).unwrap();
    }
    history.record(&took(night(30, "4000.0.0", &[(BOOT, "p")]), 3.0, "kvm")).unwrap();
    let case = CaseId::new(BOOT.0, BOOT.1);
    let expected = |accelerator| history.expected(accelerator).unwrap().of(&case);
    // 13 to 21 and 23.
    assert_eq!(expected("tcg"), Some(Duration::from_millis(17_500)));
    assert_eq!(expected("kvm"), Some(Duration::from_secs(3)));
    assert_eq!(expected("none"), None);
    assert_eq!(history.expected("tcg").unwrap().of(&CaseId::new(BOOT.0, BIOS)), None);
}

#[test]
fn several_writers_lose_nothing() {
    let store = Store::new();
    let runs: Vec<Run> =
        (0..16).map(|number| night(number, "4000.0.0", &[(BOOT, "p")]).load()).collect();
    let start = Barrier::new(8);
    // The first of them also makes the file.
    thread::scope(|scope| {
        for part in runs.chunks(2) {
            let (store, start) = (&store, &start);
            scope.spawn(move || {
                start.wait();
                for run in part {
                    store.open().record(run).unwrap();
                    store.open().summaries(&any, &any).unwrap();
                }
            });
        }
    });
    assert_eq!(store.results_of(BOOT).len(), 16);
}

#[test]
fn the_build_that_broke_it_is_named() {
    let store = weeks();
    let found = store.bisection(UPDATE);
    insta::assert_snapshot!("bisect.text", bisection_text(&found, Paint::Plain));
    insta::assert_snapshot!("bisect.json", bisection_json(&found).unwrap());
}

#[test]
fn images_that_never_ran_it_are_gaps() {
    let store = Store::new();
    let history = store.open();
    let nights = [
        ("4000.0.0", UPDATE, "p"),
        ("4000.1.0", BOOT, "p"),
        ("4000.9.0", BOOT, "p"),
        ("4000.10.0", UPDATE, "f"),
        ("4000.2.0", BOOT, "f"),
    ];
    for (number, (version, case, story)) in (0..).zip(nights) {
        history.record(&night(number, version, &[(case, story)]).load()).unwrap();
    }
    let mut other = night(9, "4000.3.0", &[(BOOT, "p")]);
    other.plan.image.profile = "fcos".into();
    other.restart();
    history.record(&other.load()).unwrap();

    let found = store.bisection(UPDATE);
    insta::assert_snapshot!("bisect.gaps", bisection_text(&found, Paint::Plain));
    assert_eq!(found.next(&any), None);
    let next = |left_out: &str| {
        let next = found.next(&|image| image.version == left_out).unwrap();
        next.image.version.clone()
    };
    assert_eq!(next(""), "4000.2.0");
    assert_eq!(next("4000.2.0"), "4000.9.0");
    // The answer is recorded, and the question asked again.
    history.record(&night(10, "4000.2.0", &[(UPDATE, "f")]).load()).unwrap();
    let found = store.bisection(UPDATE);
    assert_eq!(found.finding, Finding::Broke { last_good: 0, first_bad: 2 });
    assert_eq!(found.next(&|_| false).unwrap().image.version, "4000.1.0");
}
