//! From qcow2 to the bytes of the disk, with QEMU's own program.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;

use super::error::CreatePayloadError;
use crate::process::{self, Line};

/// Writes a raw, sparse copy into `directory`, and gives its path.
pub(super) fn to_raw(
    image: &Path,
    directory: &Path,
    cancel: &AtomicBool,
) -> Result<PathBuf, CreatePayloadError> {
    let raw = directory.join("disk.raw");
    let mut command = Command::new("qemu-img");
    command.args(["convert", "-f", "qcow2", "-O", "raw"]).args([image, &raw]);
    let mut output = String::new();
    let ended = process::run(&mut command, cancel, |line| {
        if let Line::Err(line) = line {
            output.push_str(line.trim_start_matches("qemu-img: "));
            output.push('\n');
        }
    });
    let status = ended.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => CreatePayloadError::NoQemuImg,
        _ => CreatePayloadError::io("run", "qemu-img")(error),
    })?;
    if status.ok_or(CreatePayloadError::Cancelled)?.success() {
        return Ok(raw);
    }
    if output.contains("No space left on device") {
        return Err(CreatePayloadError::io("write to", directory)(
            io::ErrorKind::StorageFull.into(),
        ));
    }
    let output = output.trim_end().to_owned();
    Err(CreatePayloadError::QemuImg { image: image.to_owned(), output })
}
