//! Everything that can be lost or damaged, one thing at a time.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;
use wheeltap_gate::{Inputs, Place, Sources, decide};

use crate::fixture::Setup;

/// Of each file as many places are cut at, and as many bytes changed.
const PLACES: usize = 5;

/// Demands that none of these inputs makes a GO of what is none, by being away or damaged. How many runs there are is
/// known: else one that is left out, and nobody asks for, isn't missed.
pub(crate) fn makes_nothing_better(setup: &Setup) {
    let mut setup = setup.clone();
    for (area, runs) in [("results", setup.results.len()), ("baseline", setup.baseline.len())] {
        if !setup.policy.contains(&format!("[{area}]\nruns")) {
            setup.policy =
                setup.policy.replace(&format!("[{area}]"), &format!("[{area}]\nruns = {runs}"));
        }
    }
    let dir = TempDir::new().unwrap();
    let sources = setup.write(dir.path());
    let place = Place::new(&dir.path().join("gate")).unwrap();
    let expect_no_go = |what: &str, sources: &Sources| {
        // A policy or waivers that can't be read let nothing leave.
        let is_go = Inputs::load(sources).is_ok_and(|it| decide(&it, &place).verdict.is_go());
        assert!(!is_go, "a GO comes of it by {what}");
    };
    expect_no_go("nothing at all", &sources);

    for at in 0..sources.results.len() {
        let mut less = sources.clone();
        let run = less.results.remove(at);
        expect_no_go(&format!("leaving {} out", run.display()), &less);
    }
    for at in 0..sources.baseline.len() {
        let mut less = sources.clone();
        let run = less.baseline.remove(at);
        expect_no_go(&format!("leaving {} of the baseline out", run.display()), &less);
    }
    expect_no_go("having no results", &Sources { results: Vec::new(), ..sources.clone() });
    expect_no_go("having no baseline", &Sources { baseline: Vec::new(), ..sources.clone() });
    expect_no_go("having no waivers", &Sources { waivers: None, ..sources.clone() });
    expect_no_go("having no comparison", &Sources { image_diff: None, ..sources.clone() });

    let runs = sources.results.iter().chain(&sources.baseline);
    let files: Vec<PathBuf> = runs
        .flat_map(|run| ["plan.json", "events.jsonl"].map(|name| run.join(name)))
        .chain(sources.image_diff.clone())
        .chain(sources.waivers.clone())
        .collect();
    for file in files {
        let whole = fs::read(&file).unwrap();
        let name = file.display();
        fs::remove_file(&file).unwrap();
        expect_no_go(&format!("deleting {name}"), &sources);
        for place in 0..PLACES {
            let at = whole.len() * place / PLACES;
            fs::write(&file, &whole[..at]).unwrap();
            expect_no_go(&format!("cutting {name} off at byte {at}"), &sources);
            let mut changed = whole.clone();
            // Not only at the beginnings of the same lines.
            let at = (at + 37 * place).min(whole.len() - 1);
            changed[at] ^= 1;
            fs::write(&file, changed).unwrap();
            expect_no_go(&format!("changing byte {at} of {name}"), &sources);
        }
        let lines: Vec<_> = whole.split_inclusive(|byte| *byte == b'\n').collect();
        for at in 0..lines.len() {
            fs::write(&file, [&lines[..at], &lines[at + 1..]].concat().concat()).unwrap();
            expect_no_go(&format!("removing line {} of {name}", at + 1), &sources);
        }
        fs::write(&file, whole).unwrap();
    }
}
