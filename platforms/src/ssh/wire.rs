//! One libssh2 session on one socket, driven without ever blocking in libssh2.
//!
//! libssh2's blocking mode can neither be interrupted nor trusted to notice that a guest died. So the session is
//! non-blocking, and whoever drives it sleeps in `poll(2)` on the socket and on a pipe whose other end is the future
//! that wants the result: dropping the future closes the pipe, and the thread ends at once. While nothing happens,
//! nothing runs.

use std::{
    io::{self, PipeReader, Read, Write},
    net::{Shutdown, TcpStream},
    ops::ControlFlow,
    os::linux::net::TcpStreamExt,
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec},
    io::Errno,
};
use ssh2::{BlockDirections, Channel, Session};

use super::{ExitStatus, SshError};

/// How long a silence may last before we ask the server for a sign of life.
///
/// A guest that was reset leaves no trace on a connection that only listens: slirp keeps its half open. A packet of
/// ours makes the new kernel answer with a reset. Ten seconds is soon enough for that, and rare enough to cost an
/// emulated guest nothing.
pub(super) const KEEPALIVE: Duration = Duration::from_secs(10);

/// How long it may take to send the packet that gives up a command, before the whole connection is given up.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// Stream number of standard error in SSH's extended data (RFC 4254, section 5.2).
const STDERR: i32 = 1;

/// Which of a command's outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// Why driving the session ended early.
#[derive(Debug)]
pub(super) enum Stop {
    /// Nobody wants the result any more. The session can still be used.
    Cancelled,
    /// The server refused. The session can still be used.
    Refused(String),
    /// The session is useless now.
    Lost(String),
}

/// Runs `work` on a thread that may block. Dropping the future makes `work` end soon, with [`Stop::Cancelled`].
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce(&PipeReader) -> T + Send + 'static,
) -> Result<T, SshError> {
    let (cancelled, guard) = io::pipe().map_err(|error| SshError::Worker(error.to_string()))?;
    let result = tokio::task::spawn_blocking(move || work(&cancelled)).await;
    drop(guard);
    result.map_err(|error| SshError::Worker(error.to_string()))
}

/// A session, from the moment that TCP is connected.
pub(super) struct Wire {
    session: Session,
    stream: Arc<TcpStream>,
}

impl Wire {
    /// Takes over a connected, non-blocking socket.
    pub(super) fn new(stream: TcpStream) -> io::Result<Self> {
        // Requests are small packets that each wait for an answer, which is what Nagle's algorithm delays.
        stream.set_nodelay(true)?;
        let stream = Arc::new(stream);
        let mut session = Session::new()?;
        session.set_tcp_stream(Arc::clone(&stream));
        session.set_blocking(false);
        // libssh2 only needs an interval that is shorter than ours: we decide when one is sent.
        session.set_keepalive(true, 2);
        Ok(Self { session, stream })
    }

    /// Another handle to the session.
    pub(super) fn session(&self) -> Session {
        self.session.clone()
    }

    /// The socket, to be polled together with others.
    pub(super) fn socket(&self) -> &TcpStream {
        &self.stream
    }

    /// Whether the other side still holds its end of the connection, as far as the kernel knows.
    pub(super) fn is_open(&self) -> bool {
        match self.stream.peek(&mut [0]) {
            Ok(read) => read > 0,
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        }
    }

    /// Repeats `operation` until it is done.
    pub(super) fn finish<T, E: Into<io::Error>>(
        &self,
        cancelled: &PipeReader,
        mut operation: impl FnMut() -> Result<T, E>,
    ) -> Result<T, Stop> {
        loop {
            if let Some(value) = self.step(cancelled, &mut operation)? {
                return Ok(value);
            }
            self.wait(cancelled)?;
        }
    }

    /// Tries `operation`; nothing if it can only go on after the server has sent something.
    ///
    /// libssh2 can't send a second packet while a first is half sent, so an operation that stopped there is repeated
    /// until its packet is out, before anything else is tried on the session.
    fn step<T, E: Into<io::Error>>(
        &self,
        cancelled: &PipeReader,
        mut operation: impl FnMut() -> Result<T, E>,
    ) -> Result<Option<T>, Stop> {
        loop {
            match operation().map_err(Into::into) {
                Ok(value) => return Ok(Some(value)),
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                    let how = error.to_string();
                    return Err(if self.is_open() { Stop::Refused(how) } else { Stop::Lost(how) });
                }
                Err(_) if self.half_sent() => self.wait(cancelled)?,
                Err(_) => return Ok(None),
            }
        }
    }

    /// Whether a packet is half sent, so that whoever started it must go on with it before anything else.
    pub(super) fn half_sent(&self) -> bool {
        matches!(self.session.block_directions(), BlockDirections::Outbound | BlockDirections::Both)
    }

    /// Sleeps until the socket can be used in the direction that libssh2 waits for, or the result is not wanted.
    pub(super) fn wait(&self, cancelled: &PipeReader) -> Result<(), Stop> {
        let half_sent = self.half_sent();
        self.acknowledge();
        loop {
            // Nothing is ever written to the pipe: it becomes ready when its other end is closed.
            match self.poll(half_sent, Some(cancelled), KEEPALIVE)? {
                Ready::Cancelled => return Err(Stop::Cancelled),
                Ready::Socket => return Ok(()),
                // Before the login a keepalive would break the protocol; there, the caller's limit has to do.
                Ready::Nothing if !half_sent && self.session.authenticated() => {
                    self.keepalive()?;
                }
                Ready::Nothing => {}
            }
        }
    }

    /// Lets the server send its next packet at once, to be called before each sleep.
    ///
    /// sshd leaves Nagle's algorithm on, so its answer to the first command waits until we acknowledge what it sent
    /// after the login. Without this that takes 40 ms, for which Linux delays an acknowledgement. The kernel forgets the
    /// option with the next packets. It only saves time, so its failure is no matter.
    pub(super) fn acknowledge(&self) {
        let _ = self.stream.set_quickack(true);
    }

    /// Asks the server for a sign of life.
    pub(super) fn keepalive(&self) -> Result<(), Stop> {
        // libssh2 never goes on with a keepalive that was half sent, and without it nothing else could be sent. But if
        // the socket has no room, what fills it makes the server answer as well.
        if let Ready::Nothing = self.poll(true, None, Duration::ZERO)? {
            return Ok(());
        }
        self.session.keepalive_send().map(drop).map_err(|error| Stop::Lost(error.to_string()))
    }

    fn poll(
        &self,
        half_sent: bool,
        cancelled: Option<&PipeReader>,
        limit: Duration,
    ) -> Result<Ready, Stop> {
        let wanted = if half_sent { PollFlags::OUT } else { PollFlags::IN };
        let limit = Timespec::try_from(limit).map_err(|error| Stop::Lost(error.to_string()))?;
        let mut fds = vec![PollFd::new(&*self.stream, wanted)];
        fds.extend(cancelled.map(|pipe| PollFd::new(pipe, PollFlags::empty())));
        loop {
            match rustix::event::poll(&mut fds, Some(&limit)) {
                Ok(0) => return Ok(Ready::Nothing),
                Ok(_) if fds.get(1).is_some_and(|pipe| !pipe.revents().is_empty()) => {
                    return Ok(Ready::Cancelled);
                }
                Ok(_) => return Ok(Ready::Socket),
                Err(Errno::INTR) => {}
                Err(error) => return Err(Stop::Lost(error.to_string())),
            }
        }
    }

    /// Runs `line` to its end, feeding it `stdin`. `output` gets what the command writes, and may break off.
    pub(super) fn run(
        &self,
        cancelled: &PipeReader,
        line: &str,
        stdin: &[u8],
        mut output: impl FnMut(Stream, &[u8]) -> ControlFlow<()>,
    ) -> Result<ExitStatus, Stop> {
        let mut channel = match self.finish(cancelled, || self.session.channel_session()) {
            // libssh2 would go on opening this channel when asked for the next one.
            Err(Stop::Cancelled) => return Err(Stop::Lost("given up while it started".into())),
            other => other?,
        };
        match self.pump(cancelled, &mut channel, line, stdin, &mut output) {
            Err(Stop::Cancelled) if !self.close(&mut channel) => {
                Err(Stop::Lost("it could not be told that the command was given up".into()))
            }
            other => other,
        }
    }

    fn pump(
        &self,
        cancelled: &PipeReader,
        channel: &mut Channel,
        line: &str,
        mut stdin: &[u8],
        output: &mut dyn FnMut(Stream, &[u8]) -> ControlFlow<()>,
    ) -> Result<ExitStatus, Stop> {
        self.finish(cancelled, || channel.exec(line))?;
        // From here on a complaint of libssh2 means that the two sides no longer understand each other.
        let lost = |stop| match stop {
            Stop::Refused(how) => Stop::Lost(how),
            other => other,
        };
        let mut buffer = vec![0; 64 * 1024];
        let mut open = true;
        loop {
            let mut progress = false;
            if !stdin.is_empty() {
                let written =
                    self.step(cancelled, || channel.write(stdin)).map_err(lost)?.unwrap_or(0);
                stdin = &stdin[written..];
                progress |= written > 0;
            }
            if stdin.is_empty() && open {
                self.finish(cancelled, || channel.send_eof()).map_err(lost)?;
                open = false;
            }
            for (stream, number) in [(Stream::Out, 0), (Stream::Err, STDERR)] {
                let read = self
                    .step(cancelled, || channel.stream(number).read(&mut buffer))
                    .map_err(lost)?
                    .unwrap_or(0);
                if read > 0 && output(stream, &buffer[..read]).is_break() {
                    return Err(Stop::Cancelled);
                }
                progress |= read > 0;
            }
            if progress {
                // A command that never stops writing must not keep us from noticing that nobody listens.
                if matches!(self.poll(false, Some(cancelled), Duration::ZERO)?, Ready::Cancelled) {
                    return Err(Stop::Cancelled);
                }
                continue;
            }
            if channel.eof() {
                break;
            }
            // Every operation takes all packets from the socket, also those that another one waits for. So before
            // sleeping, see whether one of them has come meanwhile: output, or room for more input.
            let unread = channel.read_window().available > 0;
            let room = !stdin.is_empty() && channel.write_window().remaining > 0;
            if !unread && !room {
                self.wait(cancelled)?;
            }
        }
        // A command may close its output long before it ends; the status comes with the close.
        self.finish(cancelled, || channel.wait_close()).map_err(lost)?;
        self.finish(cancelled, || channel.close()).map_err(lost)?;
        let signal = channel.exit_signal().ok().and_then(|signal| signal.exit_signal);
        let code = channel.exit_status().map_err(|error| Stop::Lost(error.to_string()))?;
        Ok(signal.map_or(ExitStatus::Code(code), ExitStatus::Signal))
    }

    /// Gives up a command that has not ended. False if the session can't be used after it.
    ///
    /// Our side of the channel is closed, but sshd confirms that only when the command has ended, which may be never. So
    /// the confirmation is not awaited; libssh2 frees the channel with the session.
    fn close(&self, channel: &mut Channel) -> bool {
        let deadline = Instant::now() + CLOSE_LIMIT;
        loop {
            match channel.close().map_err(io::Error::from) {
                Ok(()) => return true,
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return false,
                Err(_) if !self.half_sent() => return true,
                Err(_) => {}
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if !matches!(self.poll(true, None, left), Ok(Ready::Socket)) {
                return false;
            }
        }
    }
}

/// What `poll` found.
enum Ready {
    /// The socket can be used.
    Socket,
    /// The result is not wanted any more.
    Cancelled,
    /// The time is up.
    Nothing,
}

impl Drop for Wire {
    fn drop(&mut self) {
        // A farewell keeps the guest's journal free of "connection reset". Then the socket is shut down, because
        // freeing a session whose socket might still take something would do nothing, and leak.
        if self.session.authenticated() {
            let _ = self.session.disconnect(None, "done", None);
        }
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}
