//! The screen's text, without a terminal and without time.

use std::{fmt::Write as _, path::PathBuf, time::Duration};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use test_case::test_case;
use wheeltap_reports::{
    CaseId, Event, Failure, FailureClass, FailureClass::Product, Host, Image, Outcome, Paint,
    Phase, Plan, PlannedCase, Record, Severity, Verdict,
};

use super::{
    frame::{Size, frame},
    lines::{Cause, Level, Line},
    state::State,
};

const WIDE: Size = Size { columns: 120, rows: 24 };

fn case(name: &str) -> CaseId {
    CaseId::new(name, "qemu_bios.amd64")
}

fn image() -> Image {
    Image {
        name: "reference".to_owned(),
        digest: "0".repeat(64),
        version: "4000.1.0".to_owned(),
        profile: "reference".to_owned(),
        ..Image::default()
    }
}

fn plan(cases: &[&str]) -> Plan {
    let planned = |name: &&str| PlannedCase {
        id: case(name),
        summary: String::new(),
        claims: Vec::new(),
        tags: Vec::new(),
        faults: Vec::new(),
        skip: name.starts_with("skipped.").then(|| "not here".to_owned()),
    };
    Plan {
        version: 1,
        run: "r".to_owned(),
        created: Timestamp::UNIX_EPOCH,
        image: image(),
        seed: None,
        repeat: None,
        cells: Vec::new(),
        cases: cases.iter().map(planned).collect(),
    }
}

/// A run, told by its events.
struct Story {
    state: State,
    now: Timestamp,
    lines: Vec<Line>,
}

impl Story {
    fn of(cases: &[&str], expected: impl Fn(&CaseId) -> Option<Duration>) -> Self {
        let state = State::new(&plan(cases), PathBuf::from("/out/run"), expected);
        let mut story = Self { state, now: Timestamp::UNIX_EPOCH, lines: Vec::new() };
        story.event(Event::RunStarted {
            run: "r".to_owned(),
            wheeltap: "0.1.0".to_owned(),
            command: Vec::new(),
            host: Host {
                name: "host".to_owned(),
                os: "Debian".to_owned(),
                arch: "amd64".to_owned(),
                cpus: 2,
                memory_mib: 4096,
                accelerator: "kvm".to_owned(),
            },
            image: image(),
            plan: String::new(),
            partition: None,
            selected: None,
        });
        story
    }

    fn event(&mut self, event: Event) {
        self.lines.extend(self.state.apply(&Record { at: self.now, event, log: None }));
    }

    fn after(&mut self, seconds: f64) -> &mut Self {
        self.now += SignedDuration::from_secs_f64(seconds);
        self
    }

    fn begin(&mut self, name: &str, attempt: u32) {
        let dir = format!("cells/qemu_bios.amd64/{name}/attempt-{attempt}");
        self.event(Event::AttemptStarted { case: case(name), attempt, dir });
    }

    fn phase(&mut self, name: &str, attempt: u32, phase: Phase) {
        self.event(Event::PhaseEntered { case: case(name), attempt, phase });
    }

    fn end(&mut self, name: &str, attempt: u32, seconds: f64, why: Option<(FailureClass, &str)>) {
        let failure = why.map(|(class, headline)| Failure {
            phase: Phase::Check,
            class,
            kind: "x".to_owned(),
            headline: headline.to_owned(),
            detail: String::new(),
        });
        let verdict = failure.as_ref().map_or(Verdict::Pass, |failure| failure.class.verdict());
        let evidence = Vec::new();
        let case = case(name);
        self.event(Event::AttemptEnded { case, attempt, verdict, failure, seconds, evidence });
    }

    fn done(&mut self, name: &str, verdict: Verdict, seconds: f64, reason: Option<&str>) {
        let reason = reason.map(str::to_owned);
        self.event(Event::CaseEnded { case: case(name), verdict, reason, seconds });
    }

    fn printed(&self, level: Level, paint: Paint) -> String {
        let lines = self.lines.iter().filter(|line| line.level() <= level);
        lines.fold(String::new(), |text, line| text + &line.text(paint) + "\n")
    }

    fn frame(&self, size: Size) -> String {
        frame(&self.state, self.now, size, Paint::Plain).join("\n")
    }
}

/// A pass, a failure, a case that is flaky, one that fails twice, one that never began, and what else there is to say.
fn night() -> Story {
    let mut story = Story::of(
        &["boot.release", "boot.units", "reboot.clean", "power.off", "storage.disk", "skipped.one"],
        |_| None,
    );
    story.begin("boot.release", 1);
    story.after(0.5).phase("boot.release", 1, Phase::Boot);
    story.begin("boot.units", 1);
    story.after(3.7).event(Event::Step {
        case: case("boot.release"),
        attempt: 1,
        text: "reads /etc/os-release".to_owned(),
    });
    story.end("boot.release", 1, 4.2, None);
    story.done("boot.release", Verdict::Pass, 4.2, None);
    story.begin("reboot.clean", 1);
    story.event(Event::ConsoleHit {
        case: case("boot.units"),
        attempt: 1,
        rule: "oops".to_owned(),
        severity: Severity::Warn,
        text: "BUG: unable to handle".to_owned(),
        line: 7,
        boot: 1,
    });
    story.after(9.0).end("boot.units", 1, 12.7, Some((Product, "docker.service failed: exit 1")));
    story.done("boot.units", Verdict::Fail, 12.7, None);
    story.event(Event::Note { text: "the saved boot did not come up and was deleted".to_owned() });
    story.after(50.0).end(
        "reboot.clean",
        1,
        59.0,
        Some((FailureClass::Infra, "qemu ended by itself")),
    );
    story.event(Event::TeardownTrouble {
        case: case("reboot.clean"),
        attempt: 1,
        text: "pid 4711 does not end; kill -9 4711".to_owned(),
    });
    story.begin("reboot.clean", 2);
    story.after(60.0).end("reboot.clean", 2, 60.0, None);
    story.done("reboot.clean", Verdict::Flaky, 119.0, None);
    story.begin("power.off", 1);
    story.after(1000.0).end("power.off", 1, 1000.0, Some((Product, "still on after 900 s")));
    story.begin("power.off", 2);
    story.after(1.0).end("power.off", 2, 1.0, Some((Product, "still on after 900 s")));
    story.done("power.off", Verdict::Fail, 1001.0, None);
    story.event(Event::HarnessDefect { text: "a thread went away".to_owned() });
    story.event(Event::RunInterrupted { signal: "SIGINT".to_owned() });
    story.done("storage.disk", Verdict::NotRun, 0.0, Some("the run was interrupted"));
    story.event(Event::RunEnded { outcome: Outcome::Interrupted });
    story
}

#[test_case("quiet", Level::Quiet, Paint::Plain)]
#[test_case("normal", Level::Normal, Paint::Plain)]
#[test_case("verbose", Level::Verbose, Paint::Plain)]
#[test_case("colour", Level::Normal, Paint::Colour)]
fn what_stays(name: &str, level: Level, paint: Paint) {
    insta::assert_snapshot!(name, night().printed(level, paint).replace('\x1b', "␛"));
}

#[test]
fn a_quiet_night_says_nothing() {
    let mut story = Story::of(&["boot.release"], |_| None);
    story.begin("boot.release", 1);
    story.end("boot.release", 1, 4.2, None);
    story.done("boot.release", Verdict::Pass, 4.2, None);
    assert_eq!(story.printed(Level::Quiet, Paint::Plain), "");
}

#[test]
fn a_failure_that_waited_for_a_retry_is_said_when_the_run_ends_without_one() {
    let mut story = Story::of(&["boot.release"], |_| None);
    story.begin("boot.release", 1);
    story.end("boot.release", 1, 4.2, Some((Product, "no such unit")));
    assert_eq!(story.lines, []);
    let rest = story.state.rest();
    assert!(matches!(&rest[..], [Line::Attempt { number: 1, cause: Some(_), .. }]), "{rest:?}");
    assert_eq!(story.state.rest(), []);
}

/// The frame at telling moments of a run.
#[test]
fn what_is_drawn_over() {
    let known = |case: &CaseId| match &*case.scenario {
        "boot.new" => None,
        _ => Some(Duration::from_secs(60)),
    };
    let names = ["boot.a", "boot.b", "boot.c", "boot.new", "skipped.one"];
    let mut story = Story::of(&names, known);
    let mut text = String::new();
    let mut look = |story: &Story, when: &str| {
        let _ = writeln!(text, "{when}:\n{}\n", story.frame(WIDE));
    };
    look(&story, "at first");
    story.begin("boot.a", 1);
    story.after(0.4).begin("boot.b", 1);
    story.phase("boot.b", 1, Phase::Provision);
    look(&story, "two cases");
    story.after(42.0).phase("boot.a", 1, Phase::Reach);
    story.phase("boot.b", 1, Phase::Teardown);
    story.end("boot.b", 1, 42.0, None);
    story.done("boot.b", Verdict::Pass, 42.0, None);
    look(&story, "one ended");
    story.after(5.0).end("boot.a", 1, 47.4, Some((Product, "no such unit")));
    story.after(3.0);
    look(&story, "waiting for a retry");
    story.begin("boot.a", 2);
    story.phase("boot.a", 2, Phase::Act);
    story.begin("boot.c", 1);
    story.after(3700.0);
    look(&story, "longer than ever");
    story.done("boot.a", Verdict::Flaky, 3750.0, None);
    story.end("boot.c", 1, 3700.0, Some((Product, "no such unit")));
    story.done("boot.c", Verdict::Fail, 3700.0, None);
    story.event(Event::RunInterrupted { signal: "SIGTERM".to_owned() });
    look(&story, "interrupted");
    insta::assert_snapshot!("frames", text);
}

#[test_case(200, 50; "much room")]
#[test_case(40, 24; "narrow")]
#[test_case(80, 5; "low")]
#[test_case(80, 1; "one row")]
#[test_case(11, 24; "too narrow")]
fn sizes(columns: usize, rows: usize) {
    let names: Vec<String> =
        (1..=9).map(|number| format!("update.some-long-name-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut story = Story::of(&names, |_| Some(Duration::from_secs(75)));
    names.iter().for_each(|name| story.begin(name, 1));
    story.after(12.0);
    insta::assert_snapshot!(format!("size-{columns}x{rows}"), story.frame(Size { columns, rows }));
}

/// What a guest may send: anything, and above all what terminals obey.
fn hostile() -> impl Strategy<Value = String> {
    let nasty = prop::sample::select(vec![
        "\n",
        "\r",
        "\r\n",
        "\t",
        "\0",
        "\x07",
        "\x08",
        "\x1b[2J",
        "\x1b[1;1H",
        "\x1b]0;title\x07",
        "\x1bc",
        "\u{9b}2J",
        "\u{85}",
        "\u{2028}",
        "\u{2029}",
        "\u{202e}",
        "\u{200b}",
        "\u{200d}",
        "\u{feff}",
        "🚂",
        "全角",
        "e\u{301}\u{301}\u{301}",
        "\u{1160}",
    ]);
    let piece = prop_oneof![nasty.prop_map(str::to_owned), any::<String>()];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat().repeat(3))
}

proptest! {
    #[test]
    fn no_text_breaks_a_line(text in hostile(), name in hostile()) {
        let case = CaseId::new(name, text.clone());
        let cause = Cause {
            headline: text.clone(),
            class: Product,
            phase: Phase::Act,
            directory: format!("/out/{text}"),
        };
        let (seconds, verdict) = (1.0, Verdict::Fail);
        let lines = [
            (3, Line::Attempt { case: case.clone(), number: 1, verdict, seconds, cause: Some(cause.clone()) }),
            (3, Line::Case { case: case.clone(), verdict, seconds, attempts: 1, cause: Some(cause), reason: Some(text.clone()) }),
            (1, Line::Moment { level: Level::Verbose, word: "step".to_owned(), case: case.clone(), seconds, text: text.clone() }),
            (1, Line::Trouble { case, text: text.clone() }),
            (1, Line::Note(text.clone())),
            (1, Line::Defect(text)),
        ];
        for (count, line) in lines {
            let text = line.text(Paint::Plain);
            prop_assert_eq!(text.lines().count(), count, "{:?}", text);
            prop_assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{:?}", text);
        }
    }

    #[test]
    fn a_frame_fits(name in hostile(), cases in 0_usize..30, columns in 0_usize..130, rows in 0_usize..40, seconds in 0.0_f64..1e6) {
        let mut story = Story::of(&[&*name], |_| Some(Duration::from_secs(60)));
        for number in 0..cases {
            story.begin(&format!("{name}{number}"), 1);
        }
        story.after(seconds);
        let frame = frame(&story.state, story.now, Size { columns, rows }, Paint::Colour);
        prop_assert!(frame.len() < rows.max(2), "{} lines", frame.len());
        for line in frame {
            prop_assert!(!line.contains(['\n', '\r']), "{:?}", line);
            prop_assert!(console::measure_text_width(&line) < columns, "{:?}", line);
        }
    }
}
