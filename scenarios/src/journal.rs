//! The guest's journal, followed into `journal.log` across reboots and without duplicates.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::task::JoinHandle;
use wheeltap_platforms::{
    Interrupt,
    ssh::{Connector, Follower},
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
    follower: Mutex<Option<JoinHandle<()>>>,
}

/// How far `journal.log` has come. The entries of one boot are only ever appended to, so their number is all that is
/// needed to go on without gap or duplicate.
struct Written {
    path: PathBuf,
    file: Option<File>,
    boot_id: String,
    lines: u64,
}

impl Journal {
    pub(crate) fn new(connector: Connector, path: PathBuf, interrupt: Interrupt) -> Self {
        let written = Written { path, file: None, boot_id: String::new(), lines: 0 };
        Self {
            connector,
            interrupt,
            written: Arc::new(tokio::sync::Mutex::new(written)),
            follower: Mutex::new(None),
        }
    }

    /// Follows the boot `boot_id` from its beginning, after what was missed at the end of the boot before.
    pub(crate) fn follow_boot(&self, boot_id: &str) {
        let (connector, interrupt) = (self.connector.clone(), self.interrupt.clone());
        let (written, boot_id) = (Arc::clone(&self.written), boot_id.to_owned());
        let task = tokio::spawn(async move {
            let mut written = written.lock().await;
            if !written.boot_id.is_empty() && written.boot_id != boot_id {
                let previous = format!("{} --quiet", show_boot(&written.boot_id));
                if let Ok(follower) = connector.follow(previous, CONNECT_LIMIT, &interrupt).await {
                    written.copy(follower).await;
                }
                written.lines = 0;
            }
            written.boot_id.clone_from(&boot_id);
            let follow = format!("{} --follow --no-tail", show_boot(&boot_id));
            while interrupt.current().is_none() {
                if let Ok(follower) = connector.follow(&follow, CONNECT_LIMIT, &interrupt).await {
                    written.copy(follower).await;
                }
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        });
        self.replace(Some(task));
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
