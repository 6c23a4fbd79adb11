//! A body on its way: paced, corrupted or cut off, as the misbehaviours have it.

use std::{io, time::Duration};

use futures_util::stream;
use http_body_util::{BodyExt as _, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Bytes, Frame};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::{
    misbehaviour::{Conduct, End},
    wire::{Cut, Scissors},
};

/// A body of a response.
pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// What is read and sent at a time, in bytes. This and the socket's buffer are all the memory that a download takes.
const CHUNK: u64 = 64 * 1024;

/// A slow body is sent in this many pieces each second.
const PIECES_PER_SECOND: u64 = 20;

/// A body on its way.
pub(super) struct Transfer<R, F> {
    source: R,
    /// Where in the file the next byte is.
    position: u64,
    /// Bytes still to come.
    left: u64,
    pace: Option<u64>,
    corrupt: Option<u64>,
    /// How it ends before its time, and after how many more bytes.
    end: Option<(u64, End)>,
    scissors: Scissors,
    sent: F,
}

impl<R, F> Transfer<R, F>
where
    R: AsyncRead + Send + Unpin + 'static,
    F: Fn(u64) + Send + 'static,
{
    /// `length` bytes from `source`, which stands at byte `position` of its file. `sent` is told of every piece that is sent.
    pub(super) fn new(
        source: R,
        position: u64,
        length: u64,
        conduct: &Conduct,
        scissors: Scissors,
        sent: F,
    ) -> Self {
        Self {
            source,
            position,
            left: length,
            pace: conduct.pace(),
            corrupt: conduct.corrupt(),
            end: conduct.end(),
            scissors,
            sent,
        }
    }

    pub(super) fn into_body(self) -> Body {
        StreamBody::new(stream::try_unfold(self, Self::next)).boxed_unsync()
    }

    async fn next(mut self) -> io::Result<Option<(Frame<Bytes>, Self)>> {
        if self.left == 0 {
            return Ok(None);
        }
        let mut size = CHUNK.min(self.left);
        if let Some((rest, end)) = self.end {
            if rest == 0 {
                match end {
                    End::Reset => self.scissors.cut(Cut::Reset),
                    End::Close => self.scissors.cut(Cut::Close),
                    End::Stall => {}
                }
                // The connection is cut by the flush that follows on this.
                return std::future::pending().await;
            }
            size = size.min(rest);
        }
        if let Some(pace) = self.pace {
            size = size.min((pace / PIECES_PER_SECOND).max(1));
            // No wait for a condition: the pace is what was asked for.
            tokio::time::sleep(Duration::from_secs_f64(size as f64 / pace as f64)).await;
        }
        let mut piece = vec![0; usize::try_from(size).map_err(io::Error::other)?];
        let read = self.source.read(&mut piece).await?;
        if read == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the file has become shorter since its digests were computed",
            ));
        }
        piece.truncate(read);
        self.flip_bit(&mut piece);
        let read = read as u64;
        self.position += read;
        self.left -= read;
        if let Some((rest, _)) = &mut self.end {
            *rest -= read;
        }
        (self.sent)(read);
        Ok(Some((Frame::data(piece.into()), self)))
    }

    fn flip_bit(&self, piece: &mut [u8]) {
        let index = self.corrupt.and_then(|offset| offset.checked_sub(self.position));
        let byte = index
            .and_then(|index| usize::try_from(index).ok())
            .and_then(|index| piece.get_mut(index));
        if let Some(byte) = byte {
            *byte ^= 1;
        }
    }
}
