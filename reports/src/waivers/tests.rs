use proptest::prelude::{any, proptest};

use super::Waivers;
use crate::Error;

const GOOD: &str = r#"
# Known since the kernel update.
[[waiver]]
id = "W-12"
scenario = "update.*"
signature = "slot USR-[AB] would be tried next"
platform = "qemu"
arch = ["amd64", "arm64"]
channel = "stable"
version = ">=4000.0.0, <4100"
owner = "release team"
tracker = "https://example.org/issues/12"
expires = 2026-03-31
reason = "fixed in 4100"

[[waiver]]
id = "W-13"
scenario = "boot.release"
signature = "d0118040703d"
owner = "kernel"
tracker = "https://example.org/issues/13"
expires = "2026-03-31"
reason = "known by its signature"
"#;

#[test]
fn a_good_file() {
    let waivers = Waivers::parse("waivers.toml", GOOD).unwrap();
    assert_eq!(waivers.waivers.len(), 2);
    assert_eq!(waivers.waivers[0].expires, waivers.waivers[1].expires);
    assert!(Waivers::parse("waivers.toml", "").unwrap().waivers.is_empty(), "none is allowed");
}

#[test]
fn a_limit_can_be_accepted() {
    let text = "[[waiver]]\nid = 'L-1'\nlimit = 'no-downgrade:openssl'\nowner = 'release team'\n\
                tracker = 'https://example.org/1'\nexpires = 2026-03-31\nreason = 'known'\n";
    let waivers = Waivers::parse("w.toml", &[GOOD, text].concat()).unwrap();
    assert_eq!((waivers.waivers.len(), waivers.limits().len()), (2, 1));
    let limit = &waivers.limits()[0];
    assert_eq!((&*limit.limit, &*limit.waiver.id), ("no-downgrade:openssl", "L-1"));
}

/// Everything that is wrong with a file, one per line.
fn problems(text: &str) -> String {
    match Waivers::parse("w.toml", text).unwrap_err() {
        Error::BadWaivers { problems } => {
            problems.iter().map(|problem| format!("{problem}\n")).collect()
        }
        other => panic!("{other}"),
    }
}

/// The first waiver of the good file with a line in place of another.
fn instead(key: &str, line: &str) -> String {
    let lines = GOOD.lines().take(14).map(|good| match good.split_once(' ') {
        Some((word, _)) if word == key => line,
        _ => good,
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn everything_that_is_wrong_is_said_with_its_place() {
    let mut said = String::new();
    let mut table = |what: &str, text: &str| {
        said.push_str(&["# ", what, "\n", &problems(text)].concat());
    };
    table("not TOML", "[[waiver]]\nid = \n");
    table("an unknown key at the top", "[[waivers]]\n");
    table("a table", "[waiver]\nid = 'x'\n");
    table("no table", "waiver = ['x']\n");
    table("nothing in it", "[[waiver]]\n");
    table("an id twice", &format!("{GOOD}{GOOD}"));
    table("a slip of the pen", &instead("tracker", "traker = 'https://example.org'"));
    table("an unknown key", &instead("reason", "reason = 'x'\nzzz = 1"));
    table("an id that is a number", &instead("id", "id = 12"));
    table("an id with spaces", &instead("id", "id = 'W 12'"));
    table("a glob with a slash", &instead("scenario", "scenario = 'update/*'"));
    table("a glob that is torn", &instead("scenario", "scenario = 'update.{a,b'"));
    table("a glob that is empty", &instead("scenario", "scenario = ''"));
    table("a pattern that is torn", &instead("signature", "signature = 'slot ('"));
    table("a pattern for everything", &instead("signature", "signature = '.*'"));
    table("a pattern with an empty branch", &instead("signature", "signature = 'slot|'"));
    table("a platform that is a number", &instead("platform", "platform = 1"));
    table("an empty list", &instead("arch", "arch = []"));
    table("a list of numbers", &instead("arch", "arch = [1, 'amd64', 2]"));
    table("a range that is none", &instead("version", "version = '4.x'"));
    table("a range with nothing in it", &instead("version", "version = '>=4100, <4000'"));
    table("no owner", &instead("owner", "owner = ' '"));
    table("no URL", &instead("tracker", "tracker = 'issue 12'"));
    table("no date", &instead("expires", "expires = 'soon'"));
    table("no such date", &instead("expires", "expires = '2026-02-30'"));
    table("a time", &instead("expires", "expires = 2026-03-31T12:00:00Z"));
    let limit = "[[waiver]]\nid = 'L-1'\nlimit = 'no-downgrade:openssl'\nowner = 'x'\n\
                 tracker = 'https://example.org/1'\nexpires = 2026-03-31\nreason = 'x'\n";
    table("a limit and a scenario", &[limit, "scenario = 'a'\n"].concat());
    table("a limit and a slip of the pen", &[limit, "ownr = 'a'\n"].concat());
    table("a limit that is none", &limit.replace("no-downgrade:openssl", "openssl"));
    table("a limit without an owner", &limit.replace("owner = 'x'\n", ""));
    table("a limit with the id of another", &format!("{limit}{limit}"));
    table("several at once", &instead("id", "idd = 'x'\nexpire = 1"));
    insta::assert_snapshot!(said);
}

#[test]
fn columns_are_characters() {
    let text = instead("owner", "owner = 'é'\n'ü' = 1");
    assert_eq!(
        problems(&text).lines().next().unwrap(),
        "w.toml:12:1: unknown key `ü`; there are: id, scenario, signature, owner, tracker, expires, \
         reason, platform, arch, channel, version, limit"
    );
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Waivers::load(std::path::Path::new("/nonexistent/w.toml")).unwrap_err();
    assert_eq!(error.to_string(), "cannot read /nonexistent/w.toml");
}

proptest! {
    #[test]
    fn any_text_is_read_without_a_panic(text in any::<String>()) {
        let _ = Waivers::parse("w.toml", &text);
    }

    #[test]
    fn any_value_is_read_without_a_panic(key in "(id|scenario|signature|version|expires|tracker)", value in any::<String>()) {
        let quoted = toml::Value::String(value).to_string();
        let _ = Waivers::parse("w.toml", &instead(&key, &format!("{key} = {quoted}")));
    }
}
