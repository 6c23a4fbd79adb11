//! Names of published images: `flatcar:stable`, `flatcar:4593.2.3@arm64`.

use std::fmt;

use super::family::Family;

/// The architecture that a name without one means.
const DEFAULT_ARCH: &str = "amd64";

/// A published image, as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedName {
    /// Such as `flatcar`.
    pub family: String,
    /// Which one.
    pub which: Which,
    /// Such as `amd64`.
    pub arch: String,
}

/// Which image of a family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// The current one of a channel: another one tomorrow.
    Channel(String),
    /// This one.
    Version(String),
}

impl PublishedName {
    /// What a name says; `None` if it names no published image, but perhaps a file.
    ///
    /// # Errors
    /// If it begins like one: a sentence that says what the family has.
    pub fn parse(text: &str) -> Option<Result<Self, String>> {
        let (family, rest) = text.split_once(':')?;
        let about = Family::all().remove(family)?;
        Some(Self::of_family(family, rest, &about))
    }

    fn of_family(family: &str, rest: &str, about: &Family) -> Result<Self, String> {
        let (which, arch) = rest.split_once('@').unwrap_or((rest, DEFAULT_ARCH));
        if !about.architectures.contains_key(arch) {
            let known = about.architectures.keys().cloned().collect::<Vec<_>>().join(", ");
            return Err(format!("{family} has no images for {arch:?}; there are: {known}"));
        }
        let which = if about.channels.iter().any(|channel| channel == which) {
            Which::Channel(which.to_owned())
        } else if is_version(which) {
            Which::Version(which.to_owned())
        } else {
            let known = about.channels.join(", ");
            return Err(format!(
                "{which:?} is neither a channel of {family} ({known}) nor a version such as 4593.2.3"
            ));
        };
        Ok(Self { family: family.to_owned(), which, arch: arch.to_owned() })
    }

    /// The same name for one version, which always means the same image.
    #[must_use]
    pub fn pinned(&self, version: &str) -> Self {
        Self { which: Which::Version(version.to_owned()), ..self.clone() }
    }
}

impl fmt::Display for PublishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Which::Channel(which) | Which::Version(which)) = &self.which;
        write!(f, "{}:{which}", self.family)?;
        if self.arch == DEFAULT_ARCH { Ok(()) } else { write!(f, "@{}", self.arch) }
    }
}

/// Whether it can be a version. It ends up in addresses and names of files, so that nothing else may be in it.
pub(crate) fn is_version(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit())
        && text.len() <= 64
        && text.contains('.')
        && !text.contains("..")
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".+-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use test_case::test_case;

    use super::*;

    #[test_case("flatcar:stable")]
    #[test_case("flatcar:lts@arm64")]
    #[test_case("flatcar:4593.2.3")]
    #[test_case("flatcar:4593.2.3+nightly-20251001-2100@arm64")]
    #[test_case("fcos:next")]
    #[test_case("fcos:42.20250803.3.0")]
    fn names(text: &str) {
        assert_eq!(PublishedName::parse(text).unwrap().unwrap().to_string(), text);
    }

    #[test]
    fn amd64_need_not_be_said() {
        let name = PublishedName::parse("flatcar:stable@amd64").unwrap().unwrap();
        assert_eq!(name.to_string(), "flatcar:stable");
    }

    #[test_case("reference")]
    #[test_case("reference:4000.0.0")]
    #[test_case("./disk.img"; "a path")]
    #[test_case("ubuntu:stable"; "an unknown family")]
    fn other_names(text: &str) {
        assert_eq!(PublishedName::parse(text), None);
    }

    #[test]
    fn bad_names() {
        let bad = [
            "flatcar:",
            "flatcar:stabel",
            "flatcar:stable@",
            "flatcar:stable@mips",
            "flatcar:../..",
            "flatcar:1../2",
            "flatcar:4593",
            "fcos:beta",
        ];
        let said = bad.map(|text| PublishedName::parse(text).unwrap().unwrap_err());
        insta::assert_snapshot!(said.join("\n"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "(flatcar|fcos|x):?\\PC*") {
            if let Some(Ok(name)) = PublishedName::parse(&text) {
                prop_assert_eq!(PublishedName::parse(&name.to_string()), Some(Ok(name)));
            }
        }
    }
}
