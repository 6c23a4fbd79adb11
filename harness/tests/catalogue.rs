//! Every scenario as a test: `cargo test -p wheeltap --test catalogue`, or nextest.
//!
//! The image is named by `WHEELTAP_IMAGE` (default: the reference image), the OS family by `WHEELTAP_PROFILE` where the image
//! doesn't say. The scenarios run through the same engine as `wheeltap run`. All that this process was asked for are one
//! run, so that those that can share a machine do.

use std::{
    collections::HashMap,
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, Condvar, Mutex, Once, atomic::AtomicBool},
};

use libtest_mimic::{Arguments, Completion, Conclusion, Failed, Trial};
use tokio_util::sync::CancellationToken;
use wheeltap::{
    Setup, UpdateSetup,
    engine::{Engine, Progress, Request},
};
use wheeltap_platforms::{Firmware, qemu::Qemu};
use wheeltap_reports::{Event, Record, Verdict};
use wheeltap_scenarios::{Scenario, catalogue, profile::Profile};

fn main() -> ExitCode {
    let args = Arguments::from_args();
    let image = std::env::var("WHEELTAP_IMAGE").unwrap_or_else(|_| "reference".to_owned());
    let profile = std::env::var("WHEELTAP_PROFILE").ok();
    let run = Arc::new(SharedRun::new(image, profile, &args));
    let trials = catalogue().map(|scenario| trial(scenario, &run)).collect();
    let conclusion: Conclusion = libtest_mimic::run(&args, trials);
    // The last verdict comes before the last machine is taken down.
    run.wait_until_finished();
    conclusion.exit_code()
}

fn trial(scenario: &'static Scenario, run: &Arc<SharedRun>) -> Trial {
    let unmet = run.unmet(scenario);
    let ignored = unmet.is_some();
    let run = Arc::clone(run);
    Trial::ignorable_test(scenario.name, move || match &unmet {
        Some(reason) => Ok(Completion::ignored_with(reason.clone())),
        None => run.verdict(scenario),
    })
    .with_ignored_flag(ignored)
}

/// One run for all that was selected, begun by the first test that wants its verdict.
struct SharedRun {
    image: String,
    profile: Option<String>,
    selected: Vec<&'static Scenario>,
    begin: Once,
    ended: Arc<Verdicts>,
}

#[derive(Default)]
struct Verdicts {
    known: Mutex<Known>,
    changed: Condvar,
}

#[derive(Default)]
struct Known {
    verdicts: HashMap<String, Verdict>,
    /// Set when nothing follows: why, and where the reports are.
    finished: Option<String>,
}

impl SharedRun {
    fn new(image: String, profile: Option<String>, args: &Arguments) -> Self {
        let is_selected = |scenario: &&'static Scenario| {
            let matches = |filter: &String| {
                if args.exact { scenario.name == filter } else { scenario.name.contains(filter) }
            };
            args.filter.as_ref().is_none_or(matches) && !args.skip.iter().any(matches)
        };
        let selected = catalogue().filter(is_selected).collect();
        Self { image, profile, selected, begin: Once::new(), ended: Arc::default() }
    }

    /// Why a scenario can't run there. Asked for while tests are listed, so it looks at nothing but the profile's name.
    fn unmet(&self, scenario: &Scenario) -> Option<String> {
        let profile = Profile::builtin(self.profile.as_deref().unwrap_or("reference")).ok()?;
        scenario.unmet(Qemu::CAPABILITIES, &profile, Firmware::Bios)
    }

    fn verdict(&self, scenario: &Scenario) -> Result<Completion, Failed> {
        self.begin.call_once(|| self.start());
        let known = self.ended.known.lock().map_err(|error| error.to_string())?;
        let is_waiting = |known: &mut Known| {
            known.finished.is_none() && !known.verdicts.contains_key(scenario.name)
        };
        let known =
            self.ended.changed.wait_while(known, is_waiting).map_err(|error| error.to_string())?;
        match known.verdicts.get(scenario.name) {
            Some(Verdict::Pass) => Ok(Completion::Completed),
            Some(verdict) => Err(format!("{verdict}; see the run's reports").into()),
            None => Err(known.finished.clone().unwrap_or_default().into()),
        }
    }

    fn wait_until_finished(&self) {
        if self.begin.is_completed()
            && let Ok(known) = self.ended.known.lock()
        {
            let finished = self.ended.changed.wait_while(known, |known| known.finished.is_none());
            drop(finished);
        }
    }

    fn start(&self) {
        let (image, profile, ended) =
            (self.image.clone(), self.profile.clone(), Arc::clone(&self.ended));
        let scenarios = self.selected.clone();
        std::thread::spawn(move || {
            let why = match run(image, profile, scenarios, &ended) {
                Ok(summary) => {
                    eprintln!("{summary}");
                    "the run ended without this case".to_owned()
                }
                Err(error) => error,
            };
            ended.change(|known| known.finished = Some(why));
        });
    }
}

impl Verdicts {
    fn change(&self, change: impl FnOnce(&mut Known)) {
        if let Ok(mut known) = self.known.lock() {
            change(&mut known);
        }
        self.changed.notify_all();
    }
}

impl Progress for Verdicts {
    fn event(&self, record: &Record) {
        if let Event::CaseEnded { case, verdict, .. } = &record.event {
            self.change(|known| {
                known.verdicts.insert(case.scenario.clone(), *verdict);
            });
        }
    }
}

fn run(
    image: String,
    profile: Option<String>,
    scenarios: Vec<&'static Scenario>,
    ended: &Arc<Verdicts>,
) -> Result<String, String> {
    let updates =
        UpdateSetup::own_if_used(&scenarios, std::env::var("WHEELTAP_UPDATE_TO").ok().as_deref());
    let setup = Setup { profile, updates, ..Setup::new(image) };
    let mut step = |step: &str| eprintln!("updates: {step}");
    let (world, image) = setup
        .world(CancellationToken::new(), &AtomicBool::new(false), &mut step)
        .map_err(|error| error.to_string())?;
    let out = std::env::var_os("WHEELTAP_OUT").map_or_else(
        || PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("catalogue"),
        PathBuf::from,
    );
    let engine = Engine { progress: Arc::clone(ended) as _, ..Engine::new(world, image, out) };
    let request = Request { scenarios, firmware: setup.firmware, ..Request::default() };
    let prepared = engine.prepare(&request).map_err(|error| error.to_string())?;
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    let run = runtime.block_on(engine.run(&prepared)).map_err(|error| error.to_string())?;
    wheeltap_reports::render(&run, wheeltap_reports::Format::Text(wheeltap_reports::Paint::Plain))
        .map_err(|error| error.to_string())
}
