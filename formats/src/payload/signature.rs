//! Keys and signatures: RSA, PKCS#1 v1.5, SHA-256.
//!
//! What is signed is the digest of everything before the signatures, header included. The message
//! with the signatures says for each of them for which version of the client it is.

use prost::Message as _;
use rsa::pkcs1::DecodeRsaPrivateKey as _;
use rsa::pkcs8::{DecodePrivateKey as _, DecodePublicKey as _};
use rsa::traits::PublicKeyParts;
use rsa::{Pkcs1v15Sign, RsaPrivateKey, RsaPublicKey};
use sha2::{Digest as _, Sha256};

use super::error::{KeyError, SignatureError};
use super::manifest::Sha256Hash;
use super::wire;

/// The version of signatures that Flatcar's client looks at (`kSignatureMessageCurrentVersion`).
pub const CLIENT_VERSION: u32 = 2;

const PUBLIC: &str = "PUBLIC KEY";
const PRIVATE: &str = "PRIVATE KEY";
const PKCS1_PRIVATE: &str = "RSA PRIVATE KEY";

/// A key to check payloads with.
#[derive(Clone, Debug)]
pub struct PublicKey(RsaPublicKey);

impl PublicKey {
    /// Reads a PEM file (`PUBLIC KEY`, the only form that update_engine reads).
    ///
    /// # Errors
    /// It is none, or not of RSA, or not of a usable size.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let found = label(pem, PUBLIC)?;
        if found != PUBLIC {
            let hint = match found {
                PRIVATE | PKCS1_PRIVATE => ": write it with openssl rsa -in KEY -pubout",
                "RSA PUBLIC KEY" => {
                    ": convert it with openssl rsa -RSAPublicKey_in -in KEY -pubout"
                }
                "CERTIFICATE" => ": write it with openssl x509 -in CERT -noout -pubkey",
                _ => "",
            };
            return Err(KeyError::Label { found: found.into(), wanted: PUBLIC, hint });
        }
        let key = RsaPublicKey::from_public_key_pem(pem).map_err(not_rsa(PUBLIC))?;
        check_size(&key)?;
        Ok(Self(key))
    }

    /// SHA-256 of modulus and exponent, to tell keys apart.
    #[must_use]
    pub fn fingerprint(&self) -> Sha256Hash {
        let (modulus, exponent) = (self.0.n().to_bytes_be(), self.0.e().to_bytes_be());
        Sha256Hash(Sha256::new().chain_update(modulus).chain_update(exponent).finalize().into())
    }
}

/// A key to sign payloads with.
pub struct PrivateKey(RsaPrivateKey);

impl PrivateKey {
    /// Reads a PEM file (`PRIVATE KEY` of PKCS#8, or `RSA PRIVATE KEY` of PKCS#1), not encrypted.
    ///
    /// # Errors
    /// It is none, or encrypted, or not of RSA, or not of a usable size.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let key = match label(pem, PRIVATE)? {
            // The old form says in a header line that it is encrypted.
            PKCS1_PRIVATE if !pem.contains("4,ENCRYPTED") => {
                RsaPrivateKey::from_pkcs1_pem(pem).map_err(not_rsa(PKCS1_PRIVATE))?
            }
            PRIVATE => RsaPrivateKey::from_pkcs8_pem(pem).map_err(not_rsa(PRIVATE))?,
            found => {
                let (found, hint) = match found {
                    PKCS1_PRIVATE | "ENCRYPTED PRIVATE KEY" => (
                        "ENCRYPTED PRIVATE KEY",
                        ": write it without a password with openssl pkcs8 -topk8 -nocrypt -in KEY",
                    ),
                    PUBLIC => (found, ": payloads are signed with the other half of the pair"),
                    _ => (found, ""),
                };
                return Err(KeyError::Label { found: found.into(), wanted: PRIVATE, hint });
            }
        };
        check_size(&key)?;
        Ok(Self(key))
    }

    /// The public half.
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.0.to_public_key())
    }

    fn sign(&self, digest: Sha256Hash) -> Result<Vec<u8>, KeyError> {
        // Random numbers blind the computation against timing; the signature is the same each time.
        self.0
            .sign_with_rng(&mut rsa::rand_core::OsRng, Pkcs1v15Sign::new::<Sha256>(), &digest.0)
            .map_err(|error| KeyError::Signing(error.to_string()))
    }
}

/// Signs with all keys. The last is for today's clients, those before for older ones, as in
/// update_engine's `ConvertSignatureToProtobufBlob`.
pub(super) fn sign(keys: &[PrivateKey], digest: Sha256Hash) -> Result<Vec<u8>, KeyError> {
    let data: Result<Vec<_>, _> = keys.iter().map(|key| key.sign(digest)).collect();
    Ok(message(data?).encode_to_vec())
}

/// Bytes that `sign` will return.
pub(super) fn signed_size(keys: &[PrivateKey]) -> usize {
    message(keys.iter().map(|key| vec![0; key.0.size()]).collect()).encoded_len()
}

fn message(data: Vec<Vec<u8>>) -> wire::Signatures {
    let older = data.len() as u32;
    let versions = (CLIENT_VERSION + 1).saturating_sub(older)..;
    let signature = |(data, version)| wire::Signature { version: Some(version), data: Some(data) };
    wire::Signatures { signatures: data.into_iter().zip(versions).map(signature).collect() }
}

/// Accepts what update_engine accepts: the first signature of version 2 must fit.
pub(super) fn verify(
    message: &wire::Signatures,
    key: &PublicKey,
    digest: Sha256Hash,
) -> Result<(), SignatureError> {
    let all = &message.signatures;
    let fits = |signature: &&wire::Signature| {
        let data = signature.data.as_deref().unwrap_or_default();
        key.0.verify(Pkcs1v15Sign::new::<Sha256>(), &digest.0, data).is_ok()
    };
    if all.is_empty() {
        return Err(SignatureError::Unsigned);
    }
    let version = |signature: &wire::Signature| signature.version.unwrap_or(0);
    match all.iter().find(|signature| version(signature) == CLIENT_VERSION) {
        None => Err(SignatureError::OtherVersions { versions: all.iter().map(version).collect() }),
        Some(signature) if fits(&signature) => Ok(()),
        Some(_) => match all.iter().find(fits) {
            Some(other) => Err(SignatureError::OnlyIgnoredFits { version: version(other) }),
            None => Err(SignatureError::Mismatch),
        },
    }
}

/// The label of the first PEM block.
fn label<'a>(pem: &'a str, wanted: &'static str) -> Result<&'a str, KeyError> {
    let label = pem.split_once("-----BEGIN ").and_then(|(_, rest)| rest.split_once("-----"));
    label.map(|(label, _)| label).ok_or(KeyError::NotPem { wanted })
}

fn not_rsa<E: ToString>(wanted: &'static str) -> impl FnOnce(E) -> KeyError {
    move |error| KeyError::NotRsa { wanted, problem: error.to_string() }
}

fn check_size(key: &impl PublicKeyParts) -> Result<(), KeyError> {
    match key.n().bits() {
        2048..=4096 => Ok(()),
        bits => Err(KeyError::Size { bits }),
    }
}
