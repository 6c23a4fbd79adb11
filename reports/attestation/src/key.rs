//! Keys: ed25519, and ECDSA over P-256 with SHA-256, from PEM as OpenSSL writes it.

use std::fmt;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use ed25519_dalek::pkcs8::{DecodePrivateKey as _, DecodePublicKey as _, EncodePublicKey as _};
use ed25519_dalek::{Signer as _, Verifier as _};
use p256::ecdsa;
use sha2::{Digest as _, Sha256};

/// How a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// Ed25519, RFC 8032.
    Ed25519,
    /// ECDSA over P-256 with SHA-256; signatures are in DER.
    EcdsaP256,
}

/// A key to sign with.
pub struct SigningKey(Private);

enum Private {
    Ed25519(Box<ed25519_dalek::SigningKey>),
    EcdsaP256(Box<ecdsa::SigningKey>),
}

/// A key to verify with.
#[derive(Clone, Debug)]
pub struct PublicKey(Public);

#[derive(Clone, Debug)]
enum Public {
    Ed25519(ed25519_dalek::VerifyingKey),
    EcdsaP256(ecdsa::VerifyingKey),
}

/// Why a file is no key that can be used. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It can't be read.
    #[error("the key {} can't be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Others can read it.
    #[error(
        "others can read the private key {} (its mode is {mode:04o}): run `chmod 600 {}`, and replace it if anybody may have",
        path.display(), path.display()
    )]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It is something else.
    #[error("{} {what}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What it is, and what to do.
        what: String,
    },
}

/// How to get a key that can be used.
const MAKE_ONE: &str = "make one with `openssl genpkey -algorithm ed25519 -out key.pem`";

impl SigningKey {
    /// Reads a private key that only its owner can read.
    ///
    /// # Errors
    /// If it can't be read or used, or others can read it.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let read = |source| KeyError::Read { path: path.to_owned(), source };
        let mode = std::fs::metadata(path).map_err(read)?.permissions().mode() & 0o7777;
        let text = std::fs::read_to_string(path).map_err(read)?;
        let key = Self::parse(&text)
            .map_err(|what| KeyError::Unusable { path: path.to_owned(), what })?;
        if mode & 0o077 != 0 {
            return Err(KeyError::Permissions { path: path.to_owned(), mode });
        }
        Ok(key)
    }

    /// Reads a private key: PKCS#8, or SEC1 for elliptic curves.
    ///
    /// # Errors
    /// What it is, and what to do about it, as a clause after the file's name.
    pub fn parse(pem: &str) -> Result<Self, String> {
        let (label, block) = key_block(pem)?;
        let damaged = || "is damaged: what is between its lines BEGIN and END is no key".to_owned();
        if block.contains("ENCRYPTED") {
            return Err("is encrypted, and wheeltap asks for no password: decrypt it with \
                        `openssl pkey -in KEY -out PLAIN`, and remove PLAIN afterwards"
                .to_owned());
        }
        match label {
            "PRIVATE KEY" => {
                if let Ok(key) = ed25519_dalek::SigningKey::from_pkcs8_pem(block) {
                    return Ok(Self(Private::Ed25519(Box::new(key))));
                }
                if let Ok(key) = p256::SecretKey::from_pkcs8_pem(block) {
                    return Ok(Self(Private::EcdsaP256(Box::new(key.into()))));
                }
                Err(other_algorithm(block).unwrap_or_else(damaged))
            }
            "EC PRIVATE KEY" => match p256::SecretKey::from_sec1_pem(block) {
                Ok(key) => Ok(Self(Private::EcdsaP256(Box::new(key.into())))),
                Err(_) => Err(other_curve(block).unwrap_or_else(damaged)),
            },
            "RSA PRIVATE KEY" => Err(other("an RSA key")),
            "OPENSSH PRIVATE KEY" => Err(other("a key of OpenSSH")),
            "PUBLIC KEY" | "CERTIFICATE" => {
                Err(format!("is public ({label}); to sign, the private key is needed, as PEM"))
            }
            label => Err(other(&format!("a {label}"))),
        }
    }

    /// Signs a message; the same message has the same signature each time.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &self.0 {
            Private::Ed25519(key) => key.sign(message).to_bytes().to_vec(),
            Private::EcdsaP256(key) => {
                let signature: ecdsa::DerSignature = key.sign(message);
                signature.as_bytes().to_vec()
            }
        }
    }

    /// The key to verify with.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(match &self.0 {
            Private::Ed25519(key) => Public::Ed25519(key.verifying_key()),
            Private::EcdsaP256(key) => Public::EcdsaP256(*key.verifying_key()),
        })
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.public().id()).finish()
    }
}

impl PublicKey {
    /// Reads a public key.
    ///
    /// # Errors
    /// If it can't be read or used.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| KeyError::Read { path: path.to_owned(), source })?;
        Self::parse(&text).map_err(|what| KeyError::Unusable { path: path.to_owned(), what })
    }

    /// Reads a public key: SubjectPublicKeyInfo, as `openssl pkey -pubout` writes it.
    ///
    /// # Errors
    /// What it is, and what to do about it, as a clause after the file's name.
    pub fn parse(pem: &str) -> Result<Self, String> {
        let (label, block) = key_block(pem)?;
        if label.ends_with("PRIVATE KEY") {
            return Err("is a private key; give the public one, which \
                        `openssl pkey -in KEY -pubout` prints"
                .to_owned());
        }
        if label != "PUBLIC KEY" {
            return Err(other(&format!("a {label}")));
        }
        if let Ok(key) = ed25519_dalek::VerifyingKey::from_public_key_pem(block) {
            return Ok(Self(Public::Ed25519(key)));
        }
        if let Ok(key) = ecdsa::VerifyingKey::from_public_key_pem(block) {
            return Ok(Self(Public::EcdsaP256(key)));
        }
        Err(other_algorithm(block).unwrap_or_else(|| {
            "is damaged: what is between its lines BEGIN and END is no key".to_owned()
        }))
    }

    /// Whether this is the signature of a message.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.0 {
            Public::Ed25519(key) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(message, &signature).is_ok()),
            Public::EcdsaP256(key) => ecdsa::Signature::from_der(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
        }
    }

    /// How it signs.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        match self.0 {
            Public::Ed25519(_) => Algorithm::Ed25519,
            Public::EcdsaP256(_) => Algorithm::EcdsaP256,
        }
    }

    /// Its id: the sha256 in hex of its SubjectPublicKeyInfo in DER. `openssl pkey -pubin -in PUB -outform DER | sha256sum`
    /// prints the same.
    #[must_use]
    pub fn id(&self) -> String {
        let der = match &self.0 {
            Public::Ed25519(key) => key.to_public_key_der(),
            Public::EcdsaP256(key) => key.to_public_key_der(),
        };
        hex::encode(Sha256::digest(der.expect("a key that was read can be written").as_bytes()))
    }
}

/// The block with the key in it, and its label. OpenSSL puts the parameters of a curve before the key.
fn key_block(pem: &str) -> Result<(&str, &str), String> {
    let mut rest = pem;
    while let Some(start) = rest.find("-----BEGIN ") {
        rest = &rest[start..];
        let label = rest["-----BEGIN ".len()..].split("-----").next().unwrap_or_default();
        let end = format!("-----END {label}-----");
        let Some(at) = rest.find(&end) else {
            return Err(format!("is cut off: the line `{end}` is missing"));
        };
        let (block, after) = rest.split_at(at + end.len());
        if label != "EC PARAMETERS" {
            return Ok((label, block));
        }
        rest = after;
    }
    Err(format!("is no PEM file; {MAKE_ONE}"))
}

fn other(what: &str) -> String {
    format!("is {what}, and wheeltap signs with ed25519 or ECDSA over P-256: {MAKE_ONE}")
}

/// What a block holds, by the object identifiers in it, if it is a key of another kind.
fn other_algorithm(block: &str) -> Option<String> {
    /// rsaEncryption, 1.2.840.113549.1.1.1.
    const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];

    let der = der(block)?;
    if contains(&der, RSA) { Some(other("an RSA key")) } else { other_curve(block) }
}

fn other_curve(block: &str) -> Option<String> {
    /// secp384r1, 1.3.132.0.34; secp521r1, 1.3.132.0.35; secp256k1, 1.3.132.0.10; Ed448, 1.3.101.113.
    const OTHERS: [(&[u8], &str); 4] = [
        (&[0x2b, 0x81, 0x04, 0x00, 0x22], "a key of the curve P-384"),
        (&[0x2b, 0x81, 0x04, 0x00, 0x23], "a key of the curve P-521"),
        (&[0x2b, 0x81, 0x04, 0x00, 0x0a], "a key of the curve secp256k1"),
        (&[0x2b, 0x65, 0x71], "an Ed448 key"),
    ];

    let der = der(block)?;
    OTHERS.iter().find(|(id, _)| contains(&der, id)).map(|(_, what)| other(what))
}

fn der(block: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    let body: String = block.lines().filter(|line| !line.starts_with("-----")).collect();
    base64::engine::general_purpose::STANDARD.decode(body.trim()).ok()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
