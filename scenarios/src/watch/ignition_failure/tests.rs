use proptest::prelude::*;

use super::*;

const CORPUS: &str = include_str!("corpus.txt");

#[test]
fn failures_become_one_sentence() {
    let blocks = CORPUS.split("\n\n").skip(1);
    let sentences = blocks.map(|block| {
        let (name, log) = block.split_once('\n').unwrap();
        let failure = IgnitionFailure::find(log.lines());
        let sentence = failure.as_ref().map_or("-".to_owned(), ToString::to_string);
        let operation = failure.and_then(|failure| failure.operation).unwrap_or("-".to_owned());
        format!("{name}\n  {sentence}\n  operation: {operation}")
    });
    insta::assert_snapshot!(sentences.collect::<Vec<_>>().join("\n"));
}

#[test]
fn long_causes_are_cut() {
    let line = format!("Ignition failed: {}", "x".repeat(10_000));
    let failure = IgnitionFailure::find([&*line]).unwrap();
    assert_eq!(failure.cause.chars().count(), MAX_CAUSE + 1);
}

#[test]
fn chains_are_split_outside_quotes_and_brackets() {
    assert_eq!(split(r#"a "b: c": d [e: f]: g"#), [r#"a "b: c""#, "d [e: f]", "g"]);
    assert_eq!(split(r#"Stderr: "say \": \" x""#), ["Stderr", r#""say \": \" x""#]);
}

proptest! {
    #[test]
    fn no_line_panics(line in "(Ignition failed: |op\\(1\\): \\[failed\\]   |error at line 1 col 1: |[\"/:\\[\\]( a-zä]|: ){0,40}") {
        let _ = IgnitionFailure::find([&*line]).map(|failure| failure.to_string());
    }
}
