//! A machine with everything that watches it: console, journal, SSH.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{sync::watch, task::JoinHandle};
use wheeltap_platforms::{
    Capability, Class, DiskPatch, Hardware, Interrupt, Interruption, Machine, MachineSpec, Origin,
    PlatformError,
    ssh::{Command, Connection, Connector, SshKey, SshLog},
    wait_for,
};

use crate::{
    context::World,
    failure::{Failure, Phase, Result},
    fork::Ready,
    guest::Guest,
    journal::Journal,
    limits::Limits,
    observer::Observer,
    profile::Profile,
    watch::{ConsoleWatch, Expectation, Hit, Line},
};

/// How long a failure may wait for the guest's journal, under KVM.
const JOURNAL_LIMIT: Duration = Duration::from_secs(5);

/// How long QEMU may take for an answer when a machine is looked at after a failure. It takes milliseconds if it is well.
const QMP_LIMIT: Duration = Duration::from_secs(5);

/// How long a machine that was too slow is given for the list of its processes, under KVM.
const PROCESSES_LIMIT: Duration = Duration::from_secs(3);
/// Shows the boot id.
const BOOT_ID: &str = "cat /proc/sys/kernel/random/boot_id";

/// What a machine is started with.
pub(crate) struct Start {
    /// Its name, unique in its attempt.
    pub(crate) name: String,
    pub(crate) hardware: Hardware,
    pub(crate) ignition: Vec<u8>,
    pub(crate) patches: Vec<DiskPatch>,
    pub(crate) evidence: PathBuf,
    /// Console rules whose lines the scenario provokes.
    pub(crate) expects: &'static [&'static str],
    pub(crate) origin: Origin,
    /// Logs in, in place of the run's key.
    pub(crate) key: Option<SshKey>,
    /// What it is a fork of, if it is one.
    pub(crate) fork: Option<Arc<Ready>>,
}

/// A machine that runs, and everything that watches it.
pub struct LiveMachine {
    machine: Box<dyn Machine>,
    interrupt: Interrupt,
    /// `None` where the platform has no console.
    watch: Option<ConsoleWatch>,
    /// What the scenario provokes; in force as long as the machine is.
    _expected: Option<Expectation>,
    sees_resets: bool,
    connector: Connector,
    journal: Journal,
    evidence: PathBuf,
    epoch: watch::Sender<u32>,
    limits: Limits,
    profile: Profile,
    observer: Arc<dyn Observer>,
    /// Turns a cancelled run into an interruption of this machine.
    canceller: JoinHandle<()>,
}

impl LiveMachine {
    pub(crate) async fn start(
        world: &World,
        start: Start,
        observer: Arc<dyn Observer>,
    ) -> Result<Arc<Self>> {
        observer.phase(Phase::Provision);
        let evidence = start.evidence;
        fs::create_dir_all(&evidence).map_err(|error| {
            PlatformError::infra(format!("can't make {}: {error}", evidence.display()))
        })?;
        let spec = MachineSpec {
            name: start.name,
            image: world.image.clone(),
            patches: start.patches,
            hardware: start.hardware,
            ignition: start.ignition,
            fw_cfg_key: world.profile.ignition.fw_cfg_key.clone(),
            evidence: evidence.clone(),
            origin: start.origin,
        };
        let machine = tokio::select! {
            biased;
            () = world.cancel.cancelled() => return Err(cancelled()),
            machine = world.platform.start(spec) => machine?,
        };
        // A machine that exists was started by somebody else.
        if world.platform.capabilities().contains(&Capability::FreshBoot) {
            observer.machine(machine.name(), start.fork.as_ref().map(|fork| &*fork.name));
        }
        let interrupter = machine.interrupter().clone();
        let watch = machine
            .console_log()
            .map(|log| ConsoleWatch::start(log, &world.rules, interrupter.clone()));
        let expected =
            match &watch {
                Some(watch) => Some(watch.expect(start.expects).map_err(|error| {
                    Failure::new(Class::Test, "unknown-rule", error.to_string())
                })?),
                None => None,
            };
        let cancel = world.cancel.clone();
        let canceller = tokio::spawn({
            let interrupter = interrupter.clone();
            async move {
                cancel.cancelled().await;
                interrupter.raise(Interruption::Cancelled);
            }
        });
        let log = SshLog::open(&evidence.join("ssh.log"))?;
        let key = start.key.unwrap_or_else(|| world.key.clone());
        let mut connector = Connector::new(machine.ssh_address(), &world.user, key).with_log(log);
        if start.fork.is_some() {
            connector = connector.with_patience(world.limits().command());
        }
        let interrupt = interrupter.listen();
        let saved = start.fork.and_then(|fork| fork.kept.journal.clone());
        let file = evidence.join("journal.log");
        let journal = Journal::new(connector.clone(), file, interrupt.clone(), saved);
        Ok(Arc::new(Self {
            interrupt,
            machine,
            watch,
            _expected: expected,
            sees_resets: world.platform.capabilities().contains(&Capability::Power),
            connector,
            journal,
            evidence,
            epoch: watch::Sender::new(0),
            limits: world.limits(),
            profile: world.profile.clone(),
            observer,
            canceller,
        }))
    }

    /// Waits until the guest answers on SSH, and begins an epoch.
    pub(crate) async fn reach(self: &Arc<Self>, limit: Duration) -> Result<Guest> {
        let connection = self.connect(limit).await?;
        let command = Command::new(BOOT_ID, self.limits.command());
        let boot_id = connection.exec(command).await?.stdout_text().trim().to_owned();
        Ok(self.begin_epoch(connection, boot_id))
    }

    /// The same for a fork, whose clock stood still from when it was saved: sets it to the host's time. One command does
    /// both, since each costs an emulated guest a tenth of a second and more.
    pub(crate) async fn reach_fork(self: &Arc<Self>, limit: Duration) -> Result<Guest> {
        let connection = self.connect(limit).await?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let time = format!("@{}.{:03}", now.as_secs(), now.subsec_millis());
        let line = format!("{BOOT_ID} && sudo -n date -u -s {time}");
        let output = connection.exec(Command::new(line, self.limits.command())).await?;
        if !output.status.success() {
            let why = output.stderr_text().trim().to_owned();
            let headline = format!("the clock of a fork can't be set ({}): {why}", output.status);
            return Err(Failure::new(Class::Infra, "clock", headline));
        }
        let boot_id = output.stdout_text().lines().next().unwrap_or_default().to_owned();
        Ok(self.begin_epoch(connection, boot_id))
    }

    fn begin_epoch(self: &Arc<Self>, connection: Connection, boot_id: String) -> Guest {
        self.journal.follow_boot(&boot_id);
        Guest { live: Arc::clone(self), connection, boot_id, epoch: self.epoch() }
    }

    async fn connect(&self, limit: Duration) -> Result<Connection> {
        let reached = self.connector.wait_until_reachable(limit, &self.interrupt).await;
        reached.map_err(|error| {
            let failure = self.explain(error.into());
            // Ignition's failures are told by their headline; every other cause before the first contact is the boot's.
            let ignition = failure.headline.starts_with("Ignition");
            failure.in_phase(if ignition { Phase::Ignite } else { Phase::Boot })
        })
    }

    /// A machine that ended because of a fatal line may be noticed before the line is; the line is the better cause.
    pub fn explain(&self, failure: Failure) -> Failure {
        if failure.kind != "machine-exited" {
            return failure;
        }
        match self.console_since(0).into_iter().find(Hit::is_fatal) {
            Some(hit) => {
                Failure::new(Class::Product, "console", hit.headline).with_detail(&failure.headline)
            }
            None => failure,
        }
    }

    /// Makes every handle on the guest stale: the machine is about to boot anew.
    pub(crate) fn end_epoch(&self) {
        self.epoch.send_modify(|epoch| *epoch += 1);
        self.journal.pause();
    }

    pub(crate) fn epoch(&self) -> u32 {
        *self.epoch.borrow()
    }

    /// Tells of each new epoch.
    pub(crate) fn epochs(&self) -> watch::Receiver<u32> {
        self.epoch.subscribe()
    }

    pub(crate) fn machine(&self) -> &dyn Machine {
        &*self.machine
    }

    /// Whether something made waiting on it pointless.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        self.interrupt.current().is_some()
    }

    pub(crate) fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    pub(crate) fn connector(&self) -> &Connector {
        &self.connector
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    pub(crate) fn profile(&self) -> &Profile {
        &self.profile
    }

    pub(crate) fn observer(&self) -> &dyn Observer {
        &*self.observer
    }

    pub(crate) fn sees_resets(&self) -> bool {
        self.sees_resets
    }

    pub(crate) fn saw_expected(&self, rule: &str) -> bool {
        self.watch.as_ref().is_some_and(|watch| {
            watch.hits_since(0).iter().any(|hit| hit.expected && &*hit.rule == rule)
        })
    }

    /// Directory of its evidence.
    #[must_use]
    pub fn evidence(&self) -> &Path {
        &self.evidence
    }

    /// A position on the console, for [`LiveMachine::console_since`].
    #[must_use]
    pub fn console_mark(&self) -> usize {
        self.watch.as_ref().map_or(0, ConsoleWatch::mark)
    }

    /// What the console showed since `mark` that nobody had announced, up to this moment.
    #[must_use]
    pub fn console_since(&self, mark: usize) -> Vec<Hit> {
        let Some(watch) = &self.watch else { return Vec::new() };
        if let Err(error) = watch.drain() {
            self.observer.trouble(&format!("the console log can't be read to its end: {error}"));
        }
        let mut hits = watch.hits_since(mark);
        hits.retain(|hit| !hit.expected);
        hits
    }

    /// The last `n` lines of the console.
    #[must_use]
    pub fn console_tail(&self, n: usize) -> Vec<Line> {
        self.watch.as_ref().map(|watch| watch.tail(n)).unwrap_or_default()
    }

    /// Brings the evidence up to date after a failure: the journal and a picture of the screen, each within a limit of its own.
    pub async fn collect(&self) {
        self.journal.catch_up(self.limits.scaled(JOURNAL_LIMIT)).await;
        if !self.sees_resets {
            return;
        }
        let file = self.evidence.join("screenshot.png");
        let (picture, never) = (self.machine.screenshot(&file), Interrupt::never());
        match wait_for("a screenshot", QMP_LIMIT, &never, picture).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::info!(%error, "no screenshot"),
            Err(error) => tracing::info!(%error, "no screenshot"),
        }
    }

    /// What a machine is doing that took too long: its state as the platform sees it, and its processes, if it still answers.
    /// Each has a small limit of its own.
    pub async fn diagnose(&self) -> String {
        let never = Interrupt::never();
        let status = wait_for("the state", QMP_LIMIT, &never, self.machine.status()).await;
        let status = match status {
            Ok(Ok(status)) => status,
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        let processes = match self.processes().await {
            Ok(()) => "see processes.txt".to_owned(),
            Err(why) => why,
        };
        format!("the machine's state: {status}\nits processes: {processes}")
    }

    async fn processes(&self) -> std::result::Result<(), String> {
        let limit = self.limits.scaled(PROCESSES_LIMIT);
        let connection = self.connector.connect(limit, &self.interrupt).await;
        let connection = connection.map_err(|error| error.to_string())?;
        let list = connection.exec(Command::new("ps -eo pid,ppid,stat,etimes,args", limit)).await;
        let list = list.map_err(|error| error.to_string())?;
        fs::write(self.evidence.join("processes.txt"), &list.stdout).map_err(|e| e.to_string())
    }

    /// Ends what wheeltap itself does on the guest, so that a saved machine goes on without it.
    pub(crate) async fn settle(&self) {
        self.journal.catch_up(self.limits.scaled(JOURNAL_LIMIT)).await;
        self.journal.pause();
    }

    /// Ends the machine and removes what was made for it.
    pub async fn destroy(&self) {
        self.canceller.abort();
        self.journal.pause();
        if let Err(error) = self.machine.destroy().await {
            self.observer.trouble(&error.message);
        }
    }
}

/// Nothing was judged, because the run ended.
pub(crate) fn cancelled() -> Failure {
    wheeltap_platforms::WaitError::Interrupted {
        what: "a machine to start".into(),
        why: Interruption::Cancelled,
    }
    .into()
}
