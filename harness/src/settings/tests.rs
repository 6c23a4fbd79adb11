use std::{path::Path, time::Duration};

use miette::{GraphicalReportHandler, GraphicalTheme};
use test_case::test_case;
use wheeltap_images::published::Trust;

use super::*;
use crate::engine::{ForkMode, Jobs};

fn parse(text: &str, profile: Option<&str>) -> Settings {
    let parsed = Settings::parse(Path::new("ci/wheeltap.toml"), text, profile);
    parsed.unwrap_or_else(|error| panic!("{error}"))
}

fn rendered(text: &str, profile: Option<&str>) -> String {
    let error = Settings::parse(Path::new("wheeltap.toml"), text, profile).unwrap_err();
    let mut shown = String::new();
    GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor())
        .with_width(120)
        .render_report(&mut shown, &error)
        .unwrap();
    shown
}

const FULL: &str = r#"
[profile.default]
retries = 2
slow-timeout = "2m"
max-fail = 5
jobs = 4
history = "history.sqlite"

[[profile.default.overrides]]
filter = "update.*"
retries = { infra = 9, backoff = "fixed" }
slow-timeout = "7m"
test-group = "updates"

[[profile.default.overrides]]
filter = ["*.full", "boot.*"]
tag = "slow"
timeout = "1h30m"
slow-timeout = "9m"
test-group = ["updates", "serial"]

[profile.nightly]
fail-fast = false
flaky = "fail"
deadline = "8h"
jobs = "auto"
fork = "off"
waivers = "/srv/waivers.toml"

[[profile.nightly.overrides]]
tag = "slow"
slow-timeout = "20m"
test-group = []

[test-groups.updates]
max-machines = 2

[test-groups.serial]
max-machines = 1
"#;

#[test]
fn keys_and_mirrors_of_published_images() {
    let settings = parse(
        "[images]\nretries = 1\n[images.flatcar]\nkey = 'flatcar.asc'\nfingerprint = 'AB'\nmirrors = ['http://m']\n",
        None,
    );
    let options = settings.images.options("flatcar");
    let file = Path::new("ci/flatcar.asc").to_owned();
    assert_eq!(options.trust, Trust::Key { file, fingerprint: "AB".to_owned() });
    assert_eq!((options.mirrors, options.patience.retries), (vec!["http://m".to_owned()], 1));
    assert_eq!(options.patience.stall, Duration::from_secs(60), "as the built-in file says");
    assert_eq!(settings.images.options("fcos").trust, Trust::Unknown);
}

#[test_case("[images.flatcr]\nkey = 'k'\nfingerprint = 'AB'\n", "did you mean `flatcar`?"; "unknown family")]
#[test_case("[images.flatcar]\nkey = 'k'\n", "a signing key needs both"; "no fingerprint")]
#[test_case("[images.flatcar]\nkye = 'k'\n", "unknown key `kye`"; "unknown key")]
fn wrong_settings_of_images(text: &str, message: &str) {
    let error = Settings::parse(Path::new("wheeltap.toml"), text, None).unwrap_err();
    assert!(error.to_string().contains(message), "{error}");
}

#[test]
fn without_a_file_everything_is_as_the_built_in_one_says() {
    let settings = parse("", None);
    let retries = Retries {
        product: 0,
        infra: 1,
        backoff: Backoff::Exponential,
        delay: Duration::from_secs(1),
        max_delay: Duration::from_secs(30),
        jitter: true,
    };
    let slow_timeout = Duration::from_secs(60);
    let expected = CaseSettings { retries, slow_timeout, timeout: None, groups: Vec::new() };
    assert_eq!(settings.for_case("boot.release", &["smoke"]), expected);
    assert_eq!((settings.max_fail, settings.flaky), (None, Flaky::Report));
    assert_eq!((settings.jobs, settings.fork), (Jobs::Auto, ForkMode::Auto));
    assert_eq!((settings.deadline, settings.history, settings.waivers), (None, None, None));
}

#[test]
fn a_profile_takes_what_it_does_not_say_from_the_default() {
    let default = parse(FULL, None);
    assert_eq!((default.max_fail, default.jobs), (Some(5), Jobs::Count(4)));
    assert_eq!(default.flaky, Flaky::Report);
    let nightly = parse(FULL, Some("nightly"));
    assert_eq!((nightly.max_fail, nightly.jobs), (None, Jobs::Auto));
    assert_eq!((nightly.flaky, nightly.fork), (Flaky::Fail, ForkMode::Off));
    assert_eq!(nightly.deadline, Some(Duration::from_secs(8 * 3600)));
    assert_eq!(nightly.case.retries.product, 2, "from the default profile");
    assert_eq!(nightly.case.retries.delay, Duration::from_secs(1), "from the built-in one");
    assert_eq!(nightly.history.as_deref(), Some(Path::new("ci/history.sqlite")), "beside the file");
    assert_eq!(nightly.waivers.as_deref(), Some(Path::new("/srv/waivers.toml")));
    assert_eq!(nightly.test_groups, [("serial".to_owned(), 1), ("updates".to_owned(), 2)].into());
}

#[test]
fn of_each_setting_the_first_override_wins() {
    let default = parse(FULL, None);
    let both = default.for_case("update.full", &["slow"]);
    assert_eq!(both.slow_timeout, Duration::from_secs(7 * 60), "the first has it");
    assert_eq!(both.timeout, Some(Duration::from_secs(90 * 60)), "only the second has it");
    assert_eq!(both.groups, ["updates"]);
    assert_eq!((both.retries.product, both.retries.infra), (2, 9), "a table changes what it names");
    assert_eq!(both.retries.backoff, Backoff::Fixed);
    let second = default.for_case("boot.full", &["slow", "smoke"]);
    assert_eq!(second.groups, ["updates", "serial"]);
    assert_eq!(default.for_case("boot.full", &[]), default.case, "the tag is missing");
    assert_eq!(default.for_case("reboot.clean", &["slow"]), default.case, "the name is another");

    let nightly = parse(FULL, Some("nightly")).for_case("update.full", &["slow"]);
    assert_eq!(nightly.slow_timeout, Duration::from_secs(20 * 60), "the profile's own come first");
    assert_eq!(nightly.groups, Vec::<String>::new());
    assert_eq!(nightly.retries.infra, 9, "and then those of the default profile");
}

#[test_case("fail-fast = true" => Some(1))]
#[test_case("fail-fast = false" => None)]
#[test_case("max-fail = 3" => Some(3))]
#[test_case("max-fail = \"all\"" => None)]
#[test_case("" => Some(7); "the default's")]
fn how_many_may_fail(line: &str) -> Option<u32> {
    let text = format!("[profile.default]\nmax-fail = 7\n[profile.ci]\n{line}\n");
    parse(&text, Some("ci")).max_fail
}

#[test]
fn overrides_about_nothing_are_found() {
    let scenarios: [(&str, &[&str]); 2] = [("boot.release", &[]), ("update.full", &["slow"])];
    let idle = parse(FULL, Some("nightly")).idle_overrides(&scenarios);
    assert_eq!(idle, Vec::<String>::new());
    let scenarios: [(&str, &[&str]); 1] = [("boot.release", &[])];
    let idle = parse(FULL, Some("nightly")).idle_overrides(&scenarios);
    assert_eq!(
        idle,
        ["tag `slow`", "filter `update.*`", "filter `*.full`, `boot.*` with tag `slow`"]
    );
}

#[test_case("key", "[profile.default]\nslow-timeout = \"60s\"\nretires = 2\n")]
#[test_case("key_in_table", "[profile.ci]\nretries = { prodct = 2, infra = 1 }\n")]
#[test_case(
    "key_in_override",
    "[[profile.ci.overrides]]\nfilter = \"boot.*\"\ntest-groups = \"a\"\n"
)]
#[test_case("key_at_the_top", "[profiles.ci]\njobs = 1\n")]
#[test_case("key_like_none", "[test-groups.a]\nxyz = 1\nmax-machines = 1\n")]
#[test_case("syntax", "[profile.default]\njobs = \n")]
#[test_case("duration", "[profile.default]\njobs = 2\nslow-timeout = \"60\"\n")]
#[test_case("duration_number", "[profile.default]\ndeadline = 90\n")]
#[test_case("jobs", "[profile.default]\njobs = 0\n")]
#[test_case("jobs_word", "[profile.default]\njobs = \"all\"\n")]
#[test_case("retries", "[profile.default]\nretries = -1\n")]
#[test_case("retries_word", "[profile.default]\nretries = \"twice\"\n")]
#[test_case("backoff", "[profile.default]\nretries = { backoff = \"exponentially\" }\n")]
#[test_case("flaky", "[profile.default]\nflaky = true\n")]
#[test_case("flaky_word", "[profile.default]\nflaky = \"ignore\"\n")]
#[test_case("fail_fast_and_max_fail", "[profile.default]\nmax-fail = 3\nfail-fast = true\n")]
#[test_case(
    "group",
    "[[profile.default.overrides]]\nfilter = 'boot.*'\ntest-group = ['updates', 'updaets']\n\n[test-groups.updates]\nmax-machines = 2\n"
)]
#[test_case(
    "group_like_none",
    "[[profile.default.overrides]]\nfilter = 'boot.*'\ntest-group = 'serial'\n"
)]
#[test_case("group_of_none", "[test-groups.serial]\nmax-machines = 0\n")]
#[test_case("group_without_limit", "[test-groups.serial]\n")]
#[test_case(
    "override_about_everything",
    "[profile.default]\njobs = 1\n\n[[profile.default.overrides]]\nretries = 2\n"
)]
fn what_is_wrong_is_shown(name: &str, text: &str) {
    insta::assert_snapshot!(name, rendered(text, None));
}

#[test_case("unknown", "[profile.nightly]\n", "nightyl")]
#[test_case("unlike_any", "[profile.nightly]\n[profile.ci]\n", "zzz")]
#[test_case("without_file", "", "nightly")]
fn unknown_profiles(name: &str, text: &str, profile: &str) {
    insta::assert_snapshot!(format!("profile_{name}"), rendered(text, Some(profile)));
}

/// Names of keys, as the parser gives them when it is asked for one that doesn't exist.
fn keys(text: &str) -> Vec<String> {
    let error = toml::from_str::<super::file::File>(text).unwrap_err();
    let (_, known) = error.message().split_once(", ").unwrap();
    known.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test_case("[profile.a]\nzzz = 1"; "of a profile")]
#[test_case("[profile.a]\nretries = { zzz = 1 }"; "of retries")]
#[test_case("[[profile.a.overrides]]\nzzz = 1"; "of an override")]
#[test_case("[test-groups.a]\nzzz = 1"; "of a test group")]
fn the_built_in_file_documents_every_key(text: &str) {
    for key in keys(text) {
        let is_there = |start: &str| DEFAULT.contains(&format!("{start}{key}"));
        assert!(
            ["\n", "\n# ", ", ", "{ ", "[[profile.default."].into_iter().any(is_there),
            "default.toml says nothing about {key}"
        );
    }
}

/// The examples of the built-in file: comments that look like TOML.
#[test]
fn the_examples_of_the_built_in_file_are_valid() {
    let mut group = "";
    let mut examples = String::new();
    for line in DEFAULT.lines().filter_map(|line| line.strip_prefix("# ")) {
        if line.starts_with('[') {
            group = line;
        }
        let key = line.split_once(" = ").map(|(key, _)| key);
        if line.starts_with('[') || key.is_some_and(|key| !key.contains(' ')) {
            if group.is_empty() && examples.is_empty() {
                examples.push_str("[profile.default]\n");
            }
            examples.push_str(line);
            examples.push('\n');
        }
    }
    assert!(examples.contains("max-machines"), "{examples}");
    let settings = parse(&examples, None);
    assert_eq!(settings.deadline, Some(Duration::from_secs(90 * 60)));
    assert_eq!(settings.for_case("update.full", &["slow"]).groups, ["updates"]);
}
