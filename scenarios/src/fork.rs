//! Boot once, test many: a machine that has booted is saved, and scenarios start from its forks.

use std::{fs, path::PathBuf, sync::Arc, time::SystemTime};

use tokio::sync::OnceCell;
use wheeltap_platforms::{Hardware, Origin, PlatformError, qemu::SavedState};

use crate::{
    context::World,
    failure::{Phase, Result},
    fault::Fault,
    guest::Guest,
    live::{LiveMachine, Start},
    observer::Observer,
    scenario::{MachineNeed, Scenario},
};

/// What machines have in common that can start from the same state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ForkKey {
    hardware: Hardware,
    ignition: Vec<u8>,
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
        // A config that can't be made is an error that the case itself reports.
        let fragments = world.fragments_of(scenario, hardware.firmware, fault, None);
        let ignition = world.ignition(&fragments, world.public_key.as_deref()).ok()?;
        Some(Self { hardware, ignition })
    }
}

/// A moment in the life of a machine from which others start: it has booted, and nobody has touched it.
///
/// The first that asks for it boots the machine and has it saved. Its files go with the last that knows it.
pub struct ForkPoint {
    world: Arc<World>,
    key: ForkKey,
    users: usize,
    name: String,
    evidence: PathBuf,
    /// A boot that failed is remembered too: whoever asks next gets the same failure, and no second boot.
    state: OnceCell<Result<SavedState>>,
}

impl ForkPoint {
    /// Nothing is booted yet. `users` is how many want to start from there; `evidence` is the directory for what the boot
    /// leaves.
    #[must_use]
    pub fn new(
        world: Arc<World>,
        key: ForkKey,
        users: usize,
        name: String,
        evidence: PathBuf,
    ) -> Self {
        Self { world, key, users, name, evidence, state: OnceCell::new() }
    }

    /// Its name, which is part of the path to its evidence.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The state, booted and saved if need be; nothing if its only user boots sooner than it forks.
    ///
    /// # Errors
    /// Why the boot failed, to everybody who asks.
    pub(crate) async fn state(&self, observer: &Arc<dyn Observer>) -> Result<Option<SavedState>> {
        if self.users < 2 {
            return Ok(None);
        }
        self.state.get_or_init(|| self.boot(observer)).await.clone().map(Some)
    }

    async fn boot(&self, observer: &Arc<dyn Observer>) -> Result<SavedState> {
        let directory = self.directory();
        fs::create_dir_all(&directory).map_err(|error| {
            PlatformError::infra(format!("can't make {}: {error}", directory.display()))
        })?;
        let directory = std::path::absolute(&directory).map_err(|error| {
            PlatformError::infra(format!("{} can't be used: {error}", directory.display()))
        })?;
        observer.step(&format!("booting {}, from which others start", self.name));
        let start = Start {
            name: "m1".to_owned(),
            hardware: self.key.hardware.clone(),
            ignition: self.key.ignition.clone(),
            patches: Vec::new(),
            evidence: self.evidence.join("m1"),
            expects: &[],
            origin: Origin::Savable(directory),
        };
        let live = LiveMachine::start(&self.world, start, Arc::clone(observer)).await?;
        let saved = self.settle_and_save(&live).await;
        if saved.is_err() {
            live.collect().await;
        }
        live.destroy().await;
        saved
    }

    async fn settle_and_save(&self, live: &Arc<LiveMachine>) -> Result<SavedState> {
        live.observer().phase(Phase::Boot);
        let guest = live.reach(live.limits().boot()).await?;
        // What would be going on in one fork would be going on in all.
        guest.wait_until_started().await?;
        live.settle().await;
        drop(guest);
        Ok(live.machine().save().await?)
    }

    fn directory(&self) -> PathBuf {
        self.evidence.join("state")
    }
}

impl Drop for ForkPoint {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(self.directory())
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!("{} is left behind: {error}", self.directory().display());
        }
    }
}

impl Guest {
    /// Sets the clock to the host's time: a fork's stood still from when it was saved.
    pub(crate) async fn set_clock(&self) -> Result {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.sudo(&format!("date -u -s @{}.{:03}", now.as_secs(), now.subsec_millis()))
            .await
            .map(drop)
    }
}
