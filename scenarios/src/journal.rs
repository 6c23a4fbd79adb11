//! The guest's journal, followed into `journal.log` across reboots and without duplicates.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::task::JoinHandle;
use wheeltap_platforms::{
    Interrupt,
    ssh::{Connector, Follower, quote},
    wait_for,
};

use crate::{failure::Result, guest::Guest};

/// Opening a session on a guest that answers; a loaded guest under TCG needs seconds.
const CONNECT_LIMIT: Duration = Duration::from_secs(60);

/// After the session was lost: the guest goes down, or its sshd was restarted.
const RETRY_PAUSE: Duration = Duration::from_secs(2);

/// What a machine that was saved had written to its journal by then, so that its forks need not send it again.
#[derive(Clone, Debug)]
pub(crate) struct SavedJournal {
    text: String,
    boot_id: String,
    /// Where the text ends, as journalctl has it.
    cursor: String,
}

impl SavedJournal {
    /// Reads the journal of a guest; nothing if it has none.
    pub(crate) async fn take(guest: &Guest) -> Result<Option<Self>> {
        let command = format!("{} --show-cursor", show_boot(guest.boot_id()));
        let run = guest.try_run(&command).await?;
        Ok(Self::parse(&run.text(), guest.boot_id()).filter(|_| run.success()))
    }

    /// The cursor is the last line.
    fn parse(text: &str, boot_id: &str) -> Option<Self> {
        let (text, cursor) = text.trim_end().rsplit_once('\n')?;
        let cursor = cursor.strip_prefix("-- cursor: ")?.to_owned();
        Some(Self { text: format!("{text}\n"), boot_id: boot_id.to_owned(), cursor })
    }

    /// Keeps it in a directory.
    pub(crate) fn write(&self, directory: &Path) -> io::Result<()> {
        fs::write(directory.join(TEXT), &self.text)?;
        fs::write(directory.join(CURSOR), format!("{}\n{}\n", self.boot_id, self.cursor))
    }

    /// What was kept there, if anything was. It is only evidence.
    pub(crate) fn read(directory: &Path) -> Option<Self> {
        let text = fs::read_to_string(directory.join(TEXT)).ok()?;
        let place = fs::read_to_string(directory.join(CURSOR)).ok()?;
        let (boot_id, cursor) = place.trim_end().split_once('\n')?;
        Some(Self { text, boot_id: boot_id.to_owned(), cursor: cursor.to_owned() })
    }
}

/// Names of a saved journal's files.
const TEXT: &str = "journal.log";
const CURSOR: &str = "journal.cursor";

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
    /// Lines of this boot that were written here, not counting those that a fork began with.
    lines: u64,
    come: Arc<AtomicU64>,
    /// What the machine began with, if it is a fork.
    saved: Option<SavedJournal>,
}

impl Journal {
    pub(crate) fn new(
        connector: Connector,
        path: PathBuf,
        interrupt: Interrupt,
        saved: Option<SavedJournal>,
    ) -> Self {
        let come = Arc::new(AtomicU64::new(0));
        let boot_id = String::new();
        let mut written =
            Written { path, file: None, boot_id, lines: 0, come: Arc::clone(&come), saved: None };
        if let Some(saved) = saved {
            written.append(saved.text.trim_end().as_bytes());
            written.saved = Some(saved);
        }
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
                let previous = format!("{} --quiet", written.select(&written.boot_id));
                if let Ok(follower) = connector.follow(previous, CONNECT_LIMIT, &interrupt).await {
                    written.copy(follower).await;
                }
                written.lines = 0;
            }
            written.boot_id.clone_from(&boot_id);
            written.come.store(0, Ordering::Relaxed);
            let follow = format!("{} --follow --no-tail", written.select(&boot_id));
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
    /// The command that shows a boot, from where the lines are counted.
    fn select(&self, boot_id: &str) -> String {
        let show = show_boot(boot_id);
        match &self.saved {
            Some(saved) if saved.boot_id == boot_id => {
                format!("{show} --after-cursor={}", quote(&saved.cursor))
            }
            _ => show,
        }
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saved_journal_is_kept_and_found() {
        let directory = tempfile::tempdir().unwrap();
        assert!(SavedJournal::read(directory.path()).is_none());
        let shown = "one\n  two\n-- cursor: s=1;i=2\n";
        let saved = SavedJournal::parse(shown, "b00t").unwrap();
        saved.write(directory.path()).unwrap();
        let read = SavedJournal::read(directory.path()).unwrap();
        assert_eq!((&*read.text, &*read.cursor), ("one\n  two\n", "s=1;i=2"));
        assert_eq!(read.boot_id, "b00t");
        for wrong in ["", "no cursor\n", "-- cursor: alone\n"] {
            assert!(SavedJournal::parse(wrong, "b00t").is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn a_fork_goes_on_where_its_origin_was_saved() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal.log");
        let saved = SavedJournal::parse("one\ntwo\n-- cursor: c;1\n", "b00t-1").unwrap();
        let come = Arc::default();
        let boot_id = String::new();
        let mut written =
            Written { path: path.clone(), file: None, boot_id, lines: 0, come, saved: Some(saved) };
        let select = written.select("b00t-1");
        assert!(select.starts_with("journalctl --boot=b00t1 "), "{select}");
        assert!(select.ends_with(" --after-cursor='c;1'"), "{select}");
        assert!(!written.select("b00t-2").contains("cursor"), "another boot is shown whole");
        written.append(b"three");
        assert_eq!(fs::read_to_string(path).unwrap(), "three\n");
    }
}
