//! A machine that several scenarios use, one after the other, where machines can't be forked.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
};

use tokio::sync::OnceCell;
use wheeltap_platforms::{Hardware, Origin};

use crate::{
    context::World,
    failure::{Phase, Result},
    guest::Guest,
    ignition::Fragment,
    live::{LiveMachine, Start},
    observer::Observer,
};

/// A machine that several scenarios use, one after the other. The first that asks for it boots it.
pub struct SharedMachine {
    world: Arc<World>,
    hardware: Hardware,
    fragments: Vec<Fragment>,
    evidence: PathBuf,
    observer: Arc<dyn Observer>,
    /// A boot that failed is remembered too: whoever asks next gets the same failure, and no second boot.
    guest: OnceCell<Result<Guest>>,
    live: Mutex<Option<Arc<LiveMachine>>>,
}

impl SharedMachine {
    /// A machine that is not booted yet. Its config is made of everybody's fragments, in this order.
    #[must_use]
    pub fn new(
        world: Arc<World>,
        hardware: Hardware,
        fragments: Vec<Fragment>,
        evidence: PathBuf,
        observer: Arc<dyn Observer>,
    ) -> Self {
        let (guest, live) = (OnceCell::new(), Mutex::new(None));
        Self { world, hardware, fragments, evidence, observer, guest, live }
    }

    /// Its guest, booted if need be.
    ///
    /// # Errors
    /// Why the boot failed, to everybody who asks.
    pub async fn guest(&self) -> Result<Guest> {
        self.guest.get_or_init(|| self.boot()).await.clone()
    }

    async fn boot(&self) -> Result<Guest> {
        let start = Start {
            name: "m1".to_owned(),
            hardware: self.hardware.clone(),
            ignition: self.world.ignition(&self.fragments, self.world.public_key.as_deref())?,
            patches: Vec::new(),
            evidence: self.evidence.clone(),
            // An expectation would hide from one scenario what another provokes.
            expects: &[],
            origin: Origin::Boot,
            key: None,
            fork: None,
        };
        let live = LiveMachine::start(&self.world, start, Arc::clone(&self.observer)).await?;
        if let Ok(mut current) = self.live.lock() {
            *current = Some(Arc::clone(&live));
        }
        self.observer.phase(Phase::Boot);
        live.reach(live.limits().boot()).await
    }

    /// The machine, if it was started.
    #[must_use]
    pub fn live(&self) -> Option<Arc<LiveMachine>> {
        self.live.lock().ok()?.clone()
    }

    /// Whether it came up.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.guest.get().is_some_and(Result::is_ok)
    }

    /// Ends it, if it was started.
    pub async fn destroy(&self) {
        if let Some(live) = self.live() {
            live.destroy().await;
        }
    }
}
