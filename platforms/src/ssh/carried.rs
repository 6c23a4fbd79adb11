//! One connection that a forward carries, between its channel to the guest and its socket on the host.

use std::{
    io::{self, PipeReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    ops::Range,
};

use rustix::{
    event::PollFlags,
    io::Errno,
    net::{AddressFamily, SocketFlags, SocketType},
};
use ssh2::Channel;

use super::{forward::Tunnel, wire::Stop};

/// How much is taken from one side before the other has taken it: two SSH packets of the largest size.
const CHUNK: usize = 64 * 1024;

/// Starts to connect, without waiting for the outcome.
pub(super) fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    match rustix::net::connect(&socket, &to) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(TcpStream::from(socket)),
        Err(error) => Err(error.into()),
    }
}

/// What became of a connection in one turn.
pub(super) enum State {
    /// Nothing could be done.
    Idle,
    /// Something was done.
    Active,
    /// There is no way to the server.
    Unreachable(io::Error),
    /// Both halves are closed.
    Over,
}

/// One connection.
pub(super) struct Carried {
    pub(super) channel: Channel,
    pub(super) local: TcpStream,
    connected: bool,
    /// What poll said last, until the socket says otherwise.
    readable: bool,
    writable: bool,
    to_local: Way,
    to_guest: Way,
}

impl Carried {
    pub(super) fn new(channel: Channel, local: TcpStream) -> Self {
        Self {
            channel,
            local,
            connected: false,
            readable: false,
            writable: false,
            to_local: Way::new(),
            to_guest: Way::new(),
        }
    }

    /// Whether the guest sends no more, and still may receive.
    pub(super) fn half_closed(&self) -> bool {
        !self.to_guest.finished && self.channel.eof()
    }

    /// The guest has closed it, and takes nothing any more.
    pub(super) fn closed_by_guest(&mut self) {
        self.to_guest.give_up();
    }

    /// What must happen to the local socket before this connection can go on.
    pub(super) fn awaits(&self) -> PollFlags {
        let write = !self.writable && (!self.connected || !self.to_local.is_empty());
        let read = !self.readable && self.connected && self.to_guest.takes();
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::OUT, write);
        flags.set(PollFlags::IN, read);
        flags
    }

    pub(super) fn ready(&mut self, flags: PollFlags) {
        let broken = flags.intersects(PollFlags::ERR | PollFlags::HUP);
        self.readable |= broken || flags.contains(PollFlags::IN);
        self.writable |= broken || flags.contains(PollFlags::OUT);
    }

    pub(super) fn advance(
        &mut self,
        tunnel: &mut Tunnel,
        cancelled: &PipeReader,
    ) -> Result<State, Stop> {
        let mut progress = false;
        if !self.connected {
            if !self.writable {
                return Ok(State::Idle);
            }
            // Small answers must not wait for an acknowledgement; without the option they only come later.
            let _ = self.local.set_nodelay(true);
            match self.local.take_error() {
                Ok(None) => self.connected = true,
                Ok(Some(error)) | Err(error) => return Ok(State::Unreachable(error)),
            }
            progress = true;
        }
        progress |= self.advance_to_local(tunnel, cancelled)?;
        progress |= self.advance_to_guest(tunnel, cancelled)?;
        Ok(match progress {
            _ if self.to_local.finished && self.to_guest.finished => State::Over,
            true => State::Active,
            false => State::Idle,
        })
    }

    fn advance_to_local(
        &mut self,
        tunnel: &mut Tunnel,
        cancelled: &PipeReader,
    ) -> Result<bool, Stop> {
        let way = &mut self.to_local;
        let mut progress = false;
        if way.takes() {
            if self.channel.read_window().available > 0 {
                let read = tunnel.step(cancelled, || self.channel.read(&mut way.buffer))?;
                way.held = 0..read.unwrap_or(0);
                progress |= read.is_some();
            } else if self.channel.eof() {
                way.ended = true;
            }
        }
        while self.writable && !way.is_empty() {
            match self.local.write(&way.buffer[way.held.clone()]) {
                Ok(written) => way.held.start += written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The server has gone. What it had sent before can still be read, and then its end.
                Err(_) => way.give_up(),
            }
            progress |= self.writable;
        }
        if way.to_finish() {
            // It fails only if the server has gone already.
            let _ = self.local.shutdown(Shutdown::Write);
            way.finished = true;
            progress = true;
        }
        Ok(progress)
    }

    fn advance_to_guest(
        &mut self,
        tunnel: &mut Tunnel,
        cancelled: &PipeReader,
    ) -> Result<bool, Stop> {
        let way = &mut self.to_guest;
        let mut progress = false;
        if self.readable && way.takes() {
            match self.local.read(&mut way.buffer) {
                Ok(0) => way.ended = true,
                Ok(read) => way.held = 0..read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // A reset ends both ways, and SSH has no word for it but a close.
                Err(_) => {
                    way.ended = true;
                    self.to_local.give_up();
                }
            }
            progress |= self.readable;
        }
        while !way.is_empty() && self.channel.write_window().remaining > 0 {
            let bytes = &way.buffer[way.held.clone()];
            match tunnel.step(cancelled, || self.channel.write(bytes))? {
                Some(written) => way.held.start += written,
                None => break,
            }
            progress = true;
        }
        if way.to_finish() && tunnel.step(cancelled, || self.channel.send_eof())?.is_some() {
            way.finished = true;
            progress = true;
        }
        Ok(progress)
    }
}

/// One direction of a connection.
struct Way {
    buffer: Vec<u8>,
    /// The part of the buffer that the receiver has yet to take.
    held: Range<usize>,
    /// The sender sends no more.
    ended: bool,
    /// The receiver knows that, or has gone.
    finished: bool,
}

impl Way {
    fn new() -> Self {
        Self { buffer: vec![0; CHUNK], held: 0..0, ended: false, finished: false }
    }

    fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Whether more may be taken from the sender.
    fn takes(&self) -> bool {
        self.is_empty() && !self.ended && !self.finished
    }

    /// Whether it is time to tell the receiver of the end.
    fn to_finish(&self) -> bool {
        self.is_empty() && self.ended && !self.finished
    }

    /// The receiver has gone.
    fn give_up(&mut self) {
        (self.held, self.finished) = (0..0, true);
    }
}
