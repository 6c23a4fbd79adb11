//! Runs a program so that nothing of it outlives the call.

use std::io::{self, BufRead as _, BufReader, Read};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

/// How soon cancelled work notices.
pub(crate) const CANCEL_POLL: Duration = Duration::from_millis(100);

/// What a program writes.
pub(crate) enum Line {
    Out(String),
    Err(String),
}

/// Runs a command to its end, and passes on what it writes. `None` if it was cancelled.
///
/// It leads a process group of its own, which dies with this call or when `cancel` is set. Its standard input is a pipe
/// that ends when this process is killed.
pub(crate) fn run(
    command: &mut Command,
    cancel: &AtomicBool,
    mut hear: impl FnMut(Line),
) -> io::Result<Option<ExitStatus>> {
    let child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()?;
    let mut group = Group(child);

    let (sender, lines) = mpsc::channel();
    if let (Some(out), Some(err)) = (group.0.stdout.take(), group.0.stderr.take()) {
        forward(out, sender.clone(), Line::Out);
        forward(err, sender, Line::Err);
    }
    loop {
        match lines.recv_timeout(CANCEL_POLL) {
            Ok(line) => hear(line),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if cancel.load(Ordering::Relaxed) {
            return Ok(None);
        }
    }
    group.0.wait().map(Some)
}

/// A process group that is gone when this is dropped.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        // The leader is unreaped until `wait` has returned, so until then its id is nobody else's.
        if let Ok(None) = self.0.try_wait() {
            if let Ok(id) = i32::try_from(self.0.id())
                && let Some(group) = Pid::from_raw(id)
            {
                // It fails only if the group has just ended by itself.
                let _ = kill_process_group(group, Signal::KILL);
            }
            let _ = self.0.wait();
        }
    }
}

fn forward(stream: impl Read + Send + 'static, sender: Sender<Line>, kind: fn(String) -> Line) {
    thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n').map_while(io::Result::ok) {
            if sender.send(kind(String::from_utf8_lossy(&line).into_owned())).is_err() {
                return;
            }
        }
    });
}
