//! The HTML report: what is in it, what never is, and how large it can get.

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use flate2::{Compression, Crc, write::ZlibEncoder};
use wheeltap_reports::html::{HtmlOptions, render};
use wheeltap_reports::{
    CaseId, Event, Failure, FailureClass, HTML_FILE, Origin, Outcome, Phase, Run, Severity,
    Verdict, write_last,
};

use crate::fixture::{BIOS, Fixture, UEFI, failure};

/// The page without style and script, a line for each part of it.
pub(crate) fn golden(run: &Run, baseline: Option<&Run>) -> String {
    let page = page(run, baseline);
    let page = without(&without(&page, "<style>", "</style>"), "<script>", "</script>");
    let page = without(&page, "default-src", "data:;");
    let mut page = page.replace(run.dir.to_str().unwrap(), "/RUN");
    for part in [
        "<section", "<article", "<details", "<figure", "<tr", "<li", "<dt", "<p", "<h1", "<h2",
        "<h3", "<rect",
    ] {
        page = page.replace(part, &format!("\n{part}"));
    }
    page
}

fn without(page: &str, from: &str, to: &str) -> String {
    let start = page.find(from).unwrap() + from.len();
    let end = start + page[start..].find(to).unwrap();
    format!("{}…{}", &page[..start], &page[end..])
}

fn page(run: &Run, baseline: Option<&Run>) -> String {
    render(run, &HtmlOptions { baseline, place: Some(&run.dir) })
}

const CASES: [(&str, &str); 14] = [
    ("boot.multi-user", BIOS),
    ("boot.multi-user", UEFI),
    ("boot.units", BIOS),
    ("boot.units", UEFI),
    ("ignition.files", BIOS),
    ("ignition.files", UEFI),
    ("storage.swap", BIOS),
    ("storage.swap", UEFI),
    ("reboot.clean", BIOS),
    ("reboot.clean", UEFI),
    ("update.apply", BIOS),
    ("update.apply", UEFI),
    ("power.off", BIOS),
    ("power.off", UEFI),
];

const PANIC: &str =
    "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)";
const DOCKER: &str = "docker.service failed: exit 1";

/// A run with a bit of everything, and evidence.
pub(crate) fn telling() -> Fixture {
    let mut run = Fixture::new(&CASES).skip("the firmware can't turn the machine off");
    run.plan.image.name = "flatcar:stable".to_owned();
    run.start();
    run.pass(CASES[0]);
    run.fail(CASES[1], failure(FailureClass::Product, Phase::Boot, "kernel-panic", PANIC));
    for case in [CASES[2], CASES[3]] {
        run.fail(case, failure(FailureClass::Product, Phase::Check, "units", DOCKER));
    }
    let ignition = "Ignition failed in stage files: /etc/foo: no such user \"webmaster\"";
    run.fail(CASES[4], failure(FailureClass::Product, Phase::Ignite, "ignition-files", ignition));
    run.pass(CASES[5]).pass(CASES[6]);
    let port = "no free port after 20 tries";
    run.fail(CASES[7], failure(FailureClass::Infra, Phase::Provision, "no-port", port));
    run.pass(CASES[8]);
    let refused = "sshd refused the connection for 120 s after the reboot";
    let flaky = failure(FailureClass::Product, Phase::Reach, "ssh", refused);
    run.attempt(CASES[9], 1, Some(flaky)).attempt(CASES[9], 2, None).end(CASES[9], Verdict::Flaky);
    run.pass(CASES[10]).pass(CASES[11]);
    run.push(Event::CaseEnded {
        case: CaseId::new(CASES[12].0, CASES[12].1),
        verdict: Verdict::NotRun,
        reason: Some("the run's budget of 90 min was spent".into()),
        seconds: 0.0,
    });
    run.push(Event::Note { text: "KVM is not usable here; TCG is about 10 times slower".into() });
    run.finish(Outcome::ProductFailure);
    with_evidence(&mut run);
    run
}

/// An earlier run, in which other things failed.
pub(crate) fn earlier() -> Fixture {
    let mut run = Fixture::new(&CASES[..13]);
    run.plan.run = "20260130-120000-1a2b".to_owned();
    run.plan.image.version = "3999.0.0".to_owned();
    run.start();
    for case in [CASES[0], CASES[1], CASES[4], CASES[5], CASES[7], CASES[8], CASES[9], CASES[10]] {
        run.pass(case);
    }
    for case in [CASES[2], CASES[6]] {
        run.fail(case, failure(FailureClass::Product, Phase::Check, "units", DOCKER));
    }
    let other = "dbus.service failed: signal 11";
    run.fail(CASES[3], failure(FailureClass::Product, Phase::Check, "units", other));
    run.finish(Outcome::ProductFailure);
    run
}

/// Gives each attempt a console, a journal, and those that failed a picture of the screen.
fn with_evidence(run: &mut Fixture) {
    let mut dirs = Vec::new();
    run.each_event(|event| {
        if let Event::AttemptEnded { evidence, failure, .. } = event {
            let dir = evidence[0].replace("console.log", "");
            if failure.is_some() {
                evidence.push(format!("{dir}screenshot.png"));
            }
            evidence.push(format!("{dir}qemu.args"));
            dirs.push((dir, failure.clone()));
        }
    });
    for (index, (dir, failure)) in dirs.into_iter().enumerate() {
        let headline = failure.as_ref().map(|failure| &*failure.headline);
        run.leave(&format!("{dir}console.log"), console(headline.unwrap_or("all is well")));
        run.leave(&format!("{dir}journal.log"), journal(index, failure.is_none()));
        run.leave(&format!("{dir}screenshot.png"), picture(720, 400));
        run.leave(&format!("{dir}qemu.args"), "qemu-system-x86_64 -nodefaults");
    }
}

/// Line 812 says why.
fn console(why: &str) -> String {
    let mut log = String::new();
    for line in 1..=840 {
        let seconds = f64::from(line) / 300.0;
        let what = match line {
            812 => why.to_owned(),
            813 => "CPU: 0 PID: 1 Comm: swapper/0 Not tainted 6.6.0-flatcar #1".to_owned(),
            _ => format!("systemd[1]: Started unit-{line}.service - \x1b[0;1;39mA unit\x1b[0m."),
        };
        let _ = write!(log, "[{seconds:>9.6}] {what}\r\n");
    }
    log
}

fn journal(index: usize, is_up: bool) -> String {
    let mut log = String::new();
    let mut say = |millis: usize, what: &str| {
        let millis = millis + 211 * index;
        let (second, millis) = (millis / 1000, millis % 1000);
        let _ = writeln!(log, "2026-01-31T12:00:{second:02}.{millis:03}000+0000 host {what}");
    };
    say(0, "kernel: Linux version 6.6.0-flatcar (gcc 13)");
    say(900 + 37 * index, "systemd[1]: systemd 255 running in system mode");
    for (stage, at) in [("fetch-offline", 1000), ("disks", 1300), ("files", 2000)] {
        say(at + 40 * index, &format!("ignition[163]: Stage: {stage}"));
        say(at + 60 * index + 220, "ignition[163]: Ignition finished successfully");
    }
    for (unit, from, to) in [
        ("systemd-networkd.service - Network Configuration", 3300, 4600),
        ("sshd-keygen.service - Generate sshd host keys", 3700, 6900),
        ("dbus.service - D-Bus System Message Bus", 3800, 4100),
        ("update-engine.service - Update Engine", 4400, 5000),
    ] {
        say(from + 61 * index, &format!("systemd[1]: Starting {unit}..."));
        say(to + 83 * index, &format!("systemd[1]: Started {unit}."));
    }
    say(7200 + 83 * index, "systemd[1]: Reached target sysinit.target - System Initialization.");
    if is_up {
        say(8800 + 90 * index, "systemd[1]: Reached target multi-user.target - Multi-User System.");
        let user = 7.2 + 0.09 * index as f64;
        say(
            9000 + 90 * index,
            &format!(
                "systemd[1]: Startup finished in 900ms (kernel) + 1.6s (initrd) + {user:.3}s (userspace) = 9s."
            ),
        );
    } else {
        say(
            8000 + 90 * index,
            "systemd[1]: Starting docker.service - Docker Application Container Engine...",
        );
        say(
            8300 + 90 * index,
            "systemd[1]: Failed to start docker.service - Docker Application Container Engine.",
        );
    }
    for line in 0..50 {
        say(
            9500 + 90 * index + line,
            &format!("sshd[{line}]: Accepted publickey for core from 10.0.2.2"),
        );
    }
    log
}

/// A PNG of this size with stripes, as lines of text look from afar.
fn picture(width: u32, height: u32) -> Vec<u8> {
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut chunk = |kind: &[u8; 4], data: &[u8]| {
        png.extend((data.len() as u32).to_be_bytes());
        let mut crc = Crc::new();
        crc.update(kind);
        crc.update(data);
        png.extend(kind.iter().chain(data));
        png.extend(crc.sum().to_be_bytes());
    };
    let size = [width.to_be_bytes(), height.to_be_bytes()].concat();
    // One bit for each pixel, grey.
    chunk(b"IHDR", &[&*size, &[1, 0, 0, 0, 0]].concat());
    let mut pixels = ZlibEncoder::new(Vec::new(), Compression::default());
    for y in 0..height {
        let line = y / 16 * 37 % 60 + 12;
        let byte = |x: u32| {
            if y % 16 < 10 && y < 280 && x < line && !(x + y / 16).is_multiple_of(7) {
                0x6d
            } else {
                0
            }
        };
        let row: Vec<u8> = std::iter::once(0).chain((0..width / 8).map(byte)).collect();
        std::io::Write::write_all(&mut pixels, &row).unwrap();
    }
    chunk(b"IDAT", &pixels.finish().unwrap());
    chunk(b"IEND", &[]);
    png
}

/// 2,000 cases in 4 cells, of which 500 fail by 40 causes, each with a megabyte of logs.
pub(crate) fn many() -> Fixture {
    let cells = [BIOS, UEFI, "qemu_uefi.arm64", "aws.amd64"];
    let names: Vec<String> = (0..500)
        .map(|index| {
            format!("{}.scenario-{index:03}", ["boot", "ignition", "update", "storage"][index % 4])
        })
        .collect();
    let cases: Vec<_> =
        names.iter().flat_map(|name| cells.iter().map(move |cell| (&**name, *cell))).collect();
    let mut run = Fixture::new(&cases);
    let mut cell = run.plan.cells[0].clone();
    cell.name = cells[2].to_owned();
    run.plan.cells.push(cell.clone());
    cell.name = cells[3].to_owned();
    run.plan.cells.push(cell);
    run.start();
    for (index, case) in cases.iter().enumerate() {
        if index % 4 == 1 {
            let why = format!(
                "{}.service failed: exit 1",
                ["docker", "sshd", "dbus", "ntpd"][index / 4 % 4]
            );
            let why = format!("{why}: {}", "abcdefghij".chars().nth(index / 16 % 10).unwrap());
            let mut cause = failure(FailureClass::Product, Phase::Check, "units", &why);
            cause.detail = "a line of the detail & <more>\n".repeat(2000);
            run.fail(*case, cause);
        } else {
            run.pass(*case);
        }
    }
    run.finish(Outcome::ProductFailure);
    // One megabyte for all, since the page can't know.
    let line = "systemd[1]: <b>Started</b> & \"quoted\" ".repeat(12);
    let log: String = (0..2000).map(|number| format!("[{number:>6}] {line}\n")).collect();
    run.leave("console.log", &log).leave("journal.log", journal(3, true) + &log);
    let root = run.dir.path().to_owned();
    run.each_event(|event| {
        if let Event::AttemptEnded { evidence, failure: Some(_), .. } = event {
            let console = root.join(&evidence[0]);
            fs::create_dir_all(console.parent().unwrap()).unwrap();
            symlink(root.join("console.log"), &console).unwrap();
            symlink(root.join("journal.log"), console.with_file_name("journal.log")).unwrap();
        }
    });
    run
}

#[test]
fn a_bit_of_everything() {
    let (run, then) = (telling(), earlier());
    let (run, then) = (run.load(), then.load());
    insta::assert_snapshot!("telling", golden(&run, Some(&then)));
}

#[test]
fn the_same_run_gives_the_same_bytes() {
    let run = telling();
    assert!(page(&run.load(), None) == page(&run.load(), None));
}

#[test]
fn it_lies_in_the_run_directory() {
    let run = telling();
    write_last(run.write().dir.path()).unwrap();
    let page = fs::read_to_string(run.dir.path().join(HTML_FILE)).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("<h1>Product failure</h1>"));
    let dir = run.load().dir;
    let command = format!("wheeltap rerun {} boot.units --cell {BIOS}", dir.display());
    assert!(page.contains(&command), "{command}");
}

/// Links need evidence that is there, and a report that lies where they lead from.
#[test]
fn evidence_is_linked_where_that_can_work() {
    let run = telling();
    let file = format!("cells/{BIOS}/boot.units/attempt-1/m0/qemu.args");
    let link = format!("href=\"./{file}\"");
    assert!(page(&run.load(), None).contains(&link));
    assert!(!render(&run.load(), &HtmlOptions::default()).contains(&link));
    fs::remove_file(run.dir.path().join(&file)).unwrap();
    assert!(!page(&run.load(), None).contains(&link));
}

/// A run from elsewhere can't bring files of this host into a report, nor hold it up.
#[test]
fn nothing_is_read_from_outside_of_the_run() {
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("console.log");
    fs::write(&secret, "never to be shown\n").unwrap();
    let case = ("boot.it", BIOS);
    let mut run = Fixture::new(&[case]);
    run.start().fail(case, failure(FailureClass::Product, Phase::Boot, "it", "it failed"));
    run.finish(Outcome::ProductFailure);
    let up = "../".repeat(12);
    run.leave("cells/linked", "");
    symlink(outside.path(), run.dir.path().join("cells/m1")).unwrap();
    let fifo = run.dir.path().join("cells/console.log");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    for path in [
        secret.to_str().unwrap().to_owned(),
        format!("{up}{}", secret.to_str().unwrap().trim_start_matches('/')),
        "cells/m1/console.log".to_owned(),
        "cells/console.log".to_owned(),
        "cells".to_owned(),
    ] {
        run.each_event(|event| {
            if let Event::AttemptEnded { evidence, .. } = event {
                *evidence = vec![path.clone(), path.replace("console", "journal")];
            }
        });
        let page = page(&run.load(), None);
        assert!(!page.contains("never to be shown") && page.contains("it failed"), "{path}");
    }
}

#[test]
fn whatever_a_guest_writes_is_text() {
    let nasty = "</script><script>alert(1)</script> <img src=x onerror=alert(2)> ]]> &amp; \" ' \u{202e}gnp \0\x1b[31mred\x1b[0m";
    let case = ("boot.<b>it</b>\"'", BIOS);
    let mut run = Fixture::new(&[case]);
    run.plan.cases[0].summary = nasty.to_owned();
    run.plan.image.name = nasty.to_owned();
    run.start();
    let dir = "cells/m0";
    let id = CaseId::new(case.0, case.1);
    run.push(Event::AttemptStarted { case: id.clone(), attempt: 1, dir: dir.into() });
    run.push(Event::Step { case: id.clone(), attempt: 1, text: nasty.into() });
    run.push(Event::MachineStarted {
        case: id.clone(),
        attempt: 1,
        machine: nasty.into(),
        origin: Origin::Fork,
        from: Some(nasty.into()),
    });
    run.push(Event::ConsoleHit {
        case: id.clone(),
        attempt: 1,
        rule: nasty.into(),
        severity: Severity::Fatal,
        text: nasty.into(),
        line: 2,
        boot: 1,
    });
    let failure = Failure {
        detail: nasty.into(),
        ..failure(FailureClass::Product, Phase::Boot, nasty, nasty)
    };
    run.push(Event::AttemptEnded {
        case: id,
        attempt: 1,
        verdict: Verdict::Fail,
        failure: Some(failure),
        seconds: 1.0,
        evidence: vec![
            format!("{dir}/console.log"),
            format!("{dir}/journal.log"),
            format!("{dir}/screenshot.png"),
        ],
    });
    run.push(Event::Note { text: nasty.into() });
    run.leave(
        "cells/m0/console.log",
        [
            b"first\n\xff\xfe ",
            nasty.as_bytes(),
            b"\nAWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n",
        ]
        .concat(),
    );
    run.leave("cells/m0/journal.log", format!("2026-01-31T12:00:00.5+0000 h kernel: Linux version {nasty}\n2026-01-31T12:00:01.5+0000 h systemd[1]: Starting {nasty}...\n"));
    run.leave("cells/m0/screenshot.png", nasty);
    let page = page(&run.load(), None);
    assert_eq!(page.matches("<script").count(), 1);
    assert!(page.contains("&lt;script&gt;alert(1)"));
    for never in
        ["<img", "onerror=alert(2)>", "<b>it", "bPxRfiCYEXAMPLEKEY", "\x1b", "\0", "\u{202e}"]
    {
        let place = page.find(never).map(|at| &page[at..]).map(|rest| rest.get(..80));
        assert!(place.is_none(), "{never:?}: {place:?}");
    }
    for part in ["[redacted]", "it is no PNG"] {
        assert!(page.contains(part), "{part}: {}", &page[page.find("<article").unwrap()..]);
    }
}

#[test]
fn two_thousand_cases_stay_small() {
    let run = many().load();
    let page = page(&run, None);
    println!("{} bytes", page.len());
    assert!(page.len() < 15_000_000, "{} bytes", page.len());
    // All evidence that there is room for, and no more.
    assert!(page.len() > 9_000_000, "{} bytes", page.len());
    assert!(page.contains("Not all evidence is in this page"));
    assert_eq!(page.matches("class=\"case\"").count(), 500);
    assert_eq!(page.matches("<article").count(), 40);
    // Each cause has its evidence before any has more.
    for cause in page.split("<article").skip(1) {
        let first = cause.split("class=\"case\"").nth(1).unwrap();
        assert!(first.contains("<pre"), "{}", &first[..200]);
    }
}

#[test]
fn many_attempts_of_one_case_stay_small() {
    let case = ("reboot.clean", BIOS);
    let mut run = Fixture::new(&[case]);
    run.plan.repeat = Some(3000);
    run.start();
    for attempt in 1..=3000 {
        let cause = failure(FailureClass::Product, Phase::Act, "no-reboot", "boot_id is the same");
        run.attempt(case, attempt, (attempt == 2500).then_some(cause));
    }
    run.end(case, Verdict::Fail).finish(Outcome::ProductFailure);
    let page = page(&run.load(), None);
    assert!(page.len() < 1_500_000, "{} bytes", page.len());
    for part in ["Attempt 2500", "and 2900 more", "boot_id is the same"] {
        assert!(page.contains(part), "{part}");
    }
}

/// A log that was torn, or whose times make no sense, still gives a page.
#[test]
fn attempts_without_a_beginning_and_times_without_sense() {
    let case = ("boot.it", BIOS);
    for seconds in [-1.0, 0.0, 1e300] {
        let mut run = Fixture::new(&[case]);
        run.start().push(Event::AttemptEnded {
            case: CaseId::new(case.0, case.1),
            attempt: 77,
            verdict: Verdict::Fail,
            failure: Some(failure(FailureClass::Product, Phase::Boot, "it", "it failed")),
            seconds,
            evidence: Vec::new(),
        });
        // Of a case that was cut off, what is known of its attempt.
        assert!(page(&run.load(), None).contains("it failed"), "{seconds}");
        run.end(case, Verdict::Fail);
        assert!(page(&run.load(), None).contains("it failed"), "{seconds}");
    }
}

#[test]
fn merged_runs_have_a_plot_each_and_commands_of_their_own() {
    let part = |number: usize| {
        let mut run = Fixture::new(&CASES[..2]);
        run.plan.run = format!("20260131-12000{number}-7f3a");
        run.partition = Some((format!("slice:{}/2", number + 1), vec![number]));
        run.start()
            .fail(CASES[number], failure(FailureClass::Product, Phase::Boot, "it", "it failed"));
        run.finish(Outcome::ProductFailure);
        run
    };
    let (one, two) = (part(0), part(1));
    let run = Run::merge(vec![one.load(), two.load()]).unwrap();
    let page = render(&run, &HtmlOptions { baseline: None, place: Some(Path::new("/")) });
    assert_eq!(page.matches("class=\"gantt\"").count(), 2);
    for (part, case) in [(&one, CASES[0]), (&two, CASES[1])] {
        let dir = part.load().dir;
        let command = format!("wheeltap rerun {} {} --cell {}", dir.display(), case.0, case.1);
        assert!(page.contains(&command), "{command}");
    }
}
