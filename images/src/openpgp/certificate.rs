//! What a certificate says about its keys, at the time of a signature.

use jiff::Timestamp;
use pgp::composed::{SignedPublicKey, SignedPublicSubKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::crypto::public_key::PublicKeyAlgorithm;
use pgp::packet::{Signature, SignatureType, SubpacketData};
use pgp::types::{Fingerprint, KeyDetails, KeyId, SignatureBytes, Tag, VerifyingKey};

use super::error::SignatureError;

/// A key of a certificate.
#[derive(Debug, Clone, Copy)]
pub(super) enum Component<'a> {
    Primary(&'a SignedPublicKey),
    Subkey(&'a SignedPublicKey, &'a SignedPublicSubKey),
}

impl<'a> Component<'a> {
    /// The key of a certificate that says it made a signature.
    pub(super) fn that_made(
        signature: &Signature,
        certificate: &'a SignedPublicKey,
    ) -> Option<Self> {
        let (ids, prints) = (signature.issuer_key_id(), signature.issuer_fingerprint());
        let made = |id: KeyId, print: Fingerprint| ids.contains(&&id) || prints.contains(&&print);
        if made(certificate.legacy_key_id(), certificate.fingerprint()) {
            return Some(Self::Primary(certificate));
        }
        let subkeys = &certificate.public_subkeys;
        let subkey = subkeys.iter().find(|key| made(key.legacy_key_id(), key.fingerprint()))?;
        Some(Self::Subkey(certificate, subkey))
    }

    fn key(&self) -> &dyn KeyDetails {
        match self {
            Self::Primary(certificate) => &certificate.primary_key,
            Self::Subkey(_, subkey) => &subkey.key,
        }
    }

    pub(super) fn fingerprint(&self) -> String {
        hex::encode_upper(self.key().fingerprint().as_bytes())
    }

    pub(super) fn version(&self) -> pgp::types::KeyVersion {
        self.key().version()
    }

    pub(super) fn algorithm(&self) -> PublicKeyAlgorithm {
        self.key().algorithm()
    }

    /// Whether it signed data with that hash.
    pub(super) fn signed(
        &self,
        hash: HashAlgorithm,
        hashed: &[u8],
        bytes: &SignatureBytes,
    ) -> bool {
        match self {
            Self::Primary(certificate) => certificate.primary_key.verify(hash, hashed, bytes),
            Self::Subkey(_, subkey) => subkey.key.verify(hash, hashed, bytes),
        }
        .is_ok()
    }

    /// Whether it may have made a signature at that time. Says when it expires.
    pub(super) fn check(
        &self,
        made: Timestamp,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, SignatureError> {
        match self {
            Self::Primary(certificate) => {
                let (expiry, may_sign) = check_primary(certificate, made, now)?;
                // Old keys have no flags at all, and then they are for everything.
                if may_sign == Some(false) {
                    return Err(SignatureError::NotForSigning { key: self.fingerprint() });
                }
                Ok(expiry)
            }
            Self::Subkey(certificate, subkey) => {
                let (primary, _) = check_primary(certificate, made, now)?;
                let expiry = self.check_subkey(certificate, subkey, made, now)?;
                Ok(primary.into_iter().chain(expiry).min())
            }
        }
    }

    fn check_subkey(
        &self,
        certificate: &SignedPublicKey,
        subkey: &SignedPublicSubKey,
        made: Timestamp,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, SignatureError> {
        let primary = &certificate.primary_key;
        let key = self.fingerprint();
        let of_type = |typ| subkey.signatures.iter().filter(move |by| by.typ() == Some(typ));
        let holds = |by: &&Signature| by.verify_subkey_binding(primary, &subkey.key).is_ok();
        if let Some(revocation) = of_type(SignatureType::SubkeyRevocation).find(holds) {
            return Err(SignatureError::Revoked { key, reason: reason(revocation) });
        }
        let bindings = of_type(SignatureType::SubkeyBinding);
        let binding = newest(bindings.filter(|by| counts(by, now)).filter(holds));
        let Some(binding) = binding else {
            let problem = "no signature of the primary key says so that is valid today";
            return Err(SignatureError::Unbound { key, problem });
        };
        if !binding.key_flags().sign() {
            return Err(SignatureError::NotForSigning { key });
        }
        // Without it, anybody could claim that somebody else's key was a subkey of theirs.
        let cross = binding
            .embedded_signature()
            .filter(|by| is_strong(by))
            .is_some_and(|by| by.verify_primary_key_binding(&subkey.key, primary).is_ok());
        if !cross {
            let problem = "it has not signed the primary key in turn";
            return Err(SignatureError::Unbound { key, problem });
        }
        lifetime(&subkey.key, key, binding.key_expiration_time(), made)
    }
}

/// When the primary key expires, and whether it may sign files, if it says so.
fn check_primary(
    certificate: &SignedPublicKey,
    made: Timestamp,
    now: Timestamp,
) -> Result<(Option<Timestamp>, Option<bool>), SignatureError> {
    let primary = &certificate.primary_key;
    let key = format!("{:X}", primary.fingerprint());
    let mut revocations = certificate.details.revocation_signatures.iter();
    if let Some(revocation) = revocations.find(|by| by.verify_key(primary).is_ok()) {
        return Err(SignatureError::Revoked { key, reason: reason(revocation) });
    }
    let direct = certificate.details.direct_signatures.iter().filter(|by| {
        by.typ() == Some(SignatureType::Key) && counts(by, now) && by.verify_key(primary).is_ok()
    });
    let direct = newest(direct);
    let users = certificate.details.users.iter();
    let user = newest(users.filter_map(|user| certification(certificate, user, now)));
    if direct.is_none() && user.is_none() {
        let problem = "it has no self-signature that is valid today";
        return Err(SignatureError::Unbound { key, problem });
    }
    // What is said about the key goes before what is said about a name.
    let said = || direct.into_iter().chain(user);
    let expiry = said().find_map(Signature::key_expiration_time);
    let may_sign = said().find(|by| has_flags(by)).map(|by| by.key_flags().sign());
    Ok((lifetime(primary, key, expiry, made)?, may_sign))
}

/// The name of the key that it calls its main one, or else the newest.
pub(super) fn user_id(certificate: &SignedPublicKey) -> Option<String> {
    let certified = certificate.details.users.iter().filter_map(|user| {
        let by = certification(certificate, user, Timestamp::MAX)?;
        Some(((by.is_primary(), created(by)), user))
    });
    let (_, user) = certified.max_by_key(|(rank, _)| *rank)?;
    // It is shown to the user, and may be anything.
    let clean = |char: char| if char.is_control() { '\u{fffd}' } else { char };
    Some(String::from_utf8_lossy(user.id.id()).chars().map(clean).take(200).collect())
}

/// The newest self-signature of a name, unless the name was revoked after it.
fn certification<'a>(
    certificate: &SignedPublicKey,
    user: &'a pgp::types::SignedUser,
    now: Timestamp,
) -> Option<&'a Signature> {
    let primary = &certificate.primary_key;
    let holds = |by: &&Signature| by.verify_certification(primary, Tag::UserId, &user.id).is_ok();
    let revokes = |by: &&Signature| by.typ() == Some(SignatureType::CertRevocation);
    let own = || user.signatures.iter().filter(holds);
    let newest = newest(own().filter(|by| !revokes(by) && counts(by, now)))?;
    let revoked = own().filter(revokes).any(|by| created(by) >= created(newest));
    (!revoked).then_some(newest)
}

/// When a key expires, if it was valid at that time.
fn lifetime(
    key: &impl KeyDetails,
    name: String,
    expiry: Option<pgp::types::Duration>,
    made: Timestamp,
) -> Result<Option<Timestamp>, SignatureError> {
    let created = time(key.created_at());
    if made < created {
        return Err(SignatureError::BeforeKey { key: name, made, created });
    }
    let expired = end(key.created_at(), expiry);
    match expired {
        Some(expired) if made >= expired => {
            Err(SignatureError::Expired { key: name, made, expired })
        }
        expired => Ok(expired),
    }
}

/// Whether what a self-signature says may be believed, if it holds.
fn counts(signature: &Signature, now: Timestamp) -> bool {
    let ended = signature
        .created()
        .and_then(|created| end(created, signature.signature_expiration_time()))
        .is_some_and(|end| end <= now);
    is_strong(signature) && signature.created().is_some() && !ended
}

/// Whether nobody can make other data with the same hash.
pub(super) fn is_strong(signature: &Signature) -> bool {
    use HashAlgorithm::{Sha3_256, Sha3_512, Sha224, Sha256, Sha384, Sha512};
    let strong = [Sha224, Sha256, Sha384, Sha512, Sha3_256, Sha3_512];
    signature.hash_alg().is_some_and(|hash| strong.contains(&hash))
}

fn has_flags(signature: &Signature) -> bool {
    signature.config().is_some_and(|config| {
        config.hashed_subpackets().any(|part| matches!(part.data, SubpacketData::KeyFlags(_)))
    })
}

fn newest<'a>(signatures: impl Iterator<Item = &'a Signature>) -> Option<&'a Signature> {
    signatures.max_by_key(|by| created(by))
}

fn created(signature: &Signature) -> u32 {
    signature.created().map_or(0, pgp::types::Timestamp::as_secs)
}

fn reason(revocation: &Signature) -> String {
    use pgp::packet::RevocationCode::{KeyCompromised, KeyRetired, KeySuperseded};
    let code = match revocation.revocation_reason_code() {
        Some(KeySuperseded) => "there is a newer one",
        Some(KeyCompromised) => "it was stolen",
        Some(KeyRetired) => "it is no longer used",
        _ => "without a reason",
    };
    code.to_owned()
}

/// When something ends that holds for a time, where none and 0 mean forever.
pub(super) fn end(
    from: pgp::types::Timestamp,
    lasts: Option<pgp::types::Duration>,
) -> Option<Timestamp> {
    let seconds = lasts?.as_secs();
    (seconds > 0).then(|| at(i64::from(from.as_secs()) + i64::from(seconds)))
}

pub(super) fn time(time: pgp::types::Timestamp) -> Timestamp {
    at(i64::from(time.as_secs()))
}

/// Two 32-bit numbers of seconds end in 2242, which is not out of range.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
}
