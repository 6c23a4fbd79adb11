//! Reports as users ask for them: of one run, of several as one, and with waivers.

#![expect(clippy::unwrap_used, reason = "a test says what it expected by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tempfile::TempDir;
use test_case::test_case;
use wheeltap_reports::{
    CaseId, Cell, Event, EventLog, Failure, FailureClass, Host, Image, Outcome, Phase, Plan,
    PlannedCase, Verdict,
};

const CELL: &str = "qemu_bios.amd64";

fn wheeltap(directory: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wheeltap"))
        .args(args)
        .current_dir(directory)
        .env("WHEELTAP_CACHE", directory.join("cache"))
        .env("NO_COLOR", "1")
        .output()
        .unwrap()
}

/// Standard error as one line, so that a message is found however it is wrapped.
fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).replace('│', " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn plan(run: &str, scenarios: &[&str]) -> Plan {
    let case = |scenario: &&str| PlannedCase {
        id: CaseId::new(*scenario, CELL),
        summary: String::new(),
        claims: Vec::new(),
        tags: Vec::new(),
        faults: Vec::new(),
        skip: None,
    };
    Plan {
        version: wheeltap_reports::FORMAT_VERSION,
        run: run.into(),
        created: jiff::Timestamp::now(),
        image: Image {
            name: "flatcar:stable".into(),
            digest: "5e".repeat(32),
            version: "4000.0.0".into(),
            profile: "flatcar".into(),
            ..Image::default()
        },
        seed: None,
        repeat: None,
        cells: vec![Cell {
            name: CELL.into(),
            platform: "qemu".into(),
            arch: "amd64".into(),
            firmware: Some("bios".into()),
            variant: None,
        }],
        cases: scenarios.iter().map(case).collect(),
    }
}

/// A run of one of two partitions. The case of the first fails.
fn partition(directory: &Path, number: usize) -> PathBuf {
    let dir = directory.join(format!("shard-{number}"));
    fs::create_dir(&dir).unwrap();
    let plan = plan(&format!("run-{number}"), &["update.a", "update.b"]);
    plan.write(&dir).unwrap();
    let log = EventLog::create(&dir).unwrap();
    let case = plan.cases[number - 1].id.clone();
    let failure = (number == 1).then(|| Failure {
        phase: Phase::Check,
        class: FailureClass::Product,
        kind: "check".into(),
        headline: format!("slot USR-B has tries {number}"),
        detail: String::new(),
    });
    let verdict = if number == 1 { Verdict::Fail } else { Verdict::Pass };
    let path = "cells/attempt-1".to_owned();
    let events = [
        Event::RunStarted {
            run: plan.run.clone(),
            wheeltap: "0.1.0".into(),
            command: vec!["wheeltap".into(), "run".into()],
            host: Host {
                name: format!("worker-{number}"),
                os: "Linux".into(),
                arch: "amd64".into(),
                cpus: 2,
                memory_mib: 1024,
                accelerator: "tcg".into(),
            },
            image: plan.image.clone(),
            plan: plan.digest(),
            partition: Some(format!("slice:{number}/2")),
            selected: Some(vec![number - 1]),
        },
        Event::AttemptStarted { case: case.clone(), attempt: 1, dir: path },
        Event::AttemptEnded {
            case: case.clone(),
            attempt: 1,
            verdict,
            failure,
            seconds: 1.0,
            evidence: vec!["cells/attempt-1/m1/console.log".into()],
        },
        Event::CaseEnded { case, verdict, reason: None, seconds: 1.0 },
        Event::RunEnded { outcome: Outcome::AllPassed },
    ];
    for event in events {
        log.append(event).unwrap();
    }
    dir
}

/// Two partitions of a plan, and files of waivers: one that covers the failure, and a broken one.
fn workshop() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    partition(directory.path(), 1);
    partition(directory.path(), 2);
    let good = "[[waiver]]\nid = 'W-1'\nscenario = 'update.*'\nsignature = 'slot USR-[AB]'\n\
                channel = 'stable'\nowner = 'me'\ntracker = 'https://example.org/1'\n\
                expires = 2999-12-31\nreason = 'known'\n";
    fs::write(directory.path().join("waivers.toml"), good).unwrap();
    let bad = good.replace("tracker", "traker");
    fs::write(directory.path().join("bad.toml"), bad).unwrap();
    directory
}

fn report(directory: &TempDir, args: &[&str]) -> String {
    let mut all = vec!["report"];
    all.extend(args);
    let output = wheeltap(directory.path(), &all);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_partition_reports_its_own() {
    let directory = workshop();
    let text = report(&directory, &["shard-2"]);
    assert!(text.starts_with("all passed: 1 pass, 1 not in partition slice:2/2 in "), "{text}");
    let text = report(&directory, &["shard-1"]);
    assert!(text.contains("slot USR-B has tries 1 (product, check) ["), "{text}");
}

#[test_case("text")]
#[test_case("json")]
#[test_case("junit")]
fn several_runs_are_one_in_any_order(format: &str) {
    let directory = workshop();
    let one = report(&directory, &["shard-1", "shard-2", "--format", format]);
    let other = report(&directory, &["shard-2", "shard-1", "shard-2", "--format", format]);
    assert_eq!(one, other);
    for name in ["update.a", "shard-1/cells/attempt-1/m1/console.log"] {
        // JSON has the directory beside the file.
        assert!(one.contains(name) || format == "json", "{one}");
    }
}

#[test]
fn a_page_that_compares_with_an_earlier_run() {
    let directory = workshop();
    let args = ["shard-1", "--format", "html", "--baseline", "shard-2"];
    let page = report(&directory, &args);
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("<h1>Product failure</h1>"));
    assert!(page.contains("Against <b>run-2</b>"), "{page}");
    let run = fs::canonicalize(directory.path().join("shard-1")).unwrap();
    let command = format!("wheeltap rerun {} update.a --cell {CELL}", run.display());
    assert!(page.contains(&command), "{page}");
    // In the run's directory its evidence can be linked; on standard output it can't.
    let console = run.join("cells/attempt-1/m1/console.log");
    fs::create_dir_all(console.parent().unwrap()).unwrap();
    fs::write(console, "the last words\n").unwrap();
    let link = "href=\"./cells/attempt-1/m1/console.log\"";
    assert!(!report(&directory, &args).contains(link));
    assert_eq!(report(&directory, &[&args[..], &["--out", "shard-1/report.html"]].concat()), "");
    let page = fs::read_to_string(run.join("report.html")).unwrap();
    assert!(page.contains(link) && page.contains("the last words"), "{page}");
}

#[test]
fn a_report_that_cannot_be_written_is_said_to_be() {
    let directory = workshop();
    let output = wheeltap(directory.path(), &["report", "shard-1", "--out", "nonesuch/report"]);
    assert!(said(&output).contains("nonesuch/report can't be written"), "{}", said(&output));
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn json_tells_what_was_merged_and_what_is_known() {
    let directory = workshop();
    let json = report(&directory, &["shard-1", "shard-2", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["outcome"], "product-failure");
    assert_eq!(json["runs"][1]["partition"], "slice:2/2");
    let failure = &json["cases"][0]["attempts"][0]["failure"];
    assert_eq!(failure["signature"].as_str().unwrap().len(), 12);
    assert!(json["cases"][0]["attempts"][0]["run_dir"].as_str().unwrap().ends_with("shard-1"));
}

#[test]
fn waivers_are_applied_to_what_is_reported() {
    let directory = workshop();
    let args = ["shard-1", "shard-2", "--waivers", "waivers.toml"];
    let text = report(&directory, &args);
    assert!(text.contains("all passed, 1 waived: 1 pass"), "{text}");
    assert!(text.contains("by W-1 until 2999-12-31 (me, https://example.org/1): known"), "{text}");
    let junit = report(&directory, &[&args[..], &["--format", "junit"]].concat());
    assert!(junit.contains(r#"<skipped message="waived by W-1 until 2999-12-31"#), "{junit}");
    assert!(!junit.contains("<failure"), "{junit}");

    // Those in the run's directory are used by themselves.
    let copy = directory.path().join("shard-1/waivers.toml");
    fs::copy(directory.path().join("waivers.toml"), copy).unwrap();
    let text = report(&directory, &["shard-1"]);
    assert!(text.contains("all passed, 1 waived"), "{text}");
    fs::write(directory.path().join("none.toml"), "").unwrap();
    let text = report(&directory, &["shard-1", "--waivers", "none.toml"]);
    assert!(text.contains("product failure: 1 fail"), "{text}");
}

#[test]
fn a_killed_run_can_be_one_of_several() {
    let directory = workshop();
    let log = directory.path().join("shard-2/events.jsonl");
    let events = fs::read_to_string(&log).unwrap();
    fs::write(&log, &events[..events.find("attempt_ended").unwrap()]).unwrap();
    let text = report(&directory, &["shard-1", "shard-2"]);
    assert!(
        text.contains("update.b [qemu_bios.amd64]: the run was killed while this case"),
        "{text}"
    );
}

/// For a pipeline, or a file that is replaced.
#[test_case("md", "## ❌ product failure"; "Markdown")]
#[test_case("tap", "TAP version 14\n1..2\n"; "TAP")]
#[test_case("junit", "<?xml"; "JUnit")]
#[test_case("json", "{"; "JSON")]
#[test_case("text", "fail   update.a"; "text")]
fn a_report_goes_where_it_is_wanted(format: &str, begins: &str) {
    let directory = workshop();
    let args = ["shard-1", "shard-2", "--format", format];
    let printed = report(&directory, &args);
    assert!(printed.starts_with(begins), "{printed}");
    let file = directory.path().join("out.txt");
    fs::write(&file, "old").unwrap();
    assert_eq!(report(&directory, &[&args[..], &["--out", "out.txt"]].concat()), "");
    assert_eq!(fs::read_to_string(&file).unwrap(), printed);
}

#[test]
fn junit_for_consumers_that_differ() {
    let directory = workshop();
    let junit = |more: &[&str]| {
        report(&directory, &[&["shard-1", "shard-2", "--format", "junit"], more].concat())
    };
    let shard = directory.path().join("shard-1/cells/attempt-1/m1/console.log");
    let whole = junit(&[]);
    assert!(whole.contains(&format!("[[ATTACHMENT|{}]]", shard.display())), "{whole}");
    let dir = format!("relative-to={}", directory.path().display());
    let relative = junit(&["--junit-attachments", &dir]);
    assert!(relative.contains("[[ATTACHMENT|shard-1/cells/attempt-1/m1/console.log]]"));
    assert!(!junit(&["--junit-attachments", "none"]).contains("ATTACHMENT"));
    assert!(junit(&["--junit-output", "all"]).contains("attempt 1: pass"));
    assert_eq!(junit(&["--junit-flaky", "failure"]), whole, "nothing is flaky here");
    junit(&["--junit-max-bytes", "100", "--out", "junit.xml"]);
    let read = |name| fs::read_to_string(directory.path().join(name)).unwrap();
    let (first, second) = (read("junit.xml"), read("junit-2.xml"));
    assert!(first.contains("update.a") && !first.contains("update.b"), "{first}");
    assert!(second.contains("update.b") && !second.contains("update.a"), "{second}");
}

#[test_case("report", "wheeltap report --format json"; "of the report")]
#[test_case("plan", "plan.json"; "of the plan")]
#[test_case("event", "A line of events.jsonl"; "of events")]
fn schemas_are_printed(of: &str, title: &str) {
    let directory = workshop();
    let schema: serde_json::Value =
        serde_json::from_str(&report(&directory, &["--schema", of])).unwrap();
    assert_eq!(schema["title"], title);
}

#[test_case(&["shard-1", "--format", "junit", "--junit-max-bytes", "0"], "--junit-max-bytes"; "no bytes")]
#[test_case(&["shard-1", "--format", "junit", "--junit-attachments", "relative"], "say absolute, relative-to=DIR or none"; "relative to nothing")]
#[test_case(&["shard-1", "--format", "md", "--junit-flaky", "plain"], "add --format junit, or leave them out"; "options of what isn't written")]
#[test_case(&["shard-1", "shard-2", "--format", "junit", "--junit-max-bytes", "100"], "say where they go with --out FILE"; "two files on one output")]
#[test_case(&["shard-1", "--schema", "plan"], "cannot be used with"; "a schema of a run")]
#[test_case(&["shard-1", "other"], "have different plans, with the digests"; "another plan")]
#[test_case(&["shard-1", "nonesuch"], "nonesuch is not a run directory"; "no run")]
#[test_case(&[], "<RUN>"; "nothing at all")]
#[test_case(&["shard-1", "--waivers", "bad.toml"], "bad.toml:7:1: unknown key `traker`; did you mean `tracker`?"; "broken waivers")]
#[test_case(&["shard-1", "--waivers", "nonesuch.toml"], "nonesuch.toml"; "no waivers")]
#[test_case(&["shard-1", "--baseline", "shard-2"], "--baseline is for --format html"; "a baseline for a text")]
#[test_case(&["shard-1", "--format", "html", "--baseline", "nonesuch"], "nonesuch is not a run directory"; "no baseline")]
fn what_cannot_be_reported_is_said(args: &[&str], message: &str) {
    let directory = workshop();
    let other = directory.path().join("other");
    fs::create_dir(&other).unwrap();
    plan("run-3", &["update.a"]).write(&other).unwrap();
    let mut all = vec!["report"];
    all.extend(args);
    let output = wheeltap(directory.path(), &all);
    assert!(said(&output).contains(message), "{}", said(&output));
    assert_eq!(output.status.code(), Some(2));
}

#[test_case(&["--waivers", "bad.toml"], "unknown key `traker`"; "broken waivers")]
#[test_case(&["--waivers", "nonesuch.toml"], "nonesuch.toml"; "no waivers")]
#[test_case(&["--junit-output", "all"], "say where it goes with --junit FILE"; "options of what isn't written")]
#[test_case(&["--flaky", "hide"], "report, fail"; "a policy that there isn't")]
fn a_run_refuses_them_before_anything_is_begun(args: &[&str], message: &str) {
    let directory = workshop();
    let mut all = vec!["run", "boot.release", "--image", "nonesuch.img"];
    all.extend(args);
    let output = wheeltap(directory.path(), &all);
    assert!(said(&output).contains(message), "{}", said(&output));
    assert_eq!(output.status.code(), Some(2));
    assert!(!directory.path().join("wheeltap-out").exists(), "nothing was begun");
}
