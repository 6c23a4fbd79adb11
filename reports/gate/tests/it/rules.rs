//! Each rule turns the verdict: the same inputs with one thing changed.

use serde_json::json;
use test_case::test_case;
use wheeltap_gate::{Decision, Effect, Verdict};

use crate::damage::makes_nothing_better;
use crate::fixture::{BIOS, Setup, Spec, UEFI, WAIVERS, What, diff, judge, set};

/// The rules that have this effect.
fn rules(decision: &Decision, effect: Effect) -> Vec<&str> {
    let mut rules: Vec<_> = decision.with(effect).map(|finding| &*finding.rule).collect();
    rules.dedup();
    rules
}

#[test]
fn what_is_good_may_go() {
    let decision = Setup::good().decide();
    assert_eq!(decision.verdict, Verdict::Go, "{:#?}", decision.findings);
    assert_eq!(rules(&decision, Effect::Warns), Vec::<&str>::new());
    assert!(decision.checklist.iter().all(|checkbox| checkbox.done != Some(false)));
    assert_eq!(decision.checklist.iter().filter(|checkbox| checkbox.done.is_none()).count(), 1);
}

fn change(setup: &mut Setup, from: &str, to: &str) {
    assert!(setup.policy.contains(from), "{from}");
    setup.policy = setup.policy.replace(from, to);
}

type Change = fn(&mut Setup);

/// Changes that block, each by exactly this rule.
#[test_case("cell.verdict", |it| it.set("boot.a", UEFI, What::Fail("panic")); "a failure")]
#[test_case("cell.verdict", |it| {
    it.set("boot.a", UEFI, What::Fail("panic"));
    it.waivers = Some(WAIVERS.into());
}; "a failure that no waiver knows")]
#[test_case("cell.verdict", |it| {
    it.set("boot.a", UEFI, What::Fail("known trouble"));
    it.waivers = Some(WAIVERS.replace("2026-03-31", "2026-02-01"));
}; "a failure that was accepted until yesterday")]
#[test_case("cell.verdict", |it| {
    it.set("boot.a", UEFI, What::Flaky);
    it.policy.push_str("[verdicts]\nflaky = \"block\"\n");
}; "a flaky case where these block")]
#[test_case("cell.verdict", |it| {
    it.set("boot.a", UEFI, What::Infra);
    it.policy.push_str("[verdicts]\ninfra = \"block\"\n");
}; "infrastructure where that blocks")]
#[test_case("cell.verdict", |it| {
    it.set("boot.a", UEFI, What::NotRun);
    it.policy.push_str("[verdicts]\nnot-run = \"block\"\n");
}; "a case that did not run where that blocks")]
#[test_case("flakes.budget", |it| {
    it.set("boot.a", UEFI, What::Flaky);
    change(it, "50 %", "10 %");
}; "more flaky cases than the budget")]
#[test_case("update-path.verdict", |it| {
    set(&mut it.results[1], "update.apply", UEFI, What::Fail("slot A"));
}; "an update that failed")]
#[test_case("image-diff.limit", |it| it.diff = Some(diff(&[("openssl", None)])); "a hit")]
#[test_case("image-diff.limit", |it| {
    it.diff = Some(diff(&[("openssl", None), ("curl", None)]));
    it.waivers = Some(WAIVERS.into());
}; "a hit beside an accepted one")]
#[test_case("image-diff.limit", |it| {
    it.diff = Some(diff(&[("openssl", None)]));
    it.waivers = Some(WAIVERS.replace("2026-03-31", "2026-02-01"));
}; "a hit that was waived until yesterday")]
#[test_case("image-diff.limit", |it| {
    it.diff = Some(diff(&[("openssl", Some("2026-02-01"))]));
}; "a hit that was accepted until yesterday when the images were compared")]
fn blocks(rule: &str, change: Change) {
    let mut setup = Setup::good();
    change(&mut setup);
    let decision = setup.decide();
    assert_eq!(decision.verdict, Verdict::NoGo, "{:#?}", decision.findings);
    assert_eq!(rules(&decision, Effect::Blocks), [rule]);
    assert!(decision.checklist.iter().any(|checkbox| checkbox.done == Some(false)));
    makes_nothing_better(&setup);
}

/// Changes that leave the decision open, each by exactly this rule.
#[test_case("cell.verdict", |it| it.set("boot.a", UEFI, What::Infra); "infrastructure")]
#[test_case("cell.verdict", |it| it.set("boot.b", UEFI, What::NotRun); "a case that did not run")]
#[test_case("cell.verdict", |it| {
    it.results[0].selected = Some(vec![0, 1, 3]);
    it.set("update.apply", UEFI, What::NotRun);
}; "a partition alone")]
#[test_case("cell.verdict", |it| {
    it.results[0].cases.push(("boot.tpm", UEFI, What::Skip));
    it.policy.push_str("[verdicts]\nskip = \"incomplete\"\n");
}; "a case that was skipped where that matters")]
#[test_case("results.damaged", |it| {
    it.results[0].cases.push(("boot.a", UEFI, What::Pass));
}; "a plan with a case twice")]
#[test_case("cell.missing", |it| {
    it.policy.push_str("[[cell]]\nname = \"aws.arm64\"\nowner = \"x\"\nscenarios = [\"boot.a\"]\n");
}; "a required cell without results")]
#[test_case("cell.scenarios", |it| change(it, "\"boot.b\"", "\"boot.b\", \"boot.c\""); "a required scenario without results")]
#[test_case("cell.scenarios", |it| change(it, "[\"smoke\"]", "[\"smoke\", \"tpm\"]"); "a required tag without results")]
#[test_case("results.none", |it| it.results.clear(); "no results")]
#[test_case("results.state", |it| it.results[0].end = None; "a run that was killed")]
#[test_case("results.state", |it| it.results[0].interrupted = true; "a run that was interrupted")]
#[test_case("results.seal", |it| it.results[0].end = Some(false); "an end without a seal")]
#[test_case("results.defect", |it| it.results[0].defect = Some("a panic"); "a defect of wheeltap")]
#[test_case("results.insecure", |it| it.results[0].image.insecure = true; "an image that nobody vouches for")]
#[test_case("results.fault", |it| it.results[0].fault = Some("failing-unit"); "a fault on purpose")]
#[test_case("results.identity", |it| it.results[0].image.digest.clear(); "an image without a digest")]
#[test_case("results.identity", |it| {
    let mut other = Spec::new("other", "4000.0.0", &[("boot.c", UEFI)]);
    other.image.digest = "41".repeat(32);
    it.results.push(other);
}; "two images")]
#[test_case("results.identity", |it| {
    it.results.push(Spec::new("other", "4001.0.0", &[("boot.c", "qemu_uefi.arm64")]));
}; "two versions")]
#[test_case("results.age", |it| it.as_of = "2026-02-08".parse().unwrap(); "results of the week before")]
#[test_case("results.age", |it| it.as_of = "2026-01-30".parse().unwrap(); "results of tomorrow")]
#[test_case("results.runs", |it| change(it, "[results]", "[results]\nruns = 3"); "fewer runs than the policy wants")]
#[test_case("results.duplicate", |it| {
    it.results.push(Spec::new("again", "4000.0.0", &[("boot.a", UEFI)]));
}; "a case in two plans")]
#[test_case("baseline.missing", |it| it.baseline.clear(); "no baseline")]
#[test_case("baseline.state", |it| it.baseline[0].end = None; "a baseline that was killed")]
#[test_case("baseline.identity", |it| it.baseline[0].image.digest = "40".repeat(32); "the image itself as the baseline")]
#[test_case("baseline.open", |it| set(&mut it.baseline[0], "boot.b", UEFI, What::Infra); "a baseline that was not judged")]
#[test_case("baseline.runs", |it| change(it, "[baseline]", "[baseline]\nruns = 2"); "fewer runs in the baseline")]
#[test_case("baseline.scenarios", |it| {
    it.baseline[0].cases.push(("boot.c", UEFI, What::Pass));
}; "a case that is gone")]
#[test_case("update-path.missing", |it| change(it, "from = \"3999.0.0\"\ncells = [", "from = \"3999.0.0\"\ncells = [\"qemu_bios.amd64\", "); "a cell whose updates were not tested")]
#[test_case("update-path.target", |it| {
    it.results[1].image.update.as_mut().unwrap().digest = Some("41".repeat(32));
}; "an update to another image")]
#[test_case("update-path.target", |it| {
    it.results[1].image.update.as_mut().unwrap().version = "4001.0.0".into();
}; "an update to another version")]
#[test_case("update-path.target", |it| it.results[1].image.update = None; "an update to who knows what")]
#[test_case("update-path.verdict", |it| set(&mut it.results[1], "update.apply", UEFI, What::Infra); "an update that was not judged")]
#[test_case("image-diff.missing", |it| it.diff = None; "no comparison")]
#[test_case("image-diff.damaged", |it| it.diff.as_mut().unwrap()["errors"] = json!(1); "a comparison that was cut")]
#[test_case("image-diff.damaged", |it| it.diff.as_mut().unwrap()["version"] = json!(2); "a comparison of tomorrow")]
#[test_case("image-diff.damaged", |it| it.diff = Some(diff(&[("a", None), ("a", None)])); "a hit twice")]
#[test_case("image-diff.identity", |it| it.diff.as_mut().unwrap()["new"]["version"] = json!("4001.0.0"); "a comparison of another image")]
#[test_case("image-diff.identity", |it| it.diff.as_mut().unwrap()["new"]["version"] = json!(null); "a comparison of who knows what")]
#[test_case("image-diff.identity", |it| it.diff.as_mut().unwrap()["old"]["version"] = json!("3998.0.0"); "a comparison with another release")]
#[test_case("image-diff.rules", |it| change(it, "[\"no-downgrade\"]", "[\"no-downgrade\", \"no-new-setuid\"]"); "a limit that was not checked")]
#[test_case("image-diff.rules", |it| {
    change(it, "rules = [\"no-downgrade\"]", "");
    it.diff.as_mut().unwrap()["judgement"]["rules"] = json!([]);
}; "no limits at all")]
fn leaves_open(rule: &str, change: Change) {
    let mut setup = Setup::good();
    change(&mut setup);
    let decision = setup.decide();
    assert_eq!(decision.verdict, Verdict::Incomplete, "{:#?}", decision.findings);
    assert!(rules(&decision, Effect::Incomplete).contains(&rule), "{:#?}", decision.findings);
    assert!(decision.checklist.iter().any(|checkbox| checkbox.done == Some(false)));
    makes_nothing_better(&setup);
}

/// Changes that somebody accepted.
#[test_case(|it| {
    it.set("boot.a", UEFI, What::Fail("known trouble"));
    it.waivers = Some(WAIVERS.into());
}; "a failure")]
#[test_case(|it| {
    it.diff = Some(diff(&[("openssl", None)]));
    it.waivers = Some(WAIVERS.into());
}; "a hit, by a waiver")]
#[test_case(|it| it.diff = Some(diff(&[("openssl", Some("2026-02-02"))])); "a hit, when the images were compared")]
fn is_accepted(change: Change) {
    let mut setup = Setup::good();
    change(&mut setup);
    let decision = setup.decide();
    assert_eq!(decision.verdict, Verdict::GoWithWaivers, "{:#?}", decision.findings);
}

/// A log that lost a line, or has another one, isn't what the run wrote.
#[test]
fn a_log_that_was_changed_is_named() {
    let dir = tempfile::TempDir::new().unwrap();
    let mut setup = Setup::good();
    setup.set("boot.a", UEFI, What::Fail("panic"));
    let sources = setup.write(dir.path());
    let log = dir.path().join("new/events.jsonl");
    let good = std::fs::read_to_string(&log).unwrap();
    let without = good.lines().filter(|line| !line.contains("panic"));
    let without: String = without.map(|line| format!("{line}\n")).collect();
    for bad in [without, good.replace("\"fail\"", "\"pass\"")] {
        assert_ne!(bad, good);
        std::fs::write(&log, bad).unwrap();
        let decision = judge(&sources, dir.path());
        assert_eq!(decision.verdict, Verdict::Incomplete);
        let finding = decision.with(Effect::Incomplete).find(|it| it.rule == "results.damaged");
        let finding = finding.unwrap();
        assert!(finding.text.contains("new/events.jsonl is not as it was"), "{}", finding.text);
    }
}

/// What isn't required can't block: it is only said.
#[test_case("cell.optional", |it| it.set("boot.a", BIOS, What::Fail("panic")); "a failure in an optional cell")]
#[test_case("cell.unknown", |it| {
    it.results[0].cases.push(("boot.a", "aws.amd64", What::Fail("panic")));
}; "a failure in a cell that the policy does not name")]
#[test_case("cell.verdict", |it| it.set("boot.a", UEFI, What::Flaky); "a flaky case")]
#[test_case("cell.verdict", |it| {
    it.results[0].cases.push(("boot.tpm", UEFI, What::Skip));
}; "a case that was skipped")]
#[test_case("baseline.scenarios", |it| {
    it.baseline[0].cases.push(("boot.c", UEFI, What::Pass));
    change(it, "[baseline]\nrequired = true", "");
    change(it, "worse = \"block\"", "");
}; "a case that is gone, without a required baseline")]
#[test_case("image-diff.limit", |it| {
    it.diff = Some(diff(&[("openssl", None)]));
    change(it, "[image-diff]\nrequired = true", "[image-diff]");
}; "a hit in a comparison that is not required")]
#[test_case("waiver.remark", |it| it.waivers = Some(WAIVERS.into()); "a waiver that nobody needs")]
fn is_said(rule: &str, change: Change) {
    let mut setup = Setup::good();
    change(&mut setup);
    let decision = setup.decide();
    assert_eq!(decision.verdict, Verdict::Go, "{:#?}", decision.findings);
    assert_eq!(rules(&decision, Effect::Warns), [rule]);
}

#[test]
fn what_is_gone_on_purpose_is_not_missed() {
    let mut setup = Setup::good();
    setup.baseline[0].cases.push(("storage.swap", UEFI, What::Pass));
    assert_eq!(setup.decide().verdict, Verdict::Incomplete);
    setup.policy.push_str("[[removed]]\nscenario = \"storage.*\"\nreason = \"no swap\"\n");
    let decision = setup.decide();
    assert_eq!(decision.verdict, Verdict::Go, "{:#?}", decision.findings);
    assert!(decision.with(Effect::Fine).any(|it| it.text == "gone on purpose: no swap"));
}

/// 93 of 100 against 99 of 100 is worse; 98 isn't.
#[test_case(7, true)]
#[test_case(2, false)]
fn more_flaky_cases_than_before(flaky: usize, is_worse: bool) {
    let mut setup = Setup::good();
    let many = |count: usize| {
        (0..97).map(move |n| {
            let what = if n < count { What::Flaky } else { What::Pass };
            (&*format!("many.n{n}").leak(), UEFI, what)
        })
    };
    setup.results[0].cases.extend(many(flaky));
    setup.baseline[0].cases.extend(many(1));
    let decision = setup.decide();
    let expected = if is_worse { Verdict::NoGo } else { Verdict::Go };
    assert_eq!(decision.verdict, expected, "{:#?}", decision.findings);
    let found = decision.findings.iter().find(|it| it.rule == "flakes.worse").unwrap();
    let text = match is_worse {
        true => {
            "93/100 passed at the first attempt, and 99/100 in the baseline: significantly worse \
             (p = 0.032, Fisher's exact test, one-sided)"
        }
        false => {
            "98/100 passed at the first attempt, and 99/100 in the baseline: no worse than chance \
             explains (p = 0.500, Fisher's exact test, one-sided)"
        }
    };
    assert_eq!(found.text, text);
}

#[test]
fn partitions_are_one_run() {
    let mut setup = Setup::good();
    setup.results[0].selected = Some(vec![0, 1]);
    let mut other = Spec { name: "new-2".into(), ..setup.results[0].clone() };
    other.selected = Some(vec![2, 3]);
    for (place, spec) in [(2, &mut setup.results[0]), (0, &mut other)] {
        spec.cases[place].2 = What::NotRun;
        spec.cases[place + 1].2 = What::NotRun;
    }
    assert_eq!(setup.decide().verdict, Verdict::Incomplete);
    setup.results.push(other);
    let decision = setup.decide();
    assert_eq!(decision.verdict, Verdict::Go, "{:#?}", decision.findings);
    setup.policy = setup.policy.replace("[results]", "[results]\nruns = 3");
    assert_eq!(setup.decide().verdict, Verdict::Go);
}

/// What is known to be bad counts more than what isn't known.
#[test]
fn a_no_go_is_one_whatever_is_missing() {
    let mut setup = Setup::good();
    setup.set("boot.a", UEFI, What::Fail("panic"));
    setup.diff = None;
    let decision = setup.decide();
    assert_eq!(decision.verdict, Verdict::NoGo);
    assert_eq!(rules(&decision, Effect::Incomplete), ["image-diff.missing"]);
}

#[test]
fn the_day_a_waiver_ends_is_its_last() {
    let mut setup = Setup::good();
    setup.set("boot.a", UEFI, What::Fail("known trouble"));
    setup.waivers = Some(WAIVERS.replace("2026-03-31", "2026-02-02"));
    assert_eq!(setup.decide().verdict, Verdict::GoWithWaivers);
}
