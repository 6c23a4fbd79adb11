//! A directory with listings.
//!
//! Names of files as in flatcar/scripts: `build_library/prod_image_util.sh` for the image and the extensions in it
//! (`rootfs-included-sysexts/NAME_…`) and the others (`flatcar-NAME_…`), `build_library/oem_sysexts.sh` for `oem-ID_…`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::contents;
use super::error::ListingError;
use super::lines::{self, Misread};
use super::words::{self, KernelLine, UsageLine};
use crate::compare::units;
use crate::visible::escaped;
use crate::{Component, Entry, EntryKind, FileKey, Inventory, Listener, Origin, Partition, Unread};

/// What the image's own listings begin with.
const IMAGE: &str = "flatcar_production_image";

/// Where the listings of the extensions lie that are in the image.
const INCLUDED: &str = "rootfs-included-sysexts";

/// What the listings in a directory say; `name` is what the user called it. What none of them says stays unknown.
///
/// # Errors
/// [`ListingError`] for what is no directory, holds no listings, or whose listings can't be read or understood.
pub fn inventory(dir: &Path, name: &str) -> Result<Inventory, ListingError> {
    let mut reader = Reader {
        dir,
        inventory: Inventory {
            name: name.to_owned(),
            origin: Origin::Listings,
            ..Inventory::default()
        },
    };
    reader.component(&Component::Base, dir, IMAGE)?;
    for (component, path, name) in extensions(dir)? {
        reader.component(&component, &path, &name)?;
    }
    reader.contents(&Component::Initrd, dir, &format!("{IMAGE}_initrd"))?;
    reader.contents(&Component::FullInitrd, dir, &format!("{IMAGE}_realinitrd"))?;
    reader.kernel()?;
    reader.usage()?;
    reader.listeners();
    let Inventory { packages, files, kernel_config, partitions, .. } = &reader.inventory;
    if packages.is_none() && files.is_none() && kernel_config.is_none() && partitions.is_none() {
        return Err(ListingError::NoListings { dir: dir.to_owned() });
    }
    reader.version()?;
    Ok(reader.inventory)
}

/// The extensions that have listings: component, directory, and what its files begin with.
fn extensions(dir: &Path) -> Result<Vec<(Component, PathBuf, String)>, ListingError> {
    let mut found = BTreeMap::new();
    for (dir, is_needed) in [(dir.to_owned(), true), (dir.join(INCLUDED), false)] {
        let unreadable = |source| ListingError::Read { path: dir.clone(), source };
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if !is_needed && error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(unreadable(error)),
        };
        for entry in entries {
            let name = entry.map_err(unreadable)?.file_name();
            let Some(name) = name.to_str() else { continue };
            let stem = ["_packages.txt", "_contents.txt", "_contents_wtd.txt"]
                .iter()
                .find_map(|suffix| name.strip_suffix(suffix));
            // The image's own, and those of containers for developers.
            let Some(stem) = stem.filter(|stem| !stem.starts_with("flatcar_")) else { continue };
            found.insert(stem.to_owned(), dir.clone());
        }
    }
    let component = |(name, dir): (String, PathBuf)| (Component::Sysext(name.clone()), dir, name);
    Ok(found.into_iter().map(component).collect())
}

struct Reader<'a> {
    dir: &'a Path,
    inventory: Inventory,
}

impl Reader<'_> {
    /// Packages and files of a component.
    fn component(
        &mut self,
        component: &Component,
        dir: &Path,
        name: &str,
    ) -> Result<(), ListingError> {
        let path = dir.join(format!("{name}_packages.txt"));
        if exists(&path)? {
            let packages = self.inventory.packages.get_or_insert_default();
            let misread = lines::read(&path, |line| {
                let (name, version) = words::package(line)?;
                packages.entry((component.clone(), name)).or_default().insert(version);
                Some(())
            })?;
            self.note(&path, &misread);
        }
        self.contents(component, dir, name)
    }

    /// The files of a component, from the listing that says most.
    fn contents(
        &mut self,
        component: &Component,
        dir: &Path,
        name: &str,
    ) -> Result<(), ListingError> {
        type Parser = fn(&[u8]) -> Option<(String, Entry)>;
        let formats: [(&str, Parser); 2] =
            [("contents", contents::ls_like), ("contents_wtd", contents::with_details)];
        for (kind, parse) in formats {
            let path = dir.join(format!("{name}_{kind}.txt"));
            if !exists(&path)? {
                continue;
            }
            let mut files = Vec::new();
            let misread = lines::read(&path, |line| {
                let (path, entry) = parse(line)?;
                files.push((FileKey { component: component.clone(), path }, entry));
                Some(())
            })?;
            // All at once, since a map that is built of sorted keys costs a fraction of one that grows.
            self.inventory.files.get_or_insert_default().append(&mut files.into_iter().collect());
            self.note(&path, &misread);
            break;
        }
        Ok(())
    }

    fn kernel(&mut self) -> Result<(), ListingError> {
        let path = self.dir.join(format!("{IMAGE}_kernel_config.txt"));
        if !exists(&path)? {
            return Ok(());
        }
        let mut options = BTreeMap::new();
        let mut board = None;
        let misread = lines::read(&path, |line| {
            match words::kernel(line)? {
                KernelLine::Option(option, value) => drop(options.insert(option, value)),
                KernelLine::Architecture(name) => board = words::board(&name),
                KernelLine::Comment => {}
            }
            Some(())
        })?;
        self.note(&path, &misread);
        self.inventory.kernel_config = Some(options);
        // version.txt doesn't say it.
        self.inventory.board = board.map(str::to_owned);
        Ok(())
    }

    fn usage(&mut self) -> Result<(), ListingError> {
        let path = self.dir.join(format!("{IMAGE}_disk_usage.txt"));
        if !exists(&path)? {
            return Ok(());
        }
        let mut partitions = BTreeMap::new();
        let misread = lines::read(&path, |line| {
            if let UsageLine::Mount { path, size, used, filesystem } = words::usage(line)? {
                let label =
                    words::label(&path).map_or_else(|| escaped(path.as_bytes()), str::to_owned);
                let filesystem = Some(escaped(filesystem.as_bytes()));
                partitions.insert(label, Partition { size, used: Some(used), filesystem });
            }
            Some(())
        })?;
        self.note(&path, &misread);
        self.inventory.partitions = Some(partitions);
        Ok(())
    }

    /// Listings tell which sockets are enabled, and not what they listen on, which is in the units.
    fn listeners(&mut self) {
        let Some(files) = &self.inventory.files else { return };
        let is_own =
            |key: &&FileKey| matches!(key.component, Component::Base | Component::Sysext(_));
        if !files.keys().any(|key| key.component == Component::Base) {
            return;
        }
        let enabled = files
            .iter()
            .filter(|(key, entry)| is_own(key) && entry.kind == EntryKind::Symlink)
            .filter_map(|(key, _)| units::enabled_socket(&key.path))
            .map(|unit| Listener {
                unit: unit.to_owned(),
                protocol: Listener::UNKNOWN.to_owned(),
                address: Listener::UNKNOWN.to_owned(),
            });
        self.inventory.listeners = Some(enabled.collect());
    }

    fn version(&mut self) -> Result<(), ListingError> {
        let path = self.dir.join("version.txt");
        if !exists(&path)? {
            return Ok(());
        }
        let mut version = None;
        lines::read(&path, |line| {
            version = words::version(line)?.or(version.take());
            Some(())
        })?;
        self.inventory.version = version;
        Ok(())
    }

    /// What was not understood may have been anything, so that nobody can say that it isn't there.
    fn note(&mut self, path: &Path, misread: &Misread) {
        if misread.count == 0 {
            return;
        }
        let first: Vec<_> = misread.first.iter().map(ToString::to_string).collect();
        self.inventory.unread.push(Unread {
            what: path.strip_prefix(self.dir).unwrap_or(path).display().to_string(),
            why: format!(
                "{} of {} lines are not understood, the first: {}",
                misread.count,
                misread.lines,
                first.join(", ")
            ),
        });
    }
}

/// Whether there is something; that it can't be told is an error.
fn exists(path: &Path) -> Result<bool, ListingError> {
    path.try_exists().map_err(|source| ListingError::Read { path: path.to_owned(), source })
}
