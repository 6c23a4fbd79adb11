//! Keys and signatures of the real GnuPG, and bytes that are none.

mod contract;
mod files;
mod gpg;
mod hostile;

use std::io::Write as _;
use std::path::Path;

use jiff::Timestamp;

use super::*;

const DATA: &[u8] = b"what was signed\r\nand has\nlines\n";

/// The time in which all of this is checked, unless a test says another.
fn now() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().unwrap()
}

fn trust(key: &[u8], fingerprint: &str) -> TrustedKey {
    TrustedKey::from_bytes(Path::new("key.asc"), key, fingerprint).unwrap()
}

/// Checks data in two pieces, as they would come from a server.
fn check(key: &TrustedKey, signature: &[u8], data: &[u8]) -> Result<Signed, SignatureError> {
    let mut verifier = Verifier::new(key, signature, now())?;
    let (begin, end) = data.split_at(data.len() / 3);
    verifier.write_all(begin).unwrap();
    verifier.write_all(end).unwrap();
    verifier.finish()
}
