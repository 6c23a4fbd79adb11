//! Files beside a config, for `local` and `trees`.

use std::{
    fs,
    io::{self, Read as _},
    os::unix::fs::PermissionsExt as _,
    path::{Component, Path, PathBuf},
};

/// The largest file that is read, in bytes. An Ignition config that holds more boots nowhere.
pub const MAX_FILE_BYTES: u64 = 64 << 20;
/// The most entries of a tree.
const MAX_ENTRIES: usize = 100_000;

/// Gives contents to `local` and `trees`. Paths are as the user wrote them; errors are sentences without a place.
pub trait Files {
    /// The contents of a file.
    ///
    /// # Errors
    /// If it isn't there, isn't a file, can't be read, or is outside.
    fn read(&self, path: &str) -> Result<Vec<u8>, String>;

    /// What is in a directory, all the way down: by name, what is in a directory right after it.
    ///
    /// # Errors
    /// If there is no such directory, or it is outside.
    fn list(&self, path: &str) -> Result<Vec<Result<Entry, String>>, String>;
}

/// Something in a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// From the tree's root; `.` is the root itself.
    pub path: String,
    /// What it is.
    pub kind: EntryKind,
}

/// What something in a tree is. Directories aren't told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File {
        /// Whether anybody may execute it.
        executable: bool,
    },
    /// A symbolic link.
    Link {
        /// Where it leads.
        target: String,
    },
    /// Something that no config can hold.
    Other,
}

/// The files of a directory. Paths that lead out of it by `..` are refused; symbolic links are followed wherever they lead.
#[derive(Clone, Debug)]
pub struct Directory {
    /// As it was named, for messages.
    name: PathBuf,
    absolute: PathBuf,
}

impl Directory {
    /// # Errors
    /// If the working directory is gone, which a relative path needs.
    pub fn new(path: &Path) -> io::Result<Self> {
        Ok(Self { name: path.to_owned(), absolute: clean(&std::path::absolute(path)?) })
    }

    /// The path in the system, and the one to show.
    fn resolve(&self, path: &str) -> Result<(PathBuf, PathBuf), String> {
        // Joined as texts: `/etc/x` is within the directory, too.
        let inside = clean(Path::new(&format!("{}/{path}", self.absolute.display())));
        let Ok(below) = inside.strip_prefix(&self.absolute) else {
            return Err("local file path traverses outside the files directory".to_owned());
        };
        let shown = match below.as_os_str().is_empty() {
            true => self.name.clone(),
            false => self.name.join(below),
        };
        Ok((inside, shown))
    }
}

/// Without `.`, `..` and double slashes, by its words only.
fn clean(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                cleaned.pop();
            }
            _ => cleaned.push(component),
        }
    }
    cleaned
}

impl Files for Directory {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        let (path, shown) = self.resolve(path)?;
        let say = |error: io::Error| format!("{}: {}", shown.display(), reason(&error));
        // Nothing that would wait for somebody to write.
        let found = fs::metadata(&path).map_err(say)?;
        if found.is_dir() {
            return Err(format!("{}: is a directory", shown.display()));
        }
        if !found.is_file() {
            return Err(format!("{}: is not a regular file", shown.display()));
        }
        let mut contents = Vec::new();
        let file = fs::File::open(&path).map_err(say)?;
        file.take(MAX_FILE_BYTES + 1).read_to_end(&mut contents).map_err(say)?;
        if contents.len() as u64 > MAX_FILE_BYTES {
            return Err(format!(
                "{}: is larger than {} MiB, which no machine would take in its config",
                shown.display(),
                MAX_FILE_BYTES >> 20
            ));
        }
        Ok(contents)
    }

    fn list(&self, path: &str) -> Result<Vec<Result<Entry, String>>, String> {
        let (root, shown) = self.resolve(path)?;
        let say = |error: io::Error| format!("{}: {}", shown.display(), reason(&error));
        if !fs::metadata(&root).map_err(say)?.is_dir() {
            return Err("root of tree must be a directory".to_owned());
        }
        let mut entries = Vec::new();
        let mut waiting = vec![(root, String::new())];
        while let Some((path, name)) = waiting.pop() {
            if entries.len() + waiting.len() > MAX_ENTRIES {
                entries.push(Err(format!("there are more than {MAX_ENTRIES} files in the tree")));
                break;
            }
            match entry(&path, &name) {
                Ok(Some(entry)) => entries.push(Ok(entry)),
                Ok(None) => match children(&path, &name) {
                    Ok(children) => waiting.extend(children),
                    Err(error) => entries.push(Err(error)),
                },
                Err(error) => entries.push(Err(error)),
            }
        }
        Ok(entries)
    }
}

/// None of a directory.
fn entry(path: &Path, name: &str) -> Result<Option<Entry>, String> {
    let say = |error: io::Error| format!("{}: {}", path.display(), reason(&error));
    let found = fs::symlink_metadata(path).map_err(say)?;
    let kind = if found.is_dir() {
        return Ok(None);
    } else if found.is_file() {
        EntryKind::File { executable: found.permissions().mode() & 0o111 != 0 }
    } else if found.is_symlink() {
        let target = fs::read_link(path).map_err(say)?;
        let target = target
            .into_os_string()
            .into_string()
            .map_err(|_| format!("{}: its target is not UTF-8", path.display()))?;
        EntryKind::Link { target }
    } else {
        EntryKind::Other
    };
    let path = if name.is_empty() { "." } else { name };
    Ok(Some(Entry { path: path.to_owned(), kind }))
}

/// The last by name first.
fn children(path: &Path, name: &str) -> Result<Vec<(PathBuf, String)>, String> {
    let say = |error: io::Error| format!("{}: {}", path.display(), reason(&error));
    let mut names = Vec::new();
    for child in fs::read_dir(path).map_err(say)? {
        let child = child.map_err(say)?.file_name().into_string();
        names.push(child.map_err(|name| {
            format!("{}: the name {} is not UTF-8", path.display(), name.display())
        })?);
    }
    names.sort_unstable();
    let within = |child: String| match name {
        "" => child,
        name => format!("{name}/{child}"),
    };
    Ok(names.into_iter().rev().map(|child| (path.join(&child), within(child))).collect())
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file or directory".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::NotADirectory => "what it is in is not a directory".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::{fs::symlink, net::UnixListener};

    use super::{Directory, EntryKind, Files as _, fs};

    fn directory() -> (tempfile::TempDir, Directory) {
        let root = tempfile::tempdir().unwrap();
        let files = root.path().join("files");
        fs::create_dir_all(files.join("a/b")).unwrap();
        fs::write(files.join("a/b/c"), "inside").unwrap();
        fs::write(files.join("a-b"), "").unwrap();
        fs::write(files.join("a.b"), "").unwrap();
        fs::write(root.path().join("outside"), "outside").unwrap();
        symlink("../../outside", files.join("a/link")).unwrap();
        symlink("a", files.join("linked")).unwrap();
        let directory = Directory::new(&files).unwrap();
        (root, directory)
    }

    #[test]
    fn paths_stay_inside_by_their_words() {
        let (_root, files) = directory();
        for path in ["a/b/c", "/a/b/c", "./a/../a/b/c", "../files/a/b/c", "a//b/c"] {
            assert_eq!(files.read(path), Ok(b"inside".to_vec()), "{path}");
        }
        for path in ["../outside", "a/../../outside", "..", "/.."] {
            assert!(files.read(path).unwrap_err().contains("traverses outside"), "{path}");
            assert!(files.list(path).unwrap_err().contains("traverses outside"), "{path}");
        }
    }

    #[test]
    fn links_are_followed_as_butane_follows_them() {
        let (_root, files) = directory();
        assert_eq!(files.read("a/link"), Ok(b"outside".to_vec()));
    }

    #[test]
    fn what_is_no_file_is_not_waited_for() {
        let (root, files) = directory();
        let _listener = UnixListener::bind(root.path().join("files/socket")).unwrap();
        assert!(files.read("socket").unwrap_err().ends_with("is not a regular file"));
        assert!(files.read("").unwrap_err().ends_with("is a directory"));
        assert!(files.read("none").unwrap_err().ends_with("there is no such file or directory"));
        let entries = files.list("").unwrap();
        assert!(entries.iter().flatten().any(|entry| entry.kind == EntryKind::Other));
    }

    #[test]
    fn a_tree_is_listed_by_name_and_all_the_way_down() {
        let (_root, files) = directory();
        let names = |path: &str| -> Vec<String> {
            files.list(path).unwrap().into_iter().map(|entry| entry.unwrap().path).collect()
        };
        assert_eq!(names(""), ["a/b/c", "a/link", "a-b", "a.b", "linked"]);
        // A root that is a link is itself all that there is.
        assert_eq!(names("linked"), ["."]);
        assert!(files.list("a-b").unwrap_err().contains("must be a directory"));
    }
}
