//! qcow2: the disk is cut into clusters, and two levels of tables say where each of them is in the file.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use crate::bytes::{big_u32_at, big_u64_at, u8_at};
use crate::source::ReadAt;
use crate::{FileSystemError, Source, compression};

const MAGIC: &[u8] = b"QFI\xfb";

/// The bits of a table's entry that are a place in the file.
const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
const COMPRESSED: u64 = 1 << 62;
const ZERO: u64 = 1;

/// Features that a reader has to know: dirty, corrupt, external data, compression type, extended entries.
const EXTERNAL_DATA: u64 = 0x4;
const OTHER_COMPRESSION: u64 = 0x8;
const KNOWN: u64 = 0x1 | OTHER_COMPRESSION;

struct Qcow2 {
    file: Source,
    cluster_bits: u32,
    /// The first level: where the tables of the second are.
    tables: Vec<u8>,
    zstd: bool,
    cache: Mutex<Cache>,
}

/// What was read last, since it is mostly what is read next.
#[derive(Default)]
struct Cache {
    table: Option<(u64, Arc<Vec<u8>>)>,
    cluster: Option<(u64, Arc<Vec<u8>>)>,
}

/// The disk in a qcow2 file, or `None` if it is no such file. Errors say what is wrong and what to do.
pub(crate) fn open(file: &Source) -> Result<Option<Source>, String> {
    let short = || "its header is cut short; get it again".to_owned();
    if file.read(0, 4).is_ok_and(|magic| magic != MAGIC) || file.size() < 4 {
        return Ok(None);
    }
    let header = file.read(0, 72).map_err(|_| short())?;
    let version = big_u32_at(&header, 4);
    let (incompatible, compression) = match version {
        2 => (0, 0),
        3 => {
            let rest = file.read(72, 32).map_err(|_| short())?;
            let features = big_u64_at(&rest, 0);
            let length = big_u32_at(&rest, 28);
            let compression = if features & OTHER_COMPRESSION != 0 && length >= 105 {
                u8_at(&file.read(104, 1).map_err(|_| short())?, 0)
            } else {
                0
            };
            (features, compression)
        }
        other => {
            return Err(format!(
                "it has version {other}; convert it with `qemu-img convert -O raw`"
            ));
        }
    };
    if big_u64_at(&header, 8) != 0 {
        return Err("it has a backing file; join them with `qemu-img convert -O qcow2`".to_owned());
    }
    if big_u32_at(&header, 32) != 0 {
        return Err("it is encrypted; decrypt it with `qemu-img convert -O raw`".to_owned());
    }
    if incompatible & EXTERNAL_DATA != 0 {
        return Err(
            "its data is in another file; join them with `qemu-img convert -O qcow2`".to_owned()
        );
    }
    if incompatible & !KNOWN != 0 || compression > 1 {
        return Err("it is marked corrupt, or has features that are not read; check it with `qemu-img check`, \
                    and convert it with `qemu-img convert -O raw`"
            .to_owned());
    }
    let cluster_bits = big_u32_at(&header, 20);
    let size = big_u64_at(&header, 24);
    if !(9..=21).contains(&cluster_bits) {
        return Err(format!("it has clusters of 2^{cluster_bits} bytes; get it again"));
    }
    // Each table of the second level has one cluster of entries of 8 bytes.
    let needed = size.div_ceil(1 << (2 * cluster_bits - 3));
    let count = u64::from(big_u32_at(&header, 36));
    if needed > count || count > 1 << 22 {
        return Err("its size does not fit its tables; get it again".to_owned());
    }
    let tables = file.read(big_u64_at(&header, 40), needed as usize * 8);
    let tables = tables.map_err(|_| "it is cut short; get it again".to_owned())?;
    let (file, zstd, cache) = (file.clone(), compression == 1, Mutex::default());
    Ok(Some(Source::new(Arc::new(Qcow2 { file, cluster_bits, tables, zstd, cache }), size)))
}

fn broken(error: FileSystemError) -> io::Error {
    match error {
        FileSystemError::Io(error) => error,
        error => io::Error::new(
            io::ErrorKind::InvalidData,
            format!("the qcow2 image is damaged: {error}"),
        ),
    }
}

impl Qcow2 {
    fn entry(&self, cluster: u64) -> io::Result<u64> {
        let per_table = self.cluster_bits - 3;
        let table = big_u64_at(&self.tables, (cluster >> per_table) as usize * 8) & OFFSET;
        if table == 0 {
            return Ok(0);
        }
        let cached = self.cache.lock().unwrap_or_else(PoisonError::into_inner).table.clone();
        let bytes = match cached {
            Some((place, bytes)) if place == table => bytes,
            _ => {
                let bytes =
                    Arc::new(self.file.read(table, 1 << self.cluster_bits).map_err(broken)?);
                let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
                cache.table = Some((table, Arc::clone(&bytes)));
                bytes
            }
        };
        Ok(big_u64_at(&bytes, (cluster & ((1 << per_table) - 1)) as usize * 8))
    }

    fn unpacked(&self, entry: u64) -> io::Result<Arc<Vec<u8>>> {
        let cached = self.cache.lock().unwrap_or_else(PoisonError::into_inner).cluster.clone();
        if let Some((_, bytes)) = cached.filter(|(place, _)| *place == entry) {
            return Ok(bytes);
        }
        // The lower bits are the place, the upper ones the number of sectors after the first that it reaches into.
        let bits = 62 - (self.cluster_bits - 8);
        let place = entry & ((1 << bits) - 1);
        let sectors = (entry & (COMPRESSED - 1)) >> bits;
        let end = ((place & !511) + (sectors + 1) * 512).min(self.file.size());
        let packed = self.file.read(place, end.saturating_sub(place) as usize).map_err(broken)?;
        let size = 1 << self.cluster_bits;
        let unpack = if self.zstd { compression::zstd } else { compression::deflate };
        let bytes = unpack(&packed, size).ok().filter(|bytes| bytes.len() == size);
        let bytes = bytes.ok_or_else(|| {
            let problem = "the qcow2 image is damaged: a cluster does not unpack; get it again";
            io::Error::new(io::ErrorKind::InvalidData, problem)
        })?;
        let bytes = Arc::new(bytes);
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.cluster = Some((entry, Arc::clone(&bytes)));
        Ok(bytes)
    }
}

impl ReadAt for Qcow2 {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let (mut buffer, mut offset) = (buffer, offset);
        while !buffer.is_empty() {
            let inside = offset & ((1 << self.cluster_bits) - 1);
            let count = buffer.len().min((1 << self.cluster_bits) - inside as usize);
            let (now, rest) = buffer.split_at_mut(count);
            let entry = self.entry(offset >> self.cluster_bits)?;
            if entry & COMPRESSED != 0 {
                let bytes = self.unpacked(entry)?;
                now.copy_from_slice(&bytes[inside as usize..][..count]);
            } else if entry & ZERO != 0 || entry & OFFSET == 0 {
                now.fill(0);
            } else {
                self.file.read_into((entry & OFFSET) + inside, now).map_err(broken)?;
            }
            (buffer, offset) = (rest, offset + count as u64);
        }
        Ok(())
    }
}
