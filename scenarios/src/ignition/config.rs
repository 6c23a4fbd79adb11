//! Reading a config, and saying what is wrong with it before anything boots.

use serde_json::Value;

use super::{SpecVersion, excerpt::excerpt};
use crate::profile::Profile;

/// A config as the user gave it: syntactically valid, of a known spec version.
#[derive(Clone, Debug)]
pub struct Config {
    bytes: Vec<u8>,
    version: SpecVersion,
    typed: Option<ignition_config::Config>,
    warnings: Vec<String>,
}

/// Why a config can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Nothing but white space.
    #[error(
        "the config is empty; the smallest valid one is {{\"ignition\":{{\"version\":\"3.3.0\"}}}}"
    )]
    Empty,
    /// Compressed.
    #[error(
        "the config is compressed with gzip, which Ignition doesn't undo; decompress it first (gunzip)"
    )]
    Gzip,
    /// Butane, the YAML that people write.
    #[error(
        "this is a Butane config (YAML), not an Ignition config; translate it first (`wheeltap transpile FILE`)"
    )]
    Butane,
    /// cloud-init's format.
    #[error(
        "this is a cloud-config for cloud-init, not an Ignition config; write it as Butane and transpile it"
    )]
    CloudConfig,
    /// A script.
    #[error(
        "this is a script, not an Ignition config; put it into a config as a file with a unit that runs it"
    )]
    Script,
    /// Not JSON, or not of the shape that its spec version asks for.
    #[error("line {line}, column {column}: {message}\n{excerpt}")]
    Invalid {
        /// Line, counted from 1.
        line: usize,
        /// Column in characters, counted from 1.
        column: usize,
        /// What is wrong there.
        message: String,
        /// The line, with a mark under the column.
        excerpt: String,
    },
    /// No `ignition.version`.
    #[error(
        "the config doesn't say its spec version; add {{\"ignition\": {{\"version\": \"3.3.0\"}}}} with the version that it is written for"
    )]
    NoVersion,
    /// A version that is no stable spec version.
    #[error(
        "ignition.version is {version:?}, which is no stable spec version that wheeltap knows (2.0.0 to 2.3.0, 3.0.0 to 3.6.0)"
    )]
    UnknownVersion {
        /// As in the config.
        version: String,
    },
    /// A version that the image doesn't accept.
    #[error(
        "the config is written for spec {version}, but {summary} accepts {accepted}; change ignition.version, or test a newer image"
    )]
    NotAccepted {
        /// As in the config.
        version: SpecVersion,
        /// The OS family.
        summary: String,
        /// What it accepts.
        accepted: String,
    },
}

impl Config {
    /// Reads a config.
    ///
    /// # Errors
    /// Says what the bytes are instead, or where they are wrong.
    pub fn parse(bytes: impl Into<Vec<u8>>) -> Result<Self, ConfigError> {
        let bytes = bytes.into();
        refuse_other_formats(&bytes)?;
        let value: Value =
            serde_json::from_slice(&bytes).map_err(|error| invalid(&bytes, &error))?;
        let text = value.pointer("/ignition/version").and_then(Value::as_str);
        let text = text.ok_or(ConfigError::NoVersion)?;
        let unknown = || ConfigError::UnknownVersion { version: text.to_owned() };
        let version: SpecVersion = text.parse().map_err(|_| unknown())?;
        let (typed, warnings) = match version {
            SpecVersion { major: 3, .. } => {
                let (typed, warnings) =
                    ignition_config::Config::parse_slice(&bytes).map_err(|error| match error {
                        ignition_config::Error::Serialization(error) => invalid(&bytes, &error),
                        _ => unknown(),
                    })?;
                (Some(typed), warnings.iter().map(ToString::to_string).collect())
            }
            // The crate has no types for 2.x, so such a config is taken as it is.
            SpecVersion { major: 2, minor: 0..=3, patch: 0 } => (None, Vec::new()),
            _ => return Err(unknown()),
        };
        Ok(Self { bytes, version, typed, warnings })
    }

    /// The config, byte for byte as it was given.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The spec version that it is written for.
    #[must_use]
    pub fn version(&self) -> SpecVersion {
        self.version
    }

    /// The config as types; `None` for spec 2.x.
    #[must_use]
    pub fn typed(&self) -> Option<&ignition_config::Config> {
        self.typed.as_ref()
    }

    /// What Ignition would warn about: keys that it doesn't know, which are most often misspelt.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Checks that the image's Ignition accepts this spec version, which saves a boot that can't succeed.
    ///
    /// # Errors
    /// [`ConfigError::NotAccepted`] with what it accepts.
    pub fn check_version(&self, profile: &Profile) -> Result<(), ConfigError> {
        if profile.ignition.accepts(self.version) {
            return Ok(());
        }
        Err(ConfigError::NotAccepted {
            version: self.version,
            summary: profile.summary.clone(),
            accepted: profile.ignition.accepted(),
        })
    }
}

/// Recognises what users hand in instead of an Ignition config. JSON itself is left to the parser.
fn refuse_other_formats(bytes: &[u8]) -> Result<(), ConfigError> {
    if bytes.starts_with(&[0x1f, 0x8b]) {
        return Err(ConfigError::Gzip);
    }
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_start();
    if text.is_empty() {
        return Err(ConfigError::Empty);
    }
    if text.starts_with("#cloud-config") {
        return Err(ConfigError::CloudConfig);
    }
    if text.starts_with("#!") {
        return Err(ConfigError::Script);
    }
    let butane = |line: &str| line.starts_with("variant:") || line.starts_with("version:");
    if !text.starts_with('{') && text.lines().any(butane) {
        return Err(ConfigError::Butane);
    }
    Ok(())
}

fn invalid(bytes: &[u8], error: &serde_json::Error) -> ConfigError {
    let (line, column) = (error.line(), error.column());
    let message = error.to_string();
    let position = format!(" at line {line} column {column}");
    let message = message.strip_suffix(&position).unwrap_or(&message).to_owned();
    let (column, excerpt) = excerpt(bytes, line, column);
    ConfigError::Invalid { line, column, message, excerpt }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use test_case::test_case;

    use super::*;

    #[test_case("", &ConfigError::Empty ; "nothing")]
    #[test_case(" \n\t", &ConfigError::Empty ; "white space")]
    #[test_case("variant: flatcar\nversion: 1.0.0\n", &ConfigError::Butane ; "butane")]
    #[test_case("# mine\nversion: 1.0.0\nvariant: fcos\n", &ConfigError::Butane ; "butane with a comment")]
    #[test_case("#cloud-config\nusers: []\n", &ConfigError::CloudConfig ; "cloud config")]
    #[test_case("#!/bin/sh\ntrue\n", &ConfigError::Script ; "script")]
    #[test_case("{}", &ConfigError::NoVersion ; "no version")]
    #[test_case("[]", &ConfigError::NoVersion ; "not an object")]
    #[test_case(r#"{"ignition":{"version":3}}"#, &ConfigError::NoVersion ; "version is a number")]
    #[test_case(r#"{"ignition":{"version":"3.9.0"}}"#, &ConfigError::UnknownVersion { version: "3.9.0".into() } ; "future version")]
    #[test_case(r#"{"ignition":{"version":"3.4.0-experimental"}}"#, &ConfigError::UnknownVersion { version: "3.4.0-experimental".into() } ; "experimental")]
    fn other_formats_are_told_apart(text: &str, expected: &ConfigError) {
        assert_eq!(Config::parse(text).unwrap_err(), *expected);
    }

    #[test]
    fn gzip_is_recognised() {
        assert_eq!(Config::parse([0x1f, 0x8b, 8, 0]).unwrap_err(), ConfigError::Gzip);
    }

    #[test]
    fn syntax_errors_show_the_line() {
        let text =
            "{\n  \"ignition\": {\"version\": \"3.3.0\"},\n  \"storage\": {\"files\": [}}\n}\n";
        insta::assert_snapshot!(Config::parse(text).unwrap_err(), @r#"
        line 3, column 25: expected value
          3 |   "storage": {"files": [}}
            |                         ^
        "#);
    }

    #[test]
    fn type_errors_show_the_line() {
        let text = "{\"ignition\": {\"version\": \"3.3.0\"},\n\"storage\": {\"files\": [{\"path\": \"/ü\", \"mode\": \"0644\"}]}}";
        insta::assert_snapshot!(Config::parse(text).unwrap_err(), @r#"
        line 2, column 51: invalid type: string "0644", expected i64
          2 | "storage": {"files": [{"path": "/ü", "mode": "0644"}]}}
            |                                                   ^
        "#);
    }

    #[test]
    fn a_long_line_is_cut_around_the_column() {
        let text = format!("{{\"a\": \"{}\", x \"{}\"}}", "ä".repeat(200), "b".repeat(200));
        insta::assert_snapshot!(Config::parse(text).unwrap_err(), @r#"
        line 1, column 211: key must be a string
          1 | …äääääääääääääääääääääääääääääääääääääääääääääääääääääääää", x "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb…
            |                                                              ^
        "#);
    }

    #[test]
    fn unknown_keys_are_warnings() {
        let text = r#"{"ignition":{"version":"3.3.0"},"storage":{"files":[{"path":"/etc/foo","souce":"x"}]}}"#;
        let config = Config::parse(text).unwrap();
        assert_eq!(config.warnings(), ["unused key: $.storage.files.0.souce"]);
        assert!(config.typed().is_some());
    }

    #[test]
    fn a_version_that_the_image_refuses_is_refused_before_the_boot() {
        let reference = Profile::builtin("reference").unwrap();
        let flatcar = Profile::builtin("flatcar").unwrap();
        let config = Config::parse(r#"{"ignition":{"version":"3.4.0"}}"#).unwrap();
        config.check_version(&flatcar).unwrap();
        assert_eq!(
            config.check_version(&reference).unwrap_err().to_string(),
            "the config is written for spec 3.4.0, but the reference image (Debian packages, same layout and names) \
             accepts 3.0.0 to 3.3.0; change ignition.version, or test a newer image"
        );
        let old = Config::parse(r#"{"ignition":{"version":"2.3.0"}}"#).unwrap();
        old.check_version(&flatcar).unwrap();
        old.check_version(&reference).unwrap_err();
    }

    proptest! {
        #[test]
        fn no_input_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Err(error) = Config::parse(bytes) {
                let _ = error.to_string();
            }
        }

        #[test]
        fn no_damage_to_a_config_panics(position in 0..80_usize, byte in any::<u8>()) {
            let mut bytes = br#"{"ignition":{"version":"3.3.0"},"storage":{"files":[{"path":"/etc/foo","mode":420}]}}"#.to_vec();
            bytes[position] = byte;
            if let Err(error) = Config::parse(bytes) {
                let _ = error.to_string();
            }
        }
    }
}
