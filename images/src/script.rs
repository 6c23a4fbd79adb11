//! Runs a script of the recipe so that nothing of it outlives the build.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;
use std::{env, io};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::error::{BuildError, CacheError};
use crate::tools::search_path;

/// How soon a cancelled build notices.
pub(crate) const CANCEL_POLL: Duration = Duration::from_millis(100);

/// How much of a failed step's output goes into the error.
const KEPT_LINES: usize = 30;

enum Line {
    Out(String),
    Err(String),
}

/// Runs `bash SCRIPT ARGUMENTS…` in `directory` and passes on the steps it announces (`step: NAME` lines).
///
/// The script leads a process group of its own. It dies with this call, when `cancel` is set, and (because its
/// standard input then ends, see `die_with_caller` in lib.sh) when this process is killed.
pub(crate) fn run(
    script: &Path,
    arguments: &[&OsStr],
    directory: &Path,
    cancel: &AtomicBool,
    progress: &mut dyn FnMut(&str),
) -> Result<(), BuildError> {
    let failed = |source| CacheError::io("run", script)(source);
    let path = env::join_paths(search_path()).unwrap_or_default();
    let child = Command::new("bash")
        .arg(script)
        .args(arguments)
        .current_dir(directory)
        .env("PATH", path)
        .env("TMPDIR", directory)
        .env("WHEELTAP_LIFELINE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(failed)?;
    let mut group = Group(child);

    let (sender, lines) = mpsc::channel();
    if let (Some(out), Some(err)) = (group.0.stdout.take(), group.0.stderr.take()) {
        forward(out, sender.clone(), Line::Out);
        forward(err, sender, Line::Err);
    }
    let mut step = String::from("start");
    let mut output = VecDeque::new();
    loop {
        match lines.recv_timeout(CANCEL_POLL) {
            Ok(Line::Out(line)) => {
                if let Some(name) = line.strip_prefix("step: ") {
                    name.clone_into(&mut step);
                    progress(name);
                }
            }
            Ok(Line::Err(line)) => {
                if output.len() == KEPT_LINES {
                    output.pop_front();
                }
                output.push_back(line);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if cancel.load(Ordering::Relaxed) {
            return Err(BuildError::Cancelled);
        }
    }

    let status = group.0.wait().map_err(failed)?;
    if status.success() {
        return Ok(());
    }
    let output = output.into_iter().collect::<Vec<_>>().join("\n");
    Err(BuildError::Failed { step, status: status.to_string(), output })
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
