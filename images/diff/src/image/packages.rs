//! The packages that an image was made of, if it still knows.

use std::collections::{BTreeMap, BTreeSet};

use super::names::{DPKG_STATUS, PORTAGE};
use super::scan::Kept;
use crate::{Component, FileKey, inventory::Entry};

/// Versions by component and package.
pub(super) type Packages = BTreeMap<(Component, String), BTreeSet<String>>;

/// What dpkg or Portage say that is installed; `None` if neither says anything.
pub(super) fn packages(kept: &Kept, files: &BTreeMap<FileKey, Entry>) -> Option<Packages> {
    let mut packages = Packages::new();
    for bytes in DPKG_STATUS.iter().filter_map(|path| kept.get(*path)) {
        dpkg(&String::from_utf8_lossy(bytes), &mut packages);
    }
    for key in files.keys() {
        let rest = PORTAGE.iter().find_map(|root| key.path.strip_prefix(root));
        let Some((category, package)) = rest.and_then(|rest| rest.split_once('/')) else {
            continue;
        };
        if let Some((name, version)) = portage(package) {
            let name = (key.component.clone(), format!("{category}/{name}"));
            packages.entry(name).or_default().insert(version.to_owned());
        }
    }
    (!packages.is_empty()).then_some(packages)
}

fn dpkg(status: &str, packages: &mut Packages) {
    for paragraph in status.split("\n\n") {
        let field = |name: &str| {
            let mut lines = paragraph.lines().filter_map(|line| line.split_once(": "));
            lines.find(|(key, _)| *key == name).map(|(_, value)| value.trim())
        };
        let installed = field("Status").is_none_or(|status| status.ends_with(" installed"));
        if let (Some(name), Some(version), true) = (field("Package"), field("Version"), installed) {
            let versions = packages.entry((Component::Base, name.to_owned())).or_default();
            versions.insert(version.to_owned());
        }
    }
}

/// Name and version of the directory of a package, such as `systemd-255.4-r1`.
fn portage(directory: &str) -> Option<(&str, &str)> {
    if directory.contains('/') {
        return None;
    }
    // The version begins at the last hyphen before a digit; that of a revision is before an `r`.
    let starts = directory.match_indices('-').map(|(at, _)| at);
    let digit = |at: &usize| directory.as_bytes().get(at + 1).is_some_and(u8::is_ascii_digit);
    let at = starts.rev().find(digit)?;
    Some((&directory[..at], &directory[at + 1..]))
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::{Packages, dpkg, portage};
    use crate::Component;

    #[test_case("systemd-255.4-r1", Some(("systemd", "255.4-r1")))]
    #[test_case("gtk+-3.0-x86-24.1", Some(("gtk+-3.0-x86", "24.1")); "digits in the name")]
    #[test_case("README", None)]
    #[test_case("systemd-255.4/CONTENTS", None)]
    fn splits(directory: &str, expected: Option<(&str, &str)>) {
        assert_eq!(portage(directory), expected);
    }

    #[test]
    fn only_what_is_installed_counts() {
        let status = "Package: a\nStatus: install ok installed\nVersion: 1.0-1\n\nPackage: b\n\
                      Status: deinstall ok config-files\nVersion: 2\n";
        let mut packages = Packages::new();
        dpkg(status, &mut packages);
        let found: Vec<_> = packages.into_iter().collect();
        assert_eq!(found, [((Component::Base, "a".to_owned()), ["1.0-1".to_owned()].into())]);
    }
}
