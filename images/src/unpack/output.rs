//! The image that is written, with holes for zeros.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use sha2::{Digest as _, Sha256};

use super::error::UnpackError;
use super::input::Shared;

/// What file systems allocate at a time. A smaller hole saves nothing.
const BLOCK: usize = 4 << 10;

/// Bytes that are gathered, a multiple of blocks.
const GATHER: usize = 64 * BLOCK;

/// Bytes between two reports.
const REPORT: u64 = 4 << 20;

pub(super) struct Output<'a> {
    to: &'a File,
    shared: &'a Shared<'a>,
    limit: u64,
    progress: &'a mut dyn FnMut(u64, u64),
    hash: Sha256,
    gathered: Vec<u8>,
    /// Where what is gathered belongs.
    at: u64,
    reported: u64,
    /// What the image begins with.
    first: Vec<u8>,
}

impl<'a> Output<'a> {
    pub(super) fn new(
        to: &'a File,
        shared: &'a Shared<'a>,
        limit: u64,
        progress: &'a mut dyn FnMut(u64, u64),
    ) -> Result<Self, UnpackError> {
        // Holes must read as zeros, whatever was there.
        to.set_len(0).map_err(UnpackError::Write)?;
        let gathered = Vec::with_capacity(GATHER);
        let (hash, first) = (Sha256::new(), Vec::new());
        Ok(Self { to, shared, limit, progress, hash, gathered, at: 0, reported: 0, first })
    }

    pub(super) fn write(&mut self, mut bytes: &[u8]) -> Result<(), UnpackError> {
        // A few bytes of input can be hours of zeros.
        if self.shared.cancelled() {
            return Err(UnpackError::Cancelled);
        }
        let size = self.size() + bytes.len() as u64;
        if size > self.limit {
            return Err(UnpackError::TooLarge { limit: self.limit });
        }
        let missing = 6usize.saturating_sub(self.first.len()).min(bytes.len());
        self.first.extend_from_slice(&bytes[..missing]);
        self.hash.update(bytes);
        while !bytes.is_empty() {
            let (now, rest) = bytes.split_at(bytes.len().min(GATHER - self.gathered.len()));
            self.gathered.extend_from_slice(now);
            bytes = rest;
            if self.gathered.len() == GATHER {
                self.flush()?;
            }
        }
        if size - self.reported >= REPORT {
            self.reported = size;
            (self.progress)(self.shared.taken.get(), size);
        }
        Ok(())
    }

    pub(super) fn size(&self) -> u64 {
        self.at + self.gathered.len() as u64
    }

    /// The first six bytes, or as many as there are.
    pub(super) fn first(&self) -> &[u8] {
        &self.first
    }

    /// Gives the size and the digest.
    pub(super) fn finish(mut self) -> Result<(u64, String), UnpackError> {
        self.flush()?;
        // A hole at the end needs somebody who says where that is.
        self.to.set_len(self.at).map_err(UnpackError::Write)?;
        Ok((self.at, hex::encode(self.hash.finalize())))
    }

    fn flush(&mut self) -> Result<(), UnpackError> {
        let mut at = self.at;
        for run in
            self.gathered.chunks(BLOCK).collect::<Vec<_>>().chunk_by(|a, b| zero(a) == zero(b))
        {
            let length: usize = run.iter().map(|block| block.len()).sum();
            let begin = (at - self.at) as usize;
            if !zero(run[0]) {
                let bytes = &self.gathered[begin..begin + length];
                self.to.write_all_at(bytes, at).map_err(UnpackError::Write)?;
            }
            at += length as u64;
        }
        self.at = at;
        self.gathered.clear();
        Ok(())
    }
}

fn zero(block: &[u8]) -> bool {
    block.iter().all(|byte| *byte == 0)
}
