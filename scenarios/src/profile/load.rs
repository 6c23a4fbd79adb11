//! Where profiles come from: the built-in files, or a path.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::Profile;

/// Name and text of each built-in profile, in the order in which they are listed.
const BUILTIN: [(&str, &str); 3] = [
    ("reference", include_str!("../../profiles/reference.toml")),
    ("flatcar", include_str!("../../profiles/flatcar.toml")),
    ("fcos", include_str!("../../profiles/fcos.toml")),
];

/// Why a profile can't be had.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// No built-in profile has this name.
    #[error(
        "there is no profile {name:?}. Known profiles: {}. A path to a TOML file works as well",
        Profile::names().collect::<Vec<_>>().join(", ")
    )]
    Unknown {
        /// The name asked for.
        name: String,
    },
    /// The file can't be read.
    #[error("can't read the profile {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not a valid profile.
    #[error("{file}:{line}:{column}: not a valid profile: {message}")]
    Invalid {
        /// The file.
        file: String,
        /// Line, counted from 1.
        line: usize,
        /// Column in characters, counted from 1.
        column: usize,
        /// What is wrong.
        message: String,
    },
}

impl Profile {
    /// The names of the built-in profiles.
    pub fn names() -> impl Iterator<Item = &'static str> {
        BUILTIN.iter().map(|(name, _)| *name)
    }

    /// A built-in profile.
    ///
    /// # Errors
    /// [`ProfileError::Unknown`] with the known names.
    pub fn builtin(name: &str) -> Result<Self, ProfileError> {
        let (name, text) = BUILTIN
            .iter()
            .find(|(known, _)| *known == name)
            .ok_or_else(|| ProfileError::Unknown { name: name.to_owned() })?;
        Self::parse(&format!("profiles/{name}.toml"), text)
    }

    /// A profile from a file.
    ///
    /// # Errors
    /// The file can't be read, or is not a valid profile.
    pub fn load(path: &Path) -> Result<Self, ProfileError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ProfileError::Unreadable { path: path.to_owned(), source })?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// A profile from text; `file` is its name in errors.
    ///
    /// # Errors
    /// [`ProfileError::Invalid`] with line and column.
    pub fn parse(file: &str, text: &str) -> Result<Self, ProfileError> {
        toml::from_str(text).map_err(|error| {
            let (line, column) = toml_position(text, &error);
            ProfileError::Invalid {
                file: file.to_owned(),
                line,
                column,
                message: error.message().to_owned(),
            }
        })
    }
}

/// Line and column (in characters), both counted from 1, where a TOML error is.
pub(crate) fn toml_position(text: &str, error: &toml::de::Error) -> (usize, usize) {
    let start = error.span().map_or(0, |span| span.start).min(text.len());
    let before = text.get(..start).unwrap_or_default();
    let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
    (before.matches('\n').count() + 1, column)
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;
    use crate::profile::{Protocol, Slot};

    #[test]
    fn every_builtin_profile_is_valid_and_consistent() {
        for name in Profile::names() {
            let profile = Profile::builtin(name).unwrap();
            assert_eq!(profile.name, name);
            assert!(
                profile.ignition.accepts(profile.ignition.emits),
                "{name} emits what it accepts"
            );
            assert!(profile.ignition.accepts.iter().all(|range| range.from <= range.to));
            // QEMU refuses longer names of fw_cfg files.
            assert!(profile.ignition.fw_cfg_key.len() <= 55);
            for slot in profile.slots.iter().flat_map(|slots| &slots.slot) {
                assert_eq!(slot.partuuid, slot.partuuid.to_lowercase());
                assert_eq!(slot.partuuid.len(), 36);
            }
            if let Some(slots) = &profile.slots {
                let in_boot = |slot: &Slot| slots.boot.relative(&slot.kernel).is_some();
                assert!(slots.slot.iter().all(in_boot), "{name} keeps its kernels in boot");
            }
        }
    }

    #[test]
    fn the_reference_image_has_the_slots_of_the_os_it_stands_in_for() {
        let reference = Profile::builtin("reference").unwrap();
        let flatcar = Profile::builtin("flatcar").unwrap();
        let (ours, theirs) = (reference.slots.unwrap(), flatcar.slots.unwrap());
        assert_eq!(ours.slot, theirs.slot);
        assert_eq!(
            ours.by_partuuid("7130C94A-213A-4E5A-8E26-6CCE9662F132").unwrap().label,
            "USR-A"
        );
        assert_eq!(ours.by_label("USR-B").unwrap().number, 4);
        assert_eq!(reference.ignition.accepted(), "3.0.0 to 3.3.0");
        assert_eq!(flatcar.ignition.accepted(), "2.0.0 to 2.3.0 and 3.0.0 to 3.5.0");
    }

    #[test]
    fn sockets_are_matched_by_address_unless_any_will_do() {
        let sockets = Profile::builtin("reference").unwrap().sockets;
        let allow =
            |protocol, address: &str, port| sockets.allow(protocol, address.parse().unwrap(), port);
        assert!(allow(Protocol::Tcp, "::", 22));
        assert!(allow(Protocol::Udp, "127.0.0.53", 53));
        assert!(!allow(Protocol::Udp, "0.0.0.0", 53));
        assert!(!allow(Protocol::Tcp, "0.0.0.0", 8080));
    }

    #[test]
    fn an_unknown_name_gets_the_known_ones() {
        assert_eq!(
            Profile::builtin("flatcr").unwrap_err().to_string(),
            "there is no profile \"flatcr\". Known profiles: reference, flatcar, fcos. \
             A path to a TOML file works as well"
        );
    }

    #[test_case("name = \n", "p.toml:1:8: not a valid profile: string values must be quoted, expected literal string" ; "syntax")]
    #[test_case("name = \"x\"\nfoo = 1\n", "p.toml:2:1: not a valid profile: unknown field `foo`" ; "unknown field")]
    #[test_case("name = \"x\"\nuser = 1\n", "p.toml:2:8: not a valid profile: invalid type: integer `1`, expected a string" ; "wrong type")]
    #[test_case("name = \"x\"\n", "p.toml:1:1: not a valid profile: missing field `summary`" ; "missing field")]
    fn a_broken_profile_is_refused_with_its_position(text: &str, message: &str) {
        let error = Profile::parse("p.toml", text).unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
    }

    #[test]
    fn a_bad_spec_version_is_refused_with_its_position() {
        let text = BUILTIN[2].1.replace("emits = \"3.3.0\"", "emits = \"3.x\"");
        let error = Profile::parse("p.toml", &text).unwrap_err().to_string();
        assert!(
            error.ends_with("\"3.x\" is not an Ignition spec version such as 3.3.0"),
            "{error}"
        );
        assert!(error.starts_with("p.toml:14:9: "), "{error}");
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Profile::load(Path::new("/nowhere/p.toml")).unwrap_err().to_string();
        assert!(error.starts_with("can't read the profile /nowhere/p.toml: "), "{error}");
    }
}
