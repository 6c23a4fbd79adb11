//! A connection that can be broken on purpose.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// How a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// With an RST.
    Reset,
    /// In good order.
    Close,
}

/// Cuts a connection as soon as everything written before has been handed to the kernel.
#[derive(Clone, Debug, Default)]
pub(super) struct Scissors(Arc<OnceLock<Cut>>);

impl Scissors {
    /// Cuts the connection. The first of several cuts counts.
    pub(super) fn cut(&self, how: Cut) {
        let _ = self.0.set(how);
    }
}

/// A TCP connection. Dropped before it was shut down, it is reset: that is what a server that dies looks like.
#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    scissors: Scissors,
    orderly: bool,
}

impl Wire {
    pub(super) fn new(stream: TcpStream, scissors: Scissors) -> Self {
        Self { stream, scissors, orderly: false }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if !self.orderly {
            // With no time to linger, closing sends an RST. If that fails, the connection is gone already.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    // hyper flushes when its own buffer is empty, so this is the place where everything before the cut has been written.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(cut) = self.scissors.0.get() {
            self.orderly = *cut == Cut::Close;
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.orderly = true;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
