//! What is read, with a look ahead, and with a memory for why reading failed: decompressors tell it in words of their own.

use std::cell::Cell;
use std::io::{self, BufRead, Read};
use std::sync::atomic::{AtomicBool, Ordering};

use super::error::UnpackError;

/// Bytes that are read at a time.
const CHUNK: usize = 256 << 10;

/// What both ends know.
pub(super) struct Shared<'a> {
    pub(super) cancel: &'a AtomicBool,
    /// Bytes that were taken of the input.
    pub(super) taken: Cell<u64>,
}

impl Shared<'_> {
    pub(super) fn cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }
}

pub(super) struct Input<'a> {
    from: &'a mut dyn Read,
    shared: &'a Shared<'a>,
    buffer: Vec<u8>,
    at: usize,
    end: usize,
    failure: Option<io::Error>,
    /// Somebody wanted more than there is.
    ended: bool,
}

impl<'a> Input<'a> {
    pub(super) fn new(from: &'a mut dyn Read, shared: &'a Shared<'a>) -> Self {
        let buffer = vec![0; CHUNK];
        Self { from, shared, buffer, at: 0, end: 0, failure: None, ended: false }
    }

    /// The next bytes, fewer only where the file ends.
    pub(super) fn peek(&mut self, bytes: usize) -> Result<&[u8], UnpackError> {
        while self.end - self.at < bytes {
            self.buffer.copy_within(self.at..self.end, 0);
            (self.at, self.end) = (0, self.end - self.at);
            match self.read_more() {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => return Err(self.why("", &error)),
            }
        }
        Ok(&self.buffer[self.at..self.end.min(self.at + bytes)])
    }

    /// What an error of a decompressor that reads from here means.
    pub(super) fn why(
        &mut self,
        format: &'static str,
        error: &dyn std::fmt::Display,
    ) -> UnpackError {
        if self.shared.cancelled() {
            UnpackError::Cancelled
        } else if let Some(failure) = self.failure.take() {
            UnpackError::Read(failure)
        } else if self.ended {
            UnpackError::Truncated { format }
        } else {
            UnpackError::Corrupt { format, problem: error.to_string() }
        }
    }

    /// Bytes that were taken so far.
    pub(super) fn taken(&self) -> u64 {
        self.shared.taken.get()
    }

    fn read_more(&mut self) -> io::Result<usize> {
        loop {
            if self.shared.cancelled() {
                return Err(io::Error::other("cancelled"));
            }
            match self.from.read(&mut self.buffer[self.end..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let kind = error.kind();
                    self.failure = Some(error);
                    return Err(kind.into());
                }
                Ok(read) => {
                    self.end += read;
                    return Ok(read);
                }
            }
        }
    }
}

impl BufRead for Input<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.end {
            (self.at, self.end) = (0, 0);
            self.ended |= self.read_more()? == 0;
        }
        Ok(&self.buffer[self.at..self.end])
    }

    fn consume(&mut self, bytes: usize) {
        self.at += bytes;
        self.shared.taken.set(self.shared.taken.get() + bytes as u64);
    }
}

impl Read for Input<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        let mut bytes = self.fill_buf()?;
        let read = bytes.read(into)?;
        self.consume(read);
        Ok(read)
    }
}
