//! Data URLs, in which Ignition configs have the contents of files.

use std::borrow::Cow;
use std::io::Read as _;
use std::ops::Range;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use flate2::read::GzDecoder;
use regex::bytes::{Regex, RegexBuilder};

/// What is unpacked of compressed content, in bytes. A bomb must not cost more.
const UNPACKED: u64 = 1 << 20;

/// Base64 that may lack its padding and its end.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// Adds the content of data URLs in which there is a secret.
pub(super) fn find(text: &str, depth: u32, spans: &mut Vec<Range<usize>>) {
    static DATA: LazyLock<Regex> = LazyLock::new(|| {
        RegexBuilder::new(r#"(?i:\bdata):([a-zA-Z0-9.+/;=_-]{0,200}),([^\s"'<>\\]+)"#)
            .unicode(false)
            .build()
            .expect("this module's patterns are tested")
    });

    let Some(depth) = depth.checked_sub(1) else { return };
    for url in DATA.captures_iter(text.as_bytes()) {
        let (Some(kind), Some(data)) = (url.get(1), url.get(2)) else { continue };
        let bytes: Cow<'_, [u8]> = percent_encoding::percent_decode(data.as_bytes()).into();
        let bytes = if kind.as_bytes().to_ascii_lowercase().ends_with(b"base64") {
            Cow::Owned(base64(&bytes))
        } else {
            bytes
        };
        if is_secret(&bytes, depth) {
            spans.push(data.range());
        }
    }
}

/// Whether there is a secret in what this is the base64 of.
pub(super) fn is_secret_in_base64(text: &str) -> bool {
    is_secret(&base64(text.as_bytes()), 1)
}

/// Whether there is a secret in a file, which may be compressed.
fn is_secret(bytes: &[u8], depth: u32) -> bool {
    let mut unpacked = Vec::new();
    let bytes = if bytes.starts_with(&[0x1f, 0x8b]) {
        // What was unpacked before the end or a fault is looked at.
        let _ = GzDecoder::new(bytes).take(UNPACKED).read_to_end(&mut unpacked);
        &unpacked
    } else {
        bytes
    };
    matches!(super::redact(&String::from_utf8_lossy(bytes), depth), Cow::Owned(_))
}

/// What base64 means, as far as it is base64.
fn base64(text: &[u8]) -> Vec<u8> {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(byte);
    let digits = &text[..text.iter().position(|byte| !is_digit(byte)).unwrap_or(text.len())];
    // A single digit at the end is less than a byte.
    let digits = &digits[..digits.len() - usize::from(digits.len() % 4 == 1)];
    let engine = if digits.iter().any(|byte| b"-_".contains(byte)) { URL_SAFE } else { STANDARD };
    engine.decode(digits).unwrap_or_default()
}
