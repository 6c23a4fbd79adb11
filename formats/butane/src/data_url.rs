//! Contents as `data:` URLs (RFC 2397), in the shortest of three forms.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use flate2::{Compression, GzBuilder};

/// A URL, and the value of the key `compression` beside it. None: the user's stays.
pub(crate) struct Encoded {
    pub(crate) url: String,
    pub(crate) compression: Option<&'static str>,
}

/// Contents that the user says to be compressed are not compressed again.
pub(crate) fn encode(contents: &[u8], compression: Option<&str>) -> io::Result<Encoded> {
    let compressed = compression.is_some_and(|method| !method.is_empty());
    let mut best = percent(contents);
    let base64 = format!(";base64,{}", STANDARD.encode(contents));
    if base64.len() < best.len() {
        best = base64;
    }
    if compressed {
        return Ok(Encoded { url: format!("data:{best}"), compression: None });
    }
    // Written even if it is empty: else a config that this is merged into could lend its own.
    let mut method = "";
    let gzip = format!(";base64,{}", STANDARD.encode(gzip(contents)?));
    // The name of the method takes space, too.
    if gzip.len() + "gzip".len() < best.len() {
        (best, method) = (gzip, "gzip");
    }
    Ok(Encoded { url: format!("data:{best}"), compression: Some(method) })
}

/// As Ignition 3.0 gets it, where texts can't be compressed.
pub(crate) fn encode_plainly(contents: &[u8]) -> String {
    format!("data:{}", percent(contents))
}

fn percent(contents: &[u8]) -> String {
    let mut text = String::with_capacity(contents.len() + 1);
    text.push(',');
    for &byte in contents {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

fn gzip(contents: &[u8]) -> io::Result<Vec<u8>> {
    // The header that Go writes: no name, no time, no system.
    let mut encoder =
        GzBuilder::new().mtime(0).operating_system(255).write(Vec::new(), Compression::best());
    encoder.write_all(contents)?;
    encoder.finish()
}
