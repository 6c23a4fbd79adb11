//! A port of the guest that leads to a server on the host, as `ssh -R` makes it.
//!
//! One thread carries all connections of a forward, on a session of its own. It sleeps in `poll(2)` on the session's
//! socket, the sockets of the connections, and a pipe that is closed when the forward is dropped. Nothing is read before
//! what was read earlier has been passed on, so each connection holds one chunk each way, and what libssh2's receive
//! window lets the server send (2 MiB); whoever sends more has to wait for its receiver.

use std::{
    fmt,
    io::{self, PipeReader, PipeWriter},
    net::SocketAddr,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec},
    io::Errno,
};
use ssh2::{Channel, Listener};
use tokio::sync::watch;

use super::{
    Connector, SshError, SshLog,
    carried::{Carried, State, connect},
    wire::{KEEPALIVE, Stop, Wire, blocking},
};
use crate::{Interrupt, wait_for};

/// Where the guest's sshd listens. Never a name: sshd would look it up, and listen on all that it stands for.
const GUEST_HOST: &str = "127.0.0.1";

/// How often to look whether the guest has closed a connection of which it has ended its own half.
///
/// libssh2 tells that only together with reading from the socket. So the news may have come while another connection was
/// looked after, and nothing would wake us.
const CLOSE_CHECK: Duration = Duration::from_secs(1);

/// A port of the guest that leads to a server on the host.
///
/// Each connection that a program on the guest makes to 127.0.0.1 and this port becomes a connection from the host to
/// the server. Each half of it is closed when its sender has closed it; when the server can't be reached, the guest's
/// connection is closed at once. It costs nothing while nothing is sent, apart from a packet every 10 s.
///
/// Dropping it closes the port and all its connections, within a moment. It does not outlive a reboot of the guest.
pub struct Forward {
    remote_port: u16,
    local: SocketAddr,
    /// How the connection to the guest was lost, once it was.
    lost: watch::Receiver<Option<String>>,
    /// The thread ends when this is closed.
    _guard: PipeWriter,
}

impl fmt::Debug for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forward")
            .field("remote_port", &self.remote_port)
            .field("local", &self.local)
            .finish_non_exhaustive()
    }
}

impl Connector {
    /// Makes 127.0.0.1:`remote_port` of the guest lead to `local` on the host. With 0 the guest's sshd chooses a port.
    ///
    /// Waits for a guest that boots, as [`Connector::wait_until_reachable`] does, for which `limit` is. Nothing needs to
    /// listen on `local` yet. The forward lasts for as long as the [`Forward`] lives.
    ///
    /// # Errors
    /// [`SshError::ForwardRefused`] if the server does not allow it or the port is taken, or as for
    /// [`Connector::wait_until_reachable`].
    pub async fn forward(
        &self,
        remote_port: u16,
        local: SocketAddr,
        limit: Duration,
        interrupt: &Interrupt,
    ) -> Result<Forward, SshError> {
        let wire = self.wait_for_wire(limit, interrupt).await?;
        let opening = blocking(move |cancelled| {
            let session = wire.session();
            let ask = || session.channel_forward_listen(remote_port, Some(GUEST_HOST), None);
            let (listener, port) = wire.finish(cancelled, ask)?;
            Ok((Tunnel { wire, listener, accepted: Vec::new() }, port))
        });
        let opened = wait_for(&self.what(), limit, interrupt, opening).await??;
        let (tunnel, port) = opened.map_err(|stop| match stop {
            Stop::Refused(_) => {
                SshError::ForwardRefused { address: self.address(), port: remote_port }
            }
            other => self.stopped(other),
        })?;
        Forward::start(tunnel, port, local, self.log().clone())
    }
}

impl Forward {
    fn start(
        tunnel: Tunnel,
        remote_port: u16,
        local: SocketAddr,
        log: SshLog,
    ) -> Result<Self, SshError> {
        let (cancelled, guard) = io::pipe().map_err(|error| SshError::Worker(error.to_string()))?;
        let (sender, lost) = watch::channel(None);
        tokio::task::spawn_blocking(move || {
            log.note(&format!("port {remote_port} of the guest leads to {local}"));
            let mut carrier = Carrier {
                tunnel,
                cancelled,
                local,
                log,
                connections: Vec::new(),
                closing: Vec::new(),
                refusal: None,
            };
            let why = carrier.carry();
            let how = match &why {
                Stop::Cancelled => "no longer wanted",
                Stop::Refused(how) | Stop::Lost(how) => how,
            };
            carrier.log.note(&format!("port {remote_port} of the guest is closed: {how}"));
            if let Stop::Refused(how) | Stop::Lost(how) = why {
                sender.send_replace(Some(how));
            }
        });
        Ok(Self { remote_port, local, lost, _guard: guard })
    }

    /// The port on the guest's 127.0.0.1.
    #[must_use]
    pub fn remote_port(&self) -> u16 {
        self.remote_port
    }

    /// Where it leads to, on the host.
    #[must_use]
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Resolves when the connection to the guest is lost, and says how: [`SshError::ForwardLost`]. From then on the port
    /// leads nowhere. Cancel-safe, and can be awaited again.
    pub async fn closed(&self) -> SshError {
        let mut lost = self.lost.clone();
        match lost.wait_for(Option::is_some).await.map(|how| how.clone()) {
            Ok(how) => {
                let port = self.remote_port;
                SshError::ForwardLost { port, how: how.unwrap_or_default() }
            }
            Err(_) => SshError::Worker(format!("the forward of port {}", self.remote_port)),
        }
    }
}

/// The session, and the server's port on it. It is dropped in this order: with the socket shut, freeing the rest can't
/// block on it.
pub(super) struct Tunnel {
    wire: Wire,
    listener: Listener,
    /// Connections that were found while something else was done.
    accepted: Vec<Channel>,
}

impl Tunnel {
    /// Tries `operation`; nothing if it can only go on after the server has sent something.
    ///
    /// libssh2 can't send a second packet while a first is half sent, and the first need not be the operation's: reading
    /// answers what the server asks, such as to open a channel. Only reading on gets such an answer out, so that is done
    /// in between.
    pub(super) fn step<T, E: Into<io::Error>>(
        &mut self,
        cancelled: &PipeReader,
        mut operation: impl FnMut() -> Result<T, E>,
    ) -> Result<Option<T>, Stop> {
        loop {
            match operation().map_err(Into::into) {
                Ok(value) => return Ok(Some(value)),
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                    return Err(self.lost(&error));
                }
                Err(_) if !self.wire.half_sent() => return Ok(None),
                Err(_) => self.wire.wait(cancelled)?,
            }
            self.read_on()?;
        }
    }

    /// Takes all packets from the socket, and keeps new connections.
    fn read_on(&mut self) -> Result<(), Stop> {
        loop {
            match self.listener.accept().map_err(io::Error::from) {
                Ok(channel) => self.accepted.push(channel),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(self.lost(&error)),
            }
        }
    }

    /// The same until all that this made libssh2 send is out.
    fn accept(&mut self, cancelled: &PipeReader) -> Result<(), Stop> {
        self.read_on()?;
        while self.wire.half_sent() {
            self.wire.wait(cancelled)?;
            self.read_on()?;
        }
        Ok(())
    }

    fn lost(&self, error: &io::Error) -> Stop {
        // libssh2's own word for it is "Channel not found".
        let gone = !self.wire.is_open();
        Stop::Lost(if gone { "the server closed the connection".into() } else { error.to_string() })
    }
}

/// Carries bytes between the guest and the server, until it is told to stop or can't go on.
struct Carrier {
    tunnel: Tunnel,
    cancelled: PipeReader,
    local: SocketAddr,
    log: SshLog,
    connections: Vec<Carried>,
    /// Channels that we have closed, and the server has yet to close. libssh2 frees them only after that.
    closing: Vec<Channel>,
    /// Why the server on the host could not be reached the last time, so that the log says it once.
    refusal: Option<String>,
}

impl Carrier {
    /// Each turn does what can be done without waiting. Every libssh2 operation takes all packets from the socket, also
    /// those that are meant for another connection. Hence the order: the last that reads from the socket is
    /// [`Tunnel::accept`], and unless something was done after it, nothing that has come is overlooked.
    fn carry(&mut self) -> Stop {
        let mut quiet = Instant::now();
        loop {
            match self.turn().and_then(|progress| self.sleep(progress, &mut quiet)) {
                Ok(()) => {}
                Err(stop) => return stop,
            }
        }
    }

    fn turn(&mut self) -> Result<bool, Stop> {
        let Self { tunnel, cancelled, connections, closing, .. } = self;
        let mut progress = false;
        for index in (0..closing.len()).rev() {
            if tunnel.step(cancelled, || closing[index].close())?.is_some() {
                closing.swap_remove(index);
            }
        }
        for connection in connections.iter_mut().filter(|connection| connection.half_closed()) {
            if tunnel.step(cancelled, || connection.channel.wait_close())?.is_some() {
                connection.closed_by_guest();
                progress = true;
            }
        }
        tunnel.accept(cancelled)?;
        for channel in std::mem::take(&mut self.tunnel.accepted) {
            self.open(channel);
            progress = true;
        }
        for index in (0..self.connections.len()).rev() {
            let connection = &mut self.connections[index];
            match connection.advance(&mut self.tunnel, &self.cancelled)? {
                State::Idle => {}
                State::Active => progress = true,
                State::Unreachable(error) => {
                    let channel = self.connections.swap_remove(index).channel;
                    self.refuse(channel, &error);
                    progress = true;
                }
                State::Over => {
                    self.closing.push(self.connections.swap_remove(index).channel);
                    progress = true;
                }
            }
        }
        Ok(progress || !self.tunnel.accepted.is_empty())
    }

    fn open(&mut self, channel: Channel) {
        match connect(self.local) {
            Ok(local) => self.connections.push(Carried::new(channel, local)),
            Err(error) => self.refuse(channel, &error),
        }
    }

    fn refuse(&mut self, channel: Channel, error: &io::Error) {
        let why = error.to_string();
        if self.refusal.as_ref() != Some(&why) {
            self.log.note(&format!("no connection to {}: {why}", self.local));
            self.refusal = Some(why);
        }
        self.closing.push(channel);
    }

    /// Sleeps until there is something to do; only looks for it if the last turn made progress.
    fn sleep(&mut self, progress: bool, quiet: &mut Instant) -> Result<(), Stop> {
        let limit = if progress {
            Duration::ZERO
        } else if self.connections.iter().any(Carried::half_closed) {
            CLOSE_CHECK
        } else {
            KEEPALIVE
        };
        if !progress {
            self.tunnel.wire.acknowledge();
        }
        let lost = |error: &dyn fmt::Display| Stop::Lost(error.to_string());
        let limit = Timespec::try_from(limit).map_err(|error| lost(&error))?;
        // Nothing is ever written to the pipe: it becomes ready when its other end is closed.
        let mut fds = vec![
            PollFd::new(&self.cancelled, PollFlags::empty()),
            PollFd::new(self.tunnel.wire.socket(), PollFlags::IN),
        ];
        // A socket that nothing is wanted from is left out, because poll reports its end in any case.
        let awaited: Vec<_> = (0..self.connections.len())
            .filter(|&index| !self.connections[index].awaits().is_empty())
            .collect();
        fds.extend(awaited.iter().map(|&index| {
            let connection = &self.connections[index];
            PollFd::new(&connection.local, connection.awaits())
        }));
        let ready = loop {
            match rustix::event::poll(&mut fds, Some(&limit)) {
                Ok(ready) => break ready,
                Err(Errno::INTR) => {}
                Err(error) => return Err(lost(&error)),
            }
        };
        let found: Vec<_> = fds.iter().map(PollFd::revents).collect();
        if !found[0].is_empty() {
            return Err(Stop::Cancelled);
        }
        for (index, flags) in awaited.into_iter().zip(&found[2..]) {
            self.connections[index].ready(*flags);
        }
        if progress || ready > 0 {
            *quiet = Instant::now();
        } else if quiet.elapsed() >= KEEPALIVE {
            *quiet = Instant::now();
            self.tunnel.wire.keepalive()?;
        }
        Ok(())
    }
}
