//! Lines of a listing, one at a time.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use super::error::{BadLine, ListingError};
use crate::visible::{escaped, shortened};

/// The longest line that is read, in bytes: a path and the target of a link are at most 4 KiB each, and the rest is short.
const LINE: usize = 16 * 1024;

/// The most lines of one listing. A release of Flatcar has about 25,000 files.
const LINES: usize = 2_000_000;

/// Bad lines that are named; beyond them a number says more.
const NAMED: usize = 3;

/// How much of a bad line is shown, in characters.
const SHOWN: usize = 80;

/// What was not understood in a listing.
#[derive(Debug, Default)]
pub(super) struct Misread {
    /// All lines, without empty ones.
    pub(super) lines: usize,
    /// Those that were not understood.
    pub(super) count: usize,
    /// The first of these.
    pub(super) first: Vec<BadLine>,
}

/// Gives each line to `take`, which says whether it understood it.
pub(super) fn read(
    path: &Path,
    take: impl FnMut(&[u8]) -> Option<()>,
) -> Result<Misread, ListingError> {
    let unreadable = |source| ListingError::Read { path: path.to_owned(), source };
    // Opening a named pipe would wait for somebody to write to it.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(ListingError::NoFile { path: path.to_owned() });
    }
    let file = File::open(path).map_err(unreadable)?;
    read_from(path, BufReader::with_capacity(1 << 16, file), take)
}

/// The same of what is open; `path` is its name in errors.
pub(super) fn read_from(
    path: &Path,
    mut reader: impl BufRead,
    mut take: impl FnMut(&[u8]) -> Option<()>,
) -> Result<Misread, ListingError> {
    let unreadable = |source| ListingError::Read { path: path.to_owned(), source };
    let mut misread = Misread::default();
    let mut number = 0;
    let mut line = Vec::new();
    while let Some(is_whole) = next(&mut reader, &mut line).map_err(unreadable)? {
        number += 1;
        if number > LINES {
            return Err(ListingError::TooLong { path: path.to_owned(), most: LINES });
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        misread.lines += 1;
        if is_whole && take(&line).is_some() {
            continue;
        }
        misread.count += 1;
        if misread.first.len() < NAMED {
            misread.first.push(BadLine { number, text: shortened(&escaped(&line), SHOWN) });
        }
    }
    // One in a hundred: file names with line breaks make some; a file of another kind is all of them.
    if misread.count * 100 > misread.lines {
        return Err(ListingError::NotUnderstood {
            path: path.to_owned(),
            count: misread.count,
            lines: misread.lines,
            first: misread.first,
        });
    }
    Ok(misread)
}

/// Reads a line without its end, and says whether it is whole: of a line that is too long only the beginning is kept.
fn next(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Option<bool>> {
    line.clear();
    let mut is_whole = true;
    let mut any = false;
    loop {
        let buffer = match reader.fill_buf() {
            Ok(buffer) => buffer,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if buffer.is_empty() {
            return Ok(any.then_some(is_whole));
        }
        any = true;
        let end = buffer.iter().position(|&byte| byte == b'\n');
        let part = &buffer[..end.unwrap_or(buffer.len())];
        let room = LINE - line.len();
        is_whole &= part.len() <= room;
        line.extend_from_slice(&part[..part.len().min(room)]);
        let used = part.len() + usize::from(end.is_some());
        reader.consume(used);
        if end.is_some() {
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            return Ok(Some(is_whole));
        }
    }
}
