//! The partitions and files of an image, read without root and without mounting anything.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use wheeltap_formats::payload::BLOCK_SIZE;

use super::error::CreatePayloadError;

/// What is looked through at a time, in bytes; a multiple of [`BLOCK_SIZE`].
const CHUNK: u64 = 1 << 20;

/// A raw disk with a GUID partition table.
pub(super) struct Disk {
    /// What the user calls it; the file may be a converted copy.
    image: PathBuf,
    file: File,
    table: gptman::GPT,
}

impl Disk {
    pub(super) fn open(raw: &Path, image: &Path) -> Result<Self, CreatePayloadError> {
        let file = File::open(raw).map_err(CreatePayloadError::io("read", image))?;
        let table = gptman::GPT::find_from(&mut BufReader::new(&file)).map_err(|error| {
            CreatePayloadError::NoPartitionTable {
                image: image.to_owned(),
                problem: error.to_string(),
            }
        })?;
        Ok(Self { image: image.to_owned(), file, table })
    }

    /// The first partition with a GPT label.
    pub(super) fn partition(&self, label: &str) -> Result<Partition<'_>, CreatePayloadError> {
        let used = || self.table.iter().filter(|(_, entry)| entry.is_used());
        let found = used().find(|(_, entry)| entry.partition_name.as_str() == label);
        let Some((_, entry)) = found else {
            let name = |entry: &gptman::GPTPartitionEntry| entry.partition_name.as_str().to_owned();
            let found = used().map(|(_, entry)| name(entry)).collect();
            let (image, label) = (self.image.clone(), label.to_owned());
            return Err(CreatePayloadError::NoPartition { image, label, found });
        };
        let offset = |lba: u64| lba.saturating_mul(self.table.sector_size);
        let start = offset(entry.starting_lba);
        let end = offset(entry.ending_lba.saturating_add(1));
        // Not the length in the metadata, which is 0 for a device.
        let length = (&self.file).seek(SeekFrom::End(0));
        if end > length.map_err(CreatePayloadError::io("read", &self.image))? {
            let (image, label) = (self.image.clone(), label.to_owned());
            return Err(CreatePayloadError::CutShort { image, label });
        }
        Ok(Partition { file: &self.file, start, size: end.saturating_sub(start), position: 0 })
    }

    /// Gives a file of a FAT file system to `read`.
    pub(super) fn with_file<T>(
        &self,
        label: &str,
        path: &str,
        read: impl FnOnce(&mut dyn Read) -> Result<T, CreatePayloadError>,
    ) -> Result<T, CreatePayloadError> {
        let unreadable = |source| {
            let (image, label) = (self.image.clone(), label.to_owned());
            CreatePayloadError::BootPartition { image, label, source }
        };
        let boot = self.partition(label)?;
        let fat = fatfs::FileSystem::new(boot, fatfs::FsOptions::new()).map_err(unreadable)?;
        let file = fat.root_dir().open_file(path);
        let mut file = file.map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => {
                let (image, label) = (self.image.clone(), label.to_owned());
                CreatePayloadError::NoKernel { image, label, kernel: path.to_owned() }
            }
            _ => unreadable(source),
        })?;
        read(&mut file)
    }
}

/// A part of a disk.
#[derive(Clone)]
pub(super) struct Partition<'a> {
    file: &'a File,
    /// Bytes from the start of the disk.
    start: u64,
    /// Bytes.
    size: u64,
    /// Bytes from the start of the partition.
    position: u64,
}

impl Partition<'_> {
    /// Bytes up to the end of the last block that isn't all zeros.
    pub(super) fn used(&self) -> io::Result<u64> {
        let mut chunk = vec![0; CHUNK as usize];
        let mut end = self.size;
        while end > 0 {
            let start = (end - 1) / CHUNK * CHUNK;
            let chunk = &mut chunk[..(end - start) as usize];
            self.file.read_exact_at(chunk, self.start + start)?;
            if let Some(last) = chunk.iter().rposition(|byte| *byte != 0) {
                return Ok((start + last as u64 + 1).next_multiple_of(BLOCK_SIZE).min(self.size));
            }
            end = start;
        }
        Ok(0)
    }
}

impl Read for Partition<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.size.saturating_sub(self.position);
        let wanted = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let count = self.file.read_at(&mut buffer[..wanted], self.start + self.position)?;
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for Partition<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
            SeekFrom::End(offset) => self.size.checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

/// `fatfs` asks for it even where it only reads. The image belongs to somebody else, so nothing is written.
impl Write for Partition<'_> {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
