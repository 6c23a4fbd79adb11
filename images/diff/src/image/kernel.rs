//! The options that the kernel was built with.

use std::collections::BTreeMap;

use super::scan::Kept;

/// Whether a file is the configuration of a kernel.
pub(super) fn is_config(path: &str) -> bool {
    let Some((directory, name)) = path.rsplit_once('/') else { return false };
    match directory {
        "/usr/boot" | "/boot" | "/usr/lib/kernel" => {
            name == "config" || name.starts_with("config-")
        }
        _ => {
            let modules = directory
                .strip_prefix("/usr/lib/modules/")
                .or(directory.strip_prefix("/lib/modules/"));
            modules.is_some_and(|rest| match rest.split_once('/') {
                None => name == "config",
                Some((_, below)) => below == "build" && matches!(name, ".config" | "config"),
            })
        }
    }
}

/// Values by option; the first configuration that there is, in the order of paths.
pub(super) fn config(kept: &Kept) -> Option<BTreeMap<String, String>> {
    let (_, bytes) = kept.iter().find(|(path, _)| is_config(path))?;
    let text = String::from_utf8_lossy(bytes);
    let options = text.lines().filter_map(|line| line.trim().split_once('='));
    let options = options.filter(|(name, _)| name.starts_with("CONFIG_"));
    Some(options.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::{config, is_config};
    use crate::image::scan::Kept;

    #[test_case("/usr/boot/config-6.6.1-flatcar", true)]
    #[test_case("/usr/lib/modules/6.1.0/config", true)]
    #[test_case("/usr/lib/modules/6.1.0/build/.config", true)]
    #[test_case("/usr/lib/modules/6.1.0/kernel/config", false)]
    #[test_case("/boot/configuration", false)]
    fn is_one(path: &str, expected: bool) {
        assert_eq!(is_config(path), expected);
    }

    #[test]
    fn what_is_not_set_is_not_there() {
        let text = b"# comment\nCONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=\"x=y\"\n".to_vec();
        let found = config(&Kept::from([("/boot/config-1".to_owned(), text)])).unwrap();
        let found: Vec<_> = found.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(found, [("CONFIG_A", "y"), ("CONFIG_C", "\"x=y\"")]);
    }
}
