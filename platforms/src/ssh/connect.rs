//! How a machine is reached, also one that still boots.

use std::{
    io::PipeReader,
    net::{SocketAddr, TcpStream as StdStream},
    time::{Duration, Instant},
};

use ssh2::{ErrorCode, HashType, MethodType};
use tokio::net::TcpStream;

use super::{
    Connection, Follower, HostKey, HostKeyPin, SshError, SshKey, SshLog,
    wire::{Stop, Wire, blocking},
};
use crate::{Interrupt, WaitError, wait_for};

/// Pause after a refused connection. A closed port costs the guest one packet, so this can be short.
const REFUSED_PAUSE: Duration = Duration::from_millis(200);

/// Pause after the first rejected login; it doubles with each further one. Each costs the guest an sshd, and sshd 9.8 and
/// later penalises them.
const REJECTED_PAUSE: Duration = Duration::from_secs(1);

/// A rejected key is final only when the server goes on rejecting it for this part of the wait's limit. A guest that boots
/// rejects everybody for a while: sshd is up before `systemd-user-sessions.service` removes `/run/nologin`, and until then
/// pam_nologin(8) turns unprivileged users away.
const REJECTED_PART: u32 = 4;

/// How long key exchange and login may take once the server has sent its first byte. An emulated guest that is busy
/// booting needs up to about 5 s; sshd itself gives up after 120 s (LoginGraceTime).
const LOGIN_LIMIT: Duration = Duration::from_secs(30);

/// How long one attempt waits for the server's first byte, given for how long the guest has been awaited.
///
/// slirp accepts a forwarded connection on the host before the guest knows of it, and keeps it open for 82 s while it
/// repeats its SYN after 6 s and then every 13 s (measured with QEMU 7.2). An open attempt therefore says nothing: the
/// guest may have no network yet, or its sshd may be starting, which takes long under emulation. Giving up too early
/// wastes an sshd that the guest has started for us; giving up too late waits for a repetition when a new SYN would be
/// answered at once. A guest that took long to come up is slow in everything, so patience grows with the time that has
/// passed: it delays the first login by a sixth of the boot at most, and on a slow guest it is long enough for sshd.
fn patience(waited: Duration) -> Duration {
    (waited / 6).clamp(Duration::from_secs(1), Duration::from_secs(30))
}

/// Knows how to reach one machine. Clones share the pinned host key and the log.
#[derive(Clone, Debug)]
pub struct Connector {
    address: SocketAddr,
    user: String,
    key: SshKey,
    pin: HostKeyPin,
    log: SshLog,
    /// How long the first attempt waits for an answer, at least.
    patience: Duration,
}

impl Connector {
    /// Reaches the SSH server at `address` as `user`, pins the first host key seen, and logs nothing.
    #[must_use]
    pub fn new(address: SocketAddr, user: impl Into<String>, key: SshKey) -> Self {
        let (pin, log) = (HostKeyPin::default(), SshLog::none());
        Self { address, user: user.into(), key, pin, log, patience: Duration::ZERO }
    }

    /// Writes what happens to `log`.
    #[must_use]
    pub fn with_log(self, log: SshLog) -> Self {
        Self { log, ..self }
    }

    /// Gives every attempt to connect at least so long to be answered: for a guest whose server is known to listen, so that
    /// giving up and trying again could only be slower.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Checks host keys against `pin`, which may have been set by another connector.
    #[must_use]
    pub fn with_pin(self, pin: HostKeyPin) -> Self {
        Self { pin, ..self }
    }

    /// Where this connector's doings are written.
    pub(super) fn log(&self) -> &SshLog {
        &self.log
    }

    /// Where the server is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The user that logs in.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The host key pinned at the first contact.
    #[must_use]
    pub fn pin(&self) -> &HostKeyPin {
        &self.pin
    }

    /// Connects and logs in, in one attempt.
    ///
    /// # Errors
    /// [`SshError::Unreachable`] if nobody listens or the server hangs up, [`SshError::AuthRejected`] if it refuses the
    /// key, [`SshError::HostKeyChanged`], [`SshError::BadKey`], or [`SshError::Wait`].
    pub async fn connect(
        &self,
        limit: Duration,
        interrupt: &Interrupt,
    ) -> Result<Connection, SshError> {
        let wire = wait_for(&self.what(), limit, interrupt, self.attempt(limit)).await??;
        Ok(Connection::new(wire, interrupt.clone(), self.log.clone()))
    }

    /// Waits for a guest that boots: tries to connect until it succeeds.
    ///
    /// It is gentle. There is one attempt at a time, and it is kept for as long as it may still be answered, because each
    /// one that reaches the guest starts an sshd there.
    ///
    /// # Errors
    /// As for [`Connector::connect`]; but unreachable is what the wait's error reports as last seen, and a rejected key is
    /// an error only when the server has said it for a quarter of `limit`.
    pub async fn wait_until_reachable(
        &self,
        limit: Duration,
        interrupt: &Interrupt,
    ) -> Result<Connection, SshError> {
        let wire = self.wait_for_wire(limit, interrupt).await?;
        Ok(Connection::new(wire, interrupt.clone(), self.log.clone()))
    }

    pub(super) async fn wait_for_wire(
        &self,
        limit: Duration,
        interrupt: &Interrupt,
    ) -> Result<Wire, SshError> {
        let start = Instant::now();
        let (mut last, mut attempts) = (None, 0);
        let mut rejections = Rejections::default();
        let tries = async {
            loop {
                attempts += 1;
                let patience = patience(start.elapsed()).max(self.patience);
                let pause = match self.attempt(patience).await {
                    Ok(wire) => return Ok(wire),
                    Err(SshError::Unreachable { last: how, .. }) => {
                        last = Some(how);
                        REFUSED_PAUSE
                    }
                    Err(SshError::AuthRejected { address, user, .. }) => {
                        last = Some(format!("our key for user {user} was refused"));
                        match rejections.another(limit / REJECTED_PART) {
                            Some(pause) => pause,
                            None => {
                                let attempts = rejections.count;
                                return Err(SshError::AuthRejected { address, user, attempts });
                            }
                        }
                    }
                    Err(error) => return Err(error),
                };
                tokio::time::sleep(pause).await;
            }
        };
        match wait_for(&self.what(), limit, interrupt, tries).await {
            Err(WaitError::TimedOut { what, after, .. }) => {
                let last = last.unwrap_or_else(|| "the first attempt was not answered".into());
                let last = Some(format!("{last} ({attempts} attempts)"));
                Err(WaitError::TimedOut { what, after, last }.into())
            }
            other => other?,
        }
    }

    /// Opens a session of its own and runs `line` on it, delivering its output line by line.
    ///
    /// `limit` is for connecting; the command may run for as long as the [`Follower`] lives.
    ///
    /// # Errors
    /// As for [`Connector::connect`].
    pub async fn follow(
        &self,
        line: impl Into<String>,
        limit: Duration,
        interrupt: &Interrupt,
    ) -> Result<Follower, SshError> {
        let wire = wait_for(&self.what(), limit, interrupt, self.attempt(limit)).await??;
        Follower::start(wire, line.into(), interrupt.clone(), self.log.clone())
    }

    /// The ways to log in that the server offers to the user, such as `publickey`. Logs nobody in.
    ///
    /// # Errors
    /// As for [`Connector::connect`].
    pub async fn offered_methods(
        &self,
        limit: Duration,
        interrupt: &Interrupt,
    ) -> Result<Vec<String>, SshError> {
        let asking = async {
            let stream = self.first_byte().await?;
            let this = self.clone();
            blocking(move |cancelled| {
                let (wire, _) = this.handshake(cancelled, stream)?;
                let session = wire.session();
                let ask = || session.auth_methods(&this.user).map(str::to_owned);
                wire.finish(cancelled, ask).map_err(|stop| this.stopped(stop))
            })
            .await?
        };
        let methods = wait_for(&self.what(), limit, interrupt, asking).await??;
        Ok(methods.split(',').map(str::to_owned).collect())
    }

    pub(super) fn what(&self) -> String {
        format!("SSH to {}@{}", self.user, self.address)
    }

    async fn attempt(&self, patience: Duration) -> Result<Wire, SshError> {
        let stream = match tokio::time::timeout(patience, self.first_byte()).await {
            Ok(stream) => stream?,
            Err(_) => return Err(self.unreachable("the server does not answer")),
        };
        self.log.note(&format!("{} answers", self.address));
        let this = self.clone();
        let login = blocking(move |cancelled| this.login(cancelled, stream));
        match tokio::time::timeout(LOGIN_LIMIT, login).await {
            Ok(wire) => wire?,
            Err(_) => Err(self.unreachable("the server fell silent during the login")),
        }
    }

    /// Connects, and waits for the server's first byte, which RFC 4253 has it send unasked. No thread is needed for
    /// that, and most of the waiting for a booting guest is spent here.
    async fn first_byte(&self) -> Result<StdStream, SshError> {
        let io = |error: std::io::Error| self.unreachable(error);
        let stream = TcpStream::connect(self.address).await.map_err(io)?;
        if stream.peek(&mut [0]).await.map_err(io)? == 0 {
            return Err(self.unreachable("the server closed the connection at once"));
        }
        stream.into_std().map_err(io)
    }

    /// Everything up to the point where the server wants to know who we are.
    fn handshake(
        &self,
        cancelled: &PipeReader,
        stream: StdStream,
    ) -> Result<(Wire, HostKey), SshError> {
        let wire = Wire::new(stream).map_err(|error| self.unreachable(error))?;
        let mut session = wire.session();
        // The kind of host key must not depend on which of them the guest has made already.
        session
            .method_pref(MethodType::HostKey, "ssh-ed25519,ecdsa-sha2-nistp256,rsa-sha2-512")
            .map_err(|error| self.unreachable(error))?;
        wire.finish(cancelled, || session.handshake()).map_err(|stop| self.stopped(stop))?;
        let found = session
            .host_key_hash(HashType::Sha256)
            .and_then(|digest| digest.try_into().ok())
            .map(HostKey::from_sha256)
            .ok_or_else(|| self.unreachable("the server showed no host key"))?;
        self.pin.check(found).map_err(|pinned| SshError::HostKeyChanged {
            address: self.address,
            pinned,
            found,
        })?;
        Ok((wire, found))
    }

    fn login(&self, cancelled: &PipeReader, stream: StdStream) -> Result<Wire, SshError> {
        let (wire, found) = self.handshake(cancelled, stream)?;
        let session = wire.session();
        let auth = || match session.userauth_pubkey_memory(&self.user, None, self.key.pem(), None) {
            Ok(()) => Ok(Auth::Accepted),
            Err(error) => match error.code() {
                ErrorCode::Session(AUTHENTICATION_FAILED | PUBLICKEY_UNVERIFIED) => {
                    Ok(Auth::Rejected)
                }
                ErrorCode::Session(FILE) => Ok(Auth::Unusable(error.message().to_owned())),
                _ => Err(error),
            },
        };
        match wire.finish(cancelled, auth).map_err(|stop| self.stopped(stop))? {
            Auth::Accepted => {}
            Auth::Rejected => {
                self.log.note(&format!("{} refuses our key for {}", self.address, self.user));
                let (address, user) = (self.address, self.user.clone());
                return Err(SshError::AuthRejected { address, user, attempts: 1 });
            }
            Auth::Unusable(why) => return Err(self.key.unusable(why)),
        }
        self.log.note(&format!("connected to {}, host key {found}", self.what()));
        Ok(wire)
    }

    pub(super) fn stopped(&self, stop: Stop) -> SshError {
        match stop {
            Stop::Cancelled => self.unreachable("cancelled"),
            Stop::Refused(how) | Stop::Lost(how) => self.unreachable(how),
        }
    }

    fn unreachable(&self, how: impl std::fmt::Display) -> SshError {
        SshError::Unreachable { address: self.address, last: how.to_string() }
    }
}

/// Rejected logins of one wait.
#[derive(Default)]
struct Rejections {
    count: u32,
    first: Option<Instant>,
}

impl Rejections {
    /// How long to pause after one more, or nothing if the server has said it for `long_enough`.
    fn another(&mut self, long_enough: Duration) -> Option<Duration> {
        let since = self.first.get_or_insert_with(Instant::now).elapsed();
        let pause = REJECTED_PAUSE * 2_u32.pow(self.count.min(4));
        self.count += 1;
        (since < long_enough || self.count < 2).then_some(pause)
    }
}

enum Auth {
    Accepted,
    Rejected,
    Unusable(String),
}

// From libssh2.h.
const FILE: i32 = -16;
const AUTHENTICATION_FAILED: i32 = -18;
const PUBLICKEY_UNVERIFIED: i32 = -19;

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case(0, 1_000; "a fast guest is asked every second")]
    #[test_case(12, 2_000; "patience grows with the wait")]
    #[test_case(600, 30_000; "and has an end")]
    fn patience_follows_the_guest(waited_s: u64, expected_ms: u64) {
        assert_eq!(patience(Duration::from_secs(waited_s)), Duration::from_millis(expected_ms));
    }
}
