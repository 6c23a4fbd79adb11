//! `wheeltap transpile` as its users meet it.

#![expect(clippy::unwrap_used, reason = "a test says what it expected by panicking")]

use std::{
    fmt::Write as _,
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Output, Stdio},
};

use test_case::test_case;

/// With the config on standard input.
fn transpile(directory: &Path, args: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_wheeltap"))
        .arg("transpile")
        .args(args)
        .current_dir(directory)
        .env("NO_COLOR", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Who doesn't read it has a file.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn workshop() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| fs::write(directory.path().join(name), content).unwrap();
    fs::create_dir(directory.path().join("files")).unwrap();
    file("files/motd", "hello\n");
    file(
        "good.bu",
        "variant: flatcar\nversion: 1.1.0\nstorage:\n  files:\n    - path: /etc/motd\n      contents: {local: motd}\n",
    );
    file("odd.bu", "variant: flatcar\nversion: 1.1.0\nstorage:\n  file: []\n");
    file(
        "bad.bu",
        "variant: flatcar\nversion: 1.1.0\nstorage:\n  files:\n    - path: etc\n      mode: 644\n",
    );
    file("empty.bu", "");
    directory
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_config_becomes_one_line() {
    let directory = workshop();
    let output = transpile(directory.path(), &["--strict", "--files-dir", "files", "good.bu"], b"");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stderr), "");
    assert_eq!(
        text(&output.stdout),
        "{\"ignition\":{\"version\":\"3.4.0\"},\"storage\":{\"files\":[{\"path\":\"/etc/motd\",\
         \"contents\":{\"compression\":\"\",\"source\":\"data:,hello%0A\"}}]}}\n"
    );
}

#[test]
fn it_is_read_from_standard_input_and_written_for_people() {
    let directory = workshop();
    let output = transpile(directory.path(), &["-p", "-"], b"variant: fcos\nversion: 1.6.0\n");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stdout), "{\n  \"ignition\": {\n    \"version\": \"3.5.0\"\n  }\n}\n");
}

#[test]
fn warnings_stop_only_the_strict() {
    let directory = workshop();
    let lax = transpile(directory.path(), &["odd.bu"], b"");
    assert_eq!(lax.status.code(), Some(0));
    assert_eq!(text(&lax.stdout), "{\"ignition\":{\"version\":\"3.4.0\"}}\n");
    let strict = transpile(directory.path(), &["-s", "odd.bu"], b"");
    assert_eq!(strict.status.code(), Some(2));
    assert_eq!(text(&strict.stdout), "");
    let warning = "warning: unused key file\n  --> odd.bu:4:3 ($.storage.file)\n   |\n 4 |   file: []\n   |   ^\n";
    assert_eq!(text(&lax.stderr), warning);
    assert_eq!(
        text(&strict.stderr),
        format!("{warning}odd.bu: the config has warnings, and strictly that is too many\n")
    );
}

#[test]
fn errors_are_told_for_programs_too() {
    let directory = workshop();
    let output = transpile(directory.path(), &["--format", "json", "bad.bu"], b"");
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(text(&output.stdout), "");
    let told: Vec<serde_json::Value> =
        text(&output.stderr).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let places: Vec<_> = told
        .iter()
        .map(|told| {
            (
                told["severity"].as_str().unwrap(),
                told["path"].as_str().unwrap(),
                told["line"].as_u64().unwrap(),
                told["column"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        places,
        [
            ("warning", "$.storage.files.0.mode", 6, 13),
            ("error", "$.storage.files.0.path", 5, 13),
            ("warning", "$.storage.files.0.mode", 6, 13),
        ]
    );
}

#[test_case(&["none.bu"], b"", "none.bu can't be read"; "no such file")]
#[test_case(&["."], b"", ". can't be read: Is a directory"; "a directory")]
#[test_case(&["empty.bu"], b"", "the variant is missing"; "an empty file")]
#[test_case(&["-"], b"\x00\x01", "control characters are not allowed"; "control characters")]
#[test_case(&["-"], b"\x7fELF\xff", "is not UTF-8 from here on"; "a binary")]
#[test_case(&["-"], b"variant: r4e\nversion: 1.1.0\n", "variant r4e is not known; there are fcos and flatcar"; "another variant")]
#[test_case(&["-"], b"variant: fcos\nversion: 9.9.9\n", "fcos 9.9.9 is not known; there are 1.0.0"; "another version")]
#[test_case(&["good.bu"], b"", "specified with -d/--files-dir"; "files from nowhere")]
#[test_case(&["--files-dir", "none", "good.bu"], b"", "none is not a directory"; "files from a directory that isn't there")]
#[test_case(&["--files-dir", "good.bu", "good.bu"], b"", "good.bu is not a directory"; "files from a file")]
#[test_case(&[], b"", "required arguments were not provided"; "nothing")]
fn bad_input_gets_a_sentence_and_code_2(args: &[&str], input: &[u8], sentence: &str) {
    let directory = workshop();
    let output = transpile(directory.path(), args, input);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert_eq!(text(&output.stdout), "");
    assert!(text(&output.stderr).contains(sentence), "{}", text(&output.stderr));
    assert!(!text(&output.stderr).contains("panicked"));
}

/// Nine times ten aliases of each other, and more text than anyone writes.
#[test]
fn what_would_take_all_memory_is_refused() {
    let directory = workshop();
    let mut bomb = "variant: flatcar\nversion: 1.1.0\nl0: &l0 [a]\n".to_owned();
    for level in 1..=9 {
        let aliases = vec![format!("*l{}", level - 1); 10].join(", ");
        writeln!(bomb, "l{level}: &l{level} [{aliases}]").unwrap();
    }
    let keys = vec!["k"; 2000].join(", ");
    writeln!(bomb, "passwd:\n  users:\n    - {{name: a, groups: &g [{keys}]}}").unwrap();
    bomb.push_str(&"    - {name: b, groups: *g}\n".repeat(1000));
    let output = transpile(directory.path(), &["-"], bomb.as_bytes());
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("aliases are too much of this"));

    let output = transpile(directory.path(), &["-"], &vec![b'#'; 17 << 20]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("larger than 16 MiB"));

    let output = transpile(directory.path(), &["-"], "[".repeat(1 << 20).as_bytes());
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("nested more than 100 deep"));
}
