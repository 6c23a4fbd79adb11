//! Downloads that survive what servers and networks do: they are tried again, and go on where they had ended.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::error::PublishedError;
use crate::error::CacheError;
use crate::http::{self, Head, HttpError, Request};
use crate::process::CANCEL_POLL;

/// A server that asks for a longer pause than this gets this one.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Lists, digests and signatures are small; what is longer is something else. Stream metadata has 100 KiB.
const MAX_TEXT: usize = 4 << 20;

/// How patient a download is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// How long a server may send nothing.
    pub stall: Duration,
    /// How often is tried again what may pass: a status from 500, and connections that are cut or stall.
    pub retries: u32,
    /// The first pause; each further one is twice as long, unless the server says how long.
    pub delay: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { stall: http::STALL, retries: 4, delay: Duration::from_secs(1) }
    }
}

/// What hears every byte of a download, in order.
pub(super) trait Listener {
    /// All is forgotten; the file begins again.
    fn restart(&mut self) -> Result<(), PublishedError>;
    fn hear(&mut self, bytes: &[u8]);
}

/// Where a download is kept until it is complete, with a note of what it is.
#[derive(Debug)]
pub(super) struct Partial {
    pub(super) directory: PathBuf,
}

/// What a partial download is of.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    url: String,
    /// Without it nothing says that the rest belongs to what is here.
    validator: Option<String>,
    length: Option<u64>,
}

impl Partial {
    pub(super) fn file(&self) -> PathBuf {
        self.directory.join("download")
    }

    fn note(&self) -> PathBuf {
        self.directory.join("download.json")
    }

    fn noted(&self) -> Option<Note> {
        serde_json::from_slice(&fs::read(self.note()).ok()?).ok()
    }

    fn write_note(&self, note: &Note) -> io::Result<()> {
        let bytes = serde_json::to_vec_pretty(note)?;
        // A torn note is none, and then the download begins again.
        fs::write(self.note(), bytes)
    }

    pub(super) fn remove(&self) {
        // What can't be removed is found by the next fetch or by gc.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// One after the other, with the same patience.
pub(super) struct Transfer<'a> {
    pub(super) patience: Patience,
    pub(super) cancel: &'a AtomicBool,
    pub(super) step: &'a mut dyn FnMut(&str),
}

impl Transfer<'_> {
    /// A small file; `None` if there is none.
    pub(super) fn text(&mut self, url: &str) -> Result<Option<Vec<u8>>, PublishedError> {
        let mut text = Vec::new();
        let head = self.persist(url, |transfer| {
            text.clear();
            let request = Request { stall: transfer.patience.stall, ..Request::of(url) };
            http::get(request, transfer.cancel, |_, bytes| {
                if text.len() + bytes.len() > MAX_TEXT {
                    return Err(io::Error::other("it is much too long for what it should be"));
                }
                text.extend_from_slice(bytes);
                Ok(())
            })
        })?;
        match head.status {
            200 => Ok(Some(text)),
            404 | 410 => Ok(None),
            status => Err(PublishedError::Status { url: url.to_owned(), status }),
        }
    }

    /// Whether the server has a file.
    pub(super) fn has(&mut self, url: &str) -> Result<bool, PublishedError> {
        let head = self.persist(url, |transfer| {
            let stall = transfer.patience.stall;
            let request = Request { stall, head_only: true, ..Request::of(url) };
            http::get(request, transfer.cancel, |_, _| Ok(()))
        })?;
        match head.status {
            404 | 410 => Ok(false),
            // A server without HEAD says more when the file itself is asked for.
            200 | 405 | 501 => Ok(true),
            status => Err(PublishedError::Status { url: url.to_owned(), status }),
        }
    }

    /// A large file, into `partial`; goes on with what is there already.
    pub(super) fn file(
        &mut self,
        url: &str,
        partial: &Partial,
        listener: &mut dyn Listener,
    ) -> Result<(), PublishedError> {
        let result = Download::open(url, partial, listener, self)?.run(self);
        if let Err(PublishedError::NoSpace { .. }) = result {
            partial.remove();
        }
        result
    }

    /// Asks until there is an answer, or what goes wrong won't pass.
    fn persist(
        &mut self,
        url: &str,
        mut ask: impl FnMut(&mut Self) -> Result<Head, HttpError>,
    ) -> Result<Head, PublishedError> {
        let mut tries = 0;
        loop {
            let (error, asked_pause) = match ask(self) {
                Ok(Head { status, retry_after, .. }) if status >= 500 && status != 501 => {
                    (PublishedError::Status { url: url.to_owned(), status }, retry_after)
                }
                Ok(head) => return Ok(head),
                Err(HttpError::Cancelled) => return Err(PublishedError::Cancelled),
                Err(HttpError::Sink(error)) => {
                    let problem = error.to_string();
                    return Err(PublishedError::Transfer { url: url.to_owned(), problem });
                }
                Err(HttpError::Transfer { problem, passing }) => {
                    let error = PublishedError::Transfer { url: url.to_owned(), problem };
                    if !passing {
                        return Err(error);
                    }
                    (error, None)
                }
            };
            if tries >= self.patience.retries {
                return Err(error);
            }
            let grown = self.patience.delay.saturating_mul(1 << tries.min(16));
            let pause = asked_pause.unwrap_or(grown).min(LONGEST_PAUSE);
            tries += 1;
            let (seconds, retries) = (pause.as_secs_f64(), self.patience.retries);
            let what = match &error {
                PublishedError::Status { status, .. } => format!("HTTP status {status}"),
                PublishedError::Transfer { problem, .. } => problem.clone(),
                other => other.to_string(),
            };
            (self.step)(&format!("{what}; trying again in {seconds} s ({tries} of {retries})"));
            self.pause(pause)?;
        }
    }

    fn pause(&self, pause: Duration) -> Result<(), PublishedError> {
        let end = Instant::now() + pause;
        loop {
            if self.cancel.load(Ordering::Relaxed) {
                return Err(PublishedError::Cancelled);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            // It may return early, which does no harm here.
            thread::park_timeout(left.min(CANCEL_POLL));
        }
    }
}

/// A large file on its way.
struct Download<'a> {
    url: &'a str,
    partial: &'a Partial,
    listener: &'a mut dyn Listener,
    file: File,
    note: Note,
    written: u64,
    tenths: u64,
}

impl<'a> Download<'a> {
    /// Lets the listener hear what is there already, if it can be gone on with.
    fn open(
        url: &'a str,
        partial: &'a Partial,
        listener: &'a mut dyn Listener,
        transfer: &mut Transfer<'_>,
    ) -> Result<Self, PublishedError> {
        let directory = &partial.directory;
        fs::create_dir_all(directory).map_err(CacheError::io("make the directory", directory))?;
        let path = partial.file();
        let file = File::options().create(true).truncate(false).read(true).write(true).open(&path);
        let file = file.map_err(CacheError::io("open", &path))?;
        let note = partial.noted().filter(|note| note.url == url && note.validator.is_some());
        let fresh = note.is_none();
        let note = note.unwrap_or_default();
        let mut download = Self { url, partial, listener, file, note, written: 0, tenths: 0 };
        if fresh {
            download.restart()?;
            return Ok(download);
        }
        download.listener.restart()?;
        let reading = |error| PublishedError::from(CacheError::io("read", path.clone())(error));
        let mut buffer = vec![0; 1 << 20];
        loop {
            let count = download.file.read(&mut buffer).map_err(reading)?;
            if count == 0 {
                break;
            }
            download.listener.hear(&buffer[..count]);
            download.written += count as u64;
            if transfer.cancel.load(Ordering::Relaxed) {
                return Err(PublishedError::Cancelled);
            }
        }
        if download.written > 0 {
            let mib = download.written >> 20;
            (transfer.step)(&format!("going on after {mib} MiB that had come before"));
        }
        Ok(download)
    }

    fn restart(&mut self) -> Result<(), PublishedError> {
        self.listener.restart()?;
        self.note = Note::default();
        self.written = 0;
        self.tenths = 0;
        let emptied = self.file.set_len(0).and_then(|()| self.file.seek(SeekFrom::Start(0)));
        emptied.map_err(|error| PublishedError::writing(self.partial.file(), error))?;
        Ok(())
    }

    fn run(mut self, transfer: &mut Transfer<'_>) -> Result<(), PublishedError> {
        // A process that was killed just before the end need not ask for nothing.
        while self.note.length.is_none_or(|length| length != self.written) {
            let mut failed = None;
            let url = self.url;
            let head = transfer.persist(url, |transfer| self.ask(transfer, &mut failed));
            if let Some(error) = failed {
                return Err(error);
            }
            match head?.status {
                200 | 206 => break,
                // What is here is longer than the file.
                416 if self.written > 0 => self.restart()?,
                status => return Err(PublishedError::Status { url: url.to_owned(), status }),
            }
        }
        let path = self.partial.file();
        self.file.sync_all().map_err(|error| PublishedError::writing(path, error))
    }

    /// One request for all that is missing. What goes wrong on this side is put into `failed`.
    fn ask(
        &mut self,
        transfer: &mut Transfer<'_>,
        failed: &mut Option<PublishedError>,
    ) -> Result<Head, HttpError> {
        let from = self.written;
        let validator = self.note.validator.clone();
        let rest = validator.as_deref().filter(|_| from > 0).map(|validator| (from, validator));
        let request = Request { rest, stall: transfer.patience.stall, ..Request::of(self.url) };
        let mut another_part = false;
        let answer = http::get(request, transfer.cancel, |head, bytes| {
            let taken = match bytes {
                [] if head.status == 206 && head.start != Some(from) => {
                    another_part = true;
                    self.restart()
                }
                [] if head.status == 206 => Ok(()),
                [] => self.begin(head),
                bytes => self.take(bytes, transfer.step),
            };
            match taken {
                Ok(()) if another_part => Err(io::ErrorKind::InvalidData.into()),
                Ok(()) => Ok(()),
                Err(error) => {
                    *failed = Some(error);
                    Err(io::ErrorKind::Other.into())
                }
            }
        });
        if another_part && failed.is_none() {
            let problem = "the server sent another part than was asked for".to_owned();
            return Err(HttpError::Transfer { problem, passing: true });
        }
        answer
    }

    /// The server sends all of it, whether that was asked for or not.
    fn begin(&mut self, head: &Head) -> Result<(), PublishedError> {
        self.restart()?;
        let (validator, length) = (head.validator.clone(), head.length);
        self.note = Note { url: self.url.to_owned(), validator, length };
        let written = self.partial.write_note(&self.note);
        written.map_err(|error| PublishedError::writing(self.partial.note(), error))
    }

    fn take(&mut self, bytes: &[u8], step: &mut dyn FnMut(&str)) -> Result<(), PublishedError> {
        let written = self.file.write_all(bytes);
        written.map_err(|error| PublishedError::writing(self.partial.file(), error))?;
        self.listener.hear(bytes);
        self.written += bytes.len() as u64;
        if let Some(length) = self.note.length.filter(|length| *length > 0)
            && self.written.saturating_mul(10) / length > self.tenths
        {
            self.tenths = self.written.saturating_mul(10) / length;
            step(&format!("download: {}0 % of {} MiB", self.tenths, length >> 20));
        }
        Ok(())
    }
}

/// Downloads that nobody goes on with just now: what killed and cancelled fetches left.
pub(super) fn directory_of(partials: &Path, stem: &str) -> Partial {
    Partial { directory: partials.join(stem) }
}
