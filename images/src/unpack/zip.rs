//! A ZIP archive with one file, read from its begin to its end as it comes.
//!
//! Names are never used. The directory at the end of the archive repeats what stands before each file; it is only looked
//! at for whether it and nothing else is there.

use std::io::{self, Read};

use flate2::Crc;
use flate2::bufread::DeflateDecoder;

use super::Compression;
use super::error::UnpackError;
use super::input::Input;
use super::output::Output;
use super::streams::pump;

const FORMAT: &str = "ZIP";

/// The sizes of a large file are in a field behind its name.
const ELSEWHERE: u32 = u32::MAX;

/// What stands before a file.
struct Header {
    flags: u16,
    method: u16,
    crc: u32,
    packed: u64,
    size: u64,
    /// Sizes take eight bytes each.
    large: bool,
    directory: bool,
}

pub(super) fn extract(input: &mut Input<'_>, output: &mut Output<'_>) -> Result<(), UnpackError> {
    let mut found = false;
    while input.peek(4)? == b"PK\x03\x04" {
        let header = Header::read(input)?;
        if header.directory {
            continue;
        }
        if found {
            return Err(UnpackError::NotOneImage { what: "several files" });
        }
        found = true;
        one_file(&header, input, output)?;
        // Whoever packs an image twice, or a directory of them, means something else.
        if Compression::of(output.first()) != Compression::None {
            return Err(UnpackError::NotOneImage { what: "another compressed file" });
        }
    }
    central_directory(input)?;
    if found { Ok(()) } else { Err(UnpackError::NotOneImage { what: "no file" }) }
}

fn one_file(
    header: &Header,
    input: &mut Input<'_>,
    output: &mut Output<'_>,
) -> Result<(), UnpackError> {
    // The sizes stand behind the file, since they were not known when it was begun.
    let later = header.flags & 8 != 0;
    let mut crc = Crc::new();
    let before = input.taken();
    match header.method {
        0 if later => return unsupported("it is stored without its size"),
        0 => {
            let stored = Counted { inner: input.take(header.packed), crc: &mut crc };
            pump(stored, output).map_err(|stop| stop.why(input, FORMAT))?;
            if input.taken() - before < header.packed {
                return Err(UnpackError::Truncated { format: FORMAT });
            }
        }
        8 => {
            let inflated = Counted { inner: DeflateDecoder::new(&mut *input), crc: &mut crc };
            pump(inflated, output).map_err(|stop| stop.why(input, FORMAT))?;
        }
        _ => return unsupported("it is compressed in a way other than deflate"),
    }
    let packed = input.taken() - before;
    let (expected_crc, expected_packed, expected_size) = if later {
        // Its mark may be left out.
        if input.peek(4)? == b"PK\x07\x08" {
            number(input, 4)?;
        }
        let width = if header.large { 8 } else { 4 };
        (number(input, 4)? as u32, number(input, width)?, number(input, width)?)
    } else {
        (header.crc, header.packed, header.size)
    };
    if (expected_crc, expected_packed, expected_size) != (crc.sum(), packed, output.size()) {
        let problem = "its checksum or its size differs".to_owned();
        return Err(UnpackError::Corrupt { format: FORMAT, problem });
    }
    Ok(())
}

impl Header {
    fn read(input: &mut Input<'_>) -> Result<Self, UnpackError> {
        // Its mark, and the version that is needed.
        skip(input, 6)?;
        let (flags, method) = (number(input, 2)? as u16, number(input, 2)? as u16);
        // The time.
        skip(input, 4)?;
        let crc = number(input, 4)? as u32;
        let (packed, size) = (number(input, 4)? as u32, number(input, 4)? as u32);
        let (name, extra) = (number(input, 2)?, number(input, 2)?);
        let mut last = 0;
        for _ in 0..name {
            last = number(input, 1)? as u8;
        }
        let mut header = Self {
            flags,
            method,
            crc,
            packed: packed.into(),
            size: size.into(),
            large: false,
            directory: last == b'/' && size == 0,
        };
        header.extra_fields(input, extra, packed, size)?;
        if flags & 1 != 0 {
            unsupported("it is encrypted")?;
        }
        Ok(header)
    }

    fn extra_fields(
        &mut self,
        input: &mut Input<'_>,
        mut left: u64,
        packed: u32,
        size: u32,
    ) -> Result<(), UnpackError> {
        while left >= 4 {
            let (kind, length) = (number(input, 2)?, number(input, 2)?);
            left = left.saturating_sub(4 + length);
            let mut rest = length;
            if kind == 1 {
                self.large = true;
                for (is_here, value) in
                    [(size == ELSEWHERE, &mut self.size), (packed == ELSEWHERE, &mut self.packed)]
                {
                    if is_here && rest >= 8 {
                        *value = number(input, 8)?;
                        rest -= 8;
                    }
                }
            }
            skip(input, rest)?;
        }
        skip(input, left)
    }
}

/// Reads over the directory, up to the end of the archive.
fn central_directory(input: &mut Input<'_>) -> Result<(), UnpackError> {
    loop {
        let mark: [u8; 4] = input.peek(4)?.try_into().unwrap_or_default();
        match &mark {
            b"PK\x01\x02" => {
                skip(input, 28)?;
                let lengths = [number(input, 2)?, number(input, 2)?, number(input, 2)?];
                skip(input, 12 + lengths.iter().sum::<u64>())?;
            }
            // Of archives with large files: the record, and where it is.
            b"PK\x06\x06" => {
                skip(input, 4)?;
                let length = number(input, 8)?;
                skip(input, length)?;
            }
            b"PK\x06\x07" => skip(input, 20)?,
            b"PK\x05\x06" => {
                skip(input, 20)?;
                let comment = number(input, 2)?;
                skip(input, comment)?;
                let rest = input.peek(1)?;
                return if rest.is_empty() {
                    Ok(())
                } else {
                    Err(UnpackError::Trailing { format: FORMAT })
                };
            }
            [0, 0, 0, 0] if input.peek(4)?.len() < 4 => {
                return Err(UnpackError::Truncated { format: FORMAT });
            }
            _ => {
                let problem = "its directory is broken".to_owned();
                return Err(UnpackError::Corrupt { format: FORMAT, problem });
            }
        }
    }
}

fn unsupported<T>(problem: &'static str) -> Result<T, UnpackError> {
    Err(UnpackError::Unsupported { format: FORMAT, problem })
}

/// A number of up to eight bytes, the least first.
fn number(input: &mut Input<'_>, bytes: usize) -> Result<u64, UnpackError> {
    let mut number = [0; 8];
    let read = input.read_exact(&mut number[..bytes]);
    read.map_err(|error| input.why(FORMAT, &error))?;
    Ok(u64::from_le_bytes(number))
}

fn skip(input: &mut Input<'_>, bytes: u64) -> Result<(), UnpackError> {
    let skipped = io::copy(&mut input.take(bytes), &mut io::sink());
    match skipped.map_err(|error| input.why(FORMAT, &error))? {
        skipped if skipped < bytes => Err(UnpackError::Truncated { format: FORMAT }),
        _ => Ok(()),
    }
}

/// What passes by, with its checksum.
struct Counted<'a, R> {
    inner: R,
    crc: &'a mut Crc,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        self.crc.update(&into[..read]);
        Ok(read)
    }
}
