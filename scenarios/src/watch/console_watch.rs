//! Follows a log that grows, and ends the waits on its machine when a fatal line comes.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{task::JoinHandle, time::Instant};
use wheeltap_platforms::{Interrupter, Interruption};

use super::{Hit, Line, Rules, Scanner, UnknownRule};

/// How often the file is looked at. One look at a file that didn't grow is one `stat`, some microseconds.
const POLL: Duration = Duration::from_millis(150);
/// With nothing new for this long, what has come is all there is to explain a fatal line.
const QUIET: Duration = Duration::from_millis(300);
/// A fatal line is not held back longer than this, even if the console goes on talking.
const HOLD: Duration = Duration::from_millis(1200);
/// Bytes read at once.
const CHUNK: usize = 64 * 1024;

/// Watches one log of one machine.
///
/// The file may not exist yet, and may be replaced or cut off (which is noticed if it is shorter than before by the
/// next look). Dropping the watch ends it.
#[derive(Debug)]
pub struct ConsoleWatch {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    interrupter: Interrupter,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    scanner: Scanner,
    file: Option<Opened>,
    /// When the last bytes came, unless the partial line at the end has been looked at since.
    grew: Option<Instant>,
    /// When the fatal line came that is held back until it can be explained.
    holding: Option<Instant>,
    /// Hits up to here have been raised, or were not fatal.
    judged: usize,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Opened {
    file: File,
    inode: u64,
    offset: u64,
}

impl ConsoleWatch {
    /// Starts to follow the file. Fatal lines that no expectation covers are raised on `interrupter`.
    ///
    /// Must be called within a tokio runtime.
    #[must_use]
    pub fn start(path: impl Into<PathBuf>, rules: &Rules, interrupter: Interrupter) -> Self {
        let state = State {
            scanner: Scanner::new(rules),
            file: None,
            grew: None,
            holding: None,
            judged: 0,
            buffer: vec![0; CHUNK],
        };
        let shared = Arc::new(Shared { path: path.into(), interrupter, state: Mutex::new(state) });
        let follower = shared.clone();
        let task = tokio::spawn(async move {
            let mut error_seen = None;
            loop {
                // Reading what is in the page cache is too short to be worth a thread of its own.
                if let Err(error) = follower.advance(false) {
                    let kind = Some(error.kind());
                    if error_seen != kind {
                        tracing::warn!(path = %follower.path.display(), %error, "can't read the log");
                        error_seen = kind;
                    }
                }
                tokio::time::sleep(POLL).await;
            }
        });
        Self { shared, task }
    }

    /// Reads up to the current end of the file, and judges what has come without holding anything back.
    ///
    /// To be called before a machine is judged or torn down, and before an expectation ends.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn drain(&self) -> io::Result<()> {
        self.shared.advance(true)
    }

    /// Reads the rest, stops, and gives all hits.
    pub fn stop(self) -> Vec<Hit> {
        if let Err(error) = self.drain() {
            tracing::warn!(path = %self.shared.path.display(), %error, "can't read the end of the log");
        }
        self.shared.lock().scanner.hits().to_vec()
    }

    /// The number of hits so far, to be given to [`ConsoleWatch::hits_since`] and
    /// [`ConsoleWatch::fatal_headline`].
    #[must_use]
    pub fn mark(&self) -> usize {
        self.shared.lock().scanner.hits().len()
    }

    /// The hits after a mark; 0 for all.
    #[must_use]
    pub fn hits_since(&self, mark: usize) -> Vec<Hit> {
        self.shared.lock().scanner.hits().iter().skip(mark).cloned().collect()
    }

    /// The headline of the first unexpected fatal hit after a mark.
    ///
    /// A machine that ends because of a fatal line may be noticed before the line is; after [`ConsoleWatch::drain`]
    /// this is the better cause.
    #[must_use]
    pub fn fatal_headline(&self, mark: usize) -> Option<String> {
        self.shared.lock().scanner.fatal_headline(mark).map(str::to_owned)
    }

    /// The last `n` lines, at most 200.
    #[must_use]
    pub fn tail(&self, n: usize) -> Vec<Line> {
        self.shared.lock().scanner.tail(n)
    }

    /// The number of the boot that the console shows, counted from 1.
    #[must_use]
    pub fn boot(&self) -> u32 {
        self.shared.lock().scanner.boot()
    }

    /// Says that the machine was reset, for consoles that don't show it. What has been written belongs to the boot
    /// before.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn new_boot(&self) -> io::Result<()> {
        self.drain()?;
        self.shared.lock().scanner.new_boot();
        Ok(())
    }

    /// Expects hits of these rules until the expectation is dropped. They are recorded, but end no wait.
    ///
    /// # Errors
    /// [`UnknownRule`] with the known ones.
    pub fn expect(&self, rules: &[&str]) -> Result<Expectation, UnknownRule> {
        let id = self.shared.lock().scanner.expect(rules)?;
        Ok(Expectation { shared: self.shared.clone(), id })
    }
}

impl Drop for ConsoleWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Hits that a scenario provokes. Ends when it is dropped; drain the watch before, so that no late line is taken for
/// unexpected.
#[derive(Debug)]
#[must_use = "an expectation ends when it is dropped"]
pub struct Expectation {
    shared: Arc<Shared>,
    id: u64,
}

impl Expectation {
    /// The expected rules that have not matched yet.
    #[must_use]
    pub fn unmet(&self) -> Vec<Arc<str>> {
        self.shared.lock().scanner.unmet(self.id)
    }
}

impl Drop for Expectation {
    fn drop(&mut self) {
        self.shared.lock().scanner.unexpect(self.id);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves the lines and hits usable.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what is new, and raises what is fatal.
    fn advance(&self, at_once: bool) -> io::Result<()> {
        let mut state = self.lock();
        let now = Instant::now();
        let read = state.read_new(&self.path, now);
        if let Some(headline) = state.judge(now, at_once) {
            self.interrupter.raise(Interruption::FatalLine { headline });
        }
        read
    }
}

impl State {
    fn read_new(&mut self, path: &std::path::Path, now: Instant) -> io::Result<()> {
        let meta = match std::fs::metadata(path) {
            Ok(meta) => meta,
            // Not there yet, or about to be replaced.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let is_same = |opened: &Opened| opened.inode == meta.ino() && opened.offset <= meta.len();
        if self.file.as_ref().is_some_and(|opened| opened.offset == meta.len() && is_same(opened)) {
            return Ok(());
        }
        if !self.file.as_ref().is_some_and(is_same) {
            if let Some(mut old) = self.file.take() {
                self.read_to_end(&mut old, now)?;
                self.scanner.restart_log();
            }
            self.file = Some(Opened { file: File::open(path)?, inode: meta.ino(), offset: 0 });
        }
        let Some(mut opened) = self.file.take() else { return Ok(()) };
        let read = self.read_to_end(&mut opened, now);
        self.file = Some(opened);
        read
    }

    fn read_to_end(&mut self, opened: &mut Opened, now: Instant) -> io::Result<()> {
        loop {
            match opened.file.read(&mut self.buffer) {
                Ok(0) => return Ok(()),
                Ok(length) => {
                    opened.offset += length as u64;
                    self.scanner.feed(&self.buffer[..length]);
                    self.grew = Some(now);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The headline of a fatal hit that is not to be held back any longer.
    fn judge(&mut self, now: Instant, at_once: bool) -> Option<String> {
        let quiet = self.grew.is_none_or(|grew| now.duration_since(grew) >= QUIET);
        if (quiet || at_once) && self.grew.take().is_some() {
            self.scanner.look_at_partial_line();
        }
        let Some(headline) = self.scanner.fatal_headline(self.judged) else {
            self.judged = self.scanner.hits().len();
            self.holding = None;
            return None;
        };
        let since = *self.holding.get_or_insert(now);
        if !(at_once || quiet || now.duration_since(since) >= HOLD) {
            return None;
        }
        let headline = headline.to_owned();
        self.judged = self.scanner.hits().len();
        self.holding = None;
        Some(headline)
    }
}

#[cfg(test)]
mod tests;
