//! Disks of a machine: a copy-on-write overlay on the image, patches to it, and empty extra disks.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use tokio::process::Command;

use crate::{
    DiskPatch, PlatformError,
    lease::{TEMPORARY_PREFIX, leave_no_orphan},
};

/// Bytes per sector that GPT counts in.
const SECTOR: u64 = 512;

/// How much of a disk's start holds the protective MBR, the GPT header and the usual 128 entries, in sectors
/// (UEFI specification 2.10, section 5.3).
const GPT_SECTORS: u64 = 34;

/// Makes `overlay`, a qcow2 file that reads from `image` and takes all writes.
pub(crate) async fn create_overlay(image: &Path, overlay: &Path) -> Result<(), PlatformError> {
    let format = image_format(image).map_err(|error| {
        PlatformError::infra(format!("image {} can't be read: {error}", image.display()))
    })?;
    let image = std::path::absolute(image).map_err(|error| {
        PlatformError::infra(format!("image {} can't be found: {error}", image.display()))
    })?;
    let mut command = Command::new("qemu-img");
    command.args(["create", "-q", "-f", "qcow2", "-F", format, "-b"]).arg(&image).arg(overlay);
    run(command).await
}

/// Makes an empty disk of `size_mib` MiB.
pub(crate) async fn create_empty(file: &Path, size_mib: u32) -> Result<(), PlatformError> {
    let mut command = Command::new("qemu-img");
    command.args(["create", "-q", "-f", "qcow2"]).arg(file).arg(format!("{size_mib}M"));
    run(command).await
}

/// Writes `patches` into `overlay`; the image below it stays as it is.
pub(crate) async fn apply_patches(
    overlay: &Path,
    patches: &[DiskPatch],
) -> Result<(), PlatformError> {
    if patches.is_empty() {
        return Ok(());
    }
    let table = partition_table(overlay).await?;
    for patch in patches {
        let start = partition_start(&table, &patch.partition).ok_or_else(|| {
            PlatformError::infra(format!("the image has no partition labelled {}", patch.partition))
        })?;
        let mut bytes = temporary(overlay)?;
        bytes.write_all(&patch.bytes).map_err(|error| trouble(overlay, &error))?;
        let mut command = Command::new("qemu-io");
        command.args(["-f", "qcow2", "-c"]);
        command.arg(format!(
            "write -s {} {} {}",
            bytes.path().display(),
            start + patch.offset,
            patch.bytes.len()
        ));
        command.arg(overlay);
        run(command).await?;
    }
    Ok(())
}

/// `raw` or `qcow2`, by the first bytes.
fn image_format(image: &Path) -> io::Result<&'static str> {
    let mut magic = [0; 4];
    io::Read::read_exact(&mut std::fs::File::open(image)?, &mut magic)?;
    // QEMU, docs/interop/qcow2.txt: "QFI\xfb".
    Ok(if &magic == b"QFI\xfb" { "qcow2" } else { "raw" })
}

async fn partition_table(overlay: &Path) -> Result<gptman::GPT, PlatformError> {
    let head = temporary(overlay)?;
    let mut command = Command::new("qemu-img");
    command.args(["dd", "-f", "qcow2", "-O", "raw", "bs=512"]);
    command.arg(format!("count={GPT_SECTORS}"));
    command.arg(option("if=", overlay)).arg(option("of=", head.path()));
    run(command).await?;
    let file = head.reopen().map_err(|error| trouble(overlay, &error))?;
    gptman::GPT::read_from(&mut io::BufReader::new(file), SECTOR).map_err(|error| {
        PlatformError::infra(format!("the image has no GUID partition table: {error}"))
    })
}

fn partition_start(table: &gptman::GPT, label: &str) -> Option<u64> {
    table
        .iter()
        .find(|(_, entry)| entry.is_used() && entry.partition_name.as_str() == label)
        .map(|(_, entry)| entry.starting_lba * SECTOR)
}

fn option(key: &str, path: &Path) -> std::ffi::OsString {
    let mut option = std::ffi::OsString::from(key);
    option.push(path);
    option
}

/// A temporary file beside the overlay, where there is room for it.
fn temporary(overlay: &Path) -> Result<tempfile::NamedTempFile, PlatformError> {
    let directory = overlay.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    // By this prefix the lease of the overlay covers it, too.
    let made = tempfile::Builder::new().prefix(TEMPORARY_PREFIX).tempfile_in(directory);
    made.map_err(|error| trouble(overlay, &error))
}

fn trouble(overlay: &Path, error: &io::Error) -> PlatformError {
    PlatformError::infra(format!("can't write beside {}: {error}", overlay.display()))
}

/// Runs a qemu tool to its end; its standard error is the error.
async fn run(mut command: Command) -> Result<(), PlatformError> {
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    // What it would still write after our end, nobody would take away.
    leave_no_orphan(&mut command);
    let output = command.kill_on_drop(true).output().await.map_err(|error| {
        let what = match error.kind() {
            io::ErrorKind::NotFound => {
                format!("{program} is not installed: apt-get install qemu-utils")
            }
            _ => format!("{program} can't be started: {error}"),
        };
        PlatformError::infra(what)
    })?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(PlatformError::infra(format!("{program} failed: {}", stderr.trim())))
}
