//! One case, once.

use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::FutureExt as _;
use wheeltap_platforms::Class;
use wheeltap_reports::{Event, FailureClass, Verdict};
use wheeltap_scenarios::{
    Context, Failure, ForkPoint, LiveMachine, Observer as _, Phase, SharedMachine, World,
    watch::{Hit, Line},
};

use super::{
    plan::Case,
    record::{Recorder, failure_of},
};

use crate::settings::CaseSettings;

/// Evidence that is worth a link, the most telling first.
const EVIDENCE: [&str; 9] = [
    "console.log",
    "journal.log",
    "ssh.log",
    "screenshot.png",
    "processes.txt",
    "ignition.json",
    "qemu.args",
    "qemu.stderr",
    "qmp.jsonl",
];

/// Why an attempt that still ran was cut off.
const DEADLINE: &str = "deadline: the run ended while this case was running";

/// Where one attempt runs and what it leaves.
pub(crate) struct Attempt<'a> {
    pub(crate) world: &'a Arc<World>,
    pub(crate) case: &'a Case,
    pub(crate) number: u32,
    pub(crate) recorder: &'a Arc<Recorder>,
    pub(crate) run_directory: &'a Path,
    /// A machine that others use too.
    pub(crate) shared: Option<&'a Arc<SharedMachine>>,
    /// What its machine starts from, if it doesn't boot for itself.
    pub(crate) fork: Option<&'a Arc<ForkPoint>>,
    pub(crate) settings: &'a CaseSettings,
    /// When the run ends, and with it the attempt.
    pub(crate) deadline: Option<Instant>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) verdict: Verdict,
    /// Whose fault it is, if it did not pass.
    pub(crate) class: Option<FailureClass>,
    /// Why nothing was judged, for `not-run`.
    pub(crate) reason: Option<String>,
    /// Whether a shared machine can't be used any more.
    pub(crate) spoilt: bool,
}

impl Attempt<'_> {
    /// Directory of the attempt, relative to the run directory.
    pub(crate) fn directory(case: &Case, number: u32) -> PathBuf {
        Path::new("cells")
            .join(&case.id.cell)
            .join(case.scenario.name)
            .join(format!("attempt-{number}"))
    }

    /// Runs the case, judges it, and takes down what it made.
    pub(crate) async fn run(self) -> Ended {
        let started = Instant::now();
        let context = self.context();
        let mark = self.shared_machine().map_or(0, |live| live.console_mark());
        let mut result = self.body(&context, started).await;

        let own = context.machines();
        let machines: Vec<Arc<LiveMachine>> =
            self.shared_machine().into_iter().chain(own.iter().cloned()).collect();
        let shared_hits = self.shared_machine().map(|live| live.console_since(mark));
        let own_hits = own.iter().flat_map(|live| live.console_since(0));
        let hits: Vec<Hit> = shared_hits.into_iter().flatten().chain(own_hits).collect();
        for hit in &hits {
            self.recorder.console(hit);
        }
        // A fatal line fails a case whose body was content with what it saw.
        if result.is_ok()
            && !context.failed_as_wanted()
            && let Some(hit) = hits.iter().find(|hit| hit.is_fatal())
        {
            result = Err(Failure::new(Class::Product, "console", &*hit.headline));
        }
        if let Err(failure) = &mut result {
            let tail = machines.first().map(|live| live.console_tail(20)).unwrap_or_default();
            add_console(failure, &hits, &tail);
        }
        let phase = self.recorder.current_phase();
        let failed = result.as_ref().is_err_and(|failure| !failure.is_cancelled());
        let spoilt = machines.iter().any(|live| live.is_interrupted())
            || result.as_ref().is_err_and(Failure::breaks_machine);
        let timed_out = result.as_ref().is_err_and(Failure::is_timeout);
        for live in machines.iter().filter(|_| failed) {
            live.collect().await;
            if timed_out && let Err(failure) = &mut result {
                let state = live.diagnose().await;
                *failure = std::mem::replace(failure, Failure::check("")).with_detail(&state);
            }
        }
        self.recorder.phase(Phase::Teardown);
        for live in &own {
            live.destroy().await;
        }
        self.end(result, phase, started.elapsed(), spoilt)
    }

    fn shared_machine(&self) -> Option<Arc<LiveMachine>> {
        self.shared.and_then(|shared| shared.live())
    }

    fn context(&self) -> Context {
        Context::new(
            Arc::clone(self.world),
            self.case.scenario,
            self.case.scenario.needs.hardware(self.case.firmware),
            self.case.fault.clone(),
            Arc::clone(self.recorder) as _,
            self.run_directory.join(Self::directory(self.case, self.number)),
            self.shared.cloned(),
            self.fork.cloned(),
        )
    }

    /// The scenario's body, with its time limit; a panic in it is a failure like any other. On a shared machine the fault is
    /// put in before and taken back after.
    async fn body(&self, context: &Context, started: Instant) -> Result<(), Failure> {
        let limits = self.world.limits();
        let limit = limits.scaled(self.settings.timeout.unwrap_or(self.case.scenario.timeout));
        let limit_at = started + limit;
        let until = self.deadline.map_or(limit_at, |deadline| deadline.min(limit_at));
        let body = async {
            let Some((fault, shared)) = self.case.fault.as_ref().zip(self.shared) else {
                return (self.case.scenario.body)(context.clone()).await;
            };
            let guest = shared.guest().await?;
            fault.apply(&guest).await?;
            let result = (self.case.scenario.body)(context.clone()).await;
            fault.undo(&guest).await?;
            result
        };
        let body = AssertUnwindSafe(body).catch_unwind();
        let ended = tokio::select! {
            ended = tokio::time::timeout_at(until.into(), body) => ended,
            never = self.say_slow(started) => match never {},
        };
        match ended {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => {
                let said = panic
                    .downcast_ref::<String>()
                    .map(String::as_str)
                    .or_else(|| panic.downcast_ref::<&str>().copied())
                    .unwrap_or("without a message");
                Err(Failure::new(Class::Harness, "panic", format!("the scenario panicked: {said}")))
            }
            Err(_) if until < limit_at => Err(Failure::cancelled(DEADLINE)),
            Err(_) => Err(Failure::new(
                Class::Product,
                "timeout",
                format!("the scenario did not end within {} s", limit.as_secs()),
            )),
        }
    }

    /// Says that the attempt is slow, whenever it has run for its slow-timeout once more.
    async fn say_slow(&self, started: Instant) -> Infallible {
        let period = self.world.limits().scaled(self.settings.slow_timeout);
        loop {
            tokio::time::sleep(period.max(Duration::from_millis(1))).await;
            self.recorder.slow(started.elapsed());
        }
    }

    fn end(self, result: Result<(), Failure>, phase: Phase, took: Duration, spoilt: bool) -> Ended {
        let cancelled = result.as_ref().err().filter(|failure| failure.is_cancelled());
        let reason = cancelled.map(|failure| match &*failure.headline {
            DEADLINE => DEADLINE.to_owned(),
            _ => "the run was interrupted while this case was running".to_owned(),
        });
        let failure = match result {
            Err(failure) if !failure.is_cancelled() => Some(failure_of(failure, phase)),
            _ => None,
        };
        let verdict = match (&failure, &reason) {
            (Some(failure), _) => failure.class.verdict(),
            (None, Some(_)) => Verdict::NotRun,
            (None, None) => Verdict::Pass,
        };
        let class = failure.as_ref().map(|failure| failure.class);
        self.recorder.append(Event::AttemptEnded {
            case: self.case.id.clone(),
            attempt: self.number,
            verdict,
            failure,
            seconds: took.as_secs_f64(),
            evidence: self.evidence(),
        });
        Ended { verdict, class, reason, spoilt }
    }

    /// Files that were left, relative to the run directory.
    fn evidence(&self) -> Vec<String> {
        let directory = Self::directory(self.case, self.number);
        let entries = std::fs::read_dir(self.run_directory.join(&directory));
        let mut machines: Vec<PathBuf> =
            entries.into_iter().flatten().flatten().map(|entry| entry.file_name().into()).collect();
        machines.sort();
        let mut files = Vec::new();
        for name in EVIDENCE {
            for machine in &machines {
                let file = directory.join(machine).join(name);
                let size = std::fs::metadata(self.run_directory.join(&file)).map(|meta| meta.len());
                if size.is_ok_and(|size| size > 0) {
                    files.push(file.to_string_lossy().into_owned());
                }
            }
        }
        files
    }
}

/// Puts the console around the fatal line, or its end, under a failure; and names the kind by the rule.
fn add_console(failure: &mut Failure, hits: &[Hit], tail: &[Line]) {
    let fatal = hits.iter().find(|hit| hit.is_fatal() && failure.headline.contains(&hit.headline));
    let excerpt = match fatal {
        Some(hit) => {
            if failure.kind == "console" {
                failure.kind = hit.rule.to_string().into();
            }
            let head = format!("console.log, line {}, boot {}:", hit.line.number, hit.line.boot);
            let lines = hit.before.iter().chain([&hit.line]).chain(&hit.after);
            lines.fold(head, |text, line| format!("{text}\n{:>6}  {}", line.number, line.text))
        }
        None if tail.is_empty() => return,
        None => tail.iter().fold("the console's last lines:".to_owned(), |text, line| {
            format!("{text}\n{:>6}  {}", line.number, line.text)
        }),
    };
    *failure = std::mem::replace(failure, Failure::check("")).with_detail(&excerpt);
}
