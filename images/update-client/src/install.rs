//! Writes an update into the slot that doesn't run, and makes that slot the next to boot.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use wheeltap_formats::payload::{self, Part, PublicKey, Sha256Hash, Target};

use crate::download::Download;
use crate::error::UpdateError;
use crate::offer::Offer;
use crate::prefs;
use crate::slots::{Slot, Slots};

const PUBLIC_KEY: &str = "/usr/share/update_engine/update-payload-key.pub.pem";

/// What tells other programs that a reboot would change something (`flatcar-postinst`).
const REBOOT_REQUIRED: &str = "/run/reboot-required";

/// Prepares the other slot: it can't boot any more, and has the kernel that runs, which is what a delta starts from.
pub(crate) fn prepare(slots: &Slots) -> Result<(), UpdateError> {
    let Slots { running, other } = slots;
    let label = other.label;
    other.disable().map_err(|source| UpdateError::Disable { label, source })?;
    // An update that was applied before and forgotten is gone with that; most often there was none.
    let _ = fs::remove_file(REBOOT_REQUIRED);
    copy(running, other).map_err(|source| {
        // What is there is no kernel, and takes room that the next try may need.
        let _ = fs::remove_file(&other.kernel);
        let (from, to) = (running.kernel.clone(), other.kernel.clone());
        UpdateError::CopyKernel { from, to, source }
    })
}

fn copy(from: &Slot, to: &Slot) -> io::Result<()> {
    let mut kernel = File::create(&to.kernel)?;
    io::copy(&mut File::open(&from.kernel)?, &mut kernel)?;
    kernel.sync_all()
}

/// Downloads the payload of an offer into the other slot, and checks it and what was written.
pub(crate) fn write(
    slots: &Slots,
    offer: &Offer,
    progress: &mut dyn FnMut(u64),
) -> Result<(), UpdateError> {
    let key = key()?;
    let Slots { running, other } = slots;
    let mut partition = Partition::open(other)?;
    let mut kernel = open(Part::Kernel, &other.kernel, true)?;
    let mut old_partition = open(Part::Partition, &running.device, false)?;
    let mut old_kernel = open(Part::Kernel, &running.kernel, false)?;
    let mut parts = [
        part(Part::Partition, &mut partition, &mut old_partition),
        part(Part::Kernel, &mut kernel, &mut old_kernel),
    ];
    let mut download = Download::new(offer, progress);
    let verified = match payload::apply(&mut download, Some(&key), &mut parts) {
        Ok(verified) => verified,
        // The payload can't be read because it doesn't come: that is the reason.
        Err(error) => return Err(download.failure.take().map_or(error.into(), UpdateError::from)),
    };
    let announced = Sha256Hash(offer.sha256);
    if verified.sha256 != announced {
        return Err(UpdateError::Hash { announced, found: verified.sha256 });
    }
    let made = verified.summary.parts.iter().find(|part| part.part == Part::Kernel);
    let size = made.ok_or(UpdateError::NoKernel)?.new.size;
    // The kernel that was copied there may have been longer.
    kernel.set_len(size).and_then(|()| kernel.sync_all()).map_err(UpdateError::Write)?;
    partition.device.sync_all().map_err(UpdateError::Write)
}

/// Makes the other slot the next to boot, once. `running` is the version to compare with after the reboot.
pub(crate) fn finish(slots: &Slots, running: &str) -> Result<(), UpdateError> {
    rustix::fs::sync();
    // Before the bits: without it a rollback could not be told from an update.
    prefs::set_previous_version(running).map_err(UpdateError::PostInstall)?;
    let preferred = slots.other.prefer().map_err(|error| error.to_string()).and_then(|()| {
        File::create(REBOOT_REQUIRED)
            .map_err(|error| format!("cannot create {REBOOT_REQUIRED}: {error}"))
    });
    rustix::fs::sync();
    preferred.map(drop).map_err(|mut problem| {
        for undone in [
            slots.other.disable().map_err(|error| error.to_string()),
            prefs::set_previous_version(""),
        ] {
            if let Err(error) = undone {
                problem = format!("{problem}; undoing that failed too: {error}");
            }
        }
        UpdateError::PostInstall(problem)
    })
}

fn key() -> Result<PublicKey, UpdateError> {
    let problem = |problem: String| UpdateError::Key { path: PUBLIC_KEY, problem };
    let pem = fs::read_to_string(PUBLIC_KEY).map_err(|error| problem(error.to_string()))?;
    PublicKey::from_pem(&pem).map_err(|error| problem(error.to_string()))
}

fn open(part: Part, path: &Path, write: bool) -> Result<File, UpdateError> {
    File::options().read(true).write(write).open(path).map_err(|source| UpdateError::Open {
        part,
        path: path.to_owned(),
        source,
    })
}

fn part<'a>(part: Part, target: &'a mut dyn Target, old: &'a mut dyn Read) -> payload::Slot<'a> {
    payload::Slot { part, target, old: Some(old) }
}

/// A partition, with an error that says so when an update is too large for it.
struct Partition {
    label: &'static str,
    device: File,
    size: u64,
    position: u64,
}

impl Partition {
    fn open(slot: &Slot) -> Result<Self, UpdateError> {
        let mut device = open(Part::Partition, &slot.device, true)?;
        let size = device.seek(SeekFrom::End(0)).map_err(UpdateError::Write)?;
        Ok(Self { label: slot.label, device, size, position: size })
    }
}

impl Read for Partition {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.device.read(buffer)?;
        self.position += count as u64;
        Ok(count)
    }
}

impl Write for Partition {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.position + bytes.len() as u64 > self.size {
            let Self { label, size, .. } = self;
            return Err(io::Error::new(
                io::ErrorKind::StorageFull,
                format!("the new /usr is larger than {label}, which has {size} bytes"),
            ));
        }
        let count = self.device.write(bytes)?;
        self.position += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.device.flush()
    }
}

impl Seek for Partition {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position = self.device.seek(to)?;
        Ok(self.position)
    }
}
