//! One long command on a session of its own, line by line.

use std::{
    fmt,
    io::{self, PipeReader, PipeWriter},
    ops::ControlFlow,
    time::Instant,
};

use tokio::sync::mpsc;

use super::{
    ExitStatus, SshError, SshLog,
    log::shorten,
    wire::{Stop, Stream, Wire},
};
use crate::{Interrupt, WaitError};

/// How many lines may wait for their reader. When they do, the command is made to wait too, by SSH's flow control.
const LINES_AHEAD: usize = 1024;

/// A line that is longer is delivered in pieces, so that a command without line ends can't fill the memory.
const LONGEST_LINE: usize = 64 * 1024;

/// How much of the command's standard error is kept for the log.
const STDERR_KEPT: usize = 64 * 1024;

/// Runs a command such as `journalctl -f` for as long as it lives, and delivers its standard output line by line.
///
/// Its thread sleeps until the guest sends something. Dropping it ends the command's channel and the session.
pub struct Follower {
    command: String,
    items: mpsc::Receiver<Item>,
    interrupt: Interrupt,
    /// How the command ended, once that was read.
    ended: Option<Result<ExitStatus, String>>,
    /// The thread ends when this is closed.
    _guard: PipeWriter,
}

enum Item {
    Line(Vec<u8>),
    Ended(Result<ExitStatus, String>),
}

impl fmt::Debug for Follower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follower").field("command", &self.command).finish_non_exhaustive()
    }
}

impl Follower {
    pub(super) fn start(
        wire: Wire,
        line: String,
        interrupt: Interrupt,
        log: SshLog,
    ) -> Result<Self, SshError> {
        let (cancelled, guard) = io::pipe().map_err(|error| SshError::Worker(error.to_string()))?;
        let (sender, items) = mpsc::channel(LINES_AHEAD);
        let command = shorten(&line);
        tokio::task::spawn_blocking(move || follow(&wire, &cancelled, &line, &log, &sender));
        Ok(Self { command, items, interrupt, ended: None, _guard: guard })
    }

    /// The next line of the command's standard output, without its line end; nothing when the command has ended.
    ///
    /// Lines that have arrived are delivered even if the machine is interrupted meanwhile. Cancel-safe: dropping the
    /// future loses no line.
    ///
    /// # Errors
    /// [`SshError::Lost`] if the connection ended before the command did, and [`SshError::Wait`] for an interruption. There
    /// is no deadline, for silence is not a fault.
    pub async fn next_line(&mut self) -> Result<Option<Vec<u8>>, SshError> {
        if self.ended.is_none() {
            let item = tokio::select! {
                biased;
                item = self.items.recv() => item,
                why = self.interrupt.raised() => {
                    let what = format!("a line of `{}`", self.command);
                    return Err(WaitError::Interrupted { what, why }.into());
                }
            };
            self.ended = Some(match item {
                Some(Item::Line(line)) => return Ok(Some(line)),
                Some(Item::Ended(how)) => how,
                None => Err("its thread is gone".into()),
            });
        }
        match &self.ended {
            Some(Err(how)) => {
                Err(SshError::Lost { command: self.command.clone(), how: how.clone() })
            }
            _ => Ok(None),
        }
    }

    /// How the command ended, after [`Follower::next_line`] has said that it did.
    #[must_use]
    pub fn status(&self) -> Option<&ExitStatus> {
        self.ended.as_ref()?.as_ref().ok()
    }
}

fn follow(
    wire: &Wire,
    cancelled: &PipeReader,
    line: &str,
    log: &SshLog,
    sender: &mpsc::Sender<Item>,
) {
    let start = Instant::now();
    let entry = log.begin(line, 0);
    let (mut lines, mut stderr, mut dropped) = (Lines::default(), Vec::new(), 0);
    let result = wire.run(cancelled, line, &[], |stream, bytes| match stream {
        Stream::Out => lines.add(bytes, |line| match sender.blocking_send(Item::Line(line)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }),
        Stream::Err => {
            let room = bytes.len().min(STDERR_KEPT - stderr.len());
            stderr.extend_from_slice(&bytes[..room]);
            dropped += (bytes.len() - room) as u64;
            ControlFlow::Continue(())
        }
    });
    if !lines.rest.is_empty() {
        // If nobody listens any more, nobody misses it; the same holds for the end below.
        let _ = sender.blocking_send(Item::Line(lines.rest));
    }
    log.output(entry, &[], &stderr, dropped);
    let ended = match result {
        Ok(status) => {
            log.end(entry, &status, start.elapsed());
            Ok(status)
        }
        Err(Stop::Cancelled) => return log.end(entry, &"no longer followed", start.elapsed()),
        Err(Stop::Refused(how) | Stop::Lost(how)) => {
            log.end(entry, &format!("connection lost: {how}"), start.elapsed());
            Err(how)
        }
    };
    let _ = sender.blocking_send(Item::Ended(ended));
}

/// Cuts bytes into lines.
#[derive(Default)]
struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    fn add(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(Vec<u8>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.rest.extend_from_slice(part);
            if self.rest.last() == Some(&b'\n') {
                self.rest.pop();
            } else if self.rest.len() < LONGEST_LINE {
                continue;
            }
            each(std::mem::take(&mut self.rest))?;
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_wherever_packets_end() {
        let (mut lines, mut seen) = (Lines::default(), Vec::new());
        for packet in ["one\ntw", "o\n", "\nthr", "ee"] {
            let flow = lines.add(packet.as_bytes(), |line| {
                seen.push(String::from_utf8(line).unwrap());
                ControlFlow::Continue(())
            });
            assert!(flow.is_continue());
        }
        assert_eq!(seen, ["one", "two", ""]);
        assert_eq!(lines.rest, b"three");
    }
}
