//! The recipe of the reference image: the scripts and files below `reference/`, carried in the binary.

use std::borrow::Cow;
use std::path::Path;
use std::{fs, io};

use sha2::{Digest as _, Sha256};

use crate::tools::missing_packages;

/// `(path, contents)`, sorted by path.
type Files = [(&'static str, &'static [u8])];

static EMBEDDED: &Files = include!(concat!(env!("OUT_DIR"), "/recipe.rs"));

/// Scripts that make an image. `unpack DIR` and `build VERSION PACKAGES IMAGE` are what is called.
#[derive(Debug, Clone)]
pub(crate) struct Recipe {
    files: Cow<'static, Files>,
    missing: fn() -> Vec<&'static str>,
}

impl Recipe {
    /// The one that this binary carries.
    pub(crate) fn embedded() -> Self {
        Self { files: Cow::Borrowed(EMBEDDED), missing: missing_packages }
    }

    /// Another one that needs nothing but bash, for tests of the cache.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&'static str, &'static str)]) -> Self {
        let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
        Self { files: files.into(), missing: Vec::new }
    }

    /// Hex digest of every path and content: the part of the cache key that changes with the recipe.
    pub(crate) fn digest(&self) -> String {
        digest_of(self.files.iter())
    }

    /// As [`digest`](Self::digest), of what decides which packages are unpacked and how. A change elsewhere in the
    /// recipe downloads nothing again.
    pub(crate) fn packages_digest(&self) -> String {
        digest_of(self.files.iter().filter(|(name, _)| matches!(*name, "packages" | "unpack")))
    }

    /// The Debian packages that this host lacks to run it.
    pub(crate) fn missing_packages(&self) -> Vec<&'static str> {
        (self.missing)()
    }

    /// Why the recipe has no update client, if it has none: the build of this binary could not make it.
    pub(crate) fn client_missing(&self) -> Option<String> {
        let (_, why) = self.files.iter().find(|(name, _)| *name == "update_engine.missing")?;
        Some(String::from_utf8_lossy(why).into_owned())
    }

    /// Writes all files below a directory.
    pub(crate) fn write(&self, directory: &Path) -> io::Result<()> {
        for (name, contents) in self.files.iter() {
            let path = directory.join(name);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(path, contents)?;
        }
        Ok(())
    }
}

fn digest_of<'a>(files: impl Iterator<Item = &'a (&'static str, &'static [u8])>) -> String {
    let mut hash = Sha256::new();
    for (name, contents) in files {
        // Lengths first, so that no two lists of files run together to the same bytes.
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name);
        hash.update((contents.len() as u64).to_le_bytes());
        hash.update(contents);
    }
    hex::encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carries_what_the_builder_calls() {
        let names: Vec<_> = EMBEDDED.iter().map(|(name, _)| *name).collect();
        for name in ["build", "unpack", "packages", "lib.sh", "steps/disk.sh", "update_engine"] {
            assert!(names.contains(&name), "{name} is missing from the recipe");
        }
    }

    #[test]
    fn digest_sees_names_and_contents() {
        let one = Recipe::of(&[("a", "bc")]);
        assert_ne!(one.digest(), Recipe::of(&[("ab", "c")]).digest());
        assert_ne!(one.digest(), Recipe::of(&[("a", "bd")]).digest());
        assert_eq!(one.digest(), Recipe::of(&[("a", "bc")]).digest());
    }

    #[test]
    fn other_steps_keep_the_packages() {
        let one = Recipe::of(&[("packages", "bash"), ("steps/x.sh", "1")]);
        let two = Recipe::of(&[("packages", "bash"), ("steps/x.sh", "2")]);
        assert_eq!(one.packages_digest(), two.packages_digest());
        assert_ne!(one.digest(), two.digest());
    }

    /// Scenarios and update payloads depend on this table, so a change of it must be seen.
    #[test]
    fn partition_table() {
        let (_, lib) = EMBEDDED.iter().find(|(name, _)| *name == "lib.sh").expect("embedded");
        let text = std::str::from_utf8(lib).expect("UTF-8");
        let table = text.split("LAYOUT='").nth(1).and_then(|rest| rest.split('\'').next());
        insta::assert_snapshot!(table.expect("lib.sh has a LAYOUT"));
    }
}
