//! SIGKILL at any instant: no machine survives, `wheeltap gc` leaves nothing, no result that was there is lost, and
//! `--resume` completes the plan.
//!
//! Ignored by default, since it boots machines for half an hour; `ci/test` runs it. `WHEELTAP_KILLS` is the number of
//! kills, `WHEELTAP_SEED` draws the same instants again.

#![expect(clippy::unwrap_used, reason = "a test says what it expected by panicking")]

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant, SystemTime},
};

use serde_json::Value;

/// Unless `WHEELTAP_KILLS` says otherwise.
const KILLS: u32 = 100;

/// Short, and on a machine that has booted already.
const SCENARIOS: [&str; 6] = [
    "boot.release",
    "boot.slot-good",
    "storage.usr-verity",
    "security.default-user",
    "security.keys-only",
    "power.off",
];

/// A run is killed at a random instant between these: before it has a directory, and while a machine starts from a fork.
const EARLY: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(6));

/// Or so long after a case has ended: while its report is written, its machine taken down, and the next one started.
const AFTER_A_CASE: (Duration, Duration) = (Duration::ZERO, Duration::from_secs(1));

/// A case ends within this time even where the machine boots first, in software and on a busy host.
const GUARD: Duration = Duration::from_secs(600);

/// Random numbers that a seed repeats (SplitMix64, Steele et al. 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn between(&mut self, (from, to): (Duration, Duration)) -> Duration {
        from + (to - from).mul_f64(self.next() as f64 / u64::MAX as f64)
    }
}

fn variable<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok().and_then(|value| value.parse().ok())
}

/// Between two looks at a process that is none of ours to wait for.
#[expect(clippy::disallowed_methods, reason = "a test without a runtime has a thread to spare")]
fn pause() {
    std::thread::sleep(Duration::from_millis(5));
}

/// A host of its own: runs, state, cache and temporary files.
struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["out", "tmp", "state", "cache"] {
            fs::create_dir(directory.path().join(name)).unwrap();
        }
        // The image is the user's; what runs keep beside it is not.
        let image = Command::new(env!("CARGO_BIN_EXE_wheeltap"))
            .args(["image", "path", "reference"])
            .output()
            .unwrap();
        assert!(image.status.success(), "build it first: wheeltap image build");
        let image = PathBuf::from(String::from_utf8(image.stdout).unwrap().trim());
        symlink(image.parent().unwrap(), directory.path().join("cache/images")).unwrap();
        Self { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn wheeltap(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wheeltap"));
        command
            .args(args)
            .current_dir(self.directory.path())
            .env("WHEELTAP_STATE", self.path("state"))
            .env("WHEELTAP_CACHE", self.path("cache"))
            .env("TMPDIR", self.path("tmp"));
        command
    }

    fn output(&self, args: &[&str]) -> Output {
        self.wheeltap(args).stdin(Stdio::null()).output().unwrap()
    }

    /// Starts a run, or goes on with one.
    fn run(&self, killed: Option<&Path>) -> Child {
        let mut command = self.wheeltap(&["run"]);
        match killed {
            Some(run) => command.arg("--resume").arg(run).args(["--jobs", "1"]),
            None => command.args(SCENARIOS).args(["--jobs", "1", "--out", "out"]),
        };
        let log = fs::File::options().create(true).append(true).open(self.path("log")).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        command.spawn().unwrap()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// All runs that have a plan, the latest last.
    fn runs(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path("out")).unwrap().map(|entry| entry.unwrap().path());
        let mut runs: Vec<PathBuf> =
            entries.filter(|path| !path.is_symlink() && path.join("plan.json").exists()).collect();
        runs.sort();
        runs
    }

    fn events(&self, run: &Path) -> Vec<Value> {
        let text = fs::read_to_string(run.join("events.jsonl")).unwrap_or_default();
        // The last line may have been torn.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn ended(&self) -> usize {
        let runs = self.runs();
        runs.iter().map(|run| results(&self.events(run)).len()).sum()
    }

    /// What a living wheeltap or a killed one has beside evidence.
    fn left(&self) -> Vec<PathBuf> {
        fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
            for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
                let (path, name) = (entry.path(), entry.file_name());
                let name = name.to_string_lossy();
                if entry.file_type().unwrap().is_dir() {
                    walk(&path, found);
                } else if name.ends_with(".qcow2")
                    || name.ends_with(".fd")
                    || name.starts_with(".wheeltap-")
                    || ["memory", "devices", "qmp"].contains(&&*name)
                {
                    found.push(path);
                }
            }
        }
        let mut found = Vec::new();
        walk(&self.path("out"), &mut found);
        // Complete states stay in the cache; what was on the way to become one doesn't.
        let states = fs::read_dir(self.path("cache/states")).into_iter().flatten().flatten();
        let unfinished = states.filter(|entry| {
            entry.path().is_dir() && entry.file_name().to_string_lossy().contains('.')
        });
        found.extend(unfinished.map(|entry| entry.path()));
        for directory in ["tmp", "state/leases"] {
            let entries = fs::read_dir(self.path(directory)).into_iter().flatten();
            let paths = entries.map(|entry| entry.unwrap().path());
            found.extend(paths.filter(|path| !path.ends_with("gc.lock")));
        }
        found
    }

    /// QEMU processes of this place.
    fn machines(&self) -> Vec<String> {
        let needle = self.directory.path().to_string_lossy().into_owned();
        let lines = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
            let line = fs::read(entry.path().join("cmdline")).ok()?;
            Some(String::from_utf8_lossy(&line).into_owned())
        });
        lines.filter(|line| line.starts_with("qemu-") && line.contains(&needle)).collect()
    }

    /// After a kill: nothing is left but evidence, and the reports tell all that had ended.
    fn check(&self, what: &str) {
        let gc = self.output(&["gc"]);
        let said = format!("{what}: {}", String::from_utf8_lossy(&gc.stderr));
        assert_eq!(gc.status.code(), Some(0), "{said}");
        assert_eq!(self.machines(), [""; 0], "{said}");
        assert_eq!(self.left(), [""; 0].map(PathBuf::from), "{said}");
        let again = self.output(&["gc", "--dry-run"]);
        assert!(again.stdout.is_empty(), "{what}: {}", String::from_utf8_lossy(&again.stdout));
        for run in self.runs() {
            let reported = self.report(&run);
            for (case, verdict) in results(&self.events(&run)) {
                assert_eq!(reported.get(&case), Some(&verdict), "{what}: {case} of {run:?}");
            }
        }
    }

    /// The verdict of each case that was planned.
    fn report(&self, run: &Path) -> BTreeMap<String, String> {
        let output = self.output(&["report", "--format", "json", run.to_str().unwrap()]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let cases = report["cases"].as_array().unwrap().iter();
        cases.map(|case| (id(case), case["verdict"].as_str().unwrap().to_owned())).collect()
    }
}

fn id(case: &Value) -> String {
    format!("{} {}", case["cell"].as_str().unwrap(), case["scenario"].as_str().unwrap())
}

/// Cases that have ended, each with its verdict.
fn results(events: &[Value]) -> BTreeMap<String, String> {
    let mut results = BTreeMap::new();
    for event in events.iter().filter(|event| event["event"] == "case_ended") {
        let verdict = event["verdict"].as_str().unwrap().to_owned();
        let earlier = results.insert(id(&event["case"]), verdict);
        assert_eq!(earlier, None, "what has a result isn't run again: {event}");
    }
    results
}

#[test]
#[ignore = "boots machines for half an hour; run by ci/test"]
fn killed_at_any_instant_a_run_leaves_nothing_and_loses_nothing() {
    let kills = variable("WHEELTAP_KILLS").unwrap_or(KILLS);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let seed = variable("WHEELTAP_SEED").unwrap_or(now.as_secs());
    println!("{kills} kills with WHEELTAP_SEED={seed}");
    let mut random = Random(seed);
    let place = Place::new();

    let mut killed: Option<PathBuf> = None;
    let mut done = 0;
    while done < kills {
        // One that was killed before it had a plan can't go on.
        let begun = place.runs().len();
        let mut child = place.run(killed.as_deref());
        let after_a_case = random.next().is_multiple_of(4);
        let limits = if after_a_case { AFTER_A_CASE } else { EARLY };
        let delay = random.between(limits);
        let ended = if after_a_case { place.ended() } else { 0 };
        let mut since = Instant::now();
        let start = since;
        let mut waiting = after_a_case;
        let exit = loop {
            if let Some(exit) = child.try_wait().unwrap() {
                break Some(exit);
            }
            if waiting && place.ended() > ended {
                waiting = false;
                since = Instant::now();
            }
            assert!(start.elapsed() < GUARD, "no case ends:\n{}", place.log());
            if !waiting && since.elapsed() >= delay {
                child.kill().unwrap();
                child.wait().unwrap();
                break None;
            }
            pause();
        };
        let run = killed.clone().or_else(|| place.runs().into_iter().nth(begun));
        match exit {
            None => {
                done += 1;
                let when = if after_a_case { "after a case" } else { "after its start" };
                let what = format!("kill {done}, {} ms {when}", delay.as_millis());
                place.check(&what);
                println!(
                    "{what}: {} cases have ended in {} runs",
                    place.ended(),
                    place.runs().len()
                );
                killed = run;
            }
            // It was quicker.
            Some(exit) => {
                assert_eq!(exit.code(), Some(0), "{}", place.log());
                assert_complete(&place, &run.unwrap());
                killed = None;
            }
        }
    }

    let begun = place.runs().len();
    let exit = place.run(killed.as_deref()).wait().unwrap();
    assert_eq!(exit.code(), Some(0), "{}", place.log());
    let run = killed.unwrap_or_else(|| place.runs()[begun].clone());
    assert_complete(&place, &run);
    place.check("after the end");
}

/// Everything that was planned has passed.
fn assert_complete(place: &Place, run: &Path) {
    let report = place.report(run);
    assert_eq!(report.len(), SCENARIOS.len());
    assert!(report.values().all(|verdict| verdict == "pass"), "{report:#?}\n{}", place.log());
}
