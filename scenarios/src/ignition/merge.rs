//! Putting the user's config together with the harness's additions.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;

use super::{Config, ConfigError, Fragment, SpecVersion, user};
use crate::profile::Profile;

/// Builds the config that a machine gets: a parent that refers to the user's config, the fragments of the scenario,
/// and the harness's SSH key, in this order. What comes later wins.
///
/// Each part stays a document of its own in a data URL, so the user's is applied byte for byte, and an error in it is
/// reported by Ignition with the user's own line and column.
#[derive(Clone, Debug)]
pub struct Merge<'a> {
    profile: &'a Profile,
    user: Option<&'a Config>,
    fragments: Vec<&'a Fragment>,
    ssh_keys: Vec<&'a str>,
}

impl<'a> Merge<'a> {
    /// An empty config for an image of this profile.
    #[must_use]
    pub fn new(profile: &'a Profile) -> Self {
        Self { profile, user: None, fragments: Vec::new(), ssh_keys: Vec::new() }
    }

    /// Takes the user's config in.
    #[must_use]
    pub fn user(mut self, config: &'a Config) -> Self {
        self.user = Some(config);
        self
    }

    /// Adds a fragment after those that are there.
    #[must_use]
    pub fn fragment(mut self, fragment: &'a Fragment) -> Self {
        self.fragments.push(fragment);
        self
    }

    /// Lets this public key log in as the default user.
    #[must_use]
    pub fn ssh_key(mut self, key: &'a str) -> Self {
        self.ssh_keys.push(key);
        self
    }

    /// The parent config.
    ///
    /// A user's config of spec 2.x gets a parent of its own version, whose field for the purpose is `append`. The
    /// fragments keep their spec 3.x: Ignition reads each document by the version that it carries.
    ///
    /// # Errors
    /// [`ConfigError::NotAccepted`] if the image doesn't accept the spec version of the user's config.
    pub fn build(&self) -> Result<Vec<u8>, ConfigError> {
        let emits = self.profile.ignition.emits;
        if let Some(user) = self.user {
            user.check_version(self.profile)?;
        }
        let key = Fragment::new([user(&self.profile.user, &self.ssh_keys, &[])]);
        let key = Some(&key).filter(|_| !self.ssh_keys.is_empty());
        let fragments = self.fragments.iter().copied().chain(key);

        let sources = self.user.map(|user| user.bytes().to_vec());
        let sources = sources.into_iter().chain(fragments.map(|fragment| fragment.render(emits)));
        let sources: Vec<_> = sources.map(|part| json!({ "source": data_url(&part) })).collect();

        let version = self.user.map(Config::version).filter(|version| version.major == 2);
        let field = if version.is_some() { "append" } else { "merge" };
        Ok(parent(version.unwrap_or(emits), field, &sources))
    }
}

fn parent(version: SpecVersion, field: &str, sources: &[serde_json::Value]) -> Vec<u8> {
    let config =
        json!({ "ignition": { "version": version.to_string(), "config": { field: sources } } });
    config.to_string().into_bytes()
}

/// A data URL (RFC 2397) with these contents.
#[must_use]
pub fn data_url(contents: &[u8]) -> String {
    format!("data:;base64,{}", STANDARD.encode(contents))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::ignition::file;

    fn parts(config: &[u8], field: &str) -> Vec<Vec<u8>> {
        let value: Value = serde_json::from_slice(config).unwrap();
        let list = value["ignition"]["config"][field].as_array().unwrap().clone();
        list.iter()
            .map(|part| part["source"].as_str().unwrap().strip_prefix("data:;base64,").unwrap())
            .map(|part| STANDARD.decode(part).unwrap())
            .collect()
    }

    #[test]
    fn the_users_bytes_come_first_and_unchanged_and_the_key_last() {
        let profile = Profile::builtin("reference").unwrap();
        let text = "{ \"ignition\" : {\"version\":\"3.1.0\"} }\n\n";
        let user = Config::parse(text).unwrap();
        let fragment = Fragment::new([file("/etc/x", "x", 0o644)]);
        let merge =
            Merge::new(&profile).user(&user).fragment(&fragment).ssh_key("ssh-ed25519 AAAA");
        let config = merge.build().unwrap();
        let parent = Config::parse(config.clone()).unwrap();
        assert_eq!(parent.version(), profile.ignition.emits);
        assert_eq!(parent.warnings(), [""; 0]);
        let parts = parts(&config, "merge");
        assert_eq!(parts[0], text.as_bytes());
        assert_eq!(
            String::from_utf8(parts[1].clone()).unwrap(),
            r#"{"ignition":{"version":"3.3.0"},"storage":{"files":[{"contents":{"source":"data:;base64,eA=="},"mode":420,"path":"/etc/x"}]}}"#
        );
        assert_eq!(
            String::from_utf8(parts[2].clone()).unwrap(),
            r#"{"ignition":{"version":"3.3.0"},"passwd":{"users":[{"name":"core","sshAuthorizedKeys":["ssh-ed25519 AAAA"]}]}}"#
        );
        assert_eq!(parts.len(), 3);
    }

    #[test]
    fn a_config_of_spec_2_is_appended() {
        let text = r#"{"ignition":{"version":"2.3.0"}}"#;
        let user = Config::parse(text).unwrap();
        let profile = Profile::builtin("flatcar").unwrap();
        let config = Merge::new(&profile).user(&user).ssh_key("ssh-ed25519 AAAA").build().unwrap();
        assert_eq!(Config::parse(config.clone()).unwrap().version(), user.version());
        assert_eq!(parts(&config, "append")[0], text.as_bytes());

        let reference = Profile::builtin("reference").unwrap();
        assert!(matches!(
            Merge::new(&reference).user(&user).build(),
            Err(ConfigError::NotAccepted { .. })
        ));
    }

    #[test]
    fn nothing_to_merge_is_valid_too() {
        let profile = Profile::builtin("fcos").unwrap();
        let config = Merge::new(&profile).build().unwrap();
        assert_eq!(parts(&config, "merge").len(), 0);
        Config::parse(config).unwrap().check_version(&profile).unwrap();
    }
}
