//! Retries, repetitions, budgets, and runs that go on or begin again.
//!
//! The guest is a stand-in: an OpenSSH server on loopback whose answers come from a script, so that it can be broken and mended
//! at will. What is tested is what the engine makes of that.

#![expect(clippy::unwrap_used, reason = "a test says what it expected by panicking")]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;
use sshd::Server;

mod sshd;

/// Fails if something besides sshd listens, which the script says while `broken` is there.
const LISTENERS: &str = "security.only-sshd-listens";
/// Needs nothing of the script.
const KEYS: &str = "security.keys-only";

/// Answers in place of a guest. `mend-at-2` mends it when a second attempt begins.
const ANSWERS: &str = r#"#!/bin/sh
cd "$(dirname "$0")" || exit 1
case "$SSH_ORIGINAL_COMMAND" in
*is-system-running*) echo running ;;
*journalctl*) exit 0 ;;
*"ps -eo"*) echo "  PID ARGS" ;;
*"ss -H"*)
    [ -e hang ] && exec sleep 60
    [ -e mend-at-2 ] && ls wheeltap-out/*/cells/*/*/attempt-2 >/dev/null 2>&1 && rm -f broken
    [ -e broken ] && echo 'tcp LISTEN 0 128 0.0.0.0:9999 0.0.0.0:* users:(("nc",pid=1,fd=3))'
    exit 0
    ;;
*) exec sh -c "$SSH_ORIGINAL_COMMAND" ;;
esac
"#;

struct Guest {
    directory: tempfile::TempDir,
    server: Server,
}

impl Guest {
    /// A guest with these flags set; `None` where there is no sshd.
    fn with(flags: &[&str]) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let script = directory.path().join("answers");
        fs::write(&script, ANSWERS).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let force = format!("PasswordAuthentication no\nForceCommand {}", script.display());
        let server = Server::start(directory.path(), &force)?;
        let guest = Self { directory, server };
        flags.iter().for_each(|flag| guest.set(flag));
        Some(guest)
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn set(&self, flag: &str) {
        fs::write(self.path().join(flag), "").unwrap();
    }

    fn clear(&self, flag: &str) {
        fs::remove_file(self.path().join(flag)).unwrap();
    }

    fn wheeltap(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_wheeltap"))
            .args(args)
            .current_dir(self.path())
            .env("WHEELTAP_HISTORY", self.path().join("history.sqlite"))
            .env("WHEELTAP_STATE", self.path().join("state"))
            .output()
            .unwrap()
    }

    /// Runs scenarios, and gives the exit code and what was printed.
    fn run(&self, args: &[&str]) -> (i32, String) {
        let user = Command::new("id").arg("-un").output().unwrap().stdout;
        let user = String::from_utf8(user).unwrap();
        let host = format!("{}@127.0.0.1:{}", user.trim(), self.server.port);
        let machine = ["run", "--profile", "reference", "--identity", "user", "--host", &host];
        told(&self.wheeltap(&[&machine, args].concat()))
    }

    fn latest(&self) -> Value {
        let output = self.wheeltap(&["report", "wheeltap-out/latest", "--format", "json"]);
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The verdict of a case, and of each of its attempts.
    fn verdicts(&self, scenario: &str) -> (String, Vec<String>) {
        let report = self.latest();
        let cases = report["cases"].as_array().unwrap();
        let case = cases.iter().find(|case| case["scenario"] == scenario).unwrap();
        let verdict = |of: &Value| of["verdict"].as_str().unwrap().to_owned();
        (verdict(case), case["attempts"].as_array().unwrap().iter().map(verdict).collect())
    }
}

fn told(output: &Output) -> (i32, String) {
    let text = [&*output.stdout, &*output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

fn verdicts(case: &str, attempts: &[&str]) -> (String, Vec<String>) {
    (case.to_owned(), attempts.iter().map(|&verdict| verdict.to_owned()).collect())
}

#[test]
fn what_passes_when_tried_again_is_flaky() {
    let Some(guest) = Guest::with(&["broken", "mend-at-2"]) else { return };
    let (code, text) = guest.run(&[LISTENERS, "--retries", "product=1"]);
    assert_eq!(code, 0, "{text}");
    assert_eq!(guest.verdicts(LISTENERS), verdicts("flaky", &["fail", "pass"]));
    let junit = fs::read_to_string(guest.path().join("wheeltap-out/latest/junit.xml")).unwrap();
    assert_eq!(junit.matches("<flakyFailure").count(), 1, "{junit}");
}

#[test]
fn policy_may_fail_a_run_that_was_flaky() {
    let Some(guest) = Guest::with(&["broken", "mend-at-2"]) else { return };
    fs::write(
        guest.path().join("wheeltap.toml"),
        "[profile.default]\nretries = { product = 1 }\nflaky = \"fail\"\n",
    )
    .unwrap();
    let (code, text) = guest.run(&[LISTENERS]);
    assert_eq!(code, 4, "{text}");
    let (code, text) = guest.run(&[LISTENERS, "--flaky", "report"]);
    assert_eq!(code, 0, "a flag wins over the file: {text}");
}

#[test]
fn every_attempt_that_failed_is_kept() {
    let Some(guest) = Guest::with(&["broken"]) else { return };
    let (code, text) = guest.run(&[LISTENERS, "--retries", "2"]);
    assert_eq!(code, 1, "{text}");
    assert_eq!(guest.verdicts(LISTENERS), verdicts("fail", &["fail", "fail", "fail"]));
    let attempts = format!("wheeltap-out/latest/cells/external.amd64/{LISTENERS}");
    let attempts = fs::read_dir(guest.path().join(attempts)).unwrap();
    assert_eq!(attempts.count(), 3, "each has its evidence");
}

#[test]
fn without_retries_the_image_has_one_chance() {
    let Some(guest) = Guest::with(&["broken", "mend-at-2"]) else { return };
    let (code, text) = guest.run(&[LISTENERS]);
    assert_eq!(code, 1, "{text}");
    assert_eq!(guest.verdicts(LISTENERS), verdicts("fail", &["fail"]));
}

#[test]
fn fail_fast_starts_nothing_more_and_says_why() {
    let Some(guest) = Guest::with(&["broken"]) else { return };
    let (code, text) = guest.run(&[LISTENERS, KEYS, "--fail-fast"]);
    assert_eq!(code, 1, "{text}");
    assert_eq!(guest.verdicts(KEYS), verdicts("not-run", &[]));
    assert!(
        text.contains("fail-fast: security.only-sshd-listens [external.amd64] did not"),
        "{text}"
    );
}

#[test]
fn max_fail_counts() {
    let Some(guest) = Guest::with(&["broken"]) else { return };
    let (code, text) = guest.run(&[LISTENERS, KEYS, "--max-fail", "2"]);
    assert_eq!(code, 1, "{text}");
    assert_eq!(guest.verdicts(KEYS), verdicts("pass", &["pass"]));
}

#[test]
fn repetitions_are_all_made_and_one_that_fails_is_enough() {
    let Some(guest) = Guest::with(&["broken", "mend-at-2"]) else { return };
    let (code, text) = guest.run(&[LISTENERS, "--repeat", "4"]);
    assert_eq!(code, 1, "{text}");
    assert_eq!(guest.verdicts(LISTENERS), verdicts("fail", &["fail", "pass", "pass", "pass"]));
    assert!(
        text.contains("3 of 4 attempts passed: 75.0 % (95 % confidence: 30.1 to 95.4 %)"),
        "{text}"
    );
}

#[test]
fn a_run_that_ended_early_goes_on() {
    let Some(guest) = Guest::with(&[]) else { return };
    let (code, text) = guest.run(&[LISTENERS, KEYS, "--deadline", "1ms"]);
    assert_eq!(code, 5, "{text}");
    assert!(text.contains("deadline: "), "{text}");
    let (code, text) = told(&guest.wheeltap(&["run", "--resume", "wheeltap-out/latest"]));
    assert_eq!(code, 0, "{text}");
    for scenario in [LISTENERS, KEYS] {
        assert_eq!(guest.verdicts(scenario).0, "pass", "{scenario}");
    }
    assert_eq!(
        fs::read_dir(guest.path().join("wheeltap-out")).unwrap().count(),
        2,
        "one run, and the link to it"
    );
    let (code, text) = told(&guest.wheeltap(&["run", "--resume", "wheeltap-out/latest"]));
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("has judged all"), "{text}");
}

#[test]
fn what_was_judged_is_not_judged_again() {
    let Some(guest) = Guest::with(&["broken"]) else { return };
    let (code, text) = guest.run(&[LISTENERS, KEYS, "--fail-fast"]);
    assert_eq!(code, 1, "{text}");
    guest.clear("broken");
    let (code, text) = told(&guest.wheeltap(&["run", "--resume", "wheeltap-out/latest"]));
    assert_eq!(code, 1, "{text}");
    assert_eq!(guest.verdicts(LISTENERS), verdicts("fail", &["fail"]));
    assert_eq!(guest.verdicts(KEYS), verdicts("pass", &["pass"]));
}

#[test]
fn a_run_whose_plan_would_be_another_does_not_go_on() {
    let Some(guest) = Guest::with(&[]) else { return };
    guest.run(&[LISTENERS, KEYS, "--deadline", "1ms"]);
    let run = fs::canonicalize(guest.path().join("wheeltap-out/latest")).unwrap();
    // As if one of its scenarios had another summary now.
    for file in ["plan.json", "events.jsonl"] {
        let text = fs::read_to_string(run.join(file)).unwrap();
        let digest = |text: &str| {
            let lines = text.lines().filter(|line| {
                !line.starts_with("  \"run\": ") && !line.starts_with("  \"created\": ")
            });
            let lines: String = lines.map(|line| format!("{line}\n")).collect();
            let mut sum = Command::new("sha256sum");
            let mut child = sum
                .stdin(std::process::Stdio::piped())
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            std::io::Write::write_all(&mut child.stdin.take().unwrap(), lines.as_bytes()).unwrap();
            let sum = child.wait_with_output().unwrap().stdout;
            String::from_utf8(sum).unwrap()[..64].to_owned()
        };
        let plan = fs::read_to_string(run.join("plan.json")).unwrap();
        let changed = if file == "plan.json" {
            fs::write(run.join("old-plan"), &text).unwrap();
            text.replace("nothing but sshd", "nothing at all")
        } else {
            let old = fs::read_to_string(run.join("old-plan")).unwrap();
            // Without its end, whose seal would tell.
            let open = text.trim_end().rsplit_once('\n').unwrap().0;
            open.replace(&digest(&old), &digest(&plan)) + "\n"
        };
        fs::write(run.join(file), changed).unwrap();
    }
    let (code, text) = told(&guest.wheeltap(&["run", "--resume", "wheeltap-out/latest"]));
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("plans other cases than it had planned"), "{text}");
}

#[test]
fn what_did_not_pass_is_run_again() {
    let Some(guest) = Guest::with(&["broken"]) else { return };
    let (code, text) = guest.run(&[LISTENERS, KEYS]);
    assert_eq!(code, 1, "{text}");
    guest.clear("broken");
    let (code, text) = told(&guest.wheeltap(&["rerun", "wheeltap-out/latest", "--not-run"]));
    assert_eq!(code, 5, "{text}");
    let (code, text) = told(&guest.wheeltap(&["rerun", "wheeltap-out/latest", "--failed"]));
    assert_eq!(code, 0, "{text}");
    assert_eq!(guest.latest()["cases"].as_array().unwrap().len(), 1, "only what failed");
    assert_eq!(guest.verdicts(LISTENERS), verdicts("pass", &["pass"]));
    let (code, text) = told(&guest.wheeltap(&["rerun", "wheeltap-out/latest"]));
    assert_eq!(code, 5, "{text}");
    assert!(text.contains("there is nothing to run again"), "{text}");
}

/// The command that the page gives for each failure.
#[test]
fn what_is_named_is_run_again_whatever_came_of_it() {
    let Some(guest) = Guest::with(&["broken"]) else { return };
    guest.run(&[LISTENERS, KEYS]);
    let run = fs::canonicalize(guest.path().join("wheeltap-out/latest")).unwrap();
    let page = fs::read_to_string(run.join("report.html")).unwrap();
    let command = format!("wheeltap rerun {} {LISTENERS} --cell external.", run.display());
    assert!(page.contains(&command), "{page}");
    let run = run.to_str().unwrap();
    let (code, text) = told(&guest.wheeltap(&["rerun", run, KEYS, "--cell", "external.*"]));
    assert_eq!(code, 0, "{text}");
    assert_eq!(guest.latest()["cases"].as_array().unwrap().len(), 1, "only what was named");
    assert_eq!(guest.verdicts(KEYS), verdicts("pass", &["pass"]));
    for nothing in [["rerun", run, "boot.release", "--cell=*"], ["rerun", run, KEYS, "--cell=qemu"]]
    {
        let (code, text) = told(&guest.wheeltap(&nothing));
        assert_eq!(code, 2, "{text}");
        assert!(text.contains("planned no such case"), "{text}");
    }
}

#[test]
fn parts_of_a_plan_make_the_whole() {
    let Some(guest) = Guest::with(&[]) else { return };
    let part = |n: u32| {
        let (part, out) = (format!("slice:{n}/3"), format!("part-{n}"));
        let (code, text) = guest.run(&[LISTENERS, KEYS, "--partition", &part, "--out", &out]);
        assert_eq!(code, 0, "{text}");
        format!("{out}/latest")
    };
    let [first, second, nothing] = [1, 2, 3].map(part);
    let counts = |runs: &[&str]| {
        let output = guest.wheeltap(&[&["report", "--format", "json"], runs].concat());
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let count = |verdict: &str| report["counts"][verdict].as_u64().unwrap();
        (report["outcome"].as_str().unwrap().to_owned(), count("pass"), count("not_run"))
    };
    assert_eq!(counts(&[&first, &second]), ("all-passed".to_owned(), 2, 0));
    assert_eq!(counts(&[&second, &first]), counts(&[&first, &second]));
    let (outcome, passed, missing) = counts(&[&nothing, &first]);
    assert_eq!(
        (outcome.as_str(), passed, missing),
        ("less-than-planned", 1, 1),
        "a part is missing"
    );
}

#[test]
fn what_takes_too_long_is_said_and_looked_at_before_it_ends() {
    let Some(guest) = Guest::with(&["hang"]) else { return };
    fs::write(
        guest.path().join("wheeltap.toml"),
        "[profile.default]\nslow-timeout = \"10ms\"\n\
         [[profile.default.overrides]]\nfilter = \"security.*\"\ntimeout = \"100ms\"\n",
    )
    .unwrap();
    let (code, text) = guest.run(&[LISTENERS]);
    assert_eq!(code, 1, "{text}");
    let events = fs::read_to_string(guest.path().join("wheeltap-out/latest/events.jsonl")).unwrap();
    assert!(events.contains(r#""event":"attempt_slow""#), "{events}");
    let report = guest.latest();
    let attempt = &report["cases"][0]["attempts"][0];
    assert_eq!(attempt["failure"]["kind"], "timeout", "{attempt:#}");
    let detail = attempt["failure"]["detail"].as_str().unwrap();
    assert!(detail.contains("its processes: see processes.txt"), "{detail}");
    let evidence = attempt["evidence"].as_array().unwrap();
    assert!(
        evidence.iter().any(|file| file.as_str().unwrap().ends_with("processes.txt")),
        "{evidence:?}"
    );
}
