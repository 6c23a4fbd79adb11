//! Boot once, test many: a machine that has booted is saved, and scenarios start from its forks.

use std::{
    fmt, fs,
    hash::{Hash, Hasher},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::OnceCell;
use wheeltap_platforms::{
    Hardware, Origin, PlatformError,
    qemu::SavedState,
    ssh::{RunKey, SshKey, UserKey},
    states::{Entry, Held, Ingredients, States, Vacant},
};

use crate::{
    context::World,
    failure::{Phase, Result},
    fault::Fault,
    ignition::Fragment,
    journal::SavedJournal,
    live::{LiveMachine, Start, cancelled},
    observer::Observer,
    scenario::{MachineNeed, Scenario},
};

/// How often a state is made anew after it was of no use. Once may be an accident.
const REPAIRS: u32 = 1;

/// What machines have in common that can start from the same state.
#[derive(Clone)]
pub struct ForkKey {
    hardware: Hardware,
    /// The config without the key to log in, which each state has its own.
    config: Vec<u8>,
    fragments: Vec<Fragment>,
}

impl PartialEq for ForkKey {
    fn eq(&self, other: &Self) -> bool {
        // The config is made of the fragments.
        (&self.hardware, &self.config) == (&other.hardware, &other.config)
    }
}

impl Eq for ForkKey {}

impl Hash for ForkKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.hardware, &self.config).hash(state);
    }
}

impl fmt::Debug for ForkKey {
    /// Without the config, which may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForkKey").field("hardware", &self.hardware).finish_non_exhaustive()
    }
}

impl ForkKey {
    /// What a scenario's machine consists of; nothing if it has to boot for itself.
    #[must_use]
    pub fn of(
        world: &World,
        scenario: &Scenario,
        hardware: Hardware,
        fault: Option<&Fault>,
    ) -> Option<Self> {
        let patched = fault.is_some_and(|fault| fault.disk.is_some());
        if !world.can_fork() || patched || scenario.needs.machine == MachineNeed::Fresh {
            return None;
        }
        let fragments = world.fragments_of(scenario, hardware.firmware, fault, None);
        // A config that can't be made is an error that the case itself reports.
        let config = world.ignition(&fragments, None).ok()?;
        Some(Self { hardware, config, fragments })
    }
}

/// Where states are, and what is done about those that nobody has made.
#[derive(Clone, Debug)]
pub struct ForkPolicy {
    /// Where they are kept.
    pub states: Arc<States>,
    /// Whether a case that could start from a state must: it then never boots for itself.
    pub required: bool,
}

/// A moment in the life of a machine from which others start: it has booted, and nobody has touched it.
///
/// The first that asks for it looks for a state that an earlier run has made, or boots the machine and has it saved.
pub struct ForkPoint {
    world: Arc<World>,
    key: ForkKey,
    policy: ForkPolicy,
    users: usize,
    name: String,
    evidence: PathBuf,
    current: Mutex<Current>,
}

/// The state that is used now, and how many were of no use before it.
#[derive(Default)]
struct Current {
    state: Arc<Lookup>,
    discarded: u32,
}

/// A boot that failed is remembered too: whoever asks next gets the same failure, and no second boot.
type Lookup = OnceCell<Result<Option<Arc<Ready>>>>;

/// A state with all that is needed to use it.
pub(crate) struct Ready {
    held: Held,
    /// What forks are said to start from.
    pub(crate) name: String,
    pub(crate) kept: Kept,
}

/// What lies in a state's directory beside the platform's files.
pub(crate) struct Kept {
    /// Logs in to each fork.
    pub(crate) key: SshKey,
    /// The config that the machine booted with.
    pub(crate) ignition: Vec<u8>,
    /// What the guest had written by then.
    pub(crate) journal: Option<SavedJournal>,
}

impl Ready {
    pub(crate) fn state(&self) -> &SavedState {
        self.held.state()
    }
}

/// Files in a state's directory, beside those of the platform.
mod file {
    pub(super) const KEY: &str = "key";
    pub(super) const CONFIG: &str = "config.json";
}

impl ForkPoint {
    /// Nothing is booted yet. `users` is how many want to start from there; `evidence` is the directory for what the boot
    /// leaves.
    #[must_use]
    pub fn new(
        world: Arc<World>,
        key: ForkKey,
        policy: ForkPolicy,
        users: usize,
        name: String,
        evidence: PathBuf,
    ) -> Self {
        Self { world, key, policy, users, name, evidence, current: Mutex::default() }
    }

    /// Its name, which is part of the path to its evidence.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The state: found, or booted and saved; nothing if whoever asks had better boot for himself.
    ///
    /// # Errors
    /// Why the boot failed, to everybody who asks. If forks are required, also why there can't be one.
    pub(crate) async fn state(&self, observer: &Arc<dyn Observer>) -> Result<Option<Arc<Ready>>> {
        let lookup = {
            let current = self.current();
            if current.discarded > REPAIRS {
                return self.none("its states don't come up");
            }
            Arc::clone(&current.state)
        };
        match lookup.get_or_init(|| self.look_up(observer)).await.clone()? {
            Some(state) => Ok(Some(state)),
            // Said when it was looked for.
            None => self.none("there is none, and no room for one"),
        }
    }

    /// Forgets a boot that failed, so that whoever asks next boots again: for a case that gets another attempt.
    pub fn forget_failure(&self) {
        let mut current = self.current();
        if matches!(current.state.get(), Some(Err(_))) {
            current.state = Arc::default();
        }
    }

    /// Never uses that state again, and removes it.
    pub(crate) fn discard(&self, state: &Arc<Ready>) {
        let mut current = self.current();
        let is_current = current
            .state
            .get()
            .is_some_and(|found| matches!(found, Ok(Some(found)) if Arc::ptr_eq(found, state)));
        if is_current {
            *current = Current { state: Arc::default(), discarded: current.discarded + 1 };
        }
        drop(current);
        self.policy.states.spoil(&state.held);
    }

    /// Whether a case that can't have a fork may boot for itself.
    pub(crate) fn may_boot(&self) -> bool {
        !self.policy.required
    }

    fn none(&self, why: &str) -> Result<Option<Arc<Ready>>> {
        if self.may_boot() {
            return Ok(None);
        }
        Err(PlatformError::infra(format!("no fork of {}, which is required: {why}", self.name))
            .into())
    }

    fn current(&self) -> std::sync::MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A state that is there already, or a new one if that pays.
    async fn look_up(&self, observer: &Arc<dyn Observer>) -> Result<Option<Arc<Ready>>> {
        let ForkPolicy { states, required } = &self.policy;
        let name = self.digest().await?;
        // What is alone boots sooner than it boots and forks.
        if self.users < 2 && !required {
            return Ok(states.find(&name)?.and_then(|held| self.open(held, observer)));
        }
        loop {
            // Another process may be making it, which takes a boot.
            let entry = tokio::select! {
                biased;
                () = self.world.cancel.cancelled() => return Err(cancelled()),
                entry = states.acquire(&name) => entry?,
            };
            match entry {
                Entry::Ready(held) => {
                    if let Some(ready) = self.open(held, observer) {
                        return Ok(Some(ready));
                    }
                }
                Entry::Vacant(_) if !states.has_room(&self.key.hardware) => {
                    let directory = states.directory().display();
                    observer.step(&format!("{directory} has no room for a saved machine"));
                    return Ok(None);
                }
                Entry::Vacant(vacant) => {
                    let ready = self.boot(vacant, observer).await?;
                    states.keep_to_limit();
                    return Ok(Some(Arc::new(ready)));
                }
            }
        }
    }

    /// What the state is made of, as its name.
    async fn digest(&self) -> Result<String> {
        let World { platform, profile, image_digest, user, .. } = &*self.world;
        let hardware = &self.key.hardware;
        let facts = platform.state_facts(hardware, &profile.ignition.fw_cfg_key).await?;
        let config = &self.key.config;
        Ok(Ingredients { image: image_digest, config, user, hardware, facts: &facts }.digest())
    }

    /// A state that an earlier run has made. One that can't be read is removed.
    fn open(&self, held: Held, observer: &Arc<dyn Observer>) -> Option<Arc<Ready>> {
        let name = format!("{}, saved earlier as {}", self.name, held.name());
        match Kept::read(&held.state().directory) {
            Ok(kept) => Some(Arc::new(Ready { held, name, kept })),
            Err(why) => {
                observer.step(&format!("the saved state {} is removed: {why}", held.name()));
                self.policy.states.spoil(&held);
                None
            }
        }
    }

    async fn boot(&self, vacant: Vacant, observer: &Arc<dyn Observer>) -> Result<Ready> {
        let key = RunKey::generate()?;
        let ignition = self.world.ignition(&self.key.fragments, Some(key.public_line()))?;
        let directory = vacant.directory();
        key.write_private(&directory.join(file::KEY))?;
        write_private(&directory.join(file::CONFIG), &ignition)?;
        observer.step(&format!("booting {}, from which others start", self.name));
        let start = Start {
            name: self.name.clone(),
            hardware: self.key.hardware.clone(),
            ignition,
            patches: Vec::new(),
            evidence: self.evidence.join("m1"),
            expects: &[],
            origin: Origin::Savable(directory.to_owned()),
            key: Some(key.private()),
            fork: None,
        };
        let live = LiveMachine::start(&self.world, start, Arc::clone(observer)).await?;
        let saved = settle_and_save(&live, directory).await;
        if saved.is_err() {
            live.collect().await;
        }
        live.destroy().await;
        let (saved, is_sound) = saved?;
        let image = self.world.image.clone();
        // Files are flushed, which may take a second.
        let kept = tokio::task::spawn_blocking(move || match is_sound {
            true => vacant.publish(&saved, &image),
            // It may have been bad luck, and must not haunt every run from now on.
            false => vacant.keep(&saved, &image),
        });
        let held = kept.await.map_err(|error| PlatformError::infra(error.to_string()))??;
        let kept = Kept::read(&held.state().directory).map_err(PlatformError::infra)?;
        Ok(Ready { held, name: self.name.clone(), kept })
    }
}

/// Saves the machine when it has started, and says whether all of it did.
async fn settle_and_save(live: &Arc<LiveMachine>, directory: &Path) -> Result<(SavedState, bool)> {
    live.observer().phase(Phase::Boot);
    let guest = live.reach(live.limits().boot()).await?;
    // What would be going on in one fork would be going on in all.
    let started = guest.wait_until_started().await?;
    live.settle().await;
    if let Some(journal) = SavedJournal::take(&guest).await? {
        journal.write(directory).map_err(|error| unwritable(directory, &error))?;
    }
    drop(guest);
    Ok((live.machine().save().await?, started == "running"))
}

impl Kept {
    /// # Errors
    /// What is wrong with it.
    fn read(directory: &Path) -> std::result::Result<Self, String> {
        let key = UserKey::load(&directory.join(file::KEY)).map_err(|error| error.to_string())?;
        let ignition = fs::read(directory.join(file::CONFIG))
            .map_err(|error| format!("{}: {error}", file::CONFIG))?;
        Ok(Self { key: key.private(), ignition, journal: SavedJournal::read(directory) })
    }
}

fn write_private(path: &Path, content: &[u8]) -> Result {
    let file = fs::File::options().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| io::Write::write_all(&mut file, content))
        .map_err(|error| unwritable(path, &error).into())
}

fn unwritable(path: &Path, error: &io::Error) -> PlatformError {
    PlatformError::infra(format!("can't write {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use wheeltap_platforms::{
        Accelerator, Capability, Class, Machine, MachineSpec, Platform, states::DEFAULT_LIMIT,
    };

    use super::*;
    use crate::{catalogue::catalogue, context::tests::world, watch::Hit};

    /// A platform that could fork, if it could start anything.
    #[derive(Default)]
    struct Broken {
        started: AtomicUsize,
    }

    #[async_trait]
    impl Platform for Broken {
        fn name(&self) -> &'static str {
            "broken"
        }

        fn capabilities(&self) -> &[Capability] {
            &[Capability::FreshBoot, Capability::Fork]
        }

        fn slowness(&self) -> u32 {
            1
        }

        fn accelerator(&self) -> Option<Accelerator> {
            None
        }

        async fn start(
            &self,
            _: MachineSpec,
        ) -> std::result::Result<Box<dyn Machine>, PlatformError> {
            self.started.fetch_add(1, Ordering::SeqCst);
            Err(PlatformError::infra("it is broken"))
        }

        async fn state_facts(
            &self,
            _: &Hardware,
            _: &str,
        ) -> std::result::Result<Vec<String>, PlatformError> {
            Ok(Vec::new())
        }
    }

    struct Silent;

    impl Observer for Silent {
        fn phase(&self, _: Phase) {}
        fn machine(&self, _: &str, _: Option<&str>) {}
        fn step(&self, _: &str) {}
        fn console(&self, _: &Hit) {}
        fn trouble(&self, _: &str) {}
    }

    struct Scene {
        platform: Arc<Broken>,
        point: ForkPoint,
        directory: tempfile::TempDir,
    }

    impl Scene {
        fn new(users: usize, required: bool) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let platform = Arc::<Broken>::default();
            let world = World {
                image: directory.path().join("image"),
                image_digest: "5e".to_owned(),
                ..world(Arc::clone(&platform) as _)
            };
            let scenario = catalogue().find(|one| one.name == "boot.release").unwrap();
            let key = ForkKey::of(&world, scenario, Hardware::default(), None).unwrap();
            let states = Arc::new(States::at(directory.path().join("states"), DEFAULT_LIMIT));
            states.prepare().unwrap();
            let policy = ForkPolicy { states, required };
            let evidence = directory.path().join("boot-1");
            let point =
                ForkPoint::new(Arc::new(world), key, policy, users, "boot-1".into(), evidence);
            Self { platform, point, directory }
        }

        async fn ask(&self) -> Result<bool> {
            let observer: Arc<dyn Observer> = Arc::new(Silent);
            Ok(self.point.state(&observer).await?.is_some())
        }

        fn started(&self) -> usize {
            self.platform.started.load(Ordering::SeqCst)
        }
    }

    #[tokio::test]
    async fn what_is_alone_boots_for_itself_unless_it_must_not() {
        let alone = Scene::new(1, false);
        assert!(!alone.ask().await.unwrap());
        assert_eq!(alone.started(), 0);
        let required = Scene::new(1, true);
        assert_eq!(required.ask().await.unwrap_err().class, Class::Infra);
        assert_eq!(required.started(), 1);
    }

    #[tokio::test]
    async fn a_boot_that_fails_is_not_tried_again_until_it_is_forgotten() {
        let scene = Scene::new(2, false);
        let failure = scene.ask().await.unwrap_err();
        assert_eq!(failure.headline, "it is broken");
        assert_eq!(scene.ask().await.unwrap_err(), failure);
        assert_eq!(scene.started(), 1);
        scene.point.forget_failure();
        scene.ask().await.unwrap_err();
        assert_eq!(scene.started(), 2);
        let left = fs::read_dir(scene.directory.path().join("states")).unwrap().count();
        assert_eq!(left, 0, "what was not made leaves nothing");
    }

    #[test]
    fn keys_differ_by_hardware_and_by_config() {
        let Scene { point, .. } = Scene::new(1, false);
        let scenario = |name| catalogue().find(|one| one.name == name).unwrap();
        let key = |name, hardware, fault: Option<&str>| {
            let fault = fault.map(|fault| Fault::find(fault).unwrap());
            ForkKey::of(&point.world, scenario(name), hardware, fault.as_ref())
        };
        let usual = Hardware::default();
        let looks = key("boot.release", usual.clone(), None).unwrap();
        assert!(looks == key("ignition.files", usual.clone(), Some("other-mode")).unwrap());
        assert!(looks != key("reboot.clean", usual.clone(), None).unwrap());
        let larger = Hardware { memory_mib: 2048, ..usual.clone() };
        assert!(looks != key("boot.release", larger, None).unwrap());
        assert!(looks != key("boot.multi-user", usual.clone(), Some("stuck-unit")).unwrap());
        assert!(key("ignition.bad-config", usual, None).is_none(), "it boots for itself");
    }
}
