//! The two copies of `/usr`, and the bits that say which of them boots.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use thiserror::Error;

/// One copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) label: &'static str,
    /// Its partition, `/dev/disk/by-partlabel/USR-A`.
    pub(crate) device: PathBuf,
    /// Its kernel, `/boot/flatcar/vmlinuz-a`.
    pub(crate) kernel: PathBuf,
}

/// Both copies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slots {
    pub(crate) running: Slot,
    pub(crate) other: Slot,
}

/// There are no slots.
#[derive(Debug, Error)]
pub(crate) enum SlotError {
    #[error("this machine cannot be updated: cannot tell which partition holds /usr: {0}")]
    NoDevice(ToolError),
    #[error("this machine cannot be updated: /usr is on {0}, which is neither USR-A nor USR-B")]
    Neither(String),
    #[error("this machine cannot be updated: there is no partition {0}")]
    NoOther(&'static str),
}

/// A program failed.
#[derive(Debug, Error)]
pub(crate) enum ToolError {
    #[error("cannot run {command}: {source}")]
    Start { command: String, source: std::io::Error },
    #[error("{command} failed ({status}): {output}")]
    Failed { command: String, status: std::process::ExitStatus, output: String },
}

impl Slots {
    /// Which slot runs, and which is the other.
    pub(crate) fn find() -> Result<Self, SlotError> {
        let device = run(&["rootdev", "-s", "/usr"]).map_err(SlotError::NoDevice)?;
        let slots = [Slot::new("USR-A", 'a'), Slot::new("USR-B", 'b')];
        let is_running = |slot: &Slot| {
            fs::canonicalize(&slot.device).is_ok_and(|found| found == Path::new(&device))
        };
        let (running, other) = match slots {
            [a, b] if is_running(&a) => (a, b),
            [a, b] if is_running(&b) => (b, a),
            _ => return Err(SlotError::Neither(device)),
        };
        if !other.device.exists() {
            return Err(SlotError::NoOther(other.label));
        }
        Ok(Self { running, other })
    }
}

impl Slot {
    fn new(label: &'static str, letter: char) -> Self {
        Self {
            label,
            device: Path::new("/dev/disk/by-partlabel").join(label),
            kernel: format!("/boot/flatcar/vmlinuz-{letter}").into(),
        }
    }

    /// Makes sure that the boot loader doesn't choose it.
    pub(crate) fn disable(&self) -> Result<(), ToolError> {
        self.cgpt(&["add", "-P0", "-T0", "-S0"])
    }

    /// Has the boot loader try it once, before the other slot (`flatcar-postinst`).
    pub(crate) fn prefer(&self) -> Result<(), ToolError> {
        self.cgpt(&["repair"])?;
        self.cgpt(&["add", "-S0", "-T1"])?;
        self.cgpt(&["prioritize"])
    }

    fn cgpt(&self, arguments: &[&str]) -> Result<(), ToolError> {
        // cgpt finds the disk by the kernel's name of the partition.
        let device = fs::canonicalize(&self.device).unwrap_or_else(|_| self.device.clone());
        let device = device.to_string_lossy();
        run(&[&["cgpt"], arguments, &[&*device]].concat()).map(drop)
    }
}

/// Runs a program to its end and returns what it printed, without the line's end.
pub(crate) fn run(command: &[&str]) -> Result<String, ToolError> {
    let (program, arguments) = command.split_first().unwrap_or((&"", &[]));
    let command = command.join(" ");
    let output = match Command::new(program).args(arguments).output() {
        Ok(output) => output,
        Err(source) => return Err(ToolError::Start { command, source }),
    };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
        return Err(ToolError::Failed { command, status: output.status, output: said });
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}
