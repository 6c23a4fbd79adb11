//! Evidence on the disk: what may be read, and where a link to it leads.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use base64::{Engine, engine::general_purpose::STANDARD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{Attempt, Run};

/// The largest picture that is embedded, in bytes: several times a screen full of text.
const PICTURE: u64 = 400_000;

/// The evidence of a run.
pub(super) struct Files<'a> {
    run: &'a Run,
    /// The directory in which the report will lie, if links from there can work.
    place: Option<PathBuf>,
}

/// A screenshot, or why it isn't shown.
pub(super) enum Picture {
    /// Its data URI, and its width and height in pixels.
    Embedded { uri: String, width: u32, height: u32 },
    /// It is no PNG, or too large.
    LeftOut(&'static str),
}

impl<'a> Files<'a> {
    pub(super) fn new(run: &'a Run, place: Option<&Path>) -> Self {
        Self { run, place: place.and_then(|place| place.canonicalize().ok()) }
    }

    /// The file itself, if there is one and it lies in the directory of its run: a run that came from
    /// elsewhere must not bring this host's files into a report.
    pub(super) fn find(&self, attempt: &Attempt, file: &str) -> Option<PathBuf> {
        let is_below = |component| matches!(component, Component::Normal(_));
        if !Path::new(file).components().all(is_below) {
            return None;
        }
        let root = attempt.run_dir.as_deref().unwrap_or(&self.run.dir).canonicalize().ok()?;
        let path = root.join(file).canonicalize().ok()?;
        // Not a device or a pipe, which would be waited for.
        (path.starts_with(root) && fs::metadata(&path).ok()?.is_file()).then_some(path)
    }

    /// Where a link to the file leads, if it works where the report will lie.
    pub(super) fn link(&self, attempt: &Attempt, file: &str) -> Option<String> {
        self.find(attempt, file)?;
        let root = attempt.run_dir.as_deref().unwrap_or(&self.run.dir).canonicalize().ok()?;
        // Not resolved any further: links within the run are its own business.
        let path = root.join(file);
        Some(percent_encoded(path.strip_prefix(self.place.as_deref()?).ok()?.to_str()?))
    }

    /// A screenshot as it can be embedded.
    pub(super) fn picture(&self, attempt: &Attempt, file: &str) -> Option<Picture> {
        let path = self.find(attempt, file)?;
        let mut bytes = Vec::new();
        File::open(path).ok()?.take(PICTURE + 1).read_to_end(&mut bytes).ok()?;
        if bytes.len() as u64 > PICTURE {
            return Some(Picture::LeftOut("it is larger than 400 kB"));
        }
        let Some((width, height)) = size_of_png(&bytes) else {
            return Some(Picture::LeftOut("it is no PNG"));
        };
        let uri = format!("data:image/png;base64,{}", STANDARD.encode(&bytes));
        Some(Picture::Embedded { uri, width, height })
    }
}

/// Width and height of a PNG, from its first chunk.
/// <https://www.w3.org/TR/png-3/#11IHDR>
fn size_of_png(bytes: &[u8]) -> Option<(u32, u32)> {
    let rest = bytes.strip_prefix(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")?;
    let (width, rest) = rest.split_first_chunk()?;
    let (height, _) = rest.split_first_chunk()?;
    Some((u32::from_be_bytes(*width), u32::from_be_bytes(*height)))
}

/// A relative URL of a relative path. It begins with `./`, so that no name in it is taken for a scheme.
fn percent_encoded(path: &str) -> String {
    /// All but what RFC 3986 calls unreserved, and the slash.
    const ESCAPED: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_').remove(b'~');

    format!("./{}", utf8_percent_encode(path, ESCAPED))
}

#[cfg(test)]
mod tests {
    use super::{percent_encoded, size_of_png};

    #[test]
    fn links_hold_whatever_a_path_holds() {
        assert_eq!(percent_encoded("cells/a b/ü?#\"<"), "./cells/a%20b/%C3%BC%3F%23%22%3C");
        assert_eq!(percent_encoded("javascript:alert(1)"), "./javascript%3Aalert%281%29");
    }

    #[test]
    fn only_a_png_has_a_size() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x02\xd0\0\0\x01\x90\x08\x02";
        assert_eq!(size_of_png(png), Some((720, 400)));
        assert_eq!(size_of_png(&png[..20]), None);
        assert_eq!(size_of_png(b"<svg onload=alert(1)>"), None);
    }
}
