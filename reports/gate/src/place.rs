//! Where the files of a decision lie, and how others are named from there.

use std::path::{Component, Path, PathBuf};

/// The directory that a decision is written to.
#[derive(Clone, Debug)]
pub struct Place {
    dir: PathBuf,
}

impl Place {
    /// A directory; it need not be there yet.
    ///
    /// # Errors
    /// If the current directory can't be told, which a relative path needs.
    pub fn new(dir: &Path) -> std::io::Result<Self> {
        let dir = plain(&std::path::absolute(dir)?);
        // As runs are named: without links.
        let parent = dir.parent().and_then(|parent| std::fs::canonicalize(parent).ok());
        let real = parent.zip(dir.file_name()).map(|(parent, name)| parent.join(name));
        Ok(Self { dir: real.unwrap_or(dir) })
    }

    /// The directory, absolute.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A file as it is named from here: relative if it lies below the directory that this one is in, else absolute.
    #[must_use]
    pub fn name_of(&self, path: &Path) -> String {
        let path = plain(&std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
        let named = self
            .dir
            .parent()
            .filter(|parent| parent.parent().is_some())
            .and_then(|parent| path.strip_prefix(parent).ok())
            .map(|inner| Path::new("..").join(inner));
        named.unwrap_or(path).to_string_lossy().into_owned()
    }

    /// The file that is named so from here.
    #[must_use]
    pub fn path_of(&self, name: &str) -> PathBuf {
        // By words: the directory need not be there yet.
        plain(&self.dir.join(name))
    }
}

/// Without `.` and `..`, by words alone, so that the same place has the same name.
fn plain(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use test_case::test_case;

    use super::Place;

    #[test_case("/r/gate", "/r/run/plan.json" => "../run/plan.json")]
    #[test_case("/r/./x/../gate", "/r/run/../policy.toml" => "../policy.toml"; "detours")]
    #[test_case("/r/gate", "/other/policy.toml" => "/other/policy.toml"; "elsewhere")]
    #[test_case("/gate", "/etc/policy.toml" => "/etc/policy.toml"; "at the root all is below")]
    fn names(dir: &str, path: &str) -> String {
        Place::new(Path::new(dir)).unwrap().name_of(Path::new(path))
    }
}
