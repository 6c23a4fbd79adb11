//! The screen, on a real pseudo-terminal and without one. A terminal emulator says what a person sees at the end.
//!
//! Nothing boots: machines can't be made, because there is no place for their sockets, or they don't answer.

#![expect(clippy::unwrap_used, reason = "a test says what it expected by panicking")]

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    os::fd::OwnedFd,
    path::Path,
    process::{Command, Output, Stdio},
};

use rustix::{
    fs::{Mode, OFlags},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize},
};
use test_case::test_case;

/// So many rows that nothing scrolls out of sight.
const ROWS: u16 = 200;

/// A shell's command line for a run in which no machine can be made: what should be a directory is a file.
const BROKEN: &str = "TMPDIR=disk.img wheeltap run boot.release power.off --jobs 1 --accel tcg \
                      --image disk.img --profile reference";

/// A run that waits for a machine on a port where nobody listens.
const WAITING: &str =
    "wheeltap run security.keys-only --profile reference --identity key --host core@127.0.0.1:1";

/// A directory with a disk that no machine can boot, and a key that nobody knows.
fn workshop() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let mut disk = vec![0; 1 << 20];
    disk[510..512].copy_from_slice(&[0x55, 0xAA]);
    fs::write(directory.path().join("disk.img"), &disk).unwrap();
    // One attempt each, so that there is less to show.
    fs::write(directory.path().join("wheeltap.toml"), "[profile.default]\nretries = 0\n").unwrap();
    fs::write(directory.path().join("key"), include_str!("../../scenarios/keys/stranger.key.pem"))
        .unwrap();
    directory
}

/// A shell that knows `wheeltap`, in an environment without opinions about colours.
fn shell(program: &[&str], line: &str, directory: &Path) -> Command {
    let line = format!("wheeltap() {{ '{}' \"$@\"; }}\n{line}", env!("CARGO_BIN_EXE_wheeltap"));
    let mut command = Command::new(program[0]);
    command
        .args(&program[1..])
        .args(["bash", "-c", &line])
        .current_dir(directory)
        .env("TERM", "xterm")
        .env("WHEELTAP_STATE", directory.join("state"))
        .env_remove("NO_COLOR")
        .env_remove("CLICOLOR_FORCE")
        .env_remove("WHEELTAP_LOG");
    command
}

/// A command line without a terminal.
fn piped(line: &str, directory: &Path) -> Output {
    shell(&["env"], line, directory).stdin(Stdio::null()).output().unwrap()
}

/// What is on a terminal when the program has ended.
struct Seen {
    /// Everything that was written.
    bytes: String,
    /// What a person sees, with wrapped lines joined.
    text: String,
    code: Option<i32>,
}

/// A command line on a terminal of its own. Once it has written `typed.0`, `typed.1` is typed.
fn on_a_terminal(
    line: &str,
    directory: &Path,
    columns: u16,
    mut typed: Option<(&str, &str)>,
) -> Seen {
    let (mut master, slave) = terminal(columns);
    let stdio = || Stdio::from(slave.try_clone().unwrap());
    // In a session of its own, so that the terminal is its controlling one, and Ctrl-C a signal.
    let mut child = shell(&["setsid", "--ctty"], line, directory)
        .stdin(stdio())
        .stdout(stdio())
        .stderr(stdio())
        .spawn()
        .unwrap();
    drop(slave);

    let mut emulator = vt100::Parser::new(ROWS, columns, 0);
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    // The last program that goes takes the terminal with it, which is an error here (EIO).
    while let Ok(count @ 1..) = master.read(&mut buffer) {
        bytes.extend_from_slice(&buffer[..count]);
        emulator.process(&buffer[..count]);
        if let Some((_, keys)) =
            typed.take_if(|(cue, _)| String::from_utf8_lossy(&bytes).contains(*cue))
        {
            master.write_all(keys.as_bytes()).unwrap();
        }
    }
    assert!(typed.is_none(), "{typed:?} did not come: {}", String::from_utf8_lossy(&bytes));
    let modes = tcgetattr(&master).unwrap().local_modes;
    assert!(modes.contains(LocalModes::ECHO | LocalModes::ICANON), "the terminal is as it was");
    assert_eq!(
        emulator.screen().cursor_position().1,
        0,
        "the cursor is at the beginning of a line"
    );
    assert!(!emulator.screen().hide_cursor());
    Seen {
        bytes: String::from_utf8(bytes).unwrap(),
        text: emulator.screen().contents(),
        code: child.wait().unwrap().code(),
    }
}

/// Both ends of a pseudo-terminal.
fn terminal(columns: u16) -> (File, OwnedFd) {
    // Not inherited: who holds a terminal's other end is not told when it is closed.
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let size = Winsize { ws_row: ROWS, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&master, size).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let slave = rustix::fs::open(&*name, flags, Mode::empty()).unwrap();
    (master.into(), slave)
}

/// The text without what differs from run to run: places, times, random names.
fn without_chance(text: &str, directory: &Path) -> String {
    let run = fs::canonicalize(directory.join("wheeltap-out/latest")).unwrap();
    let text = text.replace(&*run.to_string_lossy(), "RUN");
    let text: String = text.chars().map(|c| if c.is_ascii_digit() { '#' } else { c }).collect();
    let lines = text.lines().map(|line| {
        let reason = line.split_once("a directory in ").zip(line.split_once("; set TMPDIR"));
        match reason {
            Some(((before, _), (_, after))) => {
                // The reason names a place, and a signature knows it.
                let after = after.split(" [").next().unwrap();
                format!("{before}a directory: REASON; set TMPDIR{after}")
            }
            None => line.trim_end().to_owned(),
        }
    });
    lines.collect::<Vec<_>>().join("\n").replace("##", "#").replace("##", "#")
}

#[test_case(40; "narrow")]
#[test_case(80; "usual")]
#[test_case(200; "wide")]
fn what_is_drawn_over_leaves_nothing(columns: u16) {
    let directory = workshop();
    let seen = on_a_terminal(BROKEN, directory.path(), columns, None);
    insta::assert_snapshot!("failures", without_chance(&seen.text, directory.path()));
    assert!(seen.bytes.contains("0/2 done"), "it was drawn at all: {}", seen.bytes);
    assert_eq!(seen.code, Some(3));
}

#[test_case(40; "narrow")]
#[test_case(200; "wide")]
fn ctrl_c_and_other_keys_leave_nothing(columns: u16) {
    let directory = workshop();
    let typed = Some(("    boot [", "\r\rq\r\x03"));
    let seen = on_a_terminal(WAITING, directory.path(), columns, typed);
    insta::assert_snapshot!("interrupted", without_chance(&seen.text, directory.path()));
    assert_eq!(seen.code, Some(130));
}

#[test]
fn the_log_is_not_garbled_nor_garbles() {
    let directory = workshop();
    // A report that can't be replaced makes the log say so. The window's title tells when that is prepared, unseen.
    let line = format!(
        "(until mkdir wheeltap-out/latest/junit.xml; do sleep 0.1; done 2>/dev/null; \
         printf '\\033]0;prepared\\007') & {WAITING}"
    );
    let seen = on_a_terminal(&line, directory.path(), 200, Some(("prepared", "\x03")));
    let lines: Vec<&str> = seen.text.lines().collect();
    assert!(lines[0].starts_with("SIGINT: taking the machines down"), "{}", seen.text);
    let log =
        lines.iter().filter(|line| line.contains(" WARN wheeltap::") && line.contains("junit.xml"));
    assert_eq!(log.count(), 1, "{}", seen.text);
    assert!(!seen.text.contains(" done in "), "{}", seen.text);
}

#[test]
fn verbose_says_phases_and_steps() {
    let directory = workshop();
    let seen = on_a_terminal(&format!("{BROKEN} -v"), directory.path(), 200, None);
    let phases = seen.text.lines().filter(|line| line.starts_with("provision ["));
    assert_eq!(phases.count(), 2, "{}", seen.text);
    assert!(!seen.text.contains(" done in "), "{}", seen.text);
}

#[test]
fn without_a_terminal_each_case_is_a_line() {
    let directory = workshop();
    let output = piped(BROKEN, directory.path());
    let stdout = String::from_utf8(output.stdout).unwrap();
    // The same as on a terminal, where nothing is left of what was drawn over.
    insta::assert_snapshot!("failures", without_chance(&stdout, directory.path()));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert!(!stdout.contains('\x1b'));
}

#[test]
fn quiet_says_what_failed_and_how_it_ended() {
    let directory = workshop();
    let line = format!("{BROKEN} -q");
    let output = piped(&line, directory.path());
    let stdout = String::from_utf8(output.stdout).unwrap();
    insta::assert_snapshot!("quiet", without_chance(&stdout, directory.path()));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");

    let directory = workshop();
    let seen = on_a_terminal(&line, directory.path(), 200, None);
    insta::assert_snapshot!("quiet", without_chance(&seen.text, directory.path()));
    assert!(!seen.bytes.contains("0/2 done"), "{}", seen.bytes);
}

#[test]
fn quiet_and_verbose_exclude_each_other() {
    let directory = workshop();
    for line in ["wheeltap run nonesuch -q -v", "wheeltap -v run nonesuch -q"] {
        let output = piped(line, directory.path());
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains("--quiet and --verbose exclude each other"), "{line}: {stderr}");
        assert_eq!(output.status.code(), Some(2));
    }
}

#[test]
fn json_is_the_event_log() {
    let directory = workshop();
    let output = piped(&format!("{BROKEN} --format json"), directory.path());
    let log = directory.path().join("wheeltap-out/latest/events.jsonl");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), fs::read_to_string(log).unwrap());
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn who_watches_while_a_program_reads_json_sees_the_same() {
    let directory = workshop();
    let line = format!("{BROKEN} --format json > json");
    let seen = on_a_terminal(&line, directory.path(), 200, None);
    insta::assert_snapshot!("failures", without_chance(&seen.text, directory.path()));
    let log = directory.path().join("wheeltap-out/latest/events.jsonl");
    let json = fs::read_to_string(directory.path().join("json")).unwrap();
    assert_eq!(json, fs::read_to_string(log).unwrap());
}

#[test]
fn a_reader_of_json_that_does_not_read_holds_up_nothing() {
    let directory = workshop();
    let line = BROKEN.replace("boot.release power.off", "'boot.*' 'reboot.*' 'ignition.*'");
    let (mut reader, writer) = std::io::pipe().unwrap();
    // As small as can be, and less than what is to be written.
    let room = rustix::pipe::fcntl_setpipe_size(&writer, 4096).unwrap();
    let mut child = shell(&["env"], &format!("{line} --format json"), directory.path())
        .stdin(Stdio::null())
        .stdout(writer)
        .spawn()
        .unwrap();
    let log = || fs::read_to_string(directory.path().join("wheeltap-out/latest/events.jsonl"));
    while !log().is_ok_and(|log| log.contains("\"run_ended\"")) {
        assert_eq!(child.try_wait().unwrap(), None, "it ended with unread events");
        std::thread::yield_now();
    }
    assert!(log().unwrap().len() > room);
    let mut json = String::new();
    reader.read_to_string(&mut json).unwrap();
    assert_eq!(json, log().unwrap());
    assert_eq!(child.wait().unwrap().code(), Some(3));
}

#[test]
fn a_reader_of_json_that_has_seen_enough_is_no_panic() {
    let directory = workshop();
    let line = format!("{BROKEN} --format json | head -c 1; echo \" ${{PIPESTATUS[0]}}\"");
    let output = piped(&line, directory.path());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "{ 3\n");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[test]
fn colours_are_for_terminals_and_for_who_wants_them() {
    const COLOUR: &str = "\x1b[1;35m   INFRA\x1b[0m";
    let directory = workshop();
    let directory = directory.path();
    assert!(on_a_terminal(BROKEN, directory, 80, None).bytes.contains(COLOUR));
    let plain = on_a_terminal(&format!("export NO_COLOR=1; {BROKEN}"), directory, 80, None).bytes;
    assert!(plain.contains("   INFRA [") && !plain.contains("\x1b[1;"), "{plain}");
    let forced = piped(&format!("export CLICOLOR_FORCE=1; {BROKEN}"), directory);
    assert!(String::from_utf8(forced.stdout).unwrap().contains(COLOUR));
}

#[test]
fn a_terminal_that_can_only_print_gets_lines() {
    let directory = workshop();
    let seen = on_a_terminal(&format!("export TERM=dumb; {BROKEN}"), directory.path(), 80, None);
    insta::assert_snapshot!("failures", without_chance(&seen.text, directory.path()));
    assert!(!seen.bytes.contains("0/2 done") && !seen.bytes.contains("\x1b[1;"), "{}", seen.bytes);
}
