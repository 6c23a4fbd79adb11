//! The guest's journal, followed into `journal.log` across reboots and without duplicates.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::task::JoinHandle;
use wheeltap_platforms::{
    Interrupt,
    ssh::{Connector, Follower},
    wait_for,
};

/// Opening a session on a guest that answers; a loaded guest under TCG needs seconds.
const CONNECT_LIMIT: Duration = Duration::from_secs(60);

/// After the session was lost: the guest goes down, or its sshd was restarted.
const RETRY_PAUSE: Duration = Duration::from_secs(2);

/// Follows one machine's journal.
pub(crate) struct Journal {
    connector: Connector,
    interrupt: Interrupt,
    written: Arc<tokio::sync::Mutex<Written>>,
    /// Lines of the current boot that have come so far.
    come: Arc<AtomicU64>,
    /// Whether following has ended by itself: there is no journal, or the session was lost.
    ended: Arc<AtomicBool>,
    follower: Mutex<Option<JoinHandle<()>>>,
}

/// A follower that has brought something and then nothing for this long has caught up.
const QUIET: Duration = Duration::from_secs(1);

/// How far `journal.log` has come. The entries of one boot are only ever appended to, so their number is all that is
/// needed to go on without gap or duplicate.
struct Written {
    path: PathBuf,
    file: Option<File>,
    boot_id: String,
    lines: u64,
    come: Arc<AtomicU64>,
}

impl Journal {
    pub(crate) fn new(connector: Connector, path: PathBuf, interrupt: Interrupt) -> Self {
        let come = Arc::new(AtomicU64::new(0));
        let written =
            Written { path, file: None, boot_id: String::new(), lines: 0, come: Arc::clone(&come) };
        Self {
            connector,
            interrupt,
            written: Arc::new(tokio::sync::Mutex::new(written)),
            come,
            ended: Arc::default(),
            follower: Mutex::new(None),
        }
    }

    /// Follows the boot `boot_id` from its beginning, after what was missed at the end of the boot before.
    pub(crate) fn follow_boot(&self, boot_id: &str) {
        let (connector, interrupt) = (self.connector.clone(), self.interrupt.clone());
        let (written, boot_id) = (Arc::clone(&self.written), boot_id.to_owned());
        let ended = Arc::clone(&self.ended);
        ended.store(false, Ordering::Relaxed);
        let task = tokio::spawn(async move {
            let mut written = written.lock().await;
            written.come.store(0, Ordering::Relaxed);
            if !written.boot_id.is_empty() && written.boot_id != boot_id {
                let previous = format!("{} --quiet", show_boot(&written.boot_id));
                if let Ok(follower) = connector.follow(previous, CONNECT_LIMIT, &interrupt).await {
                    written.copy(follower).await;
                }
                written.lines = 0;
            }
            written.boot_id.clone_from(&boot_id);
            written.come.store(0, Ordering::Relaxed);
            let follow = format!("{} --follow --no-tail", show_boot(&boot_id));
            while interrupt.current().is_none() {
                if let Ok(follower) = connector.follow(&follow, CONNECT_LIMIT, &interrupt).await {
                    written.copy(follower).await;
                }
                ended.store(true, Ordering::Relaxed);
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        });
        self.replace(Some(task));
    }

    /// Waits until what the guest has written so far is here, but no longer than `limit`: a guest under TCG needs seconds to
    /// open its journal, and a scenario that fails early would otherwise leave none.
    pub(crate) async fn catch_up(&self, limit: Duration) {
        if self.follower.lock().is_ok_and(|follower| follower.is_none()) {
            return;
        }
        let catching_up = async {
            let mut before = 0;
            loop {
                tokio::time::sleep(QUIET).await;
                let now = self.come.load(Ordering::Relaxed);
                let has_some = now > 0 || self.ended.load(Ordering::Relaxed);
                if has_some && now == before {
                    return;
                }
                before = now;
            }
        };
        // An interrupted guest writes nothing more.
        let _ = wait_for("the journal", limit, &self.interrupt, catching_up).await;
    }

    /// Stops following: the guest is about to go.
    pub(crate) fn pause(&self) {
        self.replace(None);
    }

    fn replace(&self, task: Option<JoinHandle<()>>) {
        if let Ok(mut follower) = self.follower.lock()
            && let Some(old) = std::mem::replace(&mut *follower, task)
        {
            old.abort();
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.pause();
    }
}

fn show_boot(boot_id: &str) -> String {
    // journalctl wants boot ids without the dashes that the kernel prints.
    format!("journalctl --boot={} --output=short-iso-precise --no-pager", boot_id.replace('-', ""))
}

impl Written {
    /// Appends what comes, but for the lines that are there already.
    async fn copy(&mut self, mut follower: Follower) {
        let mut seen = 0;
        while let Ok(Some(line)) = follower.next_line().await {
            seen += 1;
            if seen > self.lines {
                self.append(&line);
                self.lines += 1;
                self.come.store(self.lines, Ordering::Relaxed);
            }
        }
    }

    fn append(&mut self, line: &[u8]) {
        if self.file.is_none() {
            self.file = OpenOptions::new().create(true).append(true).open(&self.path).ok();
        }
        // Evidence that can't be written must not change what is seen of the guest.
        if let Some(file) = &mut self.file {
            let _ = file.write_all(&[line, b"\n"].concat());
        }
    }
}
