//! Removing or damaging anything never turns a NO-GO or an INCOMPLETE into a GO.

use std::fs;
use std::path::PathBuf;

use proptest::prelude::{
    Just, ProptestConfig, Strategy, any, prop, prop_assert, prop_oneof, proptest,
};
use tempfile::TempDir;
use wheeltap_gate::{Inputs, Place, Sources, decide};

use crate::fixture::{BIOS, Setup, Spec, UEFI, WAIVERS, What, diff, set};

/// Something that goes wrong between the runs and the decision.
#[derive(Clone, Debug)]
enum Damage {
    Run(prop::sample::Index),
    Baseline(prop::sample::Index),
    Waivers,
    AllOfTheBaseline,
    ImageDiff,
    /// Of one of all files.
    Line(prop::sample::Index, prop::sample::Index),
    Truncate(prop::sample::Index, prop::sample::Index),
    Flip(prop::sample::Index, prop::sample::Index, u8),
    Delete(prop::sample::Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        index().prop_map(Damage::Run),
        index().prop_map(Damage::Baseline),
        Just(Damage::Waivers),
        Just(Damage::AllOfTheBaseline),
        Just(Damage::ImageDiff),
        (index(), index()).prop_map(|(file, line)| Damage::Line(file, line)),
        (index(), index()).prop_map(|(file, at)| Damage::Truncate(file, at)),
        (index(), index(), 1_u8..).prop_map(|(file, at, bits)| Damage::Flip(file, at, bits)),
        index().prop_map(Damage::Delete),
    ]
}

fn what() -> impl Strategy<Value = What> {
    prop_oneof![
        // Mostly good: what is bad for several reasons stays bad whatever is lost.
        40 => Just(What::Pass),
        2 => Just(What::Flaky),
        4 => Just(What::Fail("panic")),
        2 => Just(What::Fail("known trouble")),
        1 => Just(What::Infra),
        1 => Just(What::Skip),
        1 => Just(What::NotRun),
    ]
}

fn setup() -> impl Strategy<Value = Setup> {
    let verdicts = prop::collection::vec(what(), 8);
    let toggles = any::<[bool; 6]>();
    let hits = prop_oneof![4 => Just(0_usize), 2 => Just(1), 1 => Just(2)];
    let rare = || prop::bool::weighted(0.15);
    (verdicts, toggles, hits, rare(), rare()).prop_map(
        |(verdicts, toggles, hits, again, tomorrow)| {
            let [waivers, flaky, budget, closed, many, split] = toggles;
            let mut setup = Setup::good();
            let places =
                [("boot.a", UEFI), ("boot.b", UEFI), ("update.apply", UEFI), ("boot.a", BIOS)];
            for ((scenario, cell), (now, before)) in
                places.into_iter().zip(verdicts.iter().zip(&verdicts[4..]))
            {
                setup.set(scenario, cell, now.clone());
                // What the baseline is about matters little, and an open one would hide the rest.
                if matches!(before, What::Flaky | What::Skip) {
                    set(&mut setup.baseline[0], scenario, cell, before.clone());
                }
            }
            set(&mut setup.results[1], "update.apply", UEFI, verdicts[7].clone());
            setup.waivers = waivers.then(|| WAIVERS.to_owned());
            setup.diff = Some(diff(&[("openssl", None), ("curl", None)][..hits]));
            let mut change = |is: bool, from: &str, to: &str| {
                if is {
                    setup.policy = setup.policy.replace(from, to);
                }
            };
            change(flaky, "[results]", "[verdicts]\nflaky = \"block\"\n[results]");
            change(budget, "50 %", "20 %");
            if closed {
                // Then there may be anything: the numbers of runs are known.
                if again {
                    setup.results.push(Spec::new("again", "4000.0.0", &[("boot.a", UEFI)]));
                    set(&mut setup.results[2], "boot.a", UEFI, verdicts[6].clone());
                }
                if many {
                    setup.results.push(Spec::new("more", "4000.0.0", &[("boot.more", UEFI)]));
                    let at = setup.results.len() - 1;
                    set(&mut setup.results[at], "boot.more", UEFI, verdicts[5].clone());
                    setup.baseline.push(Spec::new("more-old", "3999.0.0", &[("boot.more", UEFI)]));
                }
                if split {
                    let first = &mut setup.results[0];
                    first.selected = Some(vec![0, 1]);
                    let mut other = first.clone();
                    (other.name, other.selected) = ("new-2".into(), Some(vec![2, 3]));
                    (first.cases[2].2, first.cases[3].2) = (What::NotRun, What::NotRun);
                    (other.cases[0].2, other.cases[1].2) = (What::NotRun, What::NotRun);
                    setup.results.push(other);
                }
                let (runs, before) = (setup.results.len(), setup.baseline.len());
                setup.policy = setup
                    .policy
                    .replace("[results]", &format!("[results]\nruns = {runs}"))
                    .replace("[baseline]", &format!("[baseline]\nruns = {before}"));
            }
            if tomorrow {
                setup.as_of = "2026-02-08".parse().unwrap();
            }
            setup
        },
    )
}

/// Whether the image may leave; a policy or waivers that can't be read let nothing leave.
fn is_go(sources: &Sources, dir: &TempDir) -> bool {
    let place = Place::new(&dir.path().join("gate")).unwrap();
    Inputs::load(sources).is_ok_and(|inputs| decide(&inputs, &place).verdict.is_go())
}

fn apply(damage: &Damage, sources: &mut Sources) {
    let runs = sources.results.iter().chain(&sources.baseline);
    let mut files: Vec<PathBuf> =
        runs.flat_map(|run| ["plan.json", "events.jsonl"].map(|name| run.join(name))).collect();
    files.extend(sources.image_diff.clone());
    let change = |file: &prop::sample::Index, change: &dyn Fn(&mut Vec<u8>)| {
        let path = file.get(&files);
        let mut bytes = fs::read(path).unwrap();
        change(&mut bytes);
        fs::write(path, bytes).unwrap();
    };
    match damage {
        Damage::Run(index) => drop(sources.results.remove(index.index(sources.results.len()))),
        Damage::Baseline(index) => {
            drop(sources.baseline.remove(index.index(sources.baseline.len())));
        }
        Damage::Waivers => sources.waivers = None,
        Damage::AllOfTheBaseline => sources.baseline.clear(),
        Damage::ImageDiff => sources.image_diff = None,
        Damage::Line(file, line) => change(file, &|bytes| {
            let mut lines: Vec<_> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
            lines.remove(line.index(lines.len()));
            *bytes = lines.concat();
        }),
        Damage::Truncate(file, at) => change(file, &|bytes| bytes.truncate(at.index(bytes.len()))),
        Damage::Flip(file, at, bits) => change(file, &|bytes| {
            let at = at.index(bytes.len());
            bytes[at] ^= bits;
        }),
        Damage::Delete(file) => fs::remove_file(file.get(&files)).unwrap(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn nothing_that_is_lost_makes_it_better(
        setup in setup(),
        damages in prop::collection::vec(damage(), 1..3),
    ) {
        let dir = TempDir::new().unwrap();
        let mut sources = setup.write(dir.path());
        let before = is_go(&sources, &dir);
        for damage in &damages {
            if matches!(damage, Damage::Baseline(_)) && sources.baseline.is_empty()
                || matches!(damage, Damage::Run(_)) && sources.results.is_empty()
            {
                continue;
            }
            // A file that is gone can't be damaged further.
            if damages.len() > 1 && matches!(damage, Damage::Delete(_) | Damage::Truncate(..)) {
                continue;
            }
            let is_file = matches!(
                damage, Damage::Line(..) | Damage::Flip(..) | Damage::Delete(_) | Damage::Truncate(..)
            );
            if is_file && sources.results.is_empty() && sources.image_diff.is_none() {
                continue;
            }
            apply(damage, &mut sources);
        }
        let after = is_go(&sources, &dir);
        prop_assert!(before || !after, "{damages:?} made a GO of it");
    }
}
