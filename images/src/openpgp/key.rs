//! The key that a user trusts.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use pgp::armor::BlockType;
use pgp::composed::{Deserializable as _, SignedPublicKey};
use pgp::types::KeyDetails as _;

use super::certificate::user_id;
use super::error::KeyError;
use super::packets::{Refused, packets};

/// Keys with many signatures of others have some hundred KiB.
const MAX_KEY: u64 = 1 << 20;

/// A public key that was found by its fingerprint.
#[derive(Debug, Clone)]
pub struct TrustedKey {
    pub(super) certificate: SignedPublicKey,
}

impl TrustedKey {
    /// Reads a public key from a file, armored or binary. Of the keys in it the one whose primary key has the fingerprint
    /// is meant: 40 or 64 hex digits, in any case, with spaces or `0x` if you like.
    ///
    /// # Errors
    /// The file can't be read, holds something else or another key, or the fingerprint is none.
    pub fn load(path: &Path, fingerprint: &str) -> Result<Self, KeyError> {
        let wanted = normalised(fingerprint)?;
        let io = |source| KeyError::Io { path: path.to_owned(), source };
        // Opening a pipe would wait for whoever writes to it.
        if !fs::metadata(path).map_err(io)?.is_file() {
            return Err(KeyError::NotAFile { path: path.to_owned() });
        }
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(io)?;
        file.take(MAX_KEY + 1).read_to_end(&mut bytes).map_err(io)?;
        if bytes.len() as u64 > MAX_KEY {
            return Err(KeyError::TooLarge { path: path.to_owned() });
        }
        Self::from_bytes(path, &bytes, &wanted)
    }

    /// `path` is for messages only.
    pub(super) fn from_bytes(path: &Path, bytes: &[u8], wanted: &str) -> Result<Self, KeyError> {
        let path = path.to_owned();
        if bytes.is_empty() {
            return Err(KeyError::OtherType { path, what: "empty" });
        }
        let packets = match packets(bytes, BlockType::PublicKey) {
            Ok(packets) => packets,
            Err(Refused::Other(what)) => return Err(KeyError::OtherType { path, what }),
            Err(Refused::Secret) => return Err(KeyError::Secret { path }),
            Err(Refused::Damaged(problem)) => return Err(KeyError::Damaged { path, problem }),
        };
        let mut found = Vec::new();
        for certificate in SignedPublicKey::from_packets(packets.into_iter().map(Ok).peekable()) {
            // What isn't part of a certificate.
            let Ok(certificate) = certificate else { continue };
            let fingerprint = format!("{:X}", certificate.fingerprint());
            if fingerprint == wanted {
                return Ok(Self { certificate });
            }
            found.push(fingerprint);
        }
        if found.is_empty() {
            return Err(KeyError::OtherType { path, what: "a file without any public key" });
        }
        Err(KeyError::NotInFile { path, wanted: wanted.to_owned(), found })
    }

    /// The fingerprint of the primary key: 40 or 64 hex digits in upper case.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        format!("{:X}", self.certificate.fingerprint())
    }

    /// Whose key it is, as the key itself says.
    #[must_use]
    pub fn user_id(&self) -> Option<String> {
        user_id(&self.certificate)
    }
}

/// A fingerprint in hex digits of upper case and nothing else.
fn normalised(given: &str) -> Result<String, KeyError> {
    let bad = |problem| KeyError::Fingerprint { given: given.chars().take(200).collect(), problem };
    let digits: String = given.chars().filter(|char| !char.is_whitespace()).collect();
    let digits = digits.strip_prefix("0x").or(digits.strip_prefix("0X")).unwrap_or(&digits);
    if digits.is_empty() {
        return Err(bad("it is empty"));
    }
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(bad("it has other characters than hex digits"));
    }
    match digits.len() {
        40 | 64 => Ok(digits.to_ascii_uppercase()),
        8 | 16 => Err(bad("it is a short key id, and others can make keys with the same")),
        _ => Err(bad("it does not have 40 or 64 digits")),
    }
}
