//! Several runs of one plan as one.

use std::fs;

use crate::fixture::{BIOS, Fixture, UEFI, failure};
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_assert_eq, proptest};
use quick_junit::Report;
use wheeltap_reports::{
    CaseId, EVENTS_FILE, Event, Failure, FailureClass, Format, Outcome, PLAN_FILE, Paint, Phase,
    Run, State, Verdict, Waivers, render,
};

const CASES: [(&str, &str); 5] =
    [("boot.a", UEFI), ("boot.b", BIOS), ("boot.c", UEFI), ("boot.d", BIOS), ("boot.e", UEFI)];
const FORMATS: [Format; 5] =
    [Format::Junit, Format::Json, Format::Text(Paint::Plain), Format::Markdown, Format::Tap];

/// A run of the plan that starts in this minute of the hour, with a part of it or all.
fn run(minute: u32, partition: Option<(&str, &[usize])>) -> Fixture {
    let mut fixture = Fixture::new(&CASES);
    fixture.plan.run = format!("20260131-12{minute:02}00-7");
    fixture.plan.created = format!("2026-01-31T12:{minute:02}:00Z").parse().unwrap();
    fixture.partition = partition.map(|(name, selected)| (name.into(), selected.to_vec()));
    fixture.start();
    fixture
}

fn cause(headline: &str) -> Failure {
    failure(FailureClass::Product, Phase::Check, "check", headline)
}

fn merge(runs: &[&Fixture]) -> Run {
    Run::merge(runs.iter().map(|fixture| fixture.load()).collect()).unwrap()
}

fn verdicts(run: &Run) -> Vec<Verdict> {
    run.cases.iter().map(|case| case.verdict).collect()
}

/// All partitions of the plan: the first fails a case, the others pass.
fn partitions() -> [Fixture; 3] {
    let mut one = run(0, Some(("hash:1/3", &[0, 3])));
    one.fail(CASES[0], cause("/usr can be written")).pass(CASES[3]);
    one.push(Event::Note { text: "KVM is not usable here".into() });
    one.finish(Outcome::ProductFailure);
    let mut two = run(1, Some(("hash:2/3", &[1])));
    two.pass(CASES[1]).push(Event::Note { text: "KVM is not usable here".into() });
    two.finish(Outcome::AllPassed);
    let mut three = run(2, Some(("hash:3/3", &[2, 4])));
    three.attempt(CASES[2], 1, Some(cause("boot_id is the same"))).attempt(CASES[2], 2, None);
    three.end(CASES[2], Verdict::Flaky).pass(CASES[4]).finish(Outcome::FlakyOnly);
    [one, two, three]
}

#[test]
fn partitions_make_up_the_plan() {
    let [one, two, three] = partitions();
    let run = merge(&[&three, &one, &two]);
    use Verdict::{Fail, Flaky, Pass};
    assert_eq!(verdicts(&run), [Fail, Pass, Flaky, Pass, Pass]);
    assert_eq!(run.outcome(), Outcome::ProductFailure);
    assert_eq!(run.state, State::Ended);
    assert_eq!(run.notes, ["KVM is not usable here"], "said once");
    assert_eq!(run.parts().len(), 3);
    assert_eq!(run.plan_digest, one.plan.digest());
    // Evidence lies where the run that has it left it.
    let attempt = &run.cases[4].attempts[0];
    let path = run.path_of(attempt, &attempt.evidence[0]);
    assert!(path.starts_with(three.dir.path()), "{}", path.display());
}

#[test]
fn merged_runs_in_every_report() {
    let fixtures = partitions();
    let [one, two, three] = &fixtures;
    // Without the second partition.
    for (name, runs) in [("merged", vec![one, two, three]), ("merged_part", vec![one, three])] {
        let run = merge(&runs);
        for (kind, format) in ["junit", "json", "text", "md", "tap"].into_iter().zip(FORMATS) {
            let mut report = render(&run, format).unwrap();
            for (number, fixture) in fixtures.iter().enumerate() {
                let dir = fixture.dir.path().to_str().unwrap();
                report = report.replace(dir, &format!("/RUN-{}", number + 1));
            }
            if kind == "junit" {
                Report::deserialize_from_str(&report).unwrap();
            }
            insta::assert_snapshot!(format!("{name}.{kind}"), report);
        }
    }
}

#[test]
fn a_missing_partition_is_named() {
    let [one, two, three] = partitions();
    let part = merge(&[&one, &three]);
    assert_eq!(part.cases[1].verdict, Verdict::NotRun);
    assert_eq!(
        part.cases[1].reason.as_deref(),
        Some("no run of these 2 has it: partition hash:2/3 is missing")
    );
    assert_eq!(part.counts().not_run, 1, "it counts");
    assert_eq!(merge(&[&three, &two]).outcome(), Outcome::LessThanPlanned);
    assert_eq!(
        merge(&[&two]).outcome(),
        Outcome::AllPassed,
        "one run by itself is judged by its own"
    );

    let reason = |names: &[&str]| {
        let runs: Vec<_> =
            (0..).zip(names).map(|(minute, name)| run(minute, Some((name, &[])))).collect();
        let merged = merge(&runs.iter().collect::<Vec<_>>());
        merged.cases[0].reason.clone().unwrap()
    };
    assert_eq!(
        reason(&["slice:2/4", "slice:3/4"]),
        "no run of these 2 has it: partitions slice:1/4, slice:4/4 are missing"
    );
    assert_eq!(
        reason(&["slice:2/9", "slice:3/9"]),
        "no run of these 2 has it: partitions slice:1/9, slice:4/9, slice:5/9 and 4 more are missing"
    );
    assert_eq!(reason(&["slice:1/2", "hash:2/2"]), "no run of these 2 has it", "not of one kind");
    assert_eq!(reason(&["mine", "yours"]), "no run of these 2 has it");
    assert!(reason(&["slice:2/4294967295", "slice:3/4294967295"]).contains("more are missing"));
}

#[test]
fn a_copy_counts_once() {
    let [one, two, _] = partitions();
    let copy = tempfile::tempdir().unwrap();
    one.write();
    for file in [PLAN_FILE, EVENTS_FILE] {
        fs::copy(one.dir.path().join(file), copy.path().join(file)).unwrap();
    }
    let copy = || Run::load(copy.path()).unwrap();
    let run = Run::merge(vec![one.load(), copy(), two.load(), one.load()]).unwrap();
    assert_eq!((run.parts().len(), run.cases[0].attempts.len()), (2, 1));
    let run = Run::merge(vec![one.load(), copy()]).unwrap();
    assert!(run.parts().is_empty(), "it is one run");

    // Two containers can have the same id for a run.
    let mut same_id = partitions().into_iter().nth(1).unwrap();
    same_id.plan.run.clone_from(&one.plan.run);
    assert_eq!(merge(&[&one, &same_id]).parts().len(), 2);
}

#[test]
fn a_case_that_several_ran_keeps_all_attempts() {
    let judged = |first: &dyn Fn(&mut Fixture), second: &dyn Fn(&mut Fixture)| {
        let (mut one, mut two) = (run(0, None), run(1, None));
        first(&mut one);
        second(&mut two);
        let run = merge(&[&two, &one]);
        let numbers: Vec<_> = run.cases[0].attempts.iter().map(|attempt| attempt.number).collect();
        assert_eq!(numbers, (1..).take(numbers.len()).collect::<Vec<_>>());
        assert!(run.cases[0].attempts.is_sorted_by_key(|attempt| attempt.started));
        (run.cases[0].verdict, numbers.len())
    };
    let pass = |fixture: &mut Fixture| {
        fixture.pass(CASES[0]);
    };
    let fail = |fixture: &mut Fixture| {
        fixture.fail(CASES[0], cause("x"));
    };
    let infra = |fixture: &mut Fixture| {
        fixture.fail(CASES[0], failure(FailureClass::Infra, Phase::Reach, "ssh", "refused"));
    };
    let case = || CaseId::new(CASES[0].0, CASES[0].1);
    let cut = |fixture: &mut Fixture| {
        fixture.push(Event::AttemptStarted { case: case(), attempt: 1, dir: "x".into() });
    };
    // Killed between the attempt's end and the case's.
    let torn = |fixture: &mut Fixture| {
        fixture.attempt(CASES[0], 1, None);
    };
    let said = |verdict| {
        move |fixture: &mut Fixture| {
            fixture.end(CASES[0], verdict);
        }
    };
    assert_eq!(judged(&fail, &pass), (Verdict::Flaky, 2), "it passed after it had failed");
    assert_eq!(judged(&pass, &fail), (Verdict::Fail, 2));
    assert_eq!(judged(&infra, &fail), (Verdict::Fail, 2));
    assert_eq!(judged(&infra, &pass), (Verdict::Flaky, 2));
    assert_eq!(judged(&pass, &pass), (Verdict::Pass, 2));
    assert_eq!(judged(&cut, &pass), (Verdict::Pass, 2), "what was cut off says nothing");
    assert_eq!(judged(&fail, &cut), (Verdict::Fail, 2));
    assert_eq!(judged(&cut, &cut), (Verdict::NotRun, 2));
    assert_eq!(judged(&torn, &pass), (Verdict::Pass, 2));
    assert_eq!(judged(&torn, &|_| {}), (Verdict::NotRun, 1), "as it is without the other");
    assert_eq!(judged(&said(Verdict::Infra), &pass), (Verdict::Infra, 1), "doubt is no pass");
    assert_eq!(judged(&said(Verdict::Flaky), &said(Verdict::Pass)), (Verdict::Flaky, 0));
    assert_eq!(judged(&said(Verdict::Skip), &pass), (Verdict::Pass, 1));
    assert_eq!(judged(&said(Verdict::Skip), &cut), (Verdict::NotRun, 1));
    assert_eq!(judged(&said(Verdict::Skip), &|_| {}), (Verdict::Skip, 0));
}

#[test]
fn what_was_cut_off_is_made_good_by_others() {
    let mut one = run(0, None);
    one.pass(CASES[0]).push(Event::RunInterrupted { signal: "SIGINT".into() });
    let mut rest = run(1, Some(("rest", &[1, 2, 3, 4])));
    for case in &CASES[1..4] {
        rest.pass(*case);
    }
    let part = merge(&[&one, &rest]);
    assert_eq!(part.outcome(), Outcome::Interrupted);
    assert_eq!(part.cases[4].reason.as_deref(), Some("never started: SIGINT ended the run before"));
    rest.pass(CASES[4]);
    assert_eq!(merge(&[&one, &rest]).outcome(), Outcome::AllPassed);
}

#[test]
fn what_cannot_be_merged_is_named() {
    let error = Run::merge(Vec::new()).unwrap_err().to_string();
    assert_eq!(error, "there are no runs to merge; give at least one run directory");
    let mut other = Fixture::new(&CASES[..2]);
    other.start();
    let [one, ..] = partitions();
    let error = Run::merge(vec![one.load(), other.load()]).unwrap_err().to_string();
    for part in [
        one.dir.path().to_str().unwrap(),
        other.dir.path().to_str().unwrap(),
        &one.plan.digest(),
        &other.plan.digest(),
        "only runs that promised the same can be merged",
    ] {
        assert!(error.contains(part), "{error}");
    }
}

fn waiver(id: &str, pattern: &str) -> Waivers {
    let text = format!(
        "[[waiver]]\nid = '{id}'\nscenario = 'boot.*'\nsignature = '{pattern}'\nowner = 'me'\n\
         tracker = 'https://example.org'\nexpires = 2026-12-31\nreason = 'known'\n"
    );
    Waivers::parse("w.toml", &text).unwrap()
}

#[test]
fn waivers_of_all_runs_are_applied() {
    let [one, two, three] = partitions();
    waiver("W-1", "can be written").write(two.dir.path()).unwrap();
    waiver("W-2", "nothing").write(three.dir.path()).unwrap();
    assert_eq!(one.load().outcome(), Outcome::ProductFailure);
    let run = merge(&[&one, &two, &three]);
    assert_eq!((run.outcome(), run.counts().waived), (Outcome::FlakyOnly, 1));
    assert_eq!(run.waivers.len(), 2);

    waiver("W-1", "something else").write(three.dir.path()).unwrap();
    let runs = [&one, &two, &three].map(Fixture::load);
    let error = Run::merge(runs.into()).unwrap_err().to_string();
    assert!(error.contains("have different waivers with the id W-1"), "{error}");
    let bare = [&one, &two, &three].map(|it| Run::load_unwaived(it.dir.path()).unwrap());
    assert_eq!(Run::merge(bare.into()).unwrap().outcome(), Outcome::ProductFailure);
}

/// What a run makes of each case: nothing, a pass, a failure, a failure and a pass, an
/// infrastructure failure, a cut, a verdict without an attempt, a skip.
fn kinds() -> impl Strategy<Value = [u8; 5]> {
    proptest::array::uniform5(0_u8..8)
}

fn any_run(minute: u32, number: usize, of: usize, kinds: [u8; 5]) -> Fixture {
    let selected: Vec<_> = (0..5).filter(|index| kinds[*index] > 0).collect();
    let name = format!("slice:{}/{of}", number + 1);
    let mut fixture = run(minute, Some((&name, &selected)));
    for (case, kind) in CASES.into_iter().zip(kinds) {
        let id = CaseId::new(case.0, case.1);
        match kind {
            1 => {
                fixture.pass(case);
            }
            2 => {
                fixture.fail(case, cause("x is 1"));
            }
            3 => {
                fixture.attempt(case, 1, Some(cause("x is 2"))).attempt(case, 2, None);
                fixture.end(case, Verdict::Flaky);
            }
            4 => {
                fixture.fail(case, failure(FailureClass::Infra, Phase::Reach, "ssh", "no"));
            }
            5 => {
                fixture.push(Event::AttemptStarted { case: id, attempt: 1, dir: "x".into() });
            }
            6 => {
                fixture.end(case, Verdict::Pass);
            }
            7 => {
                let (verdict, reason) = (Verdict::Skip, Some(format!("reason {number}")));
                fixture.push(Event::CaseEnded { case: id, verdict, reason, seconds: 0.1 });
            }
            _ => {}
        }
    }
    fixture.push(Event::Note { text: format!("note {}", number % 2) });
    if number != 1 {
        fixture.finish(Outcome::AllPassed);
    }
    fixture
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Any subset, in any order, grouped in any way: the same reports, byte for byte.
    #[test]
    fn neither_order_nor_grouping_matters(
        runs in proptest::collection::vec((kinds(), 0_u32..3), 1..5),
        order in Just((0..4_usize).collect::<Vec<_>>()).prop_shuffle(),
        cuts in proptest::array::uniform4(any::<bool>()),
        twice in any::<bool>(),
    ) {
        let of = runs.len() + 1;
        let fixtures: Vec<_> = runs
            .iter()
            .enumerate()
            .map(|(number, (kinds, minute))| any_run(*minute, number, of, *kinds))
            .collect();
        waiver("W-1", "x is").write(fixtures[0].dir.path()).unwrap();
        let loaded: Vec<Run> = fixtures.iter().map(Fixture::load).collect();
        let expected = Run::merge(loaded.clone()).unwrap();

        // Groups of the runs in another order, each merged by itself before all are.
        let mut groups: Vec<Vec<Run>> = vec![Vec::new()];
        for index in order.into_iter().filter(|index| *index < loaded.len()) {
            groups.last_mut().unwrap().push(loaded[index].clone());
            if cuts[index] {
                groups.push(Vec::new());
            }
        }
        if twice {
            groups.push(vec![loaded[0].clone()]);
        }
        let groups = groups.into_iter().filter(|group| !group.is_empty());
        let merged = Run::merge(groups.map(|group| Run::merge(group).unwrap()).collect()).unwrap();
        for format in FORMATS {
            prop_assert_eq!(render(&merged, format).unwrap(), render(&expected, format).unwrap());
        }
        prop_assert_eq!(merged.outcome(), expected.outcome());
    }
}
