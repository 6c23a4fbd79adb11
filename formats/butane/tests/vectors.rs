//! What Butane 0.29.0 itself made of configs: the same verdict, the same JSON, and errors and warnings in the same places.
//!
//! The cases are kept outside the repository, in `../shared/butane-vectors`, or where `WHEELTAP_BUTANE_VECTORS` says. What stands
//! in a case is told in its directory: `input.bu`, `files/`, and what `butane --strict` and `butane` answered.

#![expect(clippy::unwrap_used, reason = "a test says what it expected by panicking")]

use std::{
    collections::BTreeMap,
    env, fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use wheeltap_butane::{Diagnostic, Directory, Files, Options, Severity, transpile};

fn directory() -> Option<PathBuf> {
    if let Some(named) = env::var_os("WHEELTAP_BUTANE_VECTORS") {
        return Some(named.into());
    }
    let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/butane-vectors");
    usual.is_dir().then_some(usual)
}

#[test]
fn every_case_ends_as_butane_ends_it() {
    let Some(directory) = directory() else {
        eprintln!(
            "skipped: there is no ../shared/butane-vectors, and WHEELTAP_BUTANE_VECTORS is not set"
        );
        return;
    };
    let mut wrong = BTreeMap::new();
    let mut cases = 0;
    for case in fs::read_dir(&directory).unwrap() {
        let case = case.unwrap().path();
        if !case.join("input.bu").is_file() {
            continue;
        }
        cases += 1;
        for (strict, name) in [(true, "expected"), (false, "lax")] {
            let read = |end: &str| fs::read_to_string(case.join(format!("{name}.{end}"))).ok();
            let (json, said) = (read("ign"), read("err"));
            if json.is_none() && said.is_none() {
                continue;
            }
            let mut got = run(&case, strict);
            let wanted = (json.as_deref().map(plain), places_said(&said.unwrap_or_default()));
            if wanted.1.is_empty() {
                // Of what it can't read Butane sometimes tells no place.
                got.1.retain(|(_, _, column)| column.is_some());
            }
            if got != wanted {
                wrong.insert(
                    format!("{} ({name})", case.file_name().unwrap().display()),
                    format!("wanted {wanted:#?}\ngot {got:#?}"),
                );
            }
        }
    }
    assert!(cases > 0, "{} has no cases", directory.display());
    let names: Vec<_> = wrong.keys().collect();
    for (name, difference) in &wrong {
        eprintln!("== {name}\n{difference}");
    }
    assert!(wrong.is_empty(), "{} of {cases} cases differ: {names:#?}", wrong.len());
}

/// Symbolic links of the cases, which not every way of copying keeps: then there are files that say where they lead.
const LINKS: [(&str, &str); 4] = [
    ("trees-nested-exec-symlink", "files/root/etc/dangling"),
    ("trees-nested-exec-symlink", "files/root/etc/link.conf"),
    ("trees-overridden-by-nodes", "files/t/ln"),
    ("trees-root-symlink", "files/alias"),
];

/// A copy of a case that has lost its links, with them.
fn with_links(case: &Path) -> Option<tempfile::TempDir> {
    let lost = LINKS
        .iter()
        .filter(|(name, _)| case.ends_with(name))
        .map(|(_, link)| Path::new(link))
        .filter(|link| !case.join(link).is_symlink())
        .collect::<Vec<_>>();
    if lost.is_empty() {
        return None;
    }
    let copy = tempfile::tempdir().unwrap();
    copy_all(case, copy.path());
    for link in lost {
        let link = copy.path().join(link);
        let target = fs::read_to_string(&link).unwrap();
        fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink(target, link).unwrap();
    }
    Some(copy)
}

fn copy_all(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&to).unwrap();
            copy_all(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// How bad, the line, and the column if it is told.
type Place = (Severity, u64, Option<u64>);

/// The JSON, its gzip taken off, and the places of what is said.
fn run(case: &Path, strict: bool) -> (Option<String>, Vec<Place>) {
    let input = fs::read(case.join("input.bu")).unwrap();
    let linked = with_links(case);
    let case = linked.as_ref().map_or(case, |copy| copy.path());
    let files = case.join("files").is_dir().then(|| Directory::new(&case.join("files")).unwrap());
    let files = files.as_ref().map(|files| files as &dyn Files);
    match transpile(&input, Options { strict, pretty: false, files }) {
        Ok(done) => (Some(plain(&done.json)), places(&done.warnings)),
        Err(refused) => (None, places(&refused.diagnostics)),
    }
}

fn places(diagnostics: &[Diagnostic]) -> Vec<Place> {
    let place = |found: &Diagnostic| {
        let position = found.position?;
        // Butane tells no column of what it can't read at all.
        Some((found.severity, position.line, found.path.as_ref().map(|_| position.column)))
    };
    diagnostics.iter().filter_map(place).collect()
}

/// The places that Butane said.
fn places_said(text: &str) -> Vec<Place> {
    let mut places = Vec::new();
    let mut severity = Severity::Error;
    for line in text.lines() {
        let kind = match line {
            _ if line.starts_with("error") => Some(Severity::Error),
            _ if line.starts_with("warning") => Some(Severity::Warning),
            _ => None,
        };
        severity = kind.unwrap_or(severity);
        if let Some(place) = line.strip_prefix("  --> input.bu:") {
            let (line, column) = place.split_once(':').unwrap();
            places.push((severity, line.parse().unwrap(), Some(column.parse().unwrap())));
        } else if let (Some(_), Some((_, place))) = (kind, line.split_once(", line "))
            && let Some((line, rest)) = place.split_once(" col ")
        {
            let column = rest.split_once(':').unwrap().0;
            places.push((severity, line.parse().unwrap(), Some(column.parse().unwrap())));
        } else if let Some((_, place)) =
            line.split_once("yaml: line ").or_else(|| line.split_once("  line "))
            && let Some((line, _)) = place.split_once(':')
            && let Ok(line) = line.parse()
        {
            places.push((Severity::Error, line, None));
        }
    }
    places
}

/// JSON in which what was compressed is no longer, because compressors differ.
fn plain(json: &str) -> String {
    let json = json.trim_end();
    let mut plain = String::new();
    let mut rest = json;
    // gzip begins like this.
    while let Some(start) = rest.find(";base64,H4sI") {
        let (before, data) = rest.split_at(start + ";base64,".len());
        let end = data.find('"').unwrap();
        let bytes = STANDARD.decode(&data[..end]).unwrap();
        let mut contents = Vec::new();
        plain.push_str(before);
        // What a user only calls gzip stays as it is.
        match flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut contents) {
            Ok(_) => plain.push_str(&STANDARD.encode(contents)),
            Err(_) => plain.push_str(&data[..end]),
        }
        rest = &data[end..];
    }
    // What stands for a broken byte is written with an escape there, and as itself here.
    (plain + rest).replace("\\ufffd", "\u{fffd}")
}
