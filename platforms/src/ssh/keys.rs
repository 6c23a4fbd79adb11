//! Private keys: a fresh one for each run, or the user's own for a machine that already exists.

use std::{
    fmt,
    fs::OpenOptions,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use ssh_key::{Algorithm, LineEnding, PrivateKey, rand_core::OsRng};

use super::SshError;

/// How an OpenSSH private key without a passphrase starts: base64 of `openssh-key-v1\0` and the cipher's name, `none`, with
/// its length (PROTOCOL.key in OpenSSH's source). The kind of key comes later, so this holds for all of them.
const OPENSSH_UNENCRYPTED: &str = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmU";

/// A private key to log in with. Clones share it.
#[derive(Clone)]
pub struct SshKey {
    pem: Arc<str>,
    path: Option<Arc<Path>>,
}

impl SshKey {
    /// The private key in PEM form, as libssh2 wants it.
    pub(super) fn pem(&self) -> &str {
        &self.pem
    }

    /// The error for a key that libssh2 can't use.
    pub(super) fn unusable(&self, why: impl Into<String>) -> SshError {
        SshError::BadKey { path: self.path.as_deref().map(Path::to_owned), why: why.into() }
    }
}

impl fmt::Debug for SshKey {
    /// Never shows the key itself.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SshKey").field("path", &self.path).finish_non_exhaustive()
    }
}

/// An ed25519 key made for one run, which nobody else has.
#[derive(Clone, Debug)]
pub struct RunKey {
    key: SshKey,
    public: String,
}

impl RunKey {
    /// Makes a key from the operating system's random numbers.
    ///
    /// # Errors
    /// [`SshError::BadKey`] if the key can't be made or encoded.
    pub fn generate() -> Result<Self, SshError> {
        let bad = |error: ssh_key::Error| SshError::BadKey { path: None, why: error.to_string() };
        let mut private = PrivateKey::random(&mut OsRng, Algorithm::Ed25519).map_err(bad)?;
        private.set_comment("wheeltap");
        let public = private.public_key().to_openssh().map_err(bad)?;
        let pem = private.to_openssh(LineEnding::LF).map_err(bad)?;
        Ok(Self { key: SshKey { pem: pem.as_str().into(), path: None }, public })
    }

    /// The public key as a line for `authorized_keys` or Ignition's `sshAuthorizedKeys`.
    #[must_use]
    pub fn public_line(&self) -> &str {
        &self.public
    }

    /// The private key, for a [`Connector`](super::Connector).
    #[must_use]
    pub fn private(&self) -> SshKey {
        self.key.clone()
    }

    /// Writes the private key to a new file with mode 0600, for `ssh -i`.
    ///
    /// # Errors
    /// [`SshError::Write`], also if the file exists.
    pub fn write_private(&self, path: &Path) -> Result<(), SshError> {
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .and_then(|mut file| file.write_all(self.key.pem.as_bytes()))
            .map_err(|source| SshError::Write { path: path.to_owned(), source })
    }
}

/// A private key of the user's, for a machine that already exists.
#[derive(Clone, Debug)]
pub struct UserKey {
    key: SshKey,
}

impl UserKey {
    /// Reads a private key in OpenSSH or PEM form. Its permissions don't matter here.
    ///
    /// # Errors
    /// [`SshError::BadKey`] if it can't be read, is not a private key, or has a passphrase.
    pub fn load(path: &Path) -> Result<Self, SshError> {
        let bad = |why: String| SshError::BadKey { path: Some(PathBuf::from(path)), why };
        let pem = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
        let encrypted = if pem.contains("BEGIN OPENSSH PRIVATE KEY") {
            !pem.contains(OPENSSH_UNENCRYPTED)
        } else if pem.contains("PRIVATE KEY-----") {
            // Older PEM forms say it in a header: `Proc-Type: 4,ENCRYPTED` or `BEGIN ENCRYPTED PRIVATE KEY`.
            pem.contains("ENCRYPTED")
        } else {
            return Err(bad("it is not a private key (a .pub file holds the public half)".into()));
        };
        if encrypted {
            return Err(bad(format!(
                "it has a passphrase; give a key without one (`ssh-keygen -p -f {}` removes it)",
                path.display()
            )));
        }
        Ok(Self { key: SshKey { pem: pem.into(), path: Some(path.into()) } })
    }

    /// The private key, for a [`Connector`](super::Connector).
    #[must_use]
    pub fn private(&self) -> SshKey {
        self.key.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_run_key_is_fresh_and_has_our_comment() {
        let (first, second) = (RunKey::generate().unwrap(), RunKey::generate().unwrap());
        assert_ne!(first.public_line(), second.public_line());
        assert!(first.public_line().starts_with("ssh-ed25519 AAAA"));
        assert!(first.public_line().ends_with(" wheeltap"));
        assert!(!format!("{first:?}").contains("PRIVATE"));
    }

    #[test]
    fn a_written_key_is_private_and_can_be_loaded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("id");
        let key = RunKey::generate().unwrap();
        key.write_private(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(UserKey::load(&path).unwrap().private().pem(), key.private().pem());
        assert!(matches!(key.write_private(&path), Err(SshError::Write { .. })));
    }

    #[test]
    fn a_key_that_cannot_be_used_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("id");
        let why = |content: &str| {
            std::fs::write(&path, content).unwrap();
            UserKey::load(&path).unwrap_err().to_string()
        };
        assert!(why("ssh-ed25519 AAAA core").contains("it is not a private key"));
        assert!(why("-----BEGIN ENCRYPTED PRIVATE KEY-----\n").contains("it has a passphrase"));
        let missing = UserKey::load(&dir.path().join("none")).unwrap_err().to_string();
        assert!(missing.contains("No such file"), "{missing}");
    }
}
