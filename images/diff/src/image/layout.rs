//! What is mounted where.

use wheeltap_filesystems::{Disk, FileSystem, FileSystemError, Kind, Partition};

use super::names::{ESP, MOUNTS};
use crate::Unread;

/// A partition, its name, and what is in it.
pub(super) struct Part<'a> {
    pub(super) name: String,
    pub(super) partition: &'a Partition,
    pub(super) kind: Option<Kind>,
    pub(super) filesystem: Option<FileSystem>,
    /// Where it is mounted, without the slash at the end; the root is empty.
    pub(super) mount: Option<&'static str>,
}

/// Opens what is in each partition, and says where it belongs. What can't be read for a reason goes to `unread`; what is
/// damaged is an error, with the name of the partition.
pub(super) fn parts<'a>(
    disk: &'a Disk,
    unread: &mut Vec<Unread>,
) -> Result<Vec<Part<'a>>, (String, FileSystemError)> {
    let mut parts: Vec<Part<'a>> = Vec::new();
    for partition in disk.partitions() {
        let mut name = match &*partition.label {
            "" => format!("partition {}", partition.number),
            label => label.to_owned(),
        };
        if parts.iter().any(|part| part.name == name) {
            name = format!("{name} ({})", partition.number);
        }
        let failed = |error| (name.clone(), error);
        let kind = FileSystem::detect(&partition.source).map_err(failed)?;
        let filesystem = match FileSystem::open(partition.source.clone()) {
            Ok(filesystem) => Some(filesystem),
            Err(FileSystemError::Unknown) => None,
            // Neither is a place for files.
            Err(FileSystemError::Foreign(Kind::Swap | Kind::Verity)) => None,
            Err(error) if is_lack(&error) => {
                unread.push(Unread { what: name.clone(), why: error.to_string() });
                None
            }
            Err(error) => return Err((name, error)),
        };
        parts.push(Part { name, partition, kind, filesystem, mount: None });
    }
    for part in &mut parts {
        let known = MOUNTS.iter().find(|(label, _)| *label == part.name);
        part.mount = known.map(|(_, mount)| mount.trim_end_matches('/'));
    }
    if !parts.iter().any(|part| part.mount == Some("/usr") && part.filesystem.is_some()) {
        guess(&mut parts)?;
    }
    Ok(parts)
}

/// Whether it is our reader that lacks something, and not the image that is damaged.
pub(super) fn is_lack(error: &FileSystemError) -> bool {
    use FileSystemError::{Encrypted, Foreign, Unknown, Unsupported};
    matches!(error, Encrypted(_) | Foreign(_) | Unsupported { .. } | Unknown)
}

/// Another system's disk: what looks like a root directory is one.
fn guess(parts: &mut [Part<'_>]) -> Result<(), (String, FileSystemError)> {
    let alone = parts.len() == 1;
    let mut found = false;
    for part in parts {
        part.mount = None;
        let Some(filesystem) = &part.filesystem else { continue };
        let has = |path: &str| filesystem.find(path).map_err(|error| (part.name.clone(), error));
        if part.partition.type_guid == ESP {
            part.mount = Some("/boot");
        } else if found {
            // The second slot of a system is not compared with itself.
        } else if has("usr/lib/os-release")?.is_some() || has("etc/os-release")?.is_some() {
            (part.mount, found) = (Some(""), true);
        } else if has("lib/os-release")?.is_some() {
            (part.mount, found) = (Some("/usr"), true);
        } else if alone {
            // An extension, or the root of something that has no name.
            (part.mount, found) = (Some(""), true);
        }
    }
    Ok(())
}
