//! FAT12, FAT16 and FAT32 with long names.
//!
//! A file's number is the place of its entry in the image, since it has no other.

use crate::bytes::{u8_at, u16_at, u32_at};
use crate::tree::{Chunk, Chunks, Inode, MOST_OF_A_DIRECTORY, NodeKind, Tree, Xattr};
use crate::{FileSystemError, Kind, Source, Usage};

const ENTRY: usize = 32;
const ROOT: u64 = 0;

const VOLUME_LABEL: u8 = 0x08;
const DIRECTORY: u8 = 0x10;
const LONG_NAME: u8 = 0x0f;
/// In the byte after the attributes: that the name or its extension is in small letters.
const SMALL_NAME: u8 = 0x08;
const SMALL_EXTENSION: u8 = 0x10;

pub(crate) struct Fat {
    source: Source,
    /// The first copy of the table, whole: at most 4 bytes for each cluster that the image has.
    table: Vec<u8>,
    /// How many bits an entry of the table has.
    bits: u32,
    cluster: u64,
    clusters: u32,
    data: u64,
    /// Of FAT12 and FAT16: where the root directory is, and how many bytes it takes.
    root: (u64, u64),
    /// Of FAT32: the first cluster of the root directory.
    root_cluster: u32,
}

fn damaged(problem: impl Into<String>) -> FileSystemError {
    FileSystemError::damaged(Kind::Vfat, problem)
}

impl Fat {
    pub(crate) fn open(source: Source) -> Result<Self, FileSystemError> {
        let boot = source.read(0, 512)?;
        let sector = u64::from(u16_at(&boot, 11));
        let cluster = sector * u64::from(u8_at(&boot, 13));
        let large =
            |small: u64, at: usize| if small == 0 { u32_at(&boot, at).into() } else { small };
        let table_sectors: u64 = large(u16_at(&boot, 22).into(), 36);
        let sectors: u64 = large(u16_at(&boot, 19).into(), 32);
        let reserved = u64::from(u16_at(&boot, 14));
        let root_bytes = u64::from(u16_at(&boot, 17)) * ENTRY as u64;
        let root = (reserved + table_sectors * u64::from(u8_at(&boot, 16))) * sector;
        let data = root + root_bytes.next_multiple_of(sector.max(1));
        if sector == 0 || cluster == 0 || cluster > 1 << 20 || data > sectors * sector {
            return Err(damaged("its sizes cannot be"));
        }
        let clusters = (sectors * sector - data) / cluster;
        let bits = match clusters {
            _ if u16_at(&boot, 22) == 0 => 32,
            ..4085 => 12,
            4085..65525 => 16,
            _ => 32,
        };
        // Cluster numbers begin with 2.
        let needed = ((clusters + 2) * bits).div_ceil(8).min(table_sectors * sector);
        let needed = usize::try_from(needed).map_err(|_| damaged("its table is too long"))?;
        Ok(Self {
            table: source.read(reserved * sector, needed)?,
            bits: bits as u32,
            cluster,
            clusters: u32::try_from(clusters).map_err(|_| damaged("it has too many clusters"))?,
            data,
            root: (root, root_bytes),
            root_cluster: if bits == 32 { u32_at(&boot, 44) } else { 0 },
            source,
        })
    }

    /// What the table has for a cluster: the next of its file, if there is one.
    fn entry(&self, cluster: u32) -> u32 {
        let at = cluster as usize;
        match self.bits {
            12 => u32::from(u16_at(&self.table, at + at / 2) >> (at % 2 * 4) & 0xfff),
            16 => u16_at(&self.table, at * 2).into(),
            _ => u32_at(&self.table, at * 4) & 0x0fff_ffff,
        }
    }

    fn offset(&self, cluster: u32) -> Result<u64, FileSystemError> {
        let index = cluster.checked_sub(2).filter(|index| *index < self.clusters);
        let index = index.ok_or_else(|| damaged("a file is in a cluster that there is not"))?;
        Ok(self.data + u64::from(index) * self.cluster)
    }

    fn next(&self, cluster: u32) -> Option<u32> {
        let next = self.entry(cluster);
        let end = match self.bits {
            12 => 0xff8,
            16 => 0xfff8,
            _ => 0x0fff_fff8,
        };
        (next < end).then_some(next)
    }

    /// The parts of the image in which a directory is.
    fn parts(&self, directory: &Inode) -> Result<Vec<(u64, u64)>, FileSystemError> {
        let mut cluster = if directory.id != ROOT {
            let entry = self.source.read(directory.id, ENTRY)?;
            first_cluster(&entry)
        } else if self.root_cluster == 0 {
            return Ok(vec![self.root]);
        } else {
            self.root_cluster
        };
        let mut parts = Vec::new();
        loop {
            parts.push((self.offset(cluster)?, self.cluster));
            if parts.len() as u64 * self.cluster > MOST_OF_A_DIRECTORY {
                return Err(damaged("a directory has no end"));
            }
            match self.next(cluster) {
                Some(next) => cluster = next,
                None => return Ok(parts),
            }
        }
    }
}

fn first_cluster(entry: &[u8]) -> u32 {
    u32::from(u16_at(entry, 20)) << 16 | u32::from(u16_at(entry, 26))
}

/// The 13 characters of one entry of a long name.
fn long_part(entry: &[u8]) -> impl Iterator<Item = u16> + '_ {
    let places = (1..11).step_by(2).chain((14..26).step_by(2)).chain([28, 30]);
    places.map(|at| u16_at(entry, at))
}

fn short_name(entry: &[u8]) -> Vec<u8> {
    let case = u8_at(entry, 12);
    let part = |bytes: &[u8], small: bool| {
        let bytes = bytes.trim_ascii_end();
        if small { bytes.to_ascii_lowercase() } else { bytes.to_owned() }
    };
    let mut name = part(&entry[..8], case & SMALL_NAME != 0);
    // The mark of a deleted file is also a letter of some languages.
    if name.first() == Some(&0x05) {
        name[0] = 0xe5;
    }
    let extension = part(&entry[8..11], case & SMALL_EXTENSION != 0);
    if !extension.is_empty() {
        name.push(b'.');
        name.extend(extension);
    }
    name
}

fn checksum(short: &[u8]) -> u8 {
    short.iter().fold(0, |sum: u8, byte| sum.rotate_right(1).wrapping_add(*byte))
}

/// Seconds since 1970 of a date and time in the years from 1980 on. There is no time zone, so none is applied.
fn seconds(date: u16, time: u16) -> i64 {
    let (year, month, day) =
        (1980 + i64::from(date >> 9), i64::from(date >> 5 & 15), i64::from(date & 31));
    // Days from the civil calendar, with years that begin in March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    let clock =
        i64::from(time >> 11) * 3600 + i64::from(time >> 5 & 63) * 60 + i64::from(time & 31) * 2;
    (days - 719_468) * 86_400 + clock
}

impl Tree for Fat {
    fn root(&self) -> u64 {
        ROOT
    }

    fn inode(&self, id: u64) -> Result<Inode, FileSystemError> {
        let root = [0; ENTRY];
        let entry = if id == ROOT { root.to_vec() } else { self.source.read(id, ENTRY)? };
        let directory = id == ROOT || u8_at(&entry, 11) & DIRECTORY != 0;
        let read_only = u8_at(&entry, 11) & 1 != 0;
        Ok(Inode {
            id,
            kind: if directory { NodeKind::Directory } else { NodeKind::File },
            // As Linux mounts it.
            mode: if read_only { 0o555 } else { 0o755 },
            uid: 0,
            gid: 0,
            size: if directory { 0 } else { u32_at(&entry, 28).into() },
            mtime: if id == ROOT { 0 } else { seconds(u16_at(&entry, 24), u16_at(&entry, 22)) },
            links: 1,
        })
    }

    fn entries(&self, directory: &Inode) -> Result<Vec<(Vec<u8>, u64)>, FileSystemError> {
        let mut entries = Vec::new();
        // Parts of a long name come before its short one, the last first.
        let mut long: Vec<u16> = Vec::new();
        let mut long_sum = 0;
        for (start, count) in self.parts(directory)? {
            let bytes = self.source.read(start, count as usize)?;
            for (index, entry) in bytes.chunks_exact(ENTRY).enumerate() {
                let attributes = u8_at(entry, 11);
                match entry[0] {
                    0 => return Ok(entries),
                    0xe5 => {
                        long.clear();
                        continue;
                    }
                    first if attributes & 0x3f == LONG_NAME => {
                        if first & 0x40 != 0 {
                            long.clear();
                            long_sum = entry[13];
                        }
                        if long.len() > 260 {
                            return Err(damaged("a name has no end"));
                        }
                        long.splice(0..0, long_part(entry));
                        continue;
                    }
                    _ => {}
                }
                let units: Vec<u16> = long.drain(..).take_while(|unit| *unit != 0).collect();
                let is_dots =
                    entry.starts_with(b".          ") || entry.starts_with(b"..         ");
                if attributes & VOLUME_LABEL != 0 || is_dots {
                    continue;
                }
                let name = if units.is_empty() || long_sum != checksum(&entry[..11]) {
                    short_name(entry)
                } else {
                    String::from_utf16_lossy(&units).into_bytes()
                };
                entries.push((name, start + (index * ENTRY) as u64));
            }
        }
        Ok(entries)
    }

    fn contents(&self, inode: &Inode) -> Result<Box<dyn Chunks + '_>, FileSystemError> {
        let cluster = first_cluster(&self.source.read(inode.id, ENTRY)?);
        Ok(Box::new(File { fat: self, cluster: Some(cluster), left: inode.size }))
    }

    fn xattrs(&self, _: &Inode) -> Result<Vec<Xattr>, FileSystemError> {
        Ok(Vec::new())
    }

    fn usage(&self) -> Usage {
        let used = (2..self.clusters.saturating_add(2)).filter(|cluster| self.entry(*cluster) != 0);
        let total = self.data + u64::from(self.clusters) * self.cluster;
        Usage { total, used: self.data + used.count() as u64 * self.cluster }
    }
}

struct File<'a> {
    fat: &'a Fat,
    cluster: Option<u32>,
    left: u64,
}

impl Chunks for File<'_> {
    fn next(&mut self, buffer: &mut Vec<u8>) -> Result<Option<Chunk>, FileSystemError> {
        if self.left == 0 {
            return Ok(None);
        }
        let cluster = self.cluster.ok_or_else(|| damaged("a file ends before its size"))?;
        let count = self.left.min(self.fat.cluster);
        *buffer = self.fat.source.read(self.fat.offset(cluster)?, count as usize)?;
        self.left -= count;
        self.cluster = self.fat.next(cluster);
        Ok(Some(Chunk::Data))
    }
}
