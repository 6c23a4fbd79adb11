//! A disk image and its partitions.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use crate::detect::detect;
use crate::{DiskError, FileSystemError, Kind, Source, qcow2};

/// A disk image, raw or qcow2.
pub struct Disk {
    source: Source,
    partitions: Vec<Partition>,
}

/// A part of a disk.
#[derive(Clone)]
pub struct Partition {
    /// Its number in the table, from 1; 0 if the disk has no table and is a file system itself.
    pub number: u32,
    /// The GPT label; of a disk without a table, the name of its file system.
    pub label: String,
    /// The GUID of its type, such as `c12a7328-f81f-11d2-ba4b-00a0c93ec93b`; empty for a disk without a table.
    pub type_guid: String,
    /// Bytes from the start of the disk.
    pub offset: u64,
    /// Bytes.
    pub size: u64,
    /// What is in it.
    pub source: Source,
}

impl Disk {
    /// Opens an image file or a block device.
    ///
    /// # Errors
    ///
    /// If it is no disk, or was cut short.
    pub fn open(path: &Path) -> Result<Self, DiskError> {
        let failed = |source| DiskError::Io { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        if file.metadata().map_err(failed)?.is_dir() {
            return Err(DiskError::Directory(path.to_owned()));
        }
        let source = Source::from_file(file).map_err(failed)?;
        if source.size() == 0 {
            return Err(DiskError::Empty(path.to_owned()));
        }
        let source = match qcow2::open(&source) {
            Ok(Some(disk)) => disk,
            Ok(None) => source,
            Err(problem) => return Err(DiskError::Qcow2 { path: path.to_owned(), problem }),
        };
        Self::of(source, path)
    }

    /// A disk whose bytes are there already, such as an extension in an image. `path` is what errors call it.
    ///
    /// # Errors
    ///
    /// If it is no disk, or was cut short.
    pub fn of(source: Source, path: &Path) -> Result<Self, DiskError> {
        let found = detect(&source);
        let found = found.map_err(|error| DiskError::Io {
            path: path.to_owned(),
            source: io::Error::other(error),
        })?;
        // First, since a file system may lie in front of what is left of a table. An ISO has both, and the table tells more.
        if let Some(kind) = found.filter(|kind| *kind != Kind::Iso9660) {
            let partition = whole(kind, &source);
            return Ok(Self { source, partitions: vec![partition] });
        }
        let mut bytes = Bytes { source: source.clone(), at: 0 };
        let Ok(table) = gptman::GPT::find_from(&mut BufReader::new(&mut bytes)) else {
            let kind = found.ok_or_else(|| DiskError::Nothing(path.to_owned()))?;
            let partition = whole(kind, &source);
            return Ok(Self { source, partitions: vec![partition] });
        };
        let mut partitions = Vec::new();
        for (number, entry) in table.iter().filter(|(_, entry)| entry.is_used()) {
            let label = entry.partition_name.as_str().to_owned();
            let bytes = |sectors: u64| sectors.saturating_mul(table.sector_size);
            let offset = bytes(entry.starting_lba);
            let end = bytes(entry.ending_lba.saturating_add(1));
            let size = end.saturating_sub(offset);
            let Some(part) = source.slice(offset, size) else {
                return Err(DiskError::CutShort { path: path.to_owned(), label });
            };
            let type_guid = guid(&entry.partition_type_guid);
            partitions.push(Partition { number, label, type_guid, offset, size, source: part });
        }
        partitions.sort_by_key(|partition| partition.number);
        Ok(Self { source, partitions })
    }

    /// Bytes of the disk, with the holes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.source.size()
    }

    /// The partitions by number.
    #[must_use]
    pub fn partitions(&self) -> &[Partition] {
        &self.partitions
    }
}

fn whole(kind: Kind, source: &Source) -> Partition {
    Partition {
        number: 0,
        label: kind.to_string(),
        type_guid: String::new(),
        offset: 0,
        size: source.size(),
        source: source.clone(),
    }
}

/// The first three groups of a GUID are stored with the last byte first.
fn guid(bytes: &[u8; 16]) -> String {
    let order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    let mut text = String::new();
    for (at, index) in order.into_iter().enumerate() {
        if [4, 6, 8, 10].contains(&at) {
            text.push('-');
        }
        for nibble in [bytes[index] >> 4, bytes[index] & 15] {
            text.extend(char::from_digit(nibble.into(), 16));
        }
    }
    text
}

/// A source for who reads from front to back and seeks.
struct Bytes {
    source: Source,
    at: u64,
}

impl Read for Bytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.source.size().saturating_sub(self.at);
        let count = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = self.source.read_into(self.at, &mut buffer[..count]);
        read.map_err(|error| match error {
            FileSystemError::Io(error) => error,
            error => io::Error::other(error),
        })?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Bytes {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::Current(offset) => self.at.checked_add_signed(offset),
            SeekFrom::End(offset) => self.source.size().checked_add_signed(offset),
        };
        self.at = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
