//! Runs a script of the recipe so that nothing of it outlives the build.

use std::collections::VecDeque;
use std::env;
use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;

use crate::error::{BuildError, CacheError};
use crate::process::{self, Line};
use crate::tools::search_path;

/// How much of a failed step's output goes into the error.
const KEPT_LINES: usize = 30;

/// Runs `bash SCRIPT ARGUMENTS…` in `directory` and passes on the steps it announces (`step: NAME` lines).
///
/// It also dies when this process is killed, because its standard input then ends (see `die_with_caller` in lib.sh).
pub(crate) fn run(
    script: &Path,
    arguments: &[&OsStr],
    directory: &Path,
    cancel: &AtomicBool,
    progress: &mut dyn FnMut(&str),
) -> Result<(), BuildError> {
    let path = env::join_paths(search_path()).unwrap_or_default();
    let mut command = Command::new("bash");
    command
        .arg(script)
        .args(arguments)
        .current_dir(directory)
        .env("PATH", path)
        .env("TMPDIR", directory)
        .env("WHEELTAP_LIFELINE", "1");

    let mut step = String::from("start");
    let mut output = VecDeque::new();
    let ended = process::run(&mut command, cancel, |line| match line {
        Line::Out(line) => {
            if let Some(name) = line.strip_prefix("step: ") {
                name.clone_into(&mut step);
                progress(name);
            }
        }
        Line::Err(line) => {
            if output.len() == KEPT_LINES {
                output.pop_front();
            }
            output.push_back(line);
        }
    });
    let status = ended.map_err(CacheError::io("run", script))?.ok_or(BuildError::Cancelled)?;
    if status.success() {
        return Ok(());
    }
    let output = output.into_iter().collect::<Vec<_>>().join("\n");
    Err(BuildError::Failed { step, status: status.to_string(), output })
}
