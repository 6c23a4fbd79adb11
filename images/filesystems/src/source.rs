//! Bytes that can be read from anywhere: a disk, or a part of one.

use std::fs::File;
use std::io;
use std::sync::Arc;

use crate::FileSystemError;

/// Whatever has bytes at offsets.
pub(crate) trait ReadAt: Send + Sync {
    /// Fills the buffer with the bytes from `offset` on, or fails.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

impl ReadAt for File {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(self, buffer, offset)
    }
}

impl ReadAt for Vec<u8> {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).ok();
        let part = start.and_then(|start| self.get(start..start.checked_add(buffer.len())?));
        buffer.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// A disk, a partition of one, or an image in memory. Clones share what they read.
#[derive(Clone)]
pub struct Source {
    bytes: Arc<dyn ReadAt>,
    start: u64,
    size: u64,
}

impl Source {
    /// All of a file, also of a block device.
    ///
    /// # Errors
    ///
    /// If its length can't be learned.
    pub fn from_file(mut file: File) -> io::Result<Self> {
        // Not the length in the metadata, which is 0 for a device.
        let size = io::Seek::seek(&mut file, io::SeekFrom::End(0))?;
        Ok(Self::new(Arc::new(file), size))
    }

    /// Bytes in memory.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        let size = bytes.len() as u64;
        Self::new(Arc::new(bytes), size)
    }

    pub(crate) fn new(bytes: Arc<dyn ReadAt>, size: u64) -> Self {
        Self { bytes, start: 0, size }
    }

    /// How many bytes there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// A part of it; `None` if it has no such part.
    #[must_use]
    pub fn slice(&self, start: u64, size: u64) -> Option<Self> {
        if start.checked_add(size)? > self.size {
            return None;
        }
        Some(Self { bytes: Arc::clone(&self.bytes), start: self.start.checked_add(start)?, size })
    }

    /// Fills the buffer with the bytes from `offset` on.
    ///
    /// # Errors
    ///
    /// If there are fewer, or they can't be read.
    pub fn read_into(&self, offset: u64, buffer: &mut [u8]) -> Result<(), FileSystemError> {
        self.check(offset, buffer.len() as u64)?;
        Ok(self.bytes.read_exact_at(buffer, self.start + offset)?)
    }

    /// So many bytes from `offset` on. Nothing is allocated for bytes that there aren't.
    ///
    /// # Errors
    ///
    /// If there are fewer, or they can't be read.
    pub fn read(&self, offset: u64, count: usize) -> Result<Vec<u8>, FileSystemError> {
        self.check(offset, count as u64)?;
        let mut buffer = vec![0; count];
        self.read_into(offset, &mut buffer)?;
        Ok(buffer)
    }

    fn check(&self, offset: u64, count: u64) -> Result<(), FileSystemError> {
        let end = offset.saturating_add(count);
        if end > self.size {
            return Err(FileSystemError::Outside { offset: end, size: self.size });
        }
        Ok(())
    }
}
