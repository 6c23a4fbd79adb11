//! The envelope: DSSE v1, a payload with signatures over its bytes and its type.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use serde::{Deserialize, Serialize};

use crate::{PublicKey, SigningKey};

/// The type of a payload that is an in-toto statement.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// A payload and who signed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// What the payload is.
    #[serde(rename = "payloadType")]
    pub payload_type: String,
    /// The payload in base64.
    payload: String,
    /// One for each key.
    pub signatures: Vec<Signature>,
}

/// Somebody's signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// A hint at the key, which nobody has to believe; see [`PublicKey::id`].
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub keyid: String,
    /// The signature in base64.
    pub sig: String,
}

/// Why a file is no envelope.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// It is a statement as it is.
    #[error("it is a statement that nobody signed")]
    Unsigned,
    /// There is nothing in it.
    #[error("there is no envelope in it")]
    Empty,
    /// It isn't JSON, or lacks something.
    #[error("it is no DSSE envelope: {0}")]
    Json(#[from] serde_json::Error),
    /// The payload isn't base64.
    #[error("its payload is no base64: {0}")]
    Base64(#[from] base64::DecodeError),
}

/// Why an envelope isn't what a key signed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// Nobody signed it.
    #[error("it has no signature")]
    NoSignature,
    /// The payload is something else.
    #[error("its payload is {found}, and not {PAYLOAD_TYPE}")]
    OtherPayload {
        /// Its type.
        found: String,
    },
    /// A signature names this key and doesn't fit.
    #[error(
        "the signature of the key {key} doesn't fit: the payload was altered after it was signed"
    )]
    Altered {
        /// The key's id.
        key: String,
    },
    /// Others signed it.
    #[error("the key {key} hasn't signed it; it has signatures of {}", others.join(", "))]
    OtherKey {
        /// The key's id.
        key: String,
        /// Ids of those who say that they signed it.
        others: Vec<String>,
    },
}

/// Either alphabet of base64, with or without padding: DSSE lets writers choose.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);

/// What is signed: the *pre-authentication encoding* of DSSE v1.
#[must_use]
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

impl Envelope {
    /// Signs a statement's bytes with each of these keys.
    #[must_use]
    pub fn sign(payload: &[u8], keys: &[SigningKey]) -> Self {
        let message = pae(PAYLOAD_TYPE, payload);
        let signatures = keys.iter().map(|key| Signature {
            keyid: key.public().id(),
            sig: STANDARD.encode(key.sign(&message)),
        });
        Self {
            payload_type: PAYLOAD_TYPE.to_owned(),
            payload: STANDARD.encode(payload),
            signatures: signatures.collect(),
        }
    }

    /// JSON in one line, with its newline.
    #[must_use]
    pub fn line(&self) -> String {
        serde_json::to_string(self).expect("an envelope is strings and lists") + "\n"
    }

    /// Reads the envelopes in a file: one, or several in lines of their own.
    ///
    /// # Errors
    /// If any of them is none, or there is none.
    pub fn parse(bytes: &[u8]) -> Result<Vec<Self>, EnvelopeError> {
        let mut envelopes = Vec::new();
        for value in serde_json::Deserializer::from_slice(bytes).into_iter::<serde_json::Value>() {
            let value = value?;
            if value.get("predicateType").is_some() {
                return Err(EnvelopeError::Unsigned);
            }
            let envelope: Self = serde_json::from_value(value)?;
            envelope.payload()?;
            envelopes.push(envelope);
        }
        if envelopes.is_empty() { Err(EnvelopeError::Empty) } else { Ok(envelopes) }
    }

    /// The payload's bytes, which nobody has verified.
    ///
    /// # Errors
    /// If they aren't base64.
    pub fn payload(&self) -> Result<Vec<u8>, EnvelopeError> {
        Ok(decode(&self.payload)?)
    }

    /// The payload, if it is a statement and each of these keys signed it. What a signature says about its key is believed
    /// by nobody: all of them are tried.
    ///
    /// # Errors
    /// Why not.
    pub fn verify(&self, keys: &[PublicKey]) -> Result<Vec<u8>, VerifyError> {
        if self.signatures.is_empty() || keys.is_empty() {
            return Err(VerifyError::NoSignature);
        }
        let other = || VerifyError::OtherPayload { found: self.payload_type.clone() };
        if self.payload_type != PAYLOAD_TYPE {
            return Err(other());
        }
        let payload = self.payload().map_err(|_| other())?;
        let message = pae(&self.payload_type, &payload);
        for key in keys {
            let fits = |signature: &Signature| {
                decode(&signature.sig).is_ok_and(|bytes| key.verify(&message, &bytes))
            };
            if self.signatures.iter().any(fits) {
                continue;
            }
            let id = key.id();
            if self.signatures.iter().any(|signature| signature.keyid == id) {
                return Err(VerifyError::Altered { key: id });
            }
            let others = self.signatures.iter().map(|signature| match &*signature.keyid {
                "" => "a key that isn't named".to_owned(),
                // It is somebody else's text.
                named => named.chars().filter(|c| !c.is_control()).take(80).collect(),
            });
            return Err(VerifyError::OtherKey { key: id, others: others.collect() });
        }
        Ok(payload)
    }
}

fn decode(text: &str) -> Result<Vec<u8>, base64::DecodeError> {
    let alphabet =
        if text.contains(['-', '_']) { &alphabet::URL_SAFE } else { &alphabet::STANDARD };
    GeneralPurpose::new(alphabet, LENIENT).decode(text)
}
