//! Packs the system in an image's first slot.

use std::fs::Permissions;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::{NamedTempFile, TempDir};
use wheeltap_formats::payload::{Content, Created, PayloadError, PrivateKey, create as pack};

use super::disk::Disk;
use super::error::CreatePayloadError;
use super::qcow2;
use crate::image::{self, Format};

/// Where the system of a slot is on a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotLayout {
    /// GPT label of the partition with `/usr`, such as `USR-A`.
    pub usr_label: String,
    /// GPT label of the FAT partition with the kernels, such as `EFI-SYSTEM`.
    pub boot_label: String,
    /// The slot's kernel, as a path in that partition, such as `flatcar/vmlinuz-a`.
    pub kernel: String,
}

/// Makes a full payload of the system in a slot of an image: its `/usr` with the verity data, and its kernel.
///
/// Neither root nor a mount is needed. The image is raw or qcow2. `out` appears when it is complete; temporary files
/// are beside it. `step` is told what is being done, in a word or a few. Setting `cancel` ends the work within a
/// second. With several keys, the last is the one for Flatcar's clients; with none, the payload is unsigned.
///
/// # Errors
/// Says what the image lacks or what failed. There is no new `out` then, and nothing else is left behind.
pub fn create_payload(
    image: &Path,
    layout: &SlotLayout,
    keys: &[PrivateKey],
    out: &Path,
    cancel: &AtomicBool,
    step: &mut dyn FnMut(&str),
) -> Result<Created, CreatePayloadError> {
    let directory = out.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    let unwritable = || CreatePayloadError::io("write", out);
    if out.is_dir() {
        return Err(unwritable()(io::ErrorKind::IsADirectory.into()));
    }
    let work = TempDir::new_in(directory).map_err(unwritable())?;
    let (payload, created) = create(image, layout, keys, work.path(), cancel, step)?;
    payload.persist(out).map_err(|error| unwritable()(error.error))?;
    Ok(created)
}

/// Makes a payload in `work`, and puts its bytes on the disk, so that a rename is all that is missing.
pub(super) fn create(
    image: &Path,
    layout: &SlotLayout,
    keys: &[PrivateKey],
    work: &Path,
    cancel: &AtomicBool,
    step: &mut dyn FnMut(&str),
) -> Result<(NamedTempFile, Created), CreatePayloadError> {
    let raw = match image::recognized(image)? {
        Format::Raw => image.to_owned(),
        Format::Qcow2 => {
            step("convert");
            qcow2::to_raw(image, work, cancel)?
        }
    };
    let disk = Disk::open(&raw, image)?;
    let usr = disk.partition(&layout.usr_label)?;

    step("payload");
    // A slot ends with the hashes of dm-verity, whose last block is never all zeros: what follows belongs to nobody.
    let size = usr.used().map_err(CreatePayloadError::io("read", image))?;
    if size == 0 {
        let (image, label) = (image.to_owned(), layout.usr_label.clone());
        return Err(CreatePayloadError::EmptySlot { image, label });
    }

    let writing = || CreatePayloadError::io("write to", work);
    // As public as the user's other files, unlike most temporary ones.
    let public = Permissions::from_mode(0o666);
    let out = tempfile::Builder::new().permissions(public).tempfile_in(work);
    let mut out = out.map_err(writing())?;
    let scratch = tempfile::tempfile_in(work).map_err(writing())?;
    let created = disk.with_file(&layout.boot_label, &layout.kernel, |kernel| {
        let mut usr = Cancellable { inner: BufReader::new(usr.take(size)), cancel };
        let mut kernel = Cancellable { inner: kernel, cancel };
        let content = Content { partition: &mut usr, kernel: Some(&mut kernel) };
        let scratch = Cancellable { inner: scratch, cancel };
        let mut written = BufWriter::new(Cancellable { inner: out.as_file_mut(), cancel });
        pack(content, keys, scratch, &mut written).map_err(|source| match source {
            _ if cancel.load(Ordering::Relaxed) => CreatePayloadError::Cancelled,
            PayloadError::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                CreatePayloadError::io("write to", work)(source)
            }
            source => CreatePayloadError::Payload { image: image.to_owned(), source },
        })
    })?;
    out.as_file().sync_all().map_err(writing())?;
    Ok((out, created))
}

/// Reads and writes until somebody wants an end.
struct Cancellable<'a, T> {
    inner: T,
    cancel: &'a AtomicBool,
}

impl<T> Cancellable<'_, T> {
    fn go_on(&self) -> io::Result<()> {
        match self.cancel.load(Ordering::Relaxed) {
            true => Err(io::Error::other("cancelled")),
            false => Ok(()),
        }
    }
}

impl<T: Read> Read for Cancellable<'_, T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.go_on()?;
        self.inner.read(buffer)
    }
}

impl<T: Write> Write for Cancellable<'_, T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.go_on()?;
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Seek> Seek for Cancellable<'_, T> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}
