//! What a scenario's body is given: machines to boot, facts about the image, and a timeline to write to.

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio_util::sync::CancellationToken;
use wheeltap_platforms::{
    Capability, Class, Firmware, Hardware, Origin, Platform, ssh::SshKey, states::States,
};

use crate::{
    catalogue::catalogue,
    failure::{Failure, Phase, Result},
    fault::Fault,
    fork::{ForkPoint, Ready},
    guest::Guest,
    ignition::{Config, Fragment, Merge},
    limits::Limits,
    live::{LiveMachine, Start},
    observer::Observer,
    profile::{Profile, Slots},
    scenario::{MachineNeed, Scenario},
    shared::SharedMachine,
    targets::{Targets, Updates},
    watch::Rules,
};

/// What is the same for every attempt of a run.
pub struct World {
    /// Where machines come from.
    pub platform: Arc<dyn Platform>,
    /// What is known about the OS family.
    pub profile: Profile,
    /// The image's disk; only read. Empty where the platform boots nothing.
    pub image: PathBuf,
    /// The digest of its file.
    pub image_digest: String,
    /// The version that the image says it is, where that is known.
    pub image_version: Option<String>,
    /// The user's own config.
    pub config: Option<Config>,
    /// Logs in to machines that boot in this run. Those that were saved have keys of their own.
    pub key: SshKey,
    /// The public half, for the config; `None` if the machine has it already.
    pub public_key: Option<String>,
    /// Who logs in.
    pub user: String,
    /// What to look for on consoles.
    pub rules: Rules,
    /// What machines can be updated to.
    pub updates: Updates,
    /// Where machines that were saved are kept from run to run, if there is such a place.
    pub states: Option<Arc<States>>,
    /// Ends everything.
    pub cancel: CancellationToken,
}

impl World {
    /// Time limits on this platform.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits::new(self.platform.slowness())
    }

    /// What a scenario's machine gets into its config between the user's own part and the key; `more` is what is known only
    /// when it runs.
    ///
    /// Where machines can be forked, those that only look get what all of their kind bring: their machines are then the
    /// same, whichever of them a run consists of.
    pub(crate) fn fragments_of(
        &self,
        scenario: &Scenario,
        firmware: Firmware,
        fault: Option<&Fault>,
        more: Option<&Fragment>,
    ) -> Vec<Fragment> {
        let mut fragments = match fault.and_then(Fault::config_fragment) {
            Some(replaced) => vec![replaced],
            None => {
                let looks = scenario.needs.machine == MachineNeed::Shared && self.can_fork();
                let mut fragments = if looks { self.looks(firmware) } else { Vec::new() };
                let is_new = |own: &Fragment| !fragments.contains(own);
                let own = (scenario.ignition)(&self.profile).filter(is_new);
                fragments.extend(own);
                fragments.extend(more.cloned());
                fragments
            }
        };
        fragments.extend(fault.and_then(Fault::ignition_fragment));
        fragments
    }

    /// What all scenarios bring that only look and can run here.
    fn looks(&self, firmware: Firmware) -> Vec<Fragment> {
        let capabilities = self.platform.capabilities();
        catalogue()
            .filter(|scenario| scenario.needs.machine == MachineNeed::Shared)
            .filter(|scenario| scenario.unmet(capabilities, &self.profile, firmware).is_none())
            .filter_map(|scenario| (scenario.ignition)(&self.profile))
            .collect()
    }

    /// Whether machines can start where others had booted.
    #[must_use]
    pub fn can_fork(&self) -> bool {
        self.platform.capabilities().contains(&Capability::Fork)
    }

    /// The config that a machine gets: the user's own, the fragments and the key, in this order, so that later ones win.
    ///
    /// # Errors
    /// If the user's config can't be merged for this image.
    pub(crate) fn ignition(&self, fragments: &[Fragment], key: Option<&str>) -> Result<Vec<u8>> {
        let mut merge = Merge::new(&self.profile);
        if let Some(config) = &self.config {
            merge = merge.user(config);
        }
        merge = fragments.iter().fold(merge, Merge::fragment);
        if let Some(key) = key {
            merge = merge.ssh_key(key);
        }
        merge.build().map_err(|error| {
            Failure::new(Class::Test, "config", error.to_string()).in_phase(Phase::Provision)
        })
    }
}

/// What a scenario's body is given.
#[derive(Clone)]
pub struct Context {
    inner: Arc<Inner>,
}

struct Inner {
    world: Arc<World>,
    scenario: &'static Scenario,
    hardware: Hardware,
    fault: Option<Fault>,
    observer: Arc<dyn Observer>,
    /// Directory of this attempt; each machine has one in it.
    evidence: PathBuf,
    /// The machine that others use too.
    shared: Option<Arc<SharedMachine>>,
    /// What the machine starts from, if it doesn't boot for itself.
    fork: Option<Arc<ForkPoint>>,
    /// Machines that were started, for the engine to take down.
    machines: Mutex<Vec<Arc<LiveMachine>>>,
    /// Whether a boot failed as it should, so that its fatal line is what was wanted.
    failed_as_wanted: AtomicBool,
}

impl Context {
    /// The context of one attempt. `shared` is a machine that others use too, `fork` what the scenario's own starts from;
    /// without them every boot is fresh.
    #[must_use]
    #[expect(clippy::too_many_arguments, reason = "they are what an attempt consists of")]
    pub fn new(
        world: Arc<World>,
        scenario: &'static Scenario,
        hardware: Hardware,
        fault: Option<Fault>,
        observer: Arc<dyn Observer>,
        evidence: PathBuf,
        shared: Option<Arc<SharedMachine>>,
        fork: Option<Arc<ForkPoint>>,
    ) -> Self {
        let machines = Mutex::new(Vec::new());
        Self {
            inner: Arc::new(Inner {
                world,
                scenario,
                hardware,
                fault,
                observer,
                evidence,
                shared,
                fork,
                machines,
                failed_as_wanted: AtomicBool::new(false),
            }),
        }
    }

    /// What is known about the OS family.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        &self.inner.world.profile
    }

    /// The profile's slots.
    ///
    /// # Errors
    /// If there are none, which a scenario that `needs` slots doesn't see.
    pub fn slots(&self) -> Result<&Slots> {
        self.profile().slots.as_ref().ok_or_else(|| {
            Failure::new(Class::Test, "no-slots", "the scenario uses slots without needing them")
        })
    }

    /// Where updates come from.
    #[must_use]
    pub fn updates(&self) -> &Updates {
        &self.inner.world.updates
    }

    /// What can be updated to from a server of ours.
    ///
    /// # Errors
    /// If there is none, which a scenario that `needs` one doesn't see.
    pub fn targets(&self) -> Result<&Targets> {
        match self.updates() {
            Updates::Own(targets) => Ok(targets),
            Updates::None(_) | Updates::Server(_) => Err(Failure::new(
                Class::Test,
                "no-updates",
                "the scenario uses an update server without needing it",
            )),
        }
    }

    /// The version that the image says it is, where that is known.
    #[must_use]
    pub fn image_version(&self) -> Option<&str> {
        self.inner.world.image_version.as_deref()
    }

    /// Writes a line to the timeline.
    pub fn step(&self, text: &str) {
        self.inner.observer.step(text);
    }

    /// The scenario's machine, reached by SSH.
    pub async fn boot(&self) -> Result<Guest> {
        if let Some(shared) = &self.inner.shared {
            let guest = shared.guest().await?;
            self.inner.observer.phase(Phase::Act);
            return Ok(guest);
        }
        match &self.inner.fork {
            Some(point) => self.boot_fork(point).await,
            None => self.boot_named("m1").await,
        }
    }

    /// A machine that starts where another had booted. A state that doesn't come up is removed, and the case boots.
    async fn boot_fork(&self, point: &ForkPoint) -> Result<Guest> {
        let observer = &self.inner.observer;
        let Some(state) = point.state(observer).await? else {
            return self.boot_named("m1").await;
        };
        let failure = match self.fork(&state).await {
            Ok(guest) => return self.begin(guest).await,
            Err(failure) if failure.is_cancelled() => return Err(failure),
            Err(failure) => failure,
        };
        point.discard(&state);
        observer.step(&format!("a fork of {} does not come up: {failure}", state.name));
        drop(state);
        self.put_away("m1").await;
        if !point.may_boot() {
            let headline = format!("no fork of {} comes up, and one is required", point.name());
            return Err(
                Failure::new(Class::Infra, "fork", headline).with_detail(&failure.to_string())
            );
        }
        observer.step("so it boots");
        self.boot_named("m1").await
    }

    async fn fork(&self, state: &Arc<Ready>) -> Result<Guest> {
        let inner = &self.inner;
        let start = Start {
            name: "m1".to_owned(),
            hardware: inner.hardware.clone(),
            ignition: state.kept.ignition.clone(),
            patches: Vec::new(),
            evidence: inner.evidence.join("m1"),
            expects: inner.scenario.expects,
            origin: Origin::Fork(state.state().clone()),
            key: Some(state.kept.key.clone()),
            fork: Some(Arc::clone(state)),
        };
        let live = self.start(start).await?;
        inner.observer.phase(Phase::Reach);
        live.reach_fork(live.limits().command()).await
    }

    /// Takes down a machine that is not judged, and keeps its evidence from being taken for that of the next one of this
    /// name.
    async fn put_away(&self, name: &str) {
        let evidence = self.inner.evidence.join(name);
        let machine = self.inner.machines.lock().ok().and_then(|mut machines| {
            let place = machines.iter().position(|live| live.evidence() == evidence)?;
            Some(machines.remove(place))
        });
        if let Some(machine) = machine {
            machine.destroy().await;
        }
        let away = self.inner.evidence.join(format!("{name}-fork"));
        if let Err(error) = fs::rename(&evidence, away) {
            self.inner.observer.trouble(&format!("{}: {error}", evidence.display()));
        }
    }

    /// A machine of that name, freshly booted and reached by SSH.
    pub async fn boot_named(&self, name: &str) -> Result<Guest> {
        self.boot_fresh(name, None).await
    }

    /// The scenario's machine, freshly booted with a config that is known only now.
    pub async fn boot_with(&self, fragment: &Fragment) -> Result<Guest> {
        self.boot_fresh("m1", Some(fragment)).await
    }

    async fn boot_fresh(&self, name: &str, more: Option<&Fragment>) -> Result<Guest> {
        let inner = &self.inner;
        let (world, fault) = (&inner.world, inner.fault.as_ref());
        let fragments = world.fragments_of(inner.scenario, inner.hardware.firmware, fault, more);
        let start = Start {
            name: name.to_owned(),
            hardware: inner.hardware.clone(),
            ignition: world.ignition(&fragments, world.public_key.as_deref())?,
            patches: fault.and_then(Fault::disk_patch).into_iter().collect(),
            evidence: inner.evidence.join(name),
            expects: inner.scenario.expects,
            origin: Origin::Boot,
            key: None,
            fork: None,
        };
        let live = self.start(start).await?;
        inner.observer.phase(Phase::Boot);
        let guest = live.reach(live.limits().boot()).await?;
        self.begin(guest).await
    }

    /// Puts the fault in, and hands the guest to the scenario.
    async fn begin(&self, guest: Guest) -> Result<Guest> {
        if let Some(fault) = &self.inner.fault {
            fault.apply(&guest).await?;
        }
        self.inner.observer.phase(Phase::Act);
        Ok(guest)
    }

    /// Boots a machine that is not expected to come up, and gives what ended its boot; `None` if it did come up.
    pub async fn boot_expecting_failure(&self) -> Result<Option<Failure>> {
        match self.boot_named("m1").await {
            Ok(_) => Ok(None),
            Err(failure) if failure.is_cancelled() || failure.kind != "console" => Err(failure),
            Err(failure) => {
                self.inner.failed_as_wanted.store(true, Ordering::SeqCst);
                Ok(Some(failure))
            }
        }
    }

    /// Whether the fatal line on the console is what the scenario wanted.
    #[must_use]
    pub fn failed_as_wanted(&self) -> bool {
        self.inner.failed_as_wanted.load(Ordering::SeqCst)
    }

    async fn start(&self, start: Start) -> Result<Arc<LiveMachine>> {
        let inner = &self.inner;
        let live = LiveMachine::start(&inner.world, start, Arc::clone(&inner.observer)).await?;
        if let Ok(mut machines) = inner.machines.lock() {
            machines.push(Arc::clone(&live));
        }
        Ok(live)
    }

    /// The machines that were started; the engine takes them down.
    #[must_use]
    pub fn machines(&self) -> Vec<Arc<LiveMachine>> {
        self.inner.machines.lock().map(|machines| machines.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use wheeltap_platforms::{
        Accelerator,
        external::External,
        qemu::{Qemu, QemuOptions},
        ssh::RunKey,
    };

    use super::*;
    use crate::watch::{Rules, Source};

    /// A world of the reference image, without the image.
    pub(crate) fn world(platform: Arc<dyn Platform>) -> World {
        World {
            platform,
            profile: Profile::builtin("reference").unwrap(),
            image: PathBuf::new(),
            image_digest: String::new(),
            image_version: None,
            config: None,
            key: RunKey::generate().unwrap().private(),
            public_key: None,
            user: "core".into(),
            rules: Rules::builtin().for_source(Source::Console),
            updates: Updates::None("a test updates nothing".into()),
            states: None,
            cancel: CancellationToken::new(),
        }
    }

    fn qemu() -> World {
        let accelerator = Some(Accelerator::Tcg);
        world(Arc::new(Qemu::new(QemuOptions { accelerator, ..QemuOptions::default() })))
    }

    fn fragments(world: &World, scenario: &str, fault: Option<&str>) -> Vec<Fragment> {
        let scenario = catalogue().find(|one| one.name == scenario).unwrap();
        let fault = fault.map(|fault| Fault::find(fault).unwrap());
        world.fragments_of(scenario, Firmware::Bios, fault.as_ref(), None)
    }

    #[test]
    fn all_that_only_look_have_the_same_config_where_machines_fork() {
        let world = qemu();
        let looks = fragments(&world, "boot.release", None);
        assert_eq!(looks.len(), 6, "the fragments of the group ignition");
        assert_eq!(fragments(&world, "ignition.files", None), looks);
        assert_eq!(fragments(&world, "ignition.files", Some("other-mode")), looks);
        assert_eq!(fragments(&world, "reboot.clean", None), []);
        assert_eq!(fragments(&world, "ignition.once", None).len(), 1);
    }

    #[test]
    fn elsewhere_each_has_its_own() {
        let world = world(Arc::new(External::new(([127, 0, 0, 1], 22).into())));
        assert_eq!(fragments(&world, "boot.release", None), []);
        assert_eq!(fragments(&world, "ignition.files", None).len(), 1);
    }

    #[test]
    fn a_fault_in_the_config_comes_last_or_takes_its_place() {
        let world = qemu();
        let overlay = Fault::find("stuck-unit").unwrap().ignition_fragment().unwrap();
        let with = fragments(&world, "boot.multi-user", Some("stuck-unit"));
        assert_eq!(with.last(), Some(&overlay));
        assert_eq!(with.len(), 7);
        let other = Fault::find("good-config").unwrap().config_fragment().unwrap();
        assert_eq!(fragments(&world, "ignition.bad-config", Some("good-config")), [other]);
    }
}
