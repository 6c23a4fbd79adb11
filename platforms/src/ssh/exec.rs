//! Commands, one after another, on one connection.

use std::{
    borrow::Cow,
    fmt,
    io::PipeReader,
    ops::ControlFlow,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{
    SshError, SshLog,
    log::shorten,
    wire::{Stop, Stream, Wire, blocking},
};
use crate::{Interrupt, WaitError, wait_for};

/// How much of each output is kept, unless the command says otherwise.
const DEFAULT_LIMIT: usize = 4 * 1024 * 1024;

/// A command line for the guest's login shell, and what goes with it.
#[derive(Clone, Debug)]
pub struct Command {
    /// What the login shell gets.
    pub line: String,
    /// What the command reads from standard input; nothing is an empty input.
    pub stdin: Vec<u8>,
    /// How long it may take, including the wait for an earlier command on the same connection.
    pub deadline: Duration,
    /// How many bytes of standard output are kept, and how many of standard error. What is beyond is read and counted.
    pub limit_bytes: usize,
}

impl Command {
    /// A command without input that keeps up to 4 MiB of each output.
    #[must_use]
    pub fn new(line: impl Into<String>, deadline: Duration) -> Self {
        Self { line: line.into(), stdin: Vec::new(), deadline, limit_bytes: DEFAULT_LIMIT }
    }

    /// Gives it something to read.
    #[must_use]
    pub fn with_stdin(self, stdin: impl Into<Vec<u8>>) -> Self {
        Self { stdin: stdin.into(), ..self }
    }

    /// Keeps up to `limit_bytes` of each output.
    #[must_use]
    pub fn with_limit(self, limit_bytes: usize) -> Self {
        Self { limit_bytes, ..self }
    }
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// It exited.
    Code(i32),
    /// A signal ended it; its name without `SIG`.
    Signal(String),
}

impl ExitStatus {
    /// Whether it exited with 0.
    #[must_use]
    pub fn success(&self) -> bool {
        *self == Self::Code(0)
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit status {code}"),
            Self::Signal(name) => write!(f, "killed by SIG{name}"),
        }
    }
}

/// What a command that ended has left.
#[derive(Clone, Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to standard output, up to the limit.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error, up to the limit.
    pub stderr: Vec<u8>,
    /// How many bytes were beyond the limit, and dropped.
    pub dropped: u64,
    /// How long it took, as seen from here.
    pub duration: Duration,
}

impl Output {
    /// Whether some of the output was dropped.
    #[must_use]
    pub fn truncated(&self) -> bool {
        self.dropped > 0
    }

    /// Standard output as text, with whatever is not UTF-8 replaced.
    #[must_use]
    pub fn stdout_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.stdout)
    }

    /// Standard error as text, with whatever is not UTF-8 replaced.
    #[must_use]
    pub fn stderr_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.stderr)
    }
}

/// A connection that is logged in. Clones share it.
///
/// Commands on it run one at a time: a second one waits for the first. It does not outlive a reboot; whoever expects one
/// connects anew.
#[derive(Clone)]
pub struct Connection {
    state: Arc<tokio::sync::Mutex<State>>,
    interrupt: Interrupt,
    log: SshLog,
}

enum State {
    Up(Wire),
    /// How it was lost.
    Down(String),
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

impl Connection {
    pub(super) fn new(wire: Wire, interrupt: Interrupt, log: SshLog) -> Self {
        Self { state: Arc::new(tokio::sync::Mutex::new(State::Up(wire))), interrupt, log }
    }

    /// Runs a command to its end. Any exit status is a success here.
    ///
    /// A command that is given up, because its deadline passed or the future was dropped, loses its channel; what it
    /// started on the guest may go on. The connection stays usable, unless that happened in the middle of a packet.
    ///
    /// # Errors
    /// [`SshError::Wait`] with the command's last line of output, [`SshError::Lost`] if the connection ended before the
    /// command did, or had ended earlier, and [`SshError::NotStarted`].
    pub async fn exec(&self, command: Command) -> Result<Output, SshError> {
        let (limit, short) = (command.deadline, shorten(&command.line));
        let what = format!("`{short}` to end");
        let collected = Arc::new(Mutex::new(Collected::new(command.limit_bytes)));
        let running = async {
            let mut state = Arc::clone(&self.state).lock_owned().await;
            let (log, collected) = (self.log.clone(), Arc::clone(&collected));
            blocking(move |cancelled| run(&mut state, cancelled, &command, &log, &collected)).await
        };
        match wait_for(&what, limit, &self.interrupt, running).await {
            Err(WaitError::TimedOut { what, after, .. }) => {
                let last = locked(&collected).last_line();
                Err(WaitError::TimedOut { what, after, last }.into())
            }
            Err(interrupted) => Err(interrupted.into()),
            Ok(result) => result?.map_err(|stop| match stop {
                // The thread was told to stop only if this future was dropped, so nobody reads this.
                Stop::Cancelled => SshError::Worker("cancelled".into()),
                Stop::Refused(how) => SshError::NotStarted { command: short, how },
                Stop::Lost(how) => SshError::Lost { command: short, how },
            }),
        }
    }
}

fn run(
    state: &mut State,
    cancelled: &PipeReader,
    command: &Command,
    log: &SshLog,
    collected: &Mutex<Collected>,
) -> Result<Output, Stop> {
    let start = Instant::now();
    let entry = log.begin(&command.line, command.stdin.len());
    let result = match state {
        State::Up(wire) => wire.run(cancelled, &command.line, &command.stdin, |stream, bytes| {
            locked(collected).add(stream, bytes);
            ControlFlow::Continue(())
        }),
        State::Down(how) => Err(Stop::Lost(format!("it was lost earlier ({how})"))),
    };
    let duration = start.elapsed();
    let mut collected = locked(collected);
    log.output(entry, &collected.stdout, &collected.stderr, collected.dropped);
    match result {
        Ok(status) => {
            log.end(entry, &status, duration);
            let (stdout, stderr) =
                (std::mem::take(&mut collected.stdout), std::mem::take(&mut collected.stderr));
            Ok(Output { status, stdout, stderr, dropped: collected.dropped, duration })
        }
        Err(stop) => {
            match &stop {
                Stop::Cancelled => log.end(entry, &"given up", duration),
                Stop::Refused(how) => log.end(entry, &format!("not started: {how}"), duration),
                Stop::Lost(how) => log.end(entry, &format!("connection lost: {how}"), duration),
            }
            if let (Stop::Lost(how), State::Up(_)) = (&stop, &*state) {
                *state = State::Down(how.clone());
            }
            Err(stop)
        }
    }
}

/// A lock that a panicking thread can't spoil: what it guards is only ever appended to.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a command has written so far.
struct Collected {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    limit: usize,
    dropped: u64,
    last: Stream,
}

impl Collected {
    fn new(limit: usize) -> Self {
        Self { stdout: Vec::new(), stderr: Vec::new(), limit, dropped: 0, last: Stream::Out }
    }

    fn add(&mut self, stream: Stream, bytes: &[u8]) {
        let kept = match stream {
            Stream::Out => &mut self.stdout,
            Stream::Err => &mut self.stderr,
        };
        let room = bytes.len().min(self.limit - kept.len());
        kept.extend_from_slice(&bytes[..room]);
        self.dropped += (bytes.len() - room) as u64;
        self.last = stream;
    }

    /// The last line with something in it, of the stream that was written last.
    fn last_line(&self) -> Option<String> {
        let kept = match self.last {
            Stream::Out => &self.stdout,
            Stream::Err => &self.stderr,
        };
        let tail = &kept[kept.len().saturating_sub(4096)..];
        let text = String::from_utf8_lossy(tail);
        text.lines().rev().find(|line| !line.trim().is_empty()).map(shorten)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_beyond_the_limit_is_counted() {
        let mut collected = Collected::new(4);
        collected.add(Stream::Out, b"abc");
        collected.add(Stream::Err, b"why\n");
        collected.add(Stream::Out, b"def");
        collected.add(Stream::Err, b"\n");
        assert_eq!((collected.stdout.as_slice(), collected.dropped), (&b"abcd"[..], 3));
        assert_eq!(collected.last_line().as_deref(), Some("why"));
    }
}
