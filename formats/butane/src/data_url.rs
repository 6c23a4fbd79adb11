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

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use flate2::read::GzDecoder;
    use proptest::{collection::vec, prelude::any, prop_assert, prop_assert_eq, proptest};
    use test_case::test_case;

    use super::encode;

    #[test_case(b"", None => ("data:,".to_owned(), Some("")); "nothing")]
    #[test_case(b"a b\n", None => ("data:,a%20b%0A".to_owned(), Some("")); "text")]
    #[test_case(b"-_.!~*'()", None => ("data:,-_.!~*'()".to_owned(), Some("")); "what needs no escape")]
    #[test_case(b"\0\xff\0\xff\0\xff\0", None => ("data:;base64,AP8A/wD/AA==".to_owned(), Some("")); "bytes")]
    #[test_case(b"\0\xff\0\xff\0", None => ("data:,%00%FF%00%FF%00".to_owned(), Some("")); "two forms of one length")]
    #[test_case(b"\x1f\x8b", Some("gzip") => ("data:,%1F%8B".to_owned(), None); "compressed by the user")]
    #[test_case(b"a", Some("") => ("data:,a".to_owned(), Some("")); "compressed by nobody")]
    fn encodes(contents: &[u8], compression: Option<&str>) -> (String, Option<&'static str>) {
        let encoded = encode(contents, compression).unwrap();
        (encoded.url, encoded.compression)
    }

    /// The plain form of `a` n times has n + 1 letters after `data:`.
    #[test]
    fn compression_has_to_be_worth_its_name() {
        let compressed = |length: usize| {
            let encoded = encode(&vec![b'a'; length], None).unwrap();
            (encoded.compression == Some("gzip")).then(|| encoded.url.len() - "data:".len())
        };
        let first = (1..200).find_map(|length| Some((length, compressed(length)?)));
        let (length, with_gzip) = first.unwrap();
        // One letter less, and the plain form would have been as short.
        assert_eq!(with_gzip + "gzip".len(), length);
    }

    proptest! {
        #[test]
        fn what_is_encoded_can_be_had_again(contents in vec(any::<u8>(), 0..200), repeat in 1..4_usize) {
            let contents = contents.repeat(repeat);
            let encoded = encode(&contents, None).unwrap();
            let decoded = match encoded.url.strip_prefix("data:;base64,") {
                Some(data) => STANDARD.decode(data).unwrap(),
                None => {
                    let text = encoded.url.strip_prefix("data:,").unwrap();
                    let mut bytes = Vec::new();
                    let mut rest = text.as_bytes();
                    while let [first, more @ ..] = rest {
                        if *first == b'%' {
                            bytes.push(u8::from_str_radix(str::from_utf8(&more[..2]).unwrap(), 16).unwrap());
                            rest = &more[2..];
                        } else {
                            bytes.push(*first);
                            rest = more;
                        }
                    }
                    bytes
                }
            };
            let decoded = match encoded.compression {
                Some("gzip") => {
                    let mut plain = Vec::new();
                    GzDecoder::new(&decoded[..]).read_to_end(&mut plain).unwrap();
                    plain
                }
                _ => decoded,
            };
            prop_assert_eq!(decoded, contents);
            // The plain form is never longer than needed.
            prop_assert!(encoded.compression.is_some());
        }
    }
}
