//! in-toto statements about test results, in DSSE envelopes that are signed and verified.
//!
//! ```text
//! Statement ─▶ Envelope::sign(payload, keys) ─▶ JSON ─▶ Envelope::parse ─▶ verify(keys) ─▶ Statement
//! ```
//! The statement is of in-toto's Statement v1 with the predicate test-result v0.1; the envelope is DSSE v1, which signs the
//! payload's bytes as they are, so that nothing has to be put into a canonical form first. Bytes in, types out: no clock, no
//! network. Sources: <https://github.com/in-toto/attestation> and <https://github.com/secure-systems-lab/dsse>.

mod envelope;
mod key;
mod statement;

pub use envelope::{Envelope, EnvelopeError, PAYLOAD_TYPE, Signature, VerifyError, pae};
pub use key::{Algorithm, KeyError, PublicKey, SigningKey};
pub use statement::{
    PREDICATE_TYPE, Resource, STATEMENT_TYPE, Statement, StatementError, Subject, TestResult,
    Tested,
};
