use std::fmt::Write as _;

use proptest::prelude::{any, proptest};
use test_case::test_case;

use super::{DEFAULT_POLICY, Policy};

const GOOD: &str =
    "version = 1\n[[cell]]\nname = \"qemu_uefi.amd64\"\nowner = \"x\"\nscenarios = [\"boot.a\"]\n";

/// The file that documents every key has every key, and can be read.
#[test]
fn the_default_file_is_a_policy() {
    let policy = Policy::parse("default.toml", DEFAULT_POLICY).unwrap();
    assert_eq!((policy.cell.len(), policy.removed.len(), policy.update_path.len()), (2, 1, 1));
    // Keys that are commented out are keys as well.
    let all = DEFAULT_POLICY.replace("# runs = 4", "runs = 4");
    let policy = Policy::parse("default.toml", &all).unwrap();
    assert_eq!((policy.results.runs, policy.baseline.runs), (Some(4), Some(4)));
    Policy::parse("good.toml", GOOD).unwrap();
}

fn problem(text: &str) -> String {
    Policy::parse("gate.toml", text).unwrap_err().to_string()
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let mut said = String::new();
    let mut table = |what: &str, text: &str| {
        writeln!(said, "# {what}\n{}", problem(text)).unwrap();
    };
    let with = |more: &str| [GOOD, more].concat();
    table("not TOML", "version = \n");
    table("nothing in it", "");
    table("no version", &GOOD.replace("version = 1\n", ""));
    table("a version of tomorrow, and a key of tomorrow", "version = 2\nnew = 1\n");
    table("no such version", &GOOD.replace("= 1", "= 0"));
    table("an unknown key", &with("[[cel]]\n"));
    table("an unknown key in a table", &with("[flakes]\nbuget = \"2 %\"\n"));
    table("an unknown key like no other", &with("[results]\nzzz = 1\n"));
    table("an unknown value", &with("[verdicts]\nflaky = \"blocks\"\n"));
    table("infrastructure that doesn't matter", &with("[verdicts]\ninfra = \"warn\"\n"));
    table("a cell without an owner", &GOOD.replace("owner = \"x\"\n", ""));
    table("a cell in which nothing must run", &GOOD.replace("scenarios = [\"boot.a\"]\n", ""));
    table("no required cell", &with("required = false\n"));
    table("a torn glob", &GOOD.replace("boot.a", "boot.{a"));
    table("an empty name", &GOOD.replace("boot.a", ""));
    table("an age in fortnights", &with("[results]\nmax-age = \"1 fortnight\"\n"));
    table("a share above all", &with("[flakes]\nbudget = \"200 %\"\n"));
    table("a share without a sign", &with("[flakes]\nbudget = \"2\"\n"));
    table("chance that is none", &with("[flakes]\nsignificance = 5.0\n"));
    table("worse than nothing", &with("[flakes]\nworse = \"block\"\n"));
    table("a path in no cell", &with("[[update-path]]\nfrom = \"1\"\ncells = []\n"));
    table(
        "a path of no scenario",
        &with("[[update-path]]\nfrom = \"1\"\ncells = [\"a\"]\nscenarios = []\n"),
    );
    table("a removal without a reason", &with("[[removed]]\nscenario = \"a\"\n"));
    table("an unknown severity", &with("[image-diff]\nseverities = [\"errors\"]\n"));
    insta::assert_snapshot!(said);
}

#[test_case("7 days" => Some(7))]
#[test_case("1 day" => Some(1))]
#[test_case("0 days" => Some(0); "today only")]
#[test_case("-1 days" => None)]
#[test_case("7" => None)]
fn ages(text: &str) -> Option<u32> {
    let text = format!("{GOOD}[results]\nmax-age = \"{text}\"\n");
    Policy::parse("gate.toml", &text).ok().and_then(|policy| policy.results.max_age).map(|it| it.0)
}

proptest! {
    #[test]
    fn any_text_is_read_without_a_panic(text in any::<String>(), key in "[a-z-]{1,9}", value in any::<String>()) {
        let _ = Policy::parse("gate.toml", &text);
        let value = toml::Value::String(value);
        let _ = Policy::parse("gate.toml", &format!("{GOOD}{key} = {value}\n"));
    }
}
