//! What is offered: a version, for whom, and the files of which it consists.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::{UpdateServerError, Version};

/// What is read of a file at a time while it is hashed, in bytes.
const CHUNK: usize = 256 * 1024;

/// Something to update to.
#[derive(Clone, Debug)]
pub struct Release {
    version: Option<Version>,
    groups: Vec<String>,
    board: Option<String>,
    pub(super) payload: PackageFile,
    pub(super) extensions: Vec<PackageFile>,
}

/// A file to download, with its digests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageFile {
    pub(super) path: PathBuf,
    pub(super) name: String,
    pub(super) size: u64,
    pub(super) sha1: [u8; 20],
    pub(super) sha256: [u8; 32],
}

impl Release {
    /// A release with this payload, without a version and for every group. The payload is read once, for its digests.
    ///
    /// # Errors
    /// If it is no readable file, empty, or has a name that doesn't fit into a URL.
    pub async fn load(payload: &Path) -> Result<Self, UpdateServerError> {
        let payload = PackageFile::load(payload).await?;
        Ok(Self { version: None, groups: Vec::new(), board: None, payload, extensions: Vec::new() })
    }

    /// Adds a package without which the update also succeeds (`required="false"`), such as a system extension.
    ///
    /// # Errors
    /// As for [`Release::load`].
    pub async fn with_extension(mut self, file: &Path) -> Result<Self, UpdateServerError> {
        self.extensions.push(PackageFile::load(file).await?);
        Ok(self)
    }

    /// Says which version the payload leads to. Who runs it already gets no update; a release without a version is offered
    /// always, as by go-omaha's simplest server, but to nobody who pins a version.
    #[must_use]
    pub fn with_version(self, version: Version) -> Self {
        Self { version: Some(version), ..self }
    }

    /// Offers it to clients of this group (`track`) only; may be called several times.
    #[must_use]
    pub fn for_group(mut self, group: impl Into<String>) -> Self {
        self.groups.push(group.into());
        self
    }

    /// Offers it to clients of this board (`amd64-usr`) only. A client that names none is not refused.
    #[must_use]
    pub fn for_board(self, board: impl Into<String>) -> Self {
        Self { board: Some(board.into()), ..self }
    }

    /// The version that it leads to.
    #[must_use]
    pub fn version(&self) -> Option<&Version> {
        self.version.as_ref()
    }

    /// All files, the payload first.
    pub fn packages(&self) -> impl Iterator<Item = &PackageFile> {
        std::iter::once(&self.payload).chain(&self.extensions)
    }

    pub(super) fn is_for(&self, group: Option<&str>) -> bool {
        self.groups.is_empty() || self.groups.iter().any(|it| Some(it.as_str()) == group)
    }

    pub(super) fn runs_on(&self, board: Option<&str>) -> bool {
        match (&self.board, board) {
            (Some(own), Some(board)) => own == board,
            _ => true,
        }
    }

    /// Whether a client that pins versions to `prefix` takes it. The pin is compared as text, as the protocol has it: `4000.`
    /// and `4000.1.0` are clear, while `4000.1` also fits 4000.10.0.
    pub(super) fn fits_pin(&self, prefix: &str) -> bool {
        prefix.is_empty()
            || self.version.as_ref().is_some_and(|version| version.as_str().starts_with(prefix))
    }
}

impl PackageFile {
    /// Name of the file, which is the last part of its URL.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Length in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    async fn load(path: &Path) -> Result<Self, UpdateServerError> {
        let path = path.to_owned();
        let reading = tokio::task::spawn_blocking({
            let path = path.clone();
            move || Self::read(path)
        });
        reading.await.map_err(|stopped| UpdateServerError::Unreadable {
            path,
            source: io::Error::other(stopped),
        })?
    }

    fn read(path: PathBuf) -> Result<Self, UpdateServerError> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let fail = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => UpdateServerError::Missing { path: path.clone() },
            _ => UpdateServerError::Unreadable { path: path.clone(), source },
        };
        // Looked at before it is opened, because opening a named pipe waits for somebody to write into it.
        if !fs::metadata(&path).map_err(fail)?.is_file() {
            return Err(UpdateServerError::NotAFile { path });
        }
        if name.is_empty() || !name.bytes().all(is_plain) {
            return Err(UpdateServerError::BadName { path });
        }
        let (size, sha1, sha256) = File::open(&path).and_then(digest).map_err(fail)?;
        if size == 0 {
            return Err(UpdateServerError::Empty { path });
        }
        Ok(Self { path, name, size, sha1, sha256 })
    }
}

/// Characters that mean themselves in a URL's path.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._+-@".contains(&byte)
}

fn digest(mut file: File) -> io::Result<(u64, [u8; 20], [u8; 32])> {
    let (mut sha1, mut sha256) = (Sha1::new(), Sha256::new());
    let mut chunk = vec![0; CHUNK];
    let mut size = 0;
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok((size, sha1.finalize().into(), sha256.finalize().into())),
            read => {
                sha1.update(&chunk[..read]);
                sha256.update(&chunk[..read]);
                size += read as u64;
            }
        }
    }
}
