//! Patches in the format BSDIFF40 of Colin Percival's bsdiff.
//!
//! 32 bytes of header (magic, length of the control data, length of the difference data, length of
//! the result), then control, difference and extra data, each compressed with bzip2. A control entry
//! says: add that many bytes of difference to the old file, then take that many extra bytes, then
//! move on in the old file by that much. Numbers are 64-bit, little-endian, sign and magnitude.

use std::io::{self, Read};

use bzip2::bufread::BzDecoder;

use super::error::Fault;

const MAGIC: &[u8; 8] = b"BSDIFF40";
const HEADER: usize = 32;
const BUFFER: usize = 64 << 10;

/// Hands out the patched data piece by piece; it must have `length` bytes.
pub(super) fn bspatch(
    old: &[u8],
    patch: &[u8],
    length: u64,
    mut write: impl FnMut(&[u8]) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let Streams { mut control, mut difference, mut extra, size } = Streams::open(patch)?;
    if size != length {
        return Err(asked(format!("the patch makes {size} bytes, and {length} are announced")));
    }
    let mut buffer = vec![0; BUFFER];
    let mut position: i64 = 0;
    let mut left = size;
    // Every entry of a sane patch makes at least a byte, but for the first; a bomb of empty entries
    // must come to an end too.
    let mut entries = size.saturating_add(1);
    while left > 0 {
        entries = entries.checked_sub(1).ok_or_else(|| asked("the patch goes round in circles"))?;
        let [add, take, skip] = entry(&mut control)?;
        left = count(add, left)?;
        pieces(&mut difference, add, &mut buffer, |piece| {
            for (at, byte) in (position..).zip(piece.iter_mut()) {
                // As in the original, what lies outside the old file counts as zero.
                let old = usize::try_from(at).ok().and_then(|at| old.get(at));
                *byte = byte.wrapping_add(*old.unwrap_or(&0));
            }
            position += piece.len() as i64;
            write(piece)
        })?;
        left = count(take, left)?;
        pieces(&mut extra, take, &mut buffer, |piece| write(piece))?;
        position = match position.checked_add(skip) {
            // Far outside of the old file is as good as just outside, and never overflows.
            Some(position) if position.unsigned_abs() <= 1 << 62 => position,
            _ => return Err(asked("the patch points outside of any file")),
        };
    }
    Ok(())
}

struct Streams<'a> {
    control: BzDecoder<&'a [u8]>,
    difference: BzDecoder<&'a [u8]>,
    extra: BzDecoder<&'a [u8]>,
    size: u64,
}

impl<'a> Streams<'a> {
    fn open(patch: &'a [u8]) -> Result<Self, Fault> {
        let header = patch.first_chunk::<HEADER>().filter(|header| header.starts_with(MAGIC));
        let header = header.ok_or_else(|| asked("its data is not a patch of bsdiff (BSDIFF40)"))?;
        let lengths = [8, 16, 24].map(|at| u64::try_from(number(&header[at..])).ok());
        let [Some(control), Some(difference), Some(size)] = lengths else {
            return Err(asked("the patch has a negative length"));
        };
        let (control, rest) = cut(&patch[HEADER..], control)?;
        let (difference, extra) = cut(rest, difference)?;
        let [control, difference, extra] = [control, difference, extra].map(BzDecoder::new);
        Ok(Self { control, difference, extra, size })
    }
}

fn cut(bytes: &[u8], at: u64) -> Result<(&[u8], &[u8]), Fault> {
    let at = usize::try_from(at).ok().and_then(|at| bytes.split_at_checked(at));
    at.ok_or_else(|| asked("the patch is shorter than its header says"))
}

/// Sign and magnitude: the sign is the highest bit of the last byte.
fn number(bytes: &[u8]) -> i64 {
    let value = bytes[..8].iter().rev().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    let magnitude = (value & !(1 << 63)) as i64;
    if value >> 63 == 1 { -magnitude } else { magnitude }
}

fn entry(control: &mut impl Read) -> Result<[i64; 3], Fault> {
    let mut bytes = [0; 24];
    control.read_exact(&mut bytes).map_err(broken)?;
    Ok([0, 8, 16].map(|at| number(&bytes[at..])))
}

/// What is left after `count` bytes.
fn count(count: i64, left: u64) -> Result<u64, Fault> {
    let left = u64::try_from(count).ok().and_then(|count| left.checked_sub(count));
    left.ok_or_else(|| asked("the patch makes more data than its header says"))
}

/// Reads `length` bytes, a buffer at a time.
fn pieces(
    from: &mut impl Read,
    length: i64,
    buffer: &mut [u8],
    mut piece: impl FnMut(&mut [u8]) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut left = length as usize;
    while left > 0 {
        let now = left.min(buffer.len());
        from.read_exact(&mut buffer[..now]).map_err(broken)?;
        piece(&mut buffer[..now])?;
        left -= now;
    }
    Ok(())
}

// The patch is in memory: reading it fails because of what it holds, not because of a device.
#[expect(clippy::needless_pass_by_value, reason = "it is used as a function in map_err")]
fn broken(error: io::Error) -> Fault {
    asked(format!("the patch is corrupt: {error}"))
}

fn asked(problem: impl Into<String>) -> Fault {
    Fault::Asked(problem.into())
}
