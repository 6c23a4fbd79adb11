//! The files of a decision.

mod attest;
mod html;
mod md;
mod sums;

pub use html::html;
pub use md::markdown;

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};
use wheeltap_attestation::SigningKey;

use crate::write::{ATTESTATION_FILE, GATE_FILE, HTML_FILE, MARKDOWN_FILE, SUMS_FILE};
use crate::{Decision, Effect};

/// The files of a decision: names and bytes. The same decision has the same bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files(pub Vec<(&'static str, Vec<u8>)>);

impl Files {
    /// Renders everything; the attestation only with a key, and if an image is known that it could be about.
    #[must_use]
    pub fn render(decision: &Decision, key: Option<&SigningKey>) -> Self {
        let mut json = serde_json::to_string_pretty(decision)
            .expect("a decision is strings, numbers and lists, which JSON can always hold");
        json.push('\n');
        let mut files = vec![
            (GATE_FILE, json.into_bytes()),
            (MARKDOWN_FILE, markdown(decision).into_bytes()),
            (HTML_FILE, html(decision).into_bytes()),
        ];
        let digests: Vec<_> = files
            .iter()
            .map(|(name, bytes)| ((*name).to_owned(), hex::encode(Sha256::digest(bytes))))
            .collect();
        let sums = sums::render(decision, &digests);
        let sums_digest = hex::encode(Sha256::digest(&sums));
        let attested =
            key.and_then(|key| attest::attest(decision, &digests[0].1, &sums_digest, key));
        files.extend(attested.map(|line| (ATTESTATION_FILE, line.into_bytes())));
        files.push((SUMS_FILE, sums.into_bytes()));
        Self(files)
    }
}

/// The sections of findings, the gravest first.
const SECTIONS: [(Effect, &str); 4] = [
    (Effect::Blocks, "Blocking"),
    (Effect::Incomplete, "Open"),
    (Effect::Accepted, "Accepted"),
    (Effect::Warns, "To look at"),
];

/// A path as a link: everything that means something in a link or a document is encoded (RFC 3986).
fn link(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string can't fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// A probability as people write it.
pub(crate) fn probability(p: f64) -> String {
    if p >= 0.001 { format!("{p:.3}") } else { format!("{p:.1e}") }
}
