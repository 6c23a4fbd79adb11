//! The log of everything that was served, and waiting for what is not there yet.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::{Asked, ReportedEvent, Served};

/// Everything that was served, in order.
#[derive(Debug)]
pub(super) struct Log {
    served: Mutex<Vec<Served>>,
    changed: watch::Sender<()>,
}

impl Log {
    pub(super) fn new() -> Self {
        Self { served: Mutex::default(), changed: watch::Sender::new(()) }
    }

    /// Adds an entry and gives its place.
    pub(super) fn push(&self, entry: Served) -> usize {
        let mut served = self.lock();
        served.push(entry);
        let index = served.len() - 1;
        drop(served);
        self.changed.send_replace(());
        index
    }

    /// Notes that more bytes of the package in entry `index` were sent.
    pub(super) fn add_sent(&self, index: usize, bytes: u64) {
        if let Some(Served { asked: Asked::Download { sent, .. }, .. }) = self.lock().get_mut(index)
        {
            *sent += bytes;
        }
        self.changed.send_replace(());
    }

    pub(super) fn served(&self) -> Vec<Served> {
        self.lock().clone()
    }

    pub(super) fn events(&self) -> Vec<ReportedEvent> {
        events(&self.lock())
    }

    /// Looks at the log after each change until `find` finds something.
    pub(super) async fn wait<T>(&self, mut find: impl FnMut(&[Served]) -> Option<T>) -> T {
        // Subscribed before the first look, so that no change is missed between the two.
        let mut changes = self.changed.subscribe();
        loop {
            if let Some(found) = find(&self.lock()) {
                return found;
            }
            // The sender is ours, so it can't be gone.
            let _ = changes.changed().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Served>> {
        self.served.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The events in all of these requests.
pub(super) fn events(served: &[Served]) -> Vec<ReportedEvent> {
    let mut events = Vec::new();
    for request in served {
        let first = events.len();
        events.extend(request.events(first));
    }
    events
}
