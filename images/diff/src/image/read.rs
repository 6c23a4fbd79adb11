//! From a disk image to an inventory.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use wheeltap_filesystems::{Disk, FileSystemError, Source};

use super::layout::{Part, parts};
use super::names::RPM;
use super::scan::{Scan, Stop, StopReason};
use super::{InventoryError, kernel, listeners, packages, release, users};
use crate::{Component, Inventory, Origin, Partition, Unread};

/// What the image at `path` holds, which the user calls `name`. Each step is told to `step` before it is done. The image is
/// only read, without root; extensions in it are copied to temporary files that have no name.
///
/// # Errors
///
/// If it is no disk image, is damaged, or holds no operating system; or if `cancel` was set. What is there but can't be read
/// for another reason is no error: the inventory says so.
pub fn inventory(
    path: &Path,
    name: &str,
    cancel: &AtomicBool,
    step: &mut dyn FnMut(&str),
) -> Result<Inventory, InventoryError> {
    step("partitions");
    let disk = Disk::open(path)?;
    let mut scan = Scan::new(cancel);
    let about = |what: String, source: FileSystemError| InventoryError::FileSystem {
        image: path.to_owned(),
        what,
        source,
    };
    let mut unread = Vec::new();
    let mut parts = parts(&disk, &mut unread).map_err(|(what, source)| about(what, source))?;
    let partitions = table(&parts);
    if !parts
        .iter()
        .any(|part| part.filesystem.is_some() && matches!(part.mount, Some("" | "/usr")))
    {
        let found = parts.iter().map(|part| match part.kind {
            Some(kind) => format!("{}: {kind}", part.name),
            None => part.name.clone(),
        });
        let found = found.collect::<Vec<_>>().join(", ");
        return Err(InventoryError::NoSystem { image: path.to_owned(), found });
    }
    // The root first, then what is mounted in it.
    parts.sort_by_key(|part| part.mount);
    for part in &parts {
        let (Some(mount), Some(filesystem)) = (part.mount, &part.filesystem) else { continue };
        step(&format!("{} ({})", part.name, filesystem.kind()));
        let added = scan.add(filesystem, &Component::Base, mount);
        added.map_err(|(file, reason)| match reason {
            StopReason::Whole(error) => error,
            StopReason::FileSystem(error) => about(format!("{file} in {}", part.name), error),
        })?;
    }
    for (file, bytes) in std::mem::take(&mut scan.extensions) {
        let extension =
            file.rsplit('/').next().unwrap_or(&file).trim_end_matches(".raw").to_owned();
        step(&format!("extension {extension}"));
        match add_extension(&mut scan, &file, bytes, &extension) {
            Ok(()) => {}
            Err((_, StopReason::Whole(error))) => return Err(error),
            Err((what, StopReason::FileSystem(error))) => {
                // Half an extension would look like one that lost the rest.
                let component = Component::Sysext(extension);
                scan.files.retain(|key, _| key.component != component);
                let what = if what.is_empty() { file } else { format!("{what} in {file}") };
                unread.push(Unread { what, why: error.to_string() });
            }
        }
    }
    let kernel_config = kernel::config(&scan.kept);
    let packages = packages::packages(&scan.kept, &scan.files);
    let base = |path: &str| {
        scan.files.iter().find(|(key, _)| key.component == Component::Base && key.path == path)
    };
    for path in RPM.iter().filter(|path| base(path).is_some()) {
        let why = "databases of rpm are not read, so its packages are not compared".to_owned();
        unread.push(Unread { what: (*path).to_owned(), why });
    }
    unread.append(&mut scan.unread);
    unread.sort();
    unread.dedup();
    Ok(Inventory {
        name: name.to_owned(),
        origin: Origin::Image,
        board: release::board(&scan.kept),
        version: release::version(&scan.kept),
        size: Some(disk.size()),
        packages,
        kernel_config,
        partitions: Some(partitions),
        listeners: Some(listeners::listeners(&scan.kept, &scan.files)),
        users: users::users(&scan.kept),
        files: Some(scan.files),
        unread,
    })
}

fn table(parts: &[Part<'_>]) -> BTreeMap<String, Partition> {
    let entry = |part: &Part<'_>| {
        let used = part.filesystem.as_ref().map(|filesystem| filesystem.usage().used);
        let filesystem = part.kind.map(|kind| kind.to_string());
        (part.name.clone(), Partition { size: part.partition.size, used, filesystem })
    };
    parts.iter().map(entry).collect()
}

/// An extension is a disk of its own, with or without partitions.
fn add_extension(scan: &mut Scan<'_>, file: &str, bytes: File, name: &str) -> Result<(), Stop> {
    let whole = |error: FileSystemError| (String::new(), StopReason::FileSystem(error));
    let source = Source::from_file(bytes).map_err(|error| whole(error.into()))?;
    let disk = Disk::of(source, Path::new(file));
    // A disk that isn't one is as if its file system were unknown.
    let Ok(disk) = disk else { return Err(whole(FileSystemError::Unknown)) };
    let component = Component::Sysext(name.to_owned());
    let mut unread = Vec::new();
    let parts = parts(&disk, &mut unread).map_err(|(_, error)| whole(error))?;
    for Unread { what, why } in unread {
        scan.unread.push(Unread { what: format!("{what} in {file}"), why });
    }
    for part in &parts {
        if let (Some(mount), Some(filesystem)) = (part.mount, &part.filesystem) {
            scan.add(filesystem, &component, mount)?;
        }
    }
    Ok(())
}
