//! What file systems and disk images are compressed with. Each function writes no more than it was asked for.

use std::io::{Cursor, Read};

/// Data is not what its compression makes.
#[derive(Debug)]
pub(crate) struct Broken;

/// A stream of zlib, up to `most` bytes of what it holds.
pub(crate) fn zlib(input: &[u8], most: usize) -> Result<Vec<u8>, Broken> {
    read(flate2::read::ZlibDecoder::new(input), most)
}

/// A stream of deflate without a header: as much of it as there is, up to `most` bytes. What follows the stream is ignored.
pub(crate) fn deflate(input: &[u8], most: usize) -> Result<Vec<u8>, Broken> {
    read(flate2::read::DeflateDecoder::new(input), most)
}

/// A frame of Zstandard, up to `most` bytes of what it holds. What follows the frame is ignored.
pub(crate) fn zstd(input: &[u8], most: usize) -> Result<Vec<u8>, Broken> {
    let stream = ruzstd::decoding::StreamingDecoder::new(input).map_err(|_| Broken)?;
    read(stream, most)
}

/// The most memory that unpacking xz may take, in KiB. Dictionaries are as large as a block, which is 1 MiB at most.
const MOST_OF_XZ: u32 = 16 * 1024;

/// A file of xz, up to `most` bytes of what it holds.
pub(crate) fn xz(input: &[u8], most: usize) -> Result<Vec<u8>, Broken> {
    read(lzma_rust2::XzReader::new_mem_limit(Cursor::new(input), false, MOST_OF_XZ), most)
}

fn read(stream: impl Read, most: usize) -> Result<Vec<u8>, Broken> {
    let mut output = Vec::new();
    stream.take(most as u64).read_to_end(&mut output).map_err(|_| Broken)?;
    Ok(output)
}

/// A block of LZ4 without a frame: up to `most` bytes of what it holds. What follows in the input is ignored.
pub(crate) fn lz4(input: &[u8], most: usize) -> Result<Vec<u8>, Broken> {
    let mut output = Vec::with_capacity(most);
    let mut at = 0;
    let byte = |at: &mut usize| {
        let byte = input.get(*at).copied().ok_or(Broken);
        *at += 1;
        byte
    };
    let length = |at: &mut usize, nibble: u8| {
        let mut length = usize::from(nibble);
        if nibble == 15 {
            loop {
                let more = byte(at)?;
                length += usize::from(more);
                if more != 255 {
                    break;
                }
            }
        }
        Ok(length)
    };
    while output.len() < most && at < input.len() {
        let token = byte(&mut at)?;
        let literals = length(&mut at, token >> 4)?;
        let wanted = literals.min(most - output.len());
        output.extend_from_slice(input.get(at..at + wanted).ok_or(Broken)?);
        at += literals;
        // The last sequence has literals only.
        if output.len() == most || at >= input.len() {
            break;
        }
        let distance = usize::from(byte(&mut at)?) | usize::from(byte(&mut at)?) << 8;
        if distance == 0 || distance > output.len() {
            return Err(Broken);
        }
        let wanted = (length(&mut at, token & 15)? + 4).min(most - output.len());
        let start = output.len() - distance;
        if distance >= wanted {
            output.extend_from_within(start..start + wanted);
        } else {
            for index in start..start + wanted {
                output.push(output[index]);
            }
        }
    }
    Ok(output)
}
