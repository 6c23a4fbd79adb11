//! Bytes to and from extents.

use std::io::{self, Read, Seek, SeekFrom, Write};

use super::error::Fault;
use super::manifest::{BLOCK_SIZE, Extent};

/// Where an update is written: a file, a block device, a buffer.
pub trait Target: Read + Write + Seek {}

impl<T: Read + Write + Seek> Target for T {}

/// Takes bytes for a place.
pub(super) trait PutAt {
    fn put_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
}

impl PutAt for &mut dyn Target {
    fn put_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.seek(SeekFrom::Start(offset))?;
        self.write_all(bytes)
    }
}

/// Spreads a stream of bytes over extents, as update_engine's `DirectExtentWriter` with
/// `ZeroPadExtentWriter` does: what goes to a hole is dropped, the last block is filled with zeros,
/// and extents for which there is no data stay as they are.
pub(super) struct ExtentWriter<'a> {
    to: &'a mut dyn PutAt,
    extents: &'a [Extent],
    /// Bytes already in the first of the extents.
    within: u64,
    /// Size of the part in bytes. update_engine cuts kernels to it in the end; here the padding
    /// behind it is not even written.
    size: u64,
}

impl<'a> ExtentWriter<'a> {
    pub(super) fn new(to: &'a mut dyn PutAt, extents: &'a [Extent], size: u64) -> Self {
        Self { to, extents, within: 0, size }
    }

    pub(super) fn write(&mut self, mut bytes: &[u8]) -> Result<(), Fault> {
        while !bytes.is_empty() {
            let [extent, later @ ..] = self.extents else {
                return Err(Fault::Asked("it has more data than room to write it".into()));
            };
            let room = extent.bytes() - self.within;
            let count = bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
            let (now, rest) = bytes.split_at(count);
            if let Some(start) = extent.start {
                self.put(start * BLOCK_SIZE + self.within, now)?;
            }
            bytes = rest;
            self.within += count as u64;
            if self.within == extent.bytes() {
                self.within = 0;
                self.extents = later;
            }
        }
        Ok(())
    }

    /// Fills the last block with zeros.
    pub(super) fn finish(mut self) -> Result<(), Fault> {
        match self.within % BLOCK_SIZE {
            0 => Ok(()),
            used => self.write(&[0; BLOCK_SIZE as usize][used as usize..]),
        }
    }

    fn put(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Fault> {
        let end = offset + bytes.len() as u64;
        if end > self.size.next_multiple_of(BLOCK_SIZE) {
            return Err(Fault::Asked(format!("it writes beyond the end at byte {}", self.size)));
        }
        let kept = (bytes.len() as u64).min(self.size.saturating_sub(offset)) as usize;
        Ok(self.to.put_at(offset, &bytes[..kept])?)
    }
}

/// The first `length` bytes of some extents; a hole is read as zeros.
pub(super) fn read(
    from: &mut dyn Target,
    extents: &[Extent],
    length: u64,
) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    for extent in extents {
        let wanted = extent.bytes().min(length - bytes.len() as u64);
        let read = match extent.start {
            Some(start) => {
                from.seek(SeekFrom::Start(start * BLOCK_SIZE))?;
                (&mut *from).take(wanted).read_to_end(&mut bytes)?
            }
            None => io::repeat(0).take(wanted).read_to_end(&mut bytes)?,
        };
        if (read as u64) < wanted {
            return Err(Fault::Asked("it reads beyond the end of the target".into()));
        }
    }
    Ok(bytes)
}
