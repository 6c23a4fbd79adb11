//! What is written: golden files, hostile text, sums, attestations and explanations.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;
use test_case::test_case;
use wheeltap_attestation::{Envelope, SigningKey, Statement, TestResult};
use wheeltap_gate::{Decision, Effect, Files, Place, WriteError, explain, html, markdown, write};

use crate::fixture::{BIOS, Setup, Spec, UEFI, WAIVERS, What, diff, judge};

/// The example of RFC 8410, section 10.3.
const KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";

/// Something of everything.
fn mixed() -> Setup {
    let mut setup = Setup::good();
    setup.set("boot.a", UEFI, What::Fail("known trouble with getty@tty1.service"));
    setup.set("boot.b", UEFI, What::Fail("a <b>new</b> failure | @everyone `x` [a](javascript:1)"));
    setup.set("update.apply", UEFI, What::Flaky);
    setup.set("boot.a", BIOS, What::Infra);
    setup
        .policy
        .push_str("[[cell]]\nname = \"aws.arm64\"\nowner = \"cloud\"\nscenarios = [\"boot.a\"]\n");
    setup.waivers = Some(WAIVERS.into());
    setup.diff = Some(diff(&[("openssl", None)]));
    setup
}

fn text(files: &Files, name: &str) -> String {
    let (_, bytes) = files.0.iter().find(|(it, _)| *it == name).unwrap();
    String::from_utf8(bytes.clone()).unwrap()
}

#[test]
fn golden() {
    let files = Files::render(&mixed().decide(), None);
    for name in ["gate.json", "gate.md", "gate.html", "SHA256SUMS"] {
        insta::assert_snapshot!(name, text(&files, name));
    }
}

#[test]
fn the_same_inputs_have_the_same_bytes() {
    let key = SigningKey::parse(KEY).unwrap();
    let files = || Files::render(&mixed().decide(), Some(&key));
    assert_eq!(files(), files());
    assert_eq!(files().0.len(), 5);
}

#[test]
fn hostile_text_stays_text() {
    let page = html(&mixed().decide());
    assert!(page.contains("a &lt;b&gt;new&lt;/b&gt; failure"), "{page}");
    assert!(!page.contains("<b>new") && !page.contains("href=\"javascript"), "{page}");
    // The policy of the page allows its own style only.
    assert!(page.contains("default-src 'none'; style-src 'sha256-"));
    let note = markdown(&mixed().decide());
    let line = note.lines().find(|line| line.contains("new</b>")).unwrap();
    assert!(
        line.contains("`` fail: a <b>new</b> failure ¦ @everyone `x` [a](javascript:1) ``"),
        "{line}"
    );
}

#[test]
fn a_comment_is_never_too_long() {
    let mut setup = Setup::good();
    let names = |n: usize| -> &'static str { format!("many.{}{n}", "x".repeat(80)).leak() };
    setup.results[0].cases.extend((0..3000).map(|n| (names(n), UEFI, What::Fail("panic"))));
    let decision = setup.decide();
    let note = markdown(&decision);
    assert!(note.len() <= 65_535, "{}", note.len());
    assert!(
        note.starts_with("# NO-GO: 3000 blocking") && note.contains(" more are in [gate.json]")
    );
    // Without many, nothing is left out.
    assert!(!markdown(&mixed().decide()).contains(" more are in "));
}

fn sums_agree(dir: &Path) -> bool {
    let mut check = Command::new("sha256sum");
    check.args(["--check", "--strict", "SHA256SUMS"]).current_dir(dir);
    check.output().unwrap().status.success()
}

#[test]
fn sha256sum_checks_all_of_it() {
    let dir = TempDir::new().unwrap();
    let sources = mixed().write(dir.path());
    let evidence = dir.path().join("new/cells/qemu_uefi.amd64/boot.b/attempt-1/m0");
    fs::create_dir_all(&evidence).unwrap();
    fs::write(evidence.join("console.log"), "panic").unwrap();
    let decision = judge(&sources, dir.path());
    let place = Place::new(&dir.path().join("gate")).unwrap();
    write(&Files::render(&decision, None), &place).unwrap();
    assert!(sums_agree(place.dir()));
    let sums = fs::read_to_string(place.dir().join("SHA256SUMS")).unwrap();
    let covered = [
        "gate.toml",
        "waivers.toml",
        "diff.json",
        "new/plan.json",
        "new/events.jsonl",
        "old/events.jsonl",
        "boot.b/attempt-1/m0/console.log",
        "gate.json",
        "gate.md",
        "gate.html",
    ];
    for name in covered {
        assert!(sums.contains(name), "{name}: {sums}");
        let path = match name {
            "boot.b/attempt-1/m0/console.log" => evidence.join("console.log"),
            name if name.starts_with("gate.") && name != "gate.toml" => place.dir().join(name),
            name => dir.path().join(name),
        };
        let good = fs::read(&path).unwrap();
        fs::write(&path, [&good[..], b"x"].concat()).unwrap();
        assert!(!sums_agree(place.dir()), "{name} can be changed");
        fs::write(&path, good).unwrap();
    }
}

#[test]
fn a_decision_replaces_the_one_before_and_nothing_else() {
    let dir = TempDir::new().unwrap();
    let place = Place::new(&dir.path().join("a/gate")).unwrap();
    let key = SigningKey::parse(KEY).unwrap();
    let names = || {
        let mut names: Vec<_> = fs::read_dir(place.dir())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    let good = Setup::good().decide();
    write(&Files::render(&good, Some(&key)), &place).unwrap();
    assert_eq!(names(), ["SHA256SUMS", "gate.html", "gate.intoto.jsonl", "gate.json", "gate.md"]);
    let mode = fs::metadata(place.dir().join("gate.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o600, 0o600);
    // An attestation of another decision must not stay.
    write(&Files::render(&mixed().decide(), None), &place).unwrap();
    assert_eq!(names(), ["SHA256SUMS", "gate.html", "gate.json", "gate.md"]);
    let before = fs::read(place.dir().join("gate.json")).unwrap();

    fs::write(place.dir().join("notes.txt"), "mine").unwrap();
    let error = write(&Files::render(&good, None), &place).unwrap_err();
    assert!(matches!(error, WriteError::Foreign { .. }), "{error}");
    assert_eq!(fs::read(place.dir().join("gate.json")).unwrap(), before);
    assert_eq!(names().len(), 5);

    let below = Place::new(&place.dir().join("notes.txt/gate")).unwrap();
    let error = write(&Files::render(&good, None), &below).unwrap_err();
    assert!(matches!(error, WriteError::Io { .. }), "{error}");
}

fn attested(setup: &Setup) -> Option<Statement> {
    let key = SigningKey::parse(KEY).unwrap();
    let public = key.public();
    let files = Files::render(&setup.decide(), Some(&key));
    let (_, line) = files.0.iter().find(|(name, _)| *name == "gate.intoto.jsonl")?;
    let envelope = Envelope::parse(line).unwrap().remove(0);
    Some(Statement::parse(&envelope.verify(&[public]).unwrap()).unwrap())
}

#[test_case(|_| {}, TestResult::Passed; "go")]
#[test_case(|it| {
    it.set("boot.a", UEFI, What::Fail("known trouble"));
    it.waivers = Some(WAIVERS.into());
}, TestResult::Warned; "go with waivers")]
#[test_case(|it| it.set("boot.a", UEFI, What::Fail("panic")), TestResult::Failed; "no-go")]
#[test_case(|it| it.diff = None, TestResult::Failed; "incomplete")]
fn a_decision_is_attested(change: fn(&mut Setup), expected: TestResult) {
    let mut setup = Setup::good();
    change(&mut setup);
    let statement = attested(&setup).unwrap();
    assert_eq!(statement.predicate.result, expected);
    assert!(statement.subject_of(&"40".repeat(32)).is_some(), "{statement:?}");
    let names: Vec<_> =
        statement.predicate.configuration.iter().map(|resource| &*resource.name).collect();
    assert!(names.starts_with(&["gate.json", "SHA256SUMS", "../gate.toml"]), "{names:?}");
}

#[test]
fn what_is_about_nothing_is_not_attested() {
    let mut setup = Setup::good();
    setup.results.clear();
    assert!(attested(&setup).is_none());
}

fn schema() -> jsonschema::Validator {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schemas/gate.schema.json");
    let schema: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

#[test]
fn gate_json_is_as_its_schema_says() {
    let schema = schema();
    let value = |decision: &Decision| {
        serde_json::from_str::<Value>(&text(&Files::render(decision, None), "gate.json")).unwrap()
    };
    let mut nothing = Setup::good();
    nothing.results.clear();
    for setup in [Setup::good(), mixed(), nothing] {
        let value = value(&setup.decide());
        let errors: Vec<_> = schema.iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}");
        // It can be read back, and nothing of it is missing from the schema.
        let read: Decision = serde_json::from_value(value.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), value);
    }
    let good = value(&mixed().decide());
    for key in good.as_object().unwrap().keys() {
        let mut without = good.clone();
        without.as_object_mut().unwrap().remove(key);
        assert!(!schema.is_valid(&without), "{key} is not required");
    }
    let mut wrong = good.clone();
    wrong["verdict"] = "maybe".into();
    assert!(!schema.is_valid(&wrong));
    wrong = good.clone();
    wrong["surprise"] = 1.into();
    assert!(!schema.is_valid(&wrong), "a key that the schema doesn't have");
}

#[test]
fn it_explains_itself() {
    let mut setup = mixed();
    setup.results.push(Spec::new("again", "4000.0.0", &[("boot.b", UEFI)]));
    let decision = setup.decide();
    let mut said = String::new();
    let ids = [
        "boot.b [qemu_uefi.amd64]",
        "qemu_bios.amd64/BOOT.A",
        "update.apply",
        "aws.arm64",
        "no-downgrade:openssl",
        "W-1",
        "l-1",
        "flakes",
        "boot.bb",
        "zzz",
    ];
    for id in ids {
        let explained = match explain(&decision, id) {
            Ok(explanation) => explanation.to_string(),
            Err(why) => format!("{why}\n"),
        };
        writeln!(said, "# {id}\n{explained}").unwrap();
    }
    insta::assert_snapshot!(said);
    assert!(decision.with(Effect::Blocks).count() > 0);
}
