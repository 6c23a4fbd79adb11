//! Taking away what a lease is about, and nothing else.
//!
//! A lease is only a file, and what it says may be wrong: damaged, copied, or overtaken by what the user did since. So a
//! path is followed from the root without taking any symbolic link, what is removed must be the user's own, and must bear
//! the mark of its lease: a file that is made after the lease and goes after all else.

use std::{
    ffi::OsStr,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, openat, statat, unlinkat},
    io::Errno,
};

/// Why something stays where it is.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// Whoever wrote the lease meant another place.
    #[error("the way to it leads through a symbolic link, {}", .0.display())]
    Link(PathBuf),
    #[error("its path is not one that wheeltap writes")]
    BadPath,
    #[error("it belongs to another user")]
    NotOurs,
    #[error("it is not marked as wheeltap's; if it is nothing of yours, remove it by hand")]
    NoMark,
    #[error("another file system is mounted in it")]
    Mount,
    #[error("something still writes into it; try again")]
    Busy,
    #[error(transparent)]
    Os(#[from] io::Error),
}

impl From<Errno> for Refusal {
    fn from(error: Errno) -> Self {
        Self::Os(error.into())
    }
}

/// What shows that a directory is wheeltap's.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Proof<'a> {
    /// It holds this file.
    Mark(&'a str),
    /// Its name, of a kind that nobody else uses.
    Name,
}

/// Whether something is done, or only found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// It is removed.
    Remove,
    /// It would be.
    Find,
}

/// How often a directory is emptied into which a process that is about to end still writes.
const ROUNDS: u32 = 4;

/// Removes a directory with all it holds. `Ok(false)` if there is none.
pub(crate) fn directory(path: &Path, proof: Proof<'_>, act: Act) -> Result<bool, Refusal> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Refusal::BadPath);
    };
    let Some(parent) = walk(parent)? else { return Ok(false) };
    let Some(directory) = open_directory(&parent, name, path)? else { return Ok(false) };
    let stat = rustix::fs::fstat(&directory)?;
    if stat.st_uid != rustix::process::geteuid().as_raw() {
        return Err(Refusal::NotOurs);
    }
    let mark = match proof {
        Proof::Mark(mark) if is_file(&directory, mark) => Some(OsStr::new(mark)),
        // The mark is the first to come and the last to go; without it only an empty one may be ours.
        Proof::Mark(_) if !names(&directory)?.is_empty() => return Err(Refusal::NoMark),
        Proof::Mark(_) | Proof::Name => None,
    };
    if act == Act::Find {
        return Ok(true);
    }
    for _ in 0..ROUNDS {
        empty(&directory, mark, stat.st_dev)?;
        if let Some(mark) = mark {
            gone(unlinkat(&directory, mark, AtFlags::empty()))?;
        }
        match unlinkat(&parent, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => return Ok(true),
            Err(Errno::NOTEMPTY | Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Refusal::Busy)
}

/// A file that was there, and why it still is.
#[derive(Debug)]
pub(crate) struct Tried {
    pub(crate) path: PathBuf,
    pub(crate) result: Result<(), Refusal>,
}

/// Removes files in a directory that stays, if it bears the mark: those named, and temporary ones. The mark goes last.
pub(crate) fn files(
    directory: &Path,
    listed: &[String],
    mark: &str,
    act: Act,
) -> Result<Vec<Tried>, Refusal> {
    let Some(opened) = walk(directory)? else { return Ok(Vec::new()) };
    // Without it, the files were never made or are gone, and those of these names are somebody else's.
    if !is_file(&opened, mark) {
        return Ok(Vec::new());
    }
    let temporary = names(&opened)?.into_iter().filter(|name| is_temporary(name));
    let mut results = Vec::new();
    for name in listed.iter().map(Into::into).chain(temporary) {
        if Path::new(&name).file_name() != Some(&name) {
            results.push(Tried { path: directory.join(&name), result: Err(Refusal::BadPath) });
            continue;
        }
        let stat = match statat(&opened, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => continue,
            stat => stat?,
        };
        let result = file(&opened, &name, &stat, act);
        results.push(Tried { path: directory.join(&name), result });
    }
    if act == Act::Remove && results.iter().all(|tried| tried.result.is_ok()) {
        gone(unlinkat(&opened, mark, AtFlags::empty()))?;
    }
    Ok(results)
}

fn file(directory: &OwnedFd, name: &OsStr, stat: &Stat, act: Act) -> Result<(), Refusal> {
    if stat.st_uid != rustix::process::geteuid().as_raw() {
        return Err(Refusal::NotOurs);
    }
    match act {
        Act::Find => Ok(()),
        Act::Remove => gone(unlinkat(directory, name, AtFlags::empty())),
    }
}

/// Whether a name is that of a temporary file of ours: the prefix, and six random letters (tempfile's default).
fn is_temporary(name: &OsStr) -> bool {
    let random = name.as_bytes().strip_prefix(super::TEMPORARY_PREFIX.as_bytes());
    random.is_some_and(|random| random.len() == 6 && random.iter().all(u8::is_ascii_alphanumeric))
}

/// Opens a directory by an absolute path without following a symbolic link. `None` if it doesn't exist.
fn walk(path: &Path) -> Result<Option<OwnedFd>, Refusal> {
    let mut components = path.components();
    if components.next() != Some(Component::RootDir) {
        return Err(Refusal::BadPath);
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut at = openat(CWD, "/", flags | OFlags::PATH, Mode::empty())?;
    let mut so_far = PathBuf::from("/");
    for component in components {
        let Component::Normal(name) = component else { return Err(Refusal::BadPath) };
        so_far.push(name);
        // Only to pass through: that takes no permission to read.
        let next = openat(&at, name, flags | OFlags::PATH | OFlags::NOFOLLOW, Mode::empty());
        at = match next {
            Ok(next) => next,
            Err(error) => return not_there(&at, name, &so_far, error),
        };
    }
    Ok(Some(openat(&at, ".", flags, Mode::empty())?))
}

fn open_directory(parent: &OwnedFd, name: &OsStr, path: &Path) -> Result<Option<OwnedFd>, Refusal> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(parent, name, flags, Mode::empty()) {
        Ok(directory) => Ok(Some(directory)),
        Err(error) => not_there(parent, name, path, error),
    }
}

/// Why there is no directory of that name: because there is nothing, or something else.
fn not_there(
    parent: &OwnedFd,
    name: &OsStr,
    path: &Path,
    error: Errno,
) -> Result<Option<OwnedFd>, Refusal> {
    match error {
        Errno::NOENT => Ok(None),
        Errno::NOTDIR | Errno::LOOP => match statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink => {
                Err(Refusal::Link(path.to_path_buf()))
            }
            Err(Errno::NOENT) => Ok(None),
            _ => Err(error.into()),
        },
        error => Err(error.into()),
    }
}

fn is_file(directory: &OwnedFd, name: &str) -> bool {
    statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile)
}

fn names(directory: impl AsFd) -> Result<Vec<std::ffi::OsString>, Refusal> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name != "." && name != ".." {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

/// Removes all that a directory holds but `spare`.
fn empty(directory: &OwnedFd, spare: Option<&OsStr>, device: u64) -> Result<(), Refusal> {
    for name in names(directory)? {
        if Some(&*name) == spare {
            continue;
        }
        let stat = match statat(directory, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => continue,
            stat => stat?,
        };
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            gone(unlinkat(directory, &name, AtFlags::empty()))?;
            continue;
        }
        if stat.st_dev != device {
            return Err(Refusal::Mount);
        }
        if let Some(inner) = open_directory(directory, &name, Path::new(&name))? {
            empty(&inner, None, device)?;
        }
        gone(unlinkat(directory, &name, AtFlags::REMOVEDIR))?;
    }
    Ok(())
}

/// Somebody else may be taking the same away.
fn gone(result: rustix::io::Result<()>) -> Result<(), Refusal> {
    match result {
        Err(Errno::NOENT) => Ok(()),
        result => Ok(result?),
    }
}
