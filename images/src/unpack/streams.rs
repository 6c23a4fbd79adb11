//! Formats that are a sequence of streams. Each is decompressed for itself, since only so what follows the last one can be
//! told from damage in it.

use std::io::{self, BufRead as _, Read};

use ::bzip2::bufread::BzDecoder;
use flate2::bufread::GzDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::error::UnpackError;
use super::input::Input;
use super::output::Output;
use super::{Compression, MAX_WINDOW};

/// Bytes that are decompressed at a time.
const CHUNK: usize = 64 << 10;

/// Why a stream ended early. A decompressor has lent the input, so the reason is found when it has given it back.
pub(super) enum Stop {
    Decoder(io::Error),
    Output(UnpackError),
}

impl Stop {
    pub(super) fn why(self, input: &mut Input<'_>, format: &'static str) -> UnpackError {
        match self {
            Self::Decoder(error) => input.why(format, &error),
            Self::Output(error) => error,
        }
    }
}

/// Writes all that a decompressor gives.
pub(super) fn pump(mut decoder: impl Read, output: &mut Output<'_>) -> Result<(), Stop> {
    let mut chunk = vec![0; CHUNK];
    loop {
        match decoder.read(&mut chunk).map_err(Stop::Decoder)? {
            0 => return Ok(()),
            read => output.write(&chunk[..read]).map_err(Stop::Output)?,
        }
    }
}

/// A file that is not compressed.
pub(super) fn copy(input: &mut Input<'_>, output: &mut Output<'_>) -> Result<(), UnpackError> {
    let copied = pump(&mut *input, output);
    copied.map_err(|stop| stop.why(input, Compression::None.name()))
}

pub(super) fn bzip2(input: &mut Input<'_>, output: &mut Output<'_>) -> Result<(), UnpackError> {
    each(Compression::Bzip2, input, |input| pump(BzDecoder::new(input), output))
}

pub(super) fn gzip(input: &mut Input<'_>, output: &mut Output<'_>) -> Result<(), UnpackError> {
    each(Compression::Gzip, input, |input| pump(GzDecoder::new(input), output))
}

pub(super) fn xz(input: &mut Input<'_>, output: &mut Output<'_>) -> Result<(), UnpackError> {
    let limit = u32::try_from(MAX_WINDOW >> 10).unwrap_or(u32::MAX);
    each(Compression::Xz, input, |input| {
        pump(XzReader::new_mem_limit(&mut *input, false, limit), output).map_err(
            |stop| match stop {
                Stop::Decoder(error) if error.kind() == io::ErrorKind::OutOfMemory => {
                    Stop::Output(UnpackError::Window { format: Compression::Xz.name() })
                }
                stop => stop,
            },
        )?;
        // Streams may be padded to four bytes each.
        while input.peek(4).map_err(Stop::Output)? == [0; 4] {
            input.consume(4);
        }
        Ok(())
    })
}

pub(super) fn zstd(input: &mut Input<'_>, output: &mut Output<'_>) -> Result<(), UnpackError> {
    let mut decoder = FrameDecoder::new();
    decoder.set_max_window_size(MAX_WINDOW);
    each(Compression::Zstd, input, |input| zstd_frame(&mut decoder, input, output))
}

fn zstd_frame(
    decoder: &mut FrameDecoder,
    input: &mut Input<'_>,
    output: &mut Output<'_>,
) -> Result<(), Stop> {
    let format = Compression::Zstd.name();
    match decoder.init(&mut *input) {
        Ok(()) => {}
        Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
            length,
            ..
        })) => {
            let length = u64::from(length);
            let skipped = io::copy(&mut input.take(length), &mut io::sink());
            let missing = skipped.map_err(Stop::Decoder)? < length;
            return if missing {
                Err(Stop::Output(UnpackError::Truncated { format }))
            } else {
                Ok(())
            };
        }
        Err(FrameDecoderError::WindowSizeTooBig { .. }) => {
            return Err(Stop::Output(UnpackError::Window { format }));
        }
        Err(error) => return Err(Stop::Decoder(io::Error::other(error.to_string()))),
    }
    let mut chunk = vec![0; CHUNK];
    loop {
        if !decoder.is_finished() {
            let some = BlockDecodingStrategy::UptoBytes(CHUNK);
            decoder
                .decode_blocks(&mut *input, some)
                .map_err(|error| Stop::Decoder(io::Error::other(error.to_string())))?;
        }
        let read = loop {
            match decoder.read(&mut chunk).map_err(Stop::Decoder)? {
                0 => break decoder.is_finished(),
                read => output.write(&chunk[..read]).map_err(Stop::Output)?,
            }
        };
        if read {
            break;
        }
    }
    // The decoder computes its checksum, and leaves it to others to compare it.
    let expected = decoder.get_checksum_from_data();
    if expected.is_some() && expected != decoder.get_calculated_checksum() {
        let problem = "its checksum differs".to_owned();
        return Err(Stop::Output(UnpackError::Corrupt { format, problem }));
    }
    Ok(())
}

/// Decompresses one stream after the other.
fn each(
    compression: Compression,
    input: &mut Input<'_>,
    mut stream: impl FnMut(&mut Input<'_>) -> Result<(), Stop>,
) -> Result<(), UnpackError> {
    let format = compression.name();
    loop {
        stream(&mut *input).map_err(|stop| stop.why(input, format))?;
        match input.peek(6)? {
            [] => return Ok(()),
            next if Compression::of(next) == compression => {}
            _ => return Err(UnpackError::Trailing { format }),
        }
    }
}
