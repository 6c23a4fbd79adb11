//! Files of `KEY=value`, such as os-release.

use std::collections::BTreeMap;

use super::names::{BOARD_KEYS, RELEASES, VERSION_KEYS};
use super::scan::Kept;

fn parse(text: &str) -> BTreeMap<&str, &str> {
    let lines = text.lines().filter_map(|line| line.trim().split_once('='));
    lines.map(|(key, value)| (key, value.trim_matches(['"', '\'']))).collect()
}

fn first(kept: &Kept, keys: &[&str]) -> Option<String> {
    RELEASES.iter().find_map(|path| {
        let text = String::from_utf8_lossy(kept.get(*path)?).into_owned();
        let values = parse(&text);
        let found = keys.iter().find_map(|key| values.get(key));
        found.filter(|value| !value.is_empty()).map(|value| (*value).to_owned())
    })
}

/// The version that the OS says it has.
pub(super) fn version(kept: &Kept) -> Option<String> {
    first(kept, &VERSION_KEYS)
}

/// The board that it is for.
pub(super) fn board(kept: &Kept) -> Option<String> {
    first(kept, &BOARD_KEYS)
}

#[cfg(test)]
mod tests {
    use super::{board, version};
    use crate::image::scan::Kept;

    #[test]
    fn version_and_board_are_found_in_different_files() {
        let mut kept = Kept::new();
        kept.insert(
            "/usr/lib/os-release".to_owned(),
            b"NAME=X\nVERSION=\"4000.0.0\"\nVERSION_ID=1\n".to_vec(),
        );
        let release = b"FLATCAR_RELEASE_BOARD=amd64-usr\n".to_vec();
        kept.insert("/usr/share/flatcar/release".to_owned(), release);
        assert_eq!(version(&kept).as_deref(), Some("4000.0.0"));
        assert_eq!(board(&kept).as_deref(), Some("amd64-usr"));
        assert_eq!(version(&Kept::new()), None);
    }
}
