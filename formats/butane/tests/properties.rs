//! What holds for every text, also for one that nobody would write. What is found in a longer search by `cargo fuzz` (see
//! `fuzz/`) belongs into `cases/`.

#![expect(clippy::unwrap_used, reason = "a test says what it expected by panicking")]

use std::{env, fs, path::Path};

use proptest::{
    collection::vec, prelude::any, prop_assert, prop_assert_eq, proptest, sample::Index,
    test_runner::Config as Runs,
};
use serde_json::Value;
use wheeltap_butane::{Diagnostic, Directory, Options, Position, Transpiled, transpile};

/// Enough to notice what is often wrong; `WHEELTAP_FUZZ_CASES` asks for more.
fn runs() -> Runs {
    let asked = env::var("WHEELTAP_FUZZ_CASES").ok().and_then(|cases| cases.parse().ok());
    Runs { cases: asked.unwrap_or(512), failure_persistence: None, ..Runs::default() }
}

fn files() -> Directory {
    Directory::new(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files")).unwrap()
}

fn cases() -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut paths: Vec<_> =
        fs::read_dir(directory).unwrap().map(|case| case.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| fs::read(path).unwrap()).collect()
}

/// What must hold for any text.
fn check(text: &[u8]) {
    let files = files();
    let options = Options { strict: false, pretty: false, files: Some(&files) };
    let lax = transpile(text, options);
    let strict = transpile(text, Options { strict: true, ..options });
    match (&lax, &strict) {
        (Ok(lax), Ok(strict)) => {
            assert_eq!(lax.json, strict.json);
            assert!(lax.warnings.is_empty());
        }
        (Ok(lax), Err(strict)) => {
            assert!(!lax.warnings.is_empty());
            assert_eq!(lax.warnings, strict.diagnostics);
        }
        (Err(lax), Err(strict)) => assert_eq!(lax.diagnostics, strict.diagnostics),
        (Err(_), Ok(_)) => panic!("what is refused can't be fine strictly"),
    }
    let lines = Lines::of(text);
    match &lax {
        Ok(done) => {
            lines.hold_all(&done.warnings);
            check_config(done, &lines);
        }
        Err(refused) => {
            assert!(!refused.diagnostics.is_empty());
            lines.hold_all(&refused.diagnostics);
        }
    }
}

/// The JSON is a config of its version, has all values from somewhere, and is the same for people.
fn check_config(done: &Transpiled, lines: &Lines) {
    let (_, warnings) = ignition_config::Config::parse_str(&done.json)
        .unwrap_or_else(|error| panic!("{error}: {}", done.json));
    assert!(warnings.is_empty(), "{warnings:?}: {}", done.json);
    let json: Value = serde_json::from_str(&done.json).unwrap();
    assert_eq!(json["ignition"]["version"], format!("3.{}.0", done.spec.ignition()));
    let mut pointers = Vec::new();
    all_pointers(&json, String::new(), &mut pointers);
    let mapped: Vec<_> = done.source_map.iter().map(|from| from.pointer.clone()).collect();
    pointers.sort();
    let mut sorted = mapped;
    sorted.sort();
    assert_eq!(pointers, sorted);
    for from in &done.source_map {
        lines.hold(from.position);
    }
}

fn all_pointers(json: &Value, pointer: String, pointers: &mut Vec<String>) {
    match json {
        Value::Object(fields) => {
            for (name, value) in fields {
                all_pointers(value, format!("{pointer}/{name}"), pointers);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                all_pointers(item, format!("{pointer}/{index}"), pointers);
            }
        }
        _ => {}
    }
    pointers.push(pointer);
}

/// The text that positions are in.
struct Lines(String);

impl Lines {
    fn of(text: &[u8]) -> Self {
        Self(String::from_utf8_lossy(text).into_owned())
    }

    fn hold(&self, position: Position) {
        // Where a text ends, the column after the last is meant.
        let line = position.line_of(&self.0).unwrap_or_else(|| panic!("{position} is outside"));
        let length = line.chars().count() as u64;
        assert!(position.column >= 1 && position.column <= length + 1, "{position} is outside");
    }

    fn hold_all(&self, diagnostics: &[Diagnostic]) {
        diagnostics.iter().filter_map(|found| found.position).for_each(|place| self.hold(place));
    }
}

#[test]
fn it_holds_for_our_own_configs() {
    cases().iter().for_each(|case| check(case));
}

proptest! {
    #![proptest_config(runs())]

    #[test]
    fn it_holds_for_bytes(bytes in vec(any::<u8>(), 0..300)) {
        check(&bytes);
    }

    #[test]
    fn it_holds_for_what_looks_like_yaml(text in "variant: flatcar\nversion: 1\\.1\\.0\n[ -?:,\\[\\]{}#&*!|>'\"%@`a~\n]{0,60}") {
        check(text.as_bytes());
    }

    /// Our own configs with a part cut out, doubled, or put in from another one.
    #[test]
    fn it_holds_for_spoilt_configs(
        case in any::<Index>(),
        other in any::<Index>(),
        cuts in vec((any::<Index>(), any::<Index>(), 0..4_u8), 1..4),
    ) {
        let cases = cases();
        let mut text = case.get(&cases).clone();
        let other = other.get(&cases);
        for (from, to, how) in cuts {
            if text.is_empty() {
                break;
            }
            let (from, to) = (from.index(text.len()), to.index(text.len()));
            let range = from.min(to)..from.max(to);
            let part = text[range.clone()].to_vec();
            let lines: Vec<_> = other.split_inclusive(|&byte| byte == b'\n').collect();
            let put: Vec<u8> = match how {
                0 => Vec::new(),
                1 => [&part[..], &part[..]].concat(),
                2 => lines[range.start % lines.len()].to_vec(),
                _ => part.iter().rev().take(1).copied().collect(),
            };
            // Short cuts leave more that can still be read.
            let end = if how == 1 { range.end } else { range.end.min(range.start + 12) };
            text.splice(range.start..end, put);
            text.truncate(20_000);
        }
        check(&text);
    }

    /// A scalar in any place of a config.
    #[test]
    fn it_holds_for_any_scalar(
        path in "[ -~]{0,12}",
        number in any::<i64>(),
        minor in 0..7_u8,
    ) {
        let quoted = path.replace('\'', "''");
        let text = format!(
            "variant: fcos\nversion: 1.{minor}.0\nstorage:\n  files:\n    - path: '/{quoted}'\n      mode: {number}\n      \
             contents: {{inline: '{quoted}', source: ~}}\n  disks:\n    - device: '/{quoted}'\n      partitions:\n        \
             - {{number: {number}, label: '{quoted}', start_mib: {number}, size_mib: {number}}}\n"
        );
        check(text.as_bytes());
        if let Ok(done) = transpile(text.as_bytes(), Options::default()) {
            let json: Value = serde_json::from_str(&done.json).unwrap();
            prop_assert_eq!(&json["storage"]["files"][0]["path"], &Value::from(format!("/{path}")));
            let source = json["storage"]["files"][0]["contents"]["source"].as_str().unwrap();
            prop_assert!(source.starts_with("data:"));
        }
    }
}
