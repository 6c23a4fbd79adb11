//! What becomes of our own configs: the JSON, where it comes from, and all that is said. Each of `cases/*.bu` has a snapshot.

use std::{fmt::Write as _, fs, path::Path};

use wheeltap_butane::{Diagnostic, Directory, Options, Severity, transpile};

#[test]
fn every_case_is_as_it_was() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let files = Directory::new(&tests.join("files")).unwrap();
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let mut cases: Vec<_> =
        fs::read_dir(tests.join("cases")).unwrap().map(|case| case.unwrap().path()).collect();
    cases.sort();
    assert!(!cases.is_empty());
    for case in cases {
        let input = fs::read(&case).unwrap();
        let options = Options { strict: false, pretty: true, files: Some(&files) };
        let text = match transpile(&input, options) {
            Err(refused) => format!("{refused}\n{}", said(&refused.diagnostics)),
            Ok(done) => {
                let mut text = format!("{}\n{}\n{}\n", done.spec, said(&done.warnings), done.json);
                for from in done.source_map {
                    writeln!(text, "{} {}", from.position, from.pointer).unwrap();
                }
                text
            }
        };
        // Not where the repository is.
        let text = text.replace(tests.to_str().unwrap(), "TESTS");
        let name = case.file_stem().unwrap().to_str().unwrap();
        settings.bind(|| insta::assert_snapshot!(name, text));
    }
}

fn said(diagnostics: &[Diagnostic]) -> String {
    let line = |found: &Diagnostic| {
        let place = found.position.map_or("-".to_owned(), |position| position.to_string());
        let severity = match found.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let path = found.path.as_ref().map(ToString::to_string).unwrap_or_default();
        format!("{place} {severity} {path}: {}\n", found.message)
    };
    diagnostics.iter().map(line).collect()
}
