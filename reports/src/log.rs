//! `events.jsonl`: the writer that survives, and the reader that tolerates what a kill leaves.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{Timestamp, Unit};
use sha2::{Digest, Sha256};

use crate::{EVENTS_FILE, Error, Event, Record, Result};

/// The writer of an event log. It can be shared between threads.
///
/// Each event is one line and one `write`, so a process that is killed leaves whole lines, and at
/// most one torn line at the end. The file is locked as long as the writer lives, which is how a
/// reader tells a run that goes on from one that was killed.
pub struct EventLog {
    path: PathBuf,
    inner: Mutex<Inner>,
    watcher: Option<Watcher>,
}

type Watcher = Box<dyn Fn(&Record) + Send + Sync>;

#[derive(Debug)]
struct Inner {
    file: File,
    /// The length of what was written whole, in bytes.
    good: u64,
    /// The digest of it so far.
    hash: Sha256,
    /// Events that could not be written.
    lost: u64,
}

impl EventLog {
    /// Creates the event log of a new run in its directory.
    ///
    /// # Errors
    /// [`Error::LogExists`] if there is one already, and [`Error::Write`].
    pub fn create(dir: &Path) -> Result<Self> {
        let path = dir.join(EVENTS_FILE);
        let file =
            OpenOptions::new().append(true).create_new(true).open(&path).map_err(|source| {
                match source.kind() {
                    ErrorKind::AlreadyExists => Error::LogExists { path: path.clone() },
                    _ => Error::write(&path, source),
                }
            })?;
        // Some network file systems have no locks; there a run that goes on looks like a killed one. A reader that is as
        // quick as we are holds it for no longer than it takes to ask.
        let _ = file.lock();
        let inner = Inner { file, good: 0, hash: Sha256::new(), lost: 0 };
        Ok(Self { path, inner: Mutex::new(inner), watcher: None })
    }

    /// From now on `watcher` is told of every event, in the log's order; also of those that can't be
    /// written, so that a screen goes on when the disk is full.
    ///
    /// The log is locked meanwhile: the watcher must not append, nor wait for a slow reader.
    #[must_use]
    pub fn watched_by(mut self, watcher: impl Fn(&Record) + Send + Sync + 'static) -> Self {
        self.watcher = Some(Box::new(watcher));
        self
    }

    /// Opens the event log of a run that ended early, to go on with it. A line that was torn by a kill
    /// is removed, as every reader leaves it out.
    ///
    /// # Errors
    /// [`Error::StillRuns`] if its writer lives, [`Error::Read`] and [`Error::Write`].
    pub fn resume(dir: &Path) -> Result<Self> {
        let path = dir.join(EVENTS_FILE);
        let opened = OpenOptions::new().read(true).append(true).create(true).open(&path);
        let mut file = opened.map_err(|source| Error::write(&path, source))?;
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            return Err(Error::StillRuns { dir: dir.to_owned() });
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)
            .map_err(|source| Error::Read { path: path.clone(), source })?;
        let lines = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let mended = if serde_json::from_slice::<Record>(&bytes[lines..]).is_ok() {
            bytes.push(b'\n');
            file.write_all(b"\n")
        } else {
            bytes.truncate(lines);
            file.set_len(lines as u64)
        };
        mended.map_err(|source| Error::write(&path, source))?;
        let hash = Sha256::new_with_prefix(&bytes);
        let inner = Inner { file, good: bytes.len() as u64, hash, lost: 0 };
        Ok(Self { path, inner: Mutex::new(inner), watcher: None })
    }

    /// Appends an event, stamped with the time of now in milliseconds.
    ///
    /// # Errors
    /// [`Error::Write`] for the first event that can't be written, for instance on a full disk.
    /// Further ones are counted in [`lost`](Self::lost) without an error, so that a caller that
    /// reports what it gets doesn't repeat itself. Each event is tried: space may come back.
    pub fn append(&self, event: Event) -> Result<()> {
        let mut inner = self.lock();
        // The time is read under the lock, so that times never go backwards within the file.
        let now = Timestamp::now();
        let at = now.round(Unit::Millisecond).unwrap_or(now);
        let is_end = matches!(event, Event::RunEnded { .. });
        let log = is_end.then(|| hex::encode(inner.hash.clone().finalize()));
        let record = Record { at, event, log };
        let result = self.append_locked(&mut inner, &record);
        if let Some(watcher) = &self.watcher {
            watcher(&record);
        }
        result
    }

    /// The number of events that could not be written.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lock().lost
    }

    fn append_locked(&self, inner: &mut Inner, record: &Record) -> Result<()> {
        let result =
            serde_json::to_vec(record).map_err(std::io::Error::from).and_then(|mut line| {
                line.push(b'\n');
                inner.file.write_all(&line)?;
                inner.good += line.len() as u64;
                inner.hash.update(&line);
                Ok(())
            });
        let Err(source) = result else { return Ok(()) };
        // A line that was half written must not become the beginning of the next one. If this fails
        // too, the reader names the damaged line.
        let _ = inner.file.set_len(inner.good);
        inner.lost += 1;
        if inner.lost == 1 { Err(Error::write(&self.path, source)) } else { Ok(()) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic elsewhere must not silence the log, and `Inner` is whole after each statement.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Closing is not enough: a child that another thread is just starting has a copy of the descriptor, and with
        // it the lock, until it calls exec (flock(2)); the run would look as if it went on.
        let _ = self.file.unlock();
    }
}

impl fmt::Debug for EventLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLog").field("path", &self.path).finish_non_exhaustive()
    }
}

/// The event log in a run directory, read line by line, since that of a large run wouldn't fit into memory twice. A log that
/// isn't there is empty: the run was killed between its plan and its first event.
pub(crate) struct Lines {
    path: PathBuf,
    file: Option<BufReader<File>>,
    /// Whether its writer still lives.
    pub(crate) live: bool,
    /// The number of the line that was read last, from 1.
    line: usize,
    buffer: Vec<u8>,
    hash: Sha256,
    /// Whether the line that was read last has a seal, and it fits.
    seal: Option<bool>,
}

/// What is known of a log that was read to its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// The sha256 of its bytes, in hex; empty if it isn't there.
    pub(crate) digest: String,
    /// Whether its last line has a seal, which fits.
    pub(crate) sealed: bool,
}

impl Lines {
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        let path = dir.join(EVENTS_FILE);
        let (file, live) = match File::open(&path) {
            Ok(file) => {
                // Asked before anything is read: a run that ends in between is then complete in what is read.
                let live = matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
                // Also for children that are just being started; whoever resumes the run must not take us for its writer.
                let _ = file.unlock();
                (Some(BufReader::new(file)), live)
            }
            Err(source) if source.kind() == ErrorKind::NotFound => (None, false),
            Err(source) => return Err(Error::Read { path, source }),
        };
        Ok(Self { path, file, live, line: 0, buffer: Vec::new(), hash: Sha256::new(), seal: None })
    }

    /// The next event, with the number of its line. What follows the last newline was torn by a kill, and is left out unless
    /// it is whole; anything else that can't be parsed is an error.
    pub(crate) fn next(&mut self) -> Result<Option<(usize, Record)>> {
        let Some(file) = &mut self.file else { return Ok(None) };
        self.buffer.clear();
        file.read_until(b'\n', &mut self.buffer)
            .map_err(|source| Error::Read { path: self.path.clone(), source })?;
        if self.buffer.is_empty() {
            return Ok(None);
        }
        self.line += 1;
        let before = self.hash.clone();
        self.hash.update(&self.buffer);
        match serde_json::from_slice::<Record>(&self.buffer) {
            Ok(record) => {
                let fits = |log: &String| *log == hex::encode(before.finalize());
                self.seal = record.log.as_ref().map(fits);
                Ok(Some((self.line, record)))
            }
            Err(_) if !self.buffer.ends_with(b"\n") => {
                self.seal = None;
                Ok(None)
            }
            Err(source) => {
                Err(Error::BadEvent { path: self.path.clone(), line: self.line, source })
            }
        }
    }

    /// What is known at its end.
    pub(crate) fn end(self) -> Result<End> {
        if self.seal == Some(false) {
            return Err(Error::BrokenSeal { path: self.path });
        }
        let digest = self.file.map(|_| hex::encode(self.hash.finalize())).unwrap_or_default();
        Ok(End { digest, sealed: self.seal.is_some() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::{EventLog, Lines};
    use crate::{EVENTS_FILE, Error, Event, Record};

    #[derive(Debug)]
    struct Read {
        records: Vec<Record>,
        live: bool,
        sealed: bool,
    }

    fn read(dir: &std::path::Path) -> crate::Result<Read> {
        let mut lines = Lines::open(dir)?;
        let live = lines.live;
        let mut records = Vec::new();
        while let Some((line, record)) = lines.next()? {
            records.push(record);
            assert_eq!(line, records.len());
        }
        Ok(Read { records, live, sealed: lines.end()?.sealed })
    }

    /// The events of a log with this content, or the number of its bad line.
    fn parse(bytes: &[u8]) -> Result<Vec<Record>, usize> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(EVENTS_FILE), bytes).unwrap();
        match read(dir.path()) {
            Ok(read) => Ok(read.records),
            Err(Error::BadEvent { line, .. }) => Err(line),
            Err(error) => panic!("{error}"),
        }
    }

    fn note(text: &str) -> Event {
        Event::Note { text: text.to_owned() }
    }

    #[test]
    fn what_is_written_can_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let log = EventLog::create(dir.path()).unwrap();
        log.append(note("one")).unwrap();
        log.append(note("two\nlines")).unwrap();
        let live = read(dir.path()).unwrap();
        assert!(live.live, "the writer holds the lock");
        drop(log);
        let dead = read(dir.path()).unwrap();
        assert!(!dead.live);
        let events: Vec<_> = dead.records.into_iter().map(|record| record.event).collect();
        assert_eq!(events, [note("one"), note("two\nlines")]);
    }

    #[test]
    fn a_watcher_is_told_of_every_event_in_the_order_of_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let (sender, told) = std::sync::mpsc::channel();
        let log = EventLog::create(dir.path())
            .unwrap()
            .watched_by(move |record| sender.send(record.clone()).unwrap());
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let log = &log;
                scope.spawn(move || {
                    (0..50).for_each(|_| log.append(note(&thread.to_string())).unwrap());
                });
            }
        });
        drop(log);
        let told: Vec<_> = told.into_iter().collect();
        assert_eq!(told.len(), 200);
        assert_eq!(told, read(dir.path()).unwrap().records);
    }

    #[test]
    fn one_directory_holds_one_run() {
        let dir = tempfile::tempdir().unwrap();
        drop(EventLog::create(dir.path()).unwrap());
        let error = EventLog::create(dir.path()).unwrap_err();
        assert!(matches!(error, Error::LogExists { .. }), "{error}");
    }

    #[test]
    fn a_run_that_was_killed_goes_on_behind_its_last_whole_line() {
        let dir = tempfile::tempdir().unwrap();
        let log = EventLog::create(dir.path()).unwrap();
        log.append(note("one")).unwrap();
        assert!(matches!(EventLog::resume(dir.path()), Err(Error::StillRuns { .. })));
        drop(log);
        let path = dir.path().join(crate::EVENTS_FILE);
        let mut torn = std::fs::read(&path).unwrap();
        torn.extend(&torn.clone()[..20]);
        std::fs::write(&path, torn).unwrap();
        EventLog::resume(dir.path()).unwrap().append(note("two")).unwrap();
        let events: Vec<_> =
            read(dir.path()).unwrap().records.into_iter().map(|record| record.event).collect();
        assert_eq!(events, [note("one"), note("two")]);
    }

    #[test]
    fn the_end_of_a_run_seals_what_was_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(crate::EVENTS_FILE);
        let end = || Event::RunEnded { outcome: crate::Outcome::AllPassed };
        let log = EventLog::create(dir.path()).unwrap();
        log.append(note("one")).unwrap();
        assert!(!read(dir.path()).unwrap().sealed, "it goes on");
        log.append(end()).unwrap();
        drop(log);
        let good = std::fs::read_to_string(&path).unwrap();
        assert!(read(dir.path()).unwrap().sealed);

        let lines: Vec<_> = good.lines().collect();
        for bad in [good.replace("one", "two"), lines[1..].join("\n"), lines[1].to_owned()] {
            std::fs::write(&path, bad).unwrap();
            let error = read(dir.path()).unwrap_err();
            assert!(matches!(error, Error::BrokenSeal { .. }), "{error}");
        }
        // Whoever wrote it had no seals, or went on.
        let without = good.split(",\"log\"").next().unwrap().to_owned() + "}\n";
        std::fs::write(&path, without).unwrap();
        assert!(!read(dir.path()).unwrap().sealed);

        std::fs::write(&path, &good).unwrap();
        let log = EventLog::resume(dir.path()).unwrap();
        log.append(note("two")).unwrap();
        assert!(!read(dir.path()).unwrap().sealed, "it goes on again");
        log.append(end()).unwrap();
        drop(log);
        assert!(read(dir.path()).unwrap().sealed);
    }

    #[test]
    fn a_full_disk_is_said_once() {
        let dir = tempfile::tempdir().unwrap();
        let (sender, told) = std::sync::mpsc::channel();
        let log = EventLog::create(dir.path())
            .unwrap()
            .watched_by(move |record| sender.send(record.event.clone()).unwrap());
        log.lock().file = std::fs::OpenOptions::new().append(true).open("/dev/full").unwrap();
        let error = log.append(note("one")).unwrap_err();
        assert!(error.to_string().ends_with("choose another directory with --out"), "{error}");
        log.append(note("two")).unwrap();
        assert_eq!(log.lost(), 2);
        drop(log);
        assert_eq!(told.into_iter().collect::<Vec<_>>(), [note("one"), note("two")]);
    }

    #[test]
    fn damage_in_the_middle_is_named_and_at_the_end_tolerated() {
        let good = r#"{"at":"2026-01-31T12:00:00Z","event":"note","text":"x"}"#;
        let torn = &good[..20];
        assert_eq!(parse(format!("{good}\n{torn}").as_bytes()).unwrap().len(), 1);
        assert_eq!(parse(format!("{good}\n{good}").as_bytes()).unwrap().len(), 2);
        // A file system that lost its last block after a power cut.
        assert_eq!(parse(format!("{good}\n\0\0\0\0").as_bytes()).unwrap().len(), 1);
        assert_eq!(parse(format!("{good}\n{torn}\n{good}\n").as_bytes()).unwrap_err(), 2);
        assert_eq!(parse(format!("{good}\n{torn}{good}\n").as_bytes()).unwrap_err(), 2);
        assert_eq!(parse(b"\xff\xfe\n").unwrap_err(), 1);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in any::<Vec<u8>>()) {
            let _ = parse(&bytes);
        }
    }
}
