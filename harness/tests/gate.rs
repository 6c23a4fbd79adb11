//! The gate and attestations as release engineers use them.

#![expect(clippy::unwrap_used, reason = "a test says what it expected by panicking")]

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
};

use tempfile::TempDir;
use test_case::test_case;
use wheeltap_reports::{
    CaseId, Cell, EVENTS_FILE, Event, EventLog, Failure, FailureClass, Host, Image, Outcome,
    PLAN_FILE, Phase, Plan, PlannedCase, Verdict,
};

const CELL: &str = "qemu_uefi.amd64";

const POLICY: &str = "version = 1\n[[cell]]\nname = \"qemu_uefi.amd64\"\nowner = \"release team\"\n\
                      scenarios = [\"boot.a\", \"boot.b\"]\n";

const WAIVERS: &str = "[[waiver]]\nid = \"W-1\"\nscenario = \"boot.b\"\nsignature = \"broke\"\n\
    owner = \"kernel team\"\ntracker = \"https://example.org/1\"\nexpires = 2026-03-31\nreason = \"known\"\n";

/// The example of RFC 8410, section 10.3.
const KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\n\
    MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
/// The first example of RFC 8032, section 7.1.
const OTHER: &str = "-----BEGIN PUBLIC KEY-----\n\
    MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n";

fn wheeltap(directory: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wheeltap"))
        .args(args)
        .current_dir(directory)
        .env("WHEELTAP_CACHE", directory.join("cache"))
        .env("NO_COLOR", "1")
        .output()
        .unwrap()
}

/// What it said, as one line, so that a message is found however it is wrapped.
fn said(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr].concat();
    let text = String::from_utf8_lossy(&text).replace('│', " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn expect(output: &Output, code: i32, words: &[&str]) {
    let said = said(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for word in words {
        assert!(said.contains(word), "no `{word}` in: {said}");
    }
}

/// A run in which `boot.a` passes, and `boot.b` fails if there is a headline. It began today.
fn run(dir: &Path, failure: Option<&str>) {
    fs::create_dir(dir).unwrap();
    let planned = |scenario: &str| PlannedCase {
        id: CaseId::new(scenario, CELL),
        summary: String::new(),
        claims: Vec::new(),
        tags: Vec::new(),
        faults: Vec::new(),
        skip: None,
    };
    let plan = Plan {
        version: wheeltap_reports::FORMAT_VERSION,
        // The one that fails counts as the later, also if both begin in one millisecond.
        run: if failure.is_none() { "20260131-120000-7" } else { "20260131-120001-7" }.into(),
        created: jiff::Timestamp::now(),
        image: Image {
            name: "disk.img".into(),
            // Of the file that says `image`.
            digest: "6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d".into(),
            version: "4081.2.0".into(),
            profile: "flatcar".into(),
            ..Image::default()
        },
        seed: None,
        repeat: None,
        cells: vec![Cell {
            name: CELL.into(),
            platform: "qemu".into(),
            arch: "amd64".into(),
            firmware: Some("uefi".into()),
            variant: None,
        }],
        cases: vec![planned("boot.a"), planned("boot.b")],
    };
    plan.write(dir).unwrap();
    let log = EventLog::create(dir).unwrap();
    let add = |event| log.append(event).unwrap();
    add(Event::RunStarted {
        run: plan.run.clone(),
        wheeltap: "0.1.0".into(),
        command: vec!["wheeltap".into(), "run".into()],
        host: Host {
            name: "builder".into(),
            os: "Debian".into(),
            arch: "amd64".into(),
            cpus: 2,
            memory_mib: 4000,
            accelerator: "kvm".into(),
        },
        image: plan.image.clone(),
        plan: plan.digest(),
        partition: None,
        selected: None,
    });
    for (scenario, headline) in [("boot.a", None), ("boot.b", failure)] {
        let case = || CaseId::new(scenario, CELL);
        let failure = headline.map(|headline| Failure {
            phase: Phase::Check,
            class: FailureClass::Product,
            kind: "check".into(),
            headline: headline.to_owned(),
            detail: String::new(),
        });
        let verdict = failure.as_ref().map_or(Verdict::Pass, |it| it.class.verdict());
        let evidence = Vec::new();
        add(Event::AttemptStarted { case: case(), attempt: 1, dir: format!("cells/{scenario}") });
        add(Event::AttemptEnded {
            case: case(),
            attempt: 1,
            verdict,
            failure,
            seconds: 1.0,
            evidence,
        });
        add(Event::CaseEnded { case: case(), verdict, reason: None, seconds: 1.0 });
    }
    add(Event::RunEnded { outcome: Outcome::AllPassed });
}

/// A directory with a policy, waivers, keys, an image, and the runs `good` and `bad`.
fn bench() -> TempDir {
    let dir = TempDir::new().unwrap();
    for (name, text) in [
        ("gate.toml", POLICY),
        ("waivers.toml", WAIVERS),
        ("key", KEY),
        ("key.pub", PUBLIC),
        ("other.pub", OTHER),
        ("disk.img", "image"),
    ] {
        fs::write(dir.path().join(name), text).unwrap();
    }
    fs::set_permissions(dir.path().join("key"), Permissions::from_mode(0o600)).unwrap();
    run(&dir.path().join("good"), None);
    run(&dir.path().join("bad"), Some("the disk broke"));
    dir
}

fn gate(dir: &TempDir, run: &str, more: &[&str]) -> Output {
    let args = ["gate", "--policy", "gate.toml", "--results", run, "--out", "gate"];
    wheeltap(dir.path(), &[&args[..], more].concat())
}

#[test]
fn go_and_no_go() {
    let dir = bench();
    expect(&gate(&dir, "good", &[]), 0, &["GO", "see gate/gate.html"]);
    let names = ["gate.json", "gate.md", "gate.html", "SHA256SUMS"];
    assert!(names.iter().all(|name| dir.path().join("gate").join(name).is_file()));
    assert!(!dir.path().join("gate/gate.intoto.jsonl").exists());

    let words = ["NO-GO: 1 blocking", "boot.b [qemu_uefi.amd64]: fail: the disk broke"];
    expect(&gate(&dir, "bad", &[]), 20, &words);
    // By a day on which the waiver holds, the run has not begun yet.
    let words = ["INCOMPLETE", "after the day of the decision", "accepted by W-1"];
    expect(&gate(&dir, "bad", &["--waivers", "waivers.toml", "--as-of", "2026-01-01"]), 21, &words);
    let long = WAIVERS.replace("2026", "9999");
    fs::write(dir.path().join("waivers.toml"), long).unwrap();
    let output = gate(&dir, "bad", &["--waivers", "waivers.toml"]);
    expect(&output, 0, &["GO WITH WAIVERS: 1 accepted", "accepted by W-1 until 9999-03-31"]);
    // Both have the same plan, so they are one run: the case failed once, and passed once.
    let output = gate(&dir, "good", &["--results", "bad", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), json["verdict"].as_str()), (Some(20), Some("no-go")));
}

#[test]
fn an_expired_waiver_covers_nothing() {
    let dir = bench();
    fs::write(dir.path().join("waivers.toml"), WAIVERS.replace("2026", "2020")).unwrap();
    let words = ["NO-GO", "boot.b [qemu_uefi.amd64]: fail: the disk broke"];
    expect(&gate(&dir, "bad", &["--waivers", "waivers.toml"]), 20, &words);
    let note = fs::read_to_string(dir.path().join("gate/gate.md")).unwrap();
    assert!(note.contains("waiver W-1 expired on 2020-03-31"), "{note}");
}

#[test_case("events.jsonl", |text| text[..text.len() / 2].to_owned(), "truncated"; "a truncated log")]
#[test_case("events.jsonl", |text| text.replacen("boot.a", "boot.z", 1), "events.jsonl"; "a changed log")]
#[test_case("events.jsonl", |_| String::new(), "events.jsonl just stops"; "an empty log")]
#[test_case("plan.json", |text| text.replacen("\"version\": 1", "\"version\": 9", 1), "plan.json has format version 9"; "a plan of tomorrow")]
#[test_case("plan.json", |text| text.replace("boot.b", "boot.c"), "is not the plan that this run began with"; "another plan")]
#[test_case("plan.json", |_| "{".to_owned(), "plan.json is damaged"; "a damaged plan")]
fn results_that_cannot_be_trusted_are_named(file: &str, change: fn(&str) -> String, words: &str) {
    let dir = bench();
    let path = dir.path().join("good").join(file);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, change(&text)).unwrap();
    expect(&gate(&dir, "good", &[]), 21, &["INCOMPLETE", words]);
}

#[test]
fn a_run_that_is_not_there_or_goes_on_is_named() {
    let dir = bench();
    expect(&gate(&dir, "nowhere", &[]), 21, &["nowhere is not a run directory"]);
    // Whoever writes a log has it locked.
    let log = EventLog::resume(&dir.path().join("good")).unwrap();
    log.append(Event::RunResumed { wheeltap: "0.1.0".into(), command: Vec::new() }).unwrap();
    expect(&gate(&dir, "good", &[]), 21, &["this run still goes on"]);
}

#[test]
fn a_bad_policy_decides_nothing() {
    let dir = bench();
    let policy = dir.path().join("gate.toml");
    fs::write(&policy, POLICY.replace("owner", "ownr")).unwrap();
    let words = ["gate.toml:4:1: unknown key `ownr`; did you mean `owner`?"];
    expect(&gate(&dir, "good", &[]), 2, &words);
    fs::remove_file(&policy).unwrap();
    expect(&gate(&dir, "good", &[]), 2, &["the policy gate.toml can't be read"]);
    fs::write(&policy, POLICY).unwrap();
    fs::write(dir.path().join("waivers.toml"), "[[waiver]]\n").unwrap();
    expect(&gate(&dir, "good", &["--waivers", "waivers.toml"]), 2, &["this waiver lacks"]);
    expect(&gate(&dir, "good", &["--waivers", "nowhere.toml"]), 2, &["cannot read nowhere.toml"]);
    assert!(!dir.path().join("gate").exists(), "nothing was decided, so nothing is left");
    expect(&wheeltap(dir.path(), &["gate", "--policy", "gate.toml"]), 2, &["--results"]);
}

#[test]
fn the_documented_policy_can_be_printed_and_used() {
    let dir = bench();
    let printed = wheeltap(dir.path(), &["gate", "--print-policy"]);
    expect(&printed, 0, &["[[update-path]]"]);
    fs::write(dir.path().join("gate.toml"), &printed.stdout).unwrap();
    expect(&gate(&dir, "good", &[]), 21, &["the policy requires a baseline"]);
}

/// What `wheeltap image diff` writes is what the gate reads. `tests/diff/` has two small releases.
#[test]
fn a_comparison_of_images_blocks_and_can_be_accepted() {
    let dir = bench();
    let releases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diff");
    let compare = |old: &str, code: i32| {
        let [old, new] = [old, "old"].map(|name| releases.join(name).display().to_string());
        let args = ["image", "diff", &old, &new, "--format", "json", "--out", "diff.json"];
        expect(&wheeltap(dir.path(), &args), code, &[]);
    };
    let more = "[image-diff]\nrequired = true\nrules = [\"no-downgrade\"]\n";
    fs::write(dir.path().join("gate.toml"), [POLICY, more].concat()).unwrap();
    expect(&gate(&dir, "good", &[]), 21, &["the policy requires a comparison of images"]);
    let with = ["--image-diff", "diff.json"];
    compare("old", 0);
    expect(&gate(&dir, "good", &with), 0, &["GO"]);
    // The way back: packages get older.
    compare("new", 1);
    expect(&gate(&dir, "good", &with), 20, &["blocks: no-downgrade:"]);

    let json = fs::read(dir.path().join("gate/gate.json")).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let blocking =
        json["findings"].as_array().unwrap().iter().filter(|it| it["effect"] == "blocks");
    let waivers: String = blocking
        .zip(1..)
        .map(|(finding, number)| {
            assert_eq!(finding["rule"], "image-diff.limit");
            format!(
                "[[waiver]]\nid = \"L-{number}\"\nlimit = {}\nowner = \"QA\"\nexpires = 9999-12-31\n\
                 tracker = \"https://example.org/1\"\nreason = \"rolled back\"\n",
                finding["id"]
            )
        })
        .collect();
    fs::write(dir.path().join("waivers.toml"), &waivers).unwrap();
    let more = [&with[..], &["--waivers", "waivers.toml"]].concat();
    expect(&gate(&dir, "good", &more), 0, &["GO WITH WAIVERS", "accepted by L-1"]);
    let all = fs::read_to_string(dir.path().join("diff.json")).unwrap();
    fs::write(dir.path().join("diff.json"), &all[..all.len() / 2]).unwrap();
    expect(&gate(&dir, "good", &more), 21, &["diff.json is damaged"]);
}

#[test]
fn what_else_is_in_the_directory_stays() {
    let dir = bench();
    fs::create_dir(dir.path().join("gate")).unwrap();
    fs::write(dir.path().join("gate/mine.txt"), "mine").unwrap();
    expect(&gate(&dir, "good", &[]), 2, &["gate/mine.txt is in the way"]);
    assert_eq!(fs::read_dir(dir.path().join("gate")).unwrap().count(), 1);
}

#[test]
fn the_same_inputs_have_the_same_bytes() {
    let dir = bench();
    let more = ["--key", "key", "--as-of", "2999-01-01"];
    let read = |name: &str| fs::read(dir.path().join("gate").join(name)).unwrap();
    let all = || {
        expect(&gate(&dir, "good", &more), 0, &[]);
        ["gate.json", "gate.md", "gate.html", "SHA256SUMS", "gate.intoto.jsonl"].map(read)
    };
    assert_eq!(all(), all());
}

#[test]
fn a_decision_can_be_explained() {
    let dir = bench();
    expect(&gate(&dir, "bad", &[]), 20, &[]);
    let explain = |id: &str| wheeltap(dir.path(), &["gate", "explain", id, "--gate", "gate"]);
    let words = ["blocks: boot.b [qemu_uefi.amd64]", "rule cell.verdict", "is NO-GO"];
    expect(&explain("qemu_uefi.amd64/boot.b"), 0, &words);
    expect(&explain("boot.a"), 0, &["fine: boot.a [qemu_uefi.amd64] pass"]);
    expect(&explain("boot.b [qemu_uefi.amd46]"), 2, &["did you mean `boot.b [qemu_uefi.amd64]`?"]);
    fs::write(dir.path().join("gate/gate.json"), "{\"version\": 9}").unwrap();
    expect(&explain("boot.a"), 2, &["has version 9"]);
    fs::remove_file(dir.path().join("gate/gate.json")).unwrap();
    expect(&explain("boot.a"), 2, &["gate.json can't be read"]);
}

#[test]
fn a_decision_is_attested_and_verified() {
    let dir = bench();
    expect(&gate(&dir, "good", &["--key", "key"]), 0, &[]);
    let file = "gate/gate.intoto.jsonl";
    let verify = |file: &str, more: &[&str]| {
        wheeltap(dir.path(), &[&["verify-attestation", file], more].concat())
    };
    let key = ["--key", "key.pub"];
    let with = |more: &[&'static str]| [&key[..], more].concat();
    let words = ["verified: PASSED", "disk.img 4081.2.0 sha256:6105", "gate.json verdict: GO"];
    expect(&verify(file, &with(&["--subject", "disk.img", "--result", "passed"])), 0, &words);
    expect(&verify(file, &["--key", "other.pub"]), 1, &["hasn't signed it"]);
    expect(&verify(file, &with(&["--key", "other.pub"])), 1, &["hasn't signed it"]);
    expect(&verify(file, &with(&["--subject", "gate.toml"])), 1, &["it isn't about gate.toml"]);
    expect(&verify(file, &["--key", "key"]), 2, &["is a private key; give the public one"]);
    expect(&verify(file, &with(&["--subject", "nowhere"])), 2, &["nowhere can't be read"]);
    expect(&verify("gate.toml", &key), 1, &["it is no DSSE envelope"]);
    expect(&verify("nowhere", &key), 2, &["nowhere can't be read"]);

    let text = fs::read_to_string(dir.path().join(file)).unwrap();
    fs::write(dir.path().join("altered"), text.replacen("eyJ", "eyK", 1)).unwrap();
    expect(&verify("altered", &key), 1, &["was altered after it was signed"]);

    expect(&gate(&dir, "bad", &["--key", "key"]), 20, &[]);
    expect(&verify(file, &key), 0, &["verified: FAILED", "verdict: NO-GO"]);
    expect(&verify(file, &with(&["--result", "warned"])), 1, &["the result is FAILED"]);
}

#[test]
fn a_key_that_others_can_read_signs_nothing() {
    let dir = bench();
    fs::set_permissions(dir.path().join("key"), Permissions::from_mode(0o644)).unwrap();
    expect(&gate(&dir, "good", &["--key", "key"]), 2, &["chmod 600 key"]);
    assert!(!dir.path().join("gate").exists());
}

#[test]
fn a_run_is_attested() {
    let dir = bench();
    let report = |more: &[&str]| {
        wheeltap(dir.path(), &[&["report", "good", "--format", "in-toto"], more].concat())
    };
    let signed = report(&["--key", "key"]);
    expect(&signed, 0, &["payloadType"]);
    fs::write(dir.path().join("run.intoto.jsonl"), &signed.stdout).unwrap();
    let verify = |file: &str| {
        wheeltap(
            dir.path(),
            &["verify-attestation", file, "--key", "key.pub", "--subject", "disk.img"],
        )
    };
    expect(&verify("run.intoto.jsonl"), 0, &["verified: PASSED"]);
    let plain = report(&[]);
    expect(&plain, 0, &["\"passedTests\":[\"qemu_uefi.amd64/boot.a\",\"qemu_uefi.amd64/boot.b\"]"]);
    fs::write(dir.path().join("plain"), &plain.stdout).unwrap();
    expect(&verify("plain"), 1, &["it is a statement that nobody signed"]);
    let wrong = wheeltap(dir.path(), &["report", "good", "--key", "key"]);
    expect(&wrong, 2, &["only an attestation can be signed", "--format in-toto"]);
    assert_eq!(
        fs::read_dir(dir.path().join("good")).unwrap().count(),
        2,
        "{PLAN_FILE}, {EVENTS_FILE}"
    );
}
