//! The one way to wait.
//!
//! Every wait has a deadline and is raced against everything that makes waiting pointless: the machine exits, the
//! console shows a fatal line, or the run is cancelled. Whoever notices such a thing raises an [`Interruption`];
//! every wait on that machine then ends at once with it.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use tokio::{sync::watch, time::Instant};

/// Why waiting on a machine has become pointless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interruption {
    /// The machine is gone: QEMU exited, or the instance was terminated.
    MachineExited {
        /// What ended it, as a phrase: `qemu exited with status 1: …`, `the guest powered off`.
        how: String,
        /// Whether the guest itself did, and not the host or the provider.
        by_guest: bool,
    },
    /// The console (or journal) showed a line after which the guest can't be expected to go on.
    FatalLine {
        /// One line that names the cause: `kernel panic: VFS: Unable to mount root fs`.
        headline: String,
    },
    /// The user, or a signal, ended the run.
    Cancelled,
}

impl fmt::Display for Interruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MachineExited { how, .. } => write!(f, "the machine is gone: {how}"),
            Self::FatalLine { headline } => f.write_str(headline),
            Self::Cancelled => f.write_str("the run was cancelled"),
        }
    }
}

/// Why a wait ended without what it waited for.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WaitError {
    /// Something made the wait pointless.
    #[error("{why} (while waiting for {what})")]
    Interrupted {
        /// What was awaited, as a noun phrase: `SSH after boot`.
        what: String,
        /// What ended the wait.
        why: Interruption,
    },
    /// The deadline passed.
    #[error("timed out after {} s waiting for {what}{}", after.as_secs(), last_seen(last.as_deref()))]
    TimedOut {
        /// What was awaited.
        what: String,
        /// For how long.
        after: Duration,
        /// The last thing seen: the last error of a poll, or the last console line.
        last: Option<String>,
    },
}

fn last_seen(last: Option<&str>) -> String {
    last.map(|last| format!("; last seen: {last}")).unwrap_or_default()
}

impl WaitError {
    /// What ended the wait, unless it was the deadline.
    #[must_use]
    pub fn interruption(&self) -> Option<&Interruption> {
        match self {
            Self::Interrupted { why, .. } => Some(why),
            Self::TimedOut { .. } => None,
        }
    }
}

/// Raises interruptions for one machine, and hands out [`Interrupt`]s that listen for them.
///
/// The first interruption wins: what comes after a panic is its consequence.
#[derive(Clone, Debug)]
pub struct Interrupter {
    sender: Arc<watch::Sender<Option<Interruption>>>,
}

impl Default for Interrupter {
    fn default() -> Self {
        Self::new()
    }
}

impl Interrupter {
    /// A source that has not been raised.
    #[must_use]
    pub fn new() -> Self {
        Self { sender: Arc::new(watch::Sender::new(None)) }
    }

    /// Ends every wait on this machine, now and later, with `why`. Keeps an earlier interruption if there is one.
    pub fn raise(&self, why: Interruption) {
        self.sender.send_if_modified(|current| {
            let first = current.is_none();
            if first {
                *current = Some(why);
            }
            first
        });
    }

    /// Forgets a raised interruption, because a scenario expected it (a panic that it provoked).
    pub fn clear(&self) {
        self.sender.send_replace(None);
    }

    /// A listener.
    #[must_use]
    pub fn listen(&self) -> Interrupt {
        Interrupt { receiver: self.sender.subscribe() }
    }
}

/// Listens for an [`Interruption`] of one machine.
#[derive(Clone, Debug)]
pub struct Interrupt {
    receiver: watch::Receiver<Option<Interruption>>,
}

impl Interrupt {
    /// An interrupt that never comes, for waits on things that have no machine.
    #[must_use]
    pub fn never() -> Self {
        Interrupter::new().listen()
    }

    /// What has been raised so far.
    #[must_use]
    pub fn current(&self) -> Option<Interruption> {
        self.receiver.borrow().clone()
    }

    /// Resolves when something is raised; at once if it already was.
    pub async fn raised(&self) -> Interruption {
        let mut receiver = self.receiver.clone();
        loop {
            if let Some(why) = receiver.borrow_and_update().clone() {
                return why;
            }
            if receiver.changed().await.is_err() {
                // Every Interrupter is gone without having raised anything, so nothing ever will.
                std::future::pending::<()>().await;
            }
        }
    }
}

/// Waits for `future`, but no longer than `limit`, and not past an interruption.
///
/// `what` is a noun phrase for the error: `SSH after boot`.
///
/// # Errors
/// [`WaitError`] says what was awaited and what ended the wait.
pub async fn wait_for<F: Future>(
    what: &str,
    limit: Duration,
    interrupt: &Interrupt,
    future: F,
) -> Result<F::Output, WaitError> {
    tokio::select! {
        biased;
        why = interrupt.raised() => Err(WaitError::Interrupted { what: what.to_owned(), why }),
        output = future => Ok(output),
        () = tokio::time::sleep(limit) => {
            Err(WaitError::TimedOut { what: what.to_owned(), after: limit, last: None })
        }
    }
}

/// Calls `probe` until it gives `Ok`, with a pause of `every` between two tries.
///
/// The error of the last try is what a timeout reports as last seen. A try that is in progress when the deadline
/// passes is dropped.
///
/// # Errors
/// [`WaitError`] as for [`wait_for`].
pub async fn poll_until<T, E, F>(
    what: &str,
    limit: Duration,
    every: Duration,
    interrupt: &Interrupt,
    mut probe: impl FnMut() -> F,
) -> Result<T, WaitError>
where
    F: Future<Output = Result<T, E>>,
    E: fmt::Display,
{
    let deadline = Instant::now() + limit;
    let mut last = None;
    let tries = async {
        loop {
            match probe().await {
                Ok(value) => return value,
                Err(error) => last = Some(error.to_string()),
            }
            tokio::time::sleep(every).await;
        }
    };
    match wait_for(what, deadline.saturating_duration_since(Instant::now()), interrupt, tries).await
    {
        Err(WaitError::TimedOut { what, .. }) => {
            Err(WaitError::TimedOut { what, after: limit, last })
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn an_interruption_ends_a_wait_at_once() {
        let interrupter = Interrupter::new();
        let interrupt = interrupter.listen();
        let waiting = tokio::spawn(async move {
            wait_for("SSH after boot", LONG, &interrupt, std::future::pending::<()>()).await
        });
        interrupter.raise(Interruption::FatalLine { headline: "kernel panic: no init".into() });
        let error = waiting.await.unwrap().unwrap_err();
        assert_eq!(error.to_string(), "kernel panic: no init (while waiting for SSH after boot)");
    }

    #[tokio::test]
    async fn the_first_interruption_wins() {
        let interrupter = Interrupter::new();
        interrupter.raise(Interruption::Cancelled);
        interrupter.raise(Interruption::MachineExited { how: "qemu quit".into(), by_guest: false });
        assert_eq!(interrupter.listen().current(), Some(Interruption::Cancelled));
        interrupter.clear();
        assert_eq!(interrupter.listen().current(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_timeout_reports_the_last_error_of_the_probe() {
        let error = poll_until(
            "the unit to be active",
            Duration::from_secs(90),
            Duration::from_secs(1),
            &Interrupt::never(),
            async || Err::<(), _>("state is activating"),
        )
        .await
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "timed out after 90 s waiting for the unit to be active; last seen: state is activating"
        );
    }
}
