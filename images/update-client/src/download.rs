//! The package as one stream of bytes, however often the connection breaks.

use std::io::{self, Read};
use std::thread;
use std::time::Duration;

use thiserror::Error;

use crate::curl::{Transfer, TransferError};
use crate::journal;
use crate::offer::Offer;

/// Pauses before the next try. Together with five refused connections they take 15 seconds: long enough for a server
/// that is restarted, short enough to say soon that it is gone.
const PAUSES: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];

/// A try that brought as many bytes as this doesn't count as failed, so that a large package comes through a bad
/// connection, and one that brings a byte at a time doesn't.
const WORTH_IT: u64 = 1 << 20;

/// The package did not come.
#[derive(Debug, Error)]
pub(crate) enum DownloadError {
    /// All tries failed.
    #[error("download failed at byte {at}, in try {tries}: {source}")]
    Transfer { at: u64, tries: usize, source: TransferError },
    /// The server has a file of another size than it announced.
    #[error("{url} has {found} bytes, and {announced} were announced")]
    Size { url: String, announced: u64, found: u64 },
}

/// Reads the package of an offer, and nothing behind it.
pub(crate) struct Download<'a> {
    offer: &'a Offer,
    progress: &'a mut dyn FnMut(u64),
    transfer: Option<Transfer>,
    /// Bytes read.
    taken: u64,
    /// Where the running try began.
    began: u64,
    failures: usize,
    /// Why reading failed; `Read` itself can't say it.
    pub(crate) failure: Option<DownloadError>,
}

impl<'a> Download<'a> {
    /// `progress` is told how many bytes are here.
    pub(crate) fn new(offer: &'a Offer, progress: &'a mut dyn FnMut(u64)) -> Self {
        Self { offer, progress, transfer: None, taken: 0, began: 0, failures: 0, failure: None }
    }

    fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, DownloadError> {
        let left = self.offer.size - self.taken;
        let room = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        if room == 0 {
            return Ok(0);
        }
        loop {
            match self.attempt(&mut buffer[..room]) {
                Ok(count) => return Ok(count),
                Err(Fault::WrongSize(found)) => return Err(self.size(found)),
                Err(Fault::Transfer(source)) => self.pause(source)?,
            }
        }
    }

    fn attempt(&mut self, buffer: &mut [u8]) -> Result<usize, Fault> {
        let mut transfer = match self.transfer.take() {
            Some(transfer) => transfer,
            None => self.connect()?,
        };
        match transfer.read(buffer) {
            Ok(count) if count > 0 => {
                self.taken += count as u64;
                (self.progress)(self.taken);
                self.transfer = Some(transfer);
                Ok(count)
            }
            // The body is over, and the package is not.
            Ok(_) => {
                transfer.end()?;
                Err(Fault::WrongSize(self.taken))
            }
            Err(error) => {
                let url = self.offer.url.clone();
                Err(Fault::Transfer(TransferError::Broken { url, reason: error.to_string() }))
            }
        }
    }

    /// Opens a connection from the first byte that is missing.
    fn connect(&mut self) -> Result<Transfer, Fault> {
        self.began = self.taken;
        let mut transfer = Transfer::get(&self.offer.url, self.taken)?;
        if let Some(total) = transfer.head.total
            && total != self.offer.size
        {
            return Err(Fault::WrongSize(total));
        }
        // A server without ranges sends the whole file once more.
        let known = self.taken.saturating_sub(transfer.head.start);
        if known > 0 {
            journal::warning(format!("The server ignores the range; skipping {known} bytes."));
        }
        let skipped = io::copy(&mut transfer.by_ref().take(known), &mut io::sink());
        if skipped.is_ok_and(|skipped| skipped == known) {
            return Ok(transfer);
        }
        transfer.end()?;
        let reason = "it ended before the bytes that are missing".to_owned();
        Err(Fault::Transfer(TransferError::Broken { url: self.offer.url.clone(), reason }))
    }

    fn size(&self, found: u64) -> DownloadError {
        DownloadError::Size { url: self.offer.url.clone(), announced: self.offer.size, found }
    }

    #[expect(clippy::disallowed_methods, reason = "this thread has nothing else to do")]
    fn pause(&mut self, source: TransferError) -> Result<(), DownloadError> {
        if self.taken - self.began >= WORTH_IT {
            self.failures = 0;
        }
        self.failures += 1;
        let pause = PAUSES.get(self.failures - 1).filter(|_| !is_final(&source));
        let Some(pause) = pause else {
            let (at, tries) = (self.taken, self.failures);
            return Err(DownloadError::Transfer { at, tries, source });
        };
        journal::warning(format!(
            "Download interrupted at byte {}: {source}. Resuming in {} s.",
            self.taken,
            pause.as_secs()
        ));
        thread::sleep(*pause);
        Ok(())
    }
}

impl Read for Download<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_some(buffer).map_err(|error| {
            let answer = io::Error::other(error.to_string());
            self.failure = Some(error);
            answer
        })
    }
}

/// What goes wrong in one try.
enum Fault {
    Transfer(TransferError),
    /// The server's file has so many bytes.
    WrongSize(u64),
}

impl From<TransferError> for Fault {
    fn from(error: TransferError) -> Self {
        Self::Transfer(error)
    }
}

/// Whether another try makes no sense: the request itself is wrong, or there is no curl.
fn is_final(error: &TransferError) -> bool {
    matches!(error.status(), Some(300..500)) || matches!(error, TransferError::Start(_))
}
