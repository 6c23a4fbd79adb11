//! Builds run directories with fixed times, so that every report of them is the same each time.

use std::fs;

use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;
use wheeltap_reports::{
    CaseId, Cell, EVENTS_FILE, Event, Failure, FailureClass, Format, Host, Image, Outcome, Phase,
    Plan, PlannedCase, Record, Run, Severity, Verdict, render,
};

pub(crate) const BIOS: &str = "qemu_bios.amd64";
pub(crate) const UEFI: &str = "qemu_uefi.amd64";

/// A run directory in the making. Each event happens half a second after the one before.
pub(crate) struct Fixture {
    pub(crate) dir: TempDir,
    pub(crate) plan: Plan,
    /// The name of the run's partition, and the cases in it.
    pub(crate) partition: Option<(String, Vec<usize>)>,
    events: Vec<Event>,
}

impl Fixture {
    /// A run that plans these cases.
    pub(crate) fn new(cases: &[(&str, &str)]) -> Self {
        let cell = |name: &str, firmware: &str| Cell {
            name: name.into(),
            platform: "qemu".into(),
            arch: "amd64".into(),
            firmware: Some(firmware.into()),
            variant: None,
        };
        let planned = |(scenario, cell): &(&str, &str)| PlannedCase {
            id: CaseId::new(*scenario, *cell),
            summary: format!("What {scenario} is about"),
            claims: vec!["C-1".into()],
            tags: vec!["smoke".into()],
            faults: Vec::new(),
            skip: None,
        };
        let plan = Plan {
            version: wheeltap_reports::FORMAT_VERSION,
            run: "20260131-120000-7f3a".into(),
            created: "2026-01-31T12:00:00Z".parse().unwrap(),
            image: Image {
                name: "reference".into(),
                digest: "5e".repeat(32),
                version: "4000.0.0".into(),
                profile: "reference".into(),
                ..Image::default()
            },
            seed: Some(7),
            repeat: None,
            cells: vec![cell(BIOS, "bios"), cell(UEFI, "uefi")],
            cases: cases.iter().map(planned).collect(),
        };
        Self { dir: TempDir::new().unwrap(), plan, partition: None, events: Vec::new() }
    }

    /// Plans to skip the last case so far.
    pub(crate) fn skip(mut self, reason: &str) -> Self {
        self.plan.cases.last_mut().unwrap().skip = Some(reason.into());
        self
    }

    pub(crate) fn push(&mut self, event: Event) -> &mut Self {
        self.events.push(event);
        self
    }

    /// Call it when the plan is complete.
    pub(crate) fn start(&mut self) -> &mut Self {
        let event = Event::RunStarted {
            run: self.plan.run.clone(),
            wheeltap: "0.1.0".into(),
            command: vec!["wheeltap".into(), "run".into(), "boot.*".into()],
            host: Host {
                name: "builder".into(),
                os: "Debian GNU/Linux 12 (bookworm)".into(),
                arch: "amd64".into(),
                cpus: 2,
                memory_mib: 7950,
                accelerator: "tcg".into(),
            },
            image: self.plan.image.clone(),
            plan: self.plan.digest(),
            partition: self.partition.as_ref().map(|(name, _)| name.clone()),
            selected: self.partition.as_ref().map(|(_, selected)| selected.clone()),
        };
        self.push(event)
    }

    /// Changes what has happened so far.
    pub(crate) fn each_event(&mut self, change: impl FnMut(&mut Event)) {
        self.events.iter_mut().for_each(change);
    }

    /// Makes the start fit a plan that was changed after it.
    pub(crate) fn restart(&mut self) {
        let (digest, now) = (self.plan.digest(), self.plan.image.clone());
        self.each_event(|event| {
            if let Event::RunStarted { image, plan, .. } = event {
                image.clone_from(&now);
                plan.clone_from(&digest);
            }
        });
    }

    /// An attempt with a short timeline.
    pub(crate) fn attempt(
        &mut self,
        (scenario, cell): (&str, &str),
        attempt: u32,
        failure: Option<Failure>,
    ) -> &mut Self {
        let case = || CaseId::new(scenario, cell);
        let dir = format!("cells/{cell}/{scenario}/attempt-{attempt}");
        let verdict = failure.as_ref().map_or(Verdict::Pass, |failure| failure.class.verdict());
        let console = format!("{dir}/m0/console.log");
        self.push(Event::AttemptStarted { case: case(), attempt, dir });
        self.push(Event::PhaseEntered { case: case(), attempt, phase: Phase::Boot });
        self.push(Event::Step { case: case(), attempt, text: "booting".into() });
        if let Some(failure) = &failure {
            self.push(Event::ConsoleHit {
                case: case(),
                attempt,
                rule: failure.kind.clone(),
                severity: Severity::Fatal,
                text: failure.headline.clone(),
                line: 812,
                boot: 1,
            });
        }
        let evidence = vec![console.clone(), console.replace("console", "journal")];
        let seconds = 41.25;
        self.push(Event::AttemptEnded {
            case: case(),
            attempt,
            verdict,
            failure,
            seconds,
            evidence,
        })
    }

    pub(crate) fn end(&mut self, (scenario, cell): (&str, &str), verdict: Verdict) -> &mut Self {
        let case = CaseId::new(scenario, cell);
        self.push(Event::CaseEnded { case, verdict, reason: None, seconds: 42.0 })
    }

    /// A case that passes at once.
    pub(crate) fn pass(&mut self, case: (&str, &str)) -> &mut Self {
        self.attempt(case, 1, None).end(case, Verdict::Pass)
    }

    /// A case whose only attempt fails.
    pub(crate) fn fail(&mut self, case: (&str, &str), failure: Failure) -> &mut Self {
        let verdict = failure.class.verdict();
        self.attempt(case, 1, Some(failure)).end(case, verdict)
    }

    pub(crate) fn finish(&mut self, outcome: Outcome) -> &mut Self {
        self.push(Event::RunEnded { outcome })
    }

    /// The event log as it would lie on the disk.
    pub(crate) fn log(&self) -> String {
        let mut at: Timestamp = self.plan.created;
        let mut log = String::new();
        for event in &self.events {
            at += SignedDuration::from_millis(500);
            let record = Record { at, event: event.clone(), log: None };
            log += &serde_json::to_string(&record).unwrap();
            log.push('\n');
        }
        log
    }

    /// Leaves a file in the run directory, with the directories that lead to it.
    pub(crate) fn leave(&self, file: &str, content: impl AsRef<[u8]>) -> &Self {
        let path = self.dir.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    /// Writes plan and log.
    pub(crate) fn write(&self) -> &Self {
        self.plan.write(self.dir.path()).unwrap();
        fs::write(self.dir.path().join(EVENTS_FILE), self.log()).unwrap();
        self
    }

    pub(crate) fn load(&self) -> Run {
        Run::load(self.write().dir.path()).unwrap()
    }

    /// Renders a report, with the run directory's name replaced.
    pub(crate) fn render(&self, format: Format) -> String {
        let report = render(&self.load(), format).unwrap();
        report.replace(self.dir.path().to_str().unwrap(), "/RUN")
    }
}

pub(crate) fn failure(class: FailureClass, phase: Phase, kind: &str, headline: &str) -> Failure {
    let detail = format!("caused by: {kind}\n\n  811  [    2.1] fine\n> 812  [    2.2] {headline}");
    Failure { phase, class, kind: kind.into(), headline: headline.into(), detail }
}
