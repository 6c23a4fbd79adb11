//! Checks a file against its signature while the file passes by.

use std::io::{self, Write};

use jiff::{SignedDuration, Timestamp};
use pgp::armor::BlockType;
use pgp::composed::SignedPublicKey;
use pgp::crypto::public_key::PublicKeyAlgorithm;
use pgp::packet::{Packet, Signature, SignatureType, SignatureVersionSpecific, SubpacketData};
use pgp::types::KeyVersion;
use sha2::digest::DynDigest;

use super::certificate::{Component, end, is_strong, time};
use super::error::SignatureError;
use super::key::TrustedKey;
use super::packets::{Refused, packets};

/// Bytes of a file with signatures. One by RSA-4096 has about 600.
pub const MAX_SIGNATURE: usize = 64 << 10;

/// Signatures of one file. Each is hashed for itself.
const MAX_SIGNATURES: usize = 16;

/// How far the clocks of two hosts may be apart.
const SKEW: SignedDuration = SignedDuration::from_hours(24);

/// Who signed a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The fingerprint of the key or subkey, in hex digits of upper case.
    pub fingerprint: String,
    /// Whose key it is, as the key itself says.
    pub user_id: Option<String>,
    /// When the signature says it was made. The key was valid then.
    pub made: Timestamp,
    /// Since when the key, or its primary key, is no longer valid.
    pub expired_since: Option<Timestamp>,
}

/// A signature that waits for its file: write all of it, then ask who [signed](Verifier::finish) it.
pub struct Verifier {
    certificate: SignedPublicKey,
    user_id: Option<String>,
    candidates: Vec<Candidate>,
    now: Timestamp,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("user_id", &self.user_id).finish_non_exhaustive()
    }
}

/// A signature by the trusted key that holds if the data are the right ones.
struct Candidate {
    signature: Signature,
    hasher: Box<dyn DynDigest + Send>,
    made: Timestamp,
    expires: Option<Timestamp>,
}

impl Verifier {
    /// Takes a detached signature, armored or binary. What can be said without the file is said here, so that nobody
    /// downloads one for a signature that can't hold. Of several signatures one that holds is enough.
    ///
    /// # Errors
    /// There is no signature, none by the key, or none that may count; see [`SignatureError`].
    pub fn new(key: &TrustedKey, signature: &[u8], now: Timestamp) -> Result<Self, SignatureError> {
        let mut candidates = Vec::new();
        let mut refused = None;
        let mut signers = Vec::new();
        for signature in signatures(signature)? {
            match Component::that_made(&signature, &key.certificate) {
                None => signers.push(issuer(&signature)),
                Some(component) => match Candidate::of(signature, component, now) {
                    Ok(candidate) => candidates.push(candidate),
                    Err(error) => refused = refused.or(Some(error)),
                },
            }
        }
        match refused {
            Some(error) if candidates.is_empty() => Err(error),
            None if candidates.is_empty() => {
                signers.dedup();
                Err(SignatureError::OtherKey { trusted: key.fingerprint(), signers })
            }
            _ => Ok(Self {
                certificate: key.certificate.clone(),
                user_id: key.user_id(),
                candidates,
                now,
            }),
        }
    }

    /// Says who signed what was written.
    ///
    /// # Errors
    /// Something else was signed.
    pub fn finish(self) -> Result<Signed, SignatureError> {
        let Self { certificate, user_id, candidates, now } = self;
        let mut bad = String::new();
        for candidate in candidates {
            let Some(by) = Component::that_made(&candidate.signature, &certificate) else {
                continue;
            };
            let (made, expires) = (candidate.made, candidate.expires);
            let fingerprint = by.fingerprint();
            if candidate.holds(by) {
                let expired_since = expires.filter(|expires| *expires <= now);
                return Ok(Signed { fingerprint, user_id, made, expired_since });
            }
            bad = fingerprint;
        }
        Err(SignatureError::Bad { key: bad })
    }
}

impl Write for Verifier {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for candidate in &mut self.candidates {
            candidate.hasher.update(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Candidate {
    fn of(signature: Signature, by: Component<'_>, now: Timestamp) -> Result<Self, SignatureError> {
        let key = by.fingerprint();
        let unsupported = |problem: &str| {
            let problem = problem.to_owned();
            SignatureError::Unsupported { key: by.fingerprint(), problem }
        };
        let Some(config) = signature.config() else {
            return Err(unsupported("its version is not known"));
        };
        match config.typ() {
            SignatureType::Binary => {}
            SignatureType::Text => {
                return Err(SignatureError::NotBinary { key, kind: "one of a text" });
            }
            _ => return Err(SignatureError::NotBinary { key, kind: "one of a key" }),
        }
        if !is_strong(&signature) {
            let hash = config.hash_alg.to_string();
            return Err(SignatureError::WeakHash { key, hash });
        }
        use PublicKeyAlgorithm::{ECDSA, Ed448, Ed25519, EdDSALegacy, RSA, RSASign};
        if ![RSA, RSASign, EdDSALegacy, Ed25519, Ed448, ECDSA].contains(&by.algorithm()) {
            return Err(unsupported("keys of its kind are no longer used"));
        }
        let mut hasher =
            config.hash_alg.new_hasher().map_err(|_| unsupported("its hash is not known"))?;
        match (&config.version_specific, by.version()) {
            (SignatureVersionSpecific::V4, KeyVersion::V4) => {}
            (SignatureVersionSpecific::V6 { salt }, KeyVersion::V6)
                if config.hash_alg.salt_len() == Some(salt.len()) =>
            {
                hasher.update(salt);
            }
            _ => return Err(unsupported("its version is not 4 or 6, or not that of the key")),
        }
        let notation = |data: &SubpacketData| matches!(data, SubpacketData::Notation(_));
        if config.hashed_subpackets().any(|part| part.is_critical && notation(&part.data)) {
            return Err(unsupported("it holds only under conditions that are not known here"));
        }
        let Some(created) = config.created() else {
            return Err(unsupported("it does not say when it was made"));
        };
        let made = time(created);
        if made > now.saturating_add(SKEW).unwrap_or(Timestamp::MAX) {
            return Err(SignatureError::Future { made, now });
        }
        let ended = end(created, signature.signature_expiration_time());
        if let Some(expired) = ended.filter(|ended| *ended <= now) {
            return Err(SignatureError::Ended { key, expired });
        }
        let expires = by.check(made, now)?;
        Ok(Self { signature, hasher, made, expires })
    }

    /// Whether the key has signed what was hashed.
    fn holds(mut self, by: Component<'_>) -> bool {
        let (Some(config), Some(bytes)) = (self.signature.config(), self.signature.signature())
        else {
            return false;
        };
        // It fails for what is critical and not known.
        let Ok(length) = config.hash_signature_data(&mut self.hasher) else { return false };
        let Ok(trailer) = config.trailer(length) else { return false };
        self.hasher.update(&trailer);
        let hashed = self.hasher.finalize();
        let begin = self.signature.signed_hash_value();
        begin.is_some_and(|begin| hashed.starts_with(&begin))
            && by.signed(config.hash_alg, &hashed, bytes)
    }
}

/// The signatures in a file, which must hold nothing else.
fn signatures(bytes: &[u8]) -> Result<Vec<Signature>, SignatureError> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(SignatureError::Empty);
    }
    if bytes.len() > MAX_SIGNATURE {
        return Err(SignatureError::TooLarge);
    }
    let packets = packets(bytes, BlockType::Signature).map_err(|refused| match refused {
        Refused::Other(what) => SignatureError::NotASignature { what },
        Refused::Secret => SignatureError::NotASignature { what: "a secret key" },
        Refused::Damaged(problem) => SignatureError::Damaged { problem },
    })?;
    let mut all = Vec::new();
    for packet in packets {
        match packet {
            Packet::Signature(signature) => all.push(signature),
            Packet::Marker(_) | Packet::Padding(_) => {}
            Packet::PublicKey(_) => {
                return Err(SignatureError::NotASignature { what: "an OpenPGP key" });
            }
            _ => return Err(SignatureError::NotASignature { what: "an OpenPGP message" }),
        }
    }
    match all.len() {
        0 => Err(SignatureError::NotASignature { what: "a file without any" }),
        1..=MAX_SIGNATURES => Ok(all),
        _ => Err(SignatureError::Damaged { problem: "it holds too many signatures".to_owned() }),
    }
}

/// Who says to have made a signature: a fingerprint, or else the id of a key.
fn issuer(signature: &Signature) -> String {
    if let Some(print) = signature.issuer_fingerprint().first() {
        return format!("{print:X}");
    }
    let id = signature.issuer_key_id().first().map(|id| hex::encode_upper(id.as_ref()));
    id.unwrap_or_else(|| "a key that is not named".to_owned())
}
