//! Finds and reads settings.

use std::{
    collections::BTreeMap,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    DEFAULT,
    error::{Source, did_you_mean},
    file::{Family, File, Images, Override, Profile},
    types::{Backoff, CaseSettings, FamilySettings, Flaky, ImageSettings, Retries, Settings},
    values::MaxFail,
};
use wheeltap_images::published::Trust;

use crate::{
    ExitCode, UserError,
    engine::{ForkMode, Jobs},
};

/// Where settings are looked for.
const NAME: &str = "wheeltap.toml";

/// The profile that all others are based on.
const DEFAULT_PROFILE: &str = "default";

impl Settings {
    /// Settings of a profile, from this file; or from `wheeltap.toml` in the current directory, if there is one.
    ///
    /// # Errors
    /// If the file can't be read, or there is something in it that makes no sense: with its line and column, and the line
    /// itself. If there is no such profile.
    pub fn load(explicit: Option<&Path>, profile: Option<&str>) -> Result<Self, UserError> {
        let path = explicit.unwrap_or(Path::new(NAME));
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if explicit.is_none() && error.kind() == ErrorKind::NotFound => {
                if let Some(profile) = profile.filter(|&name| name != DEFAULT_PROFILE) {
                    let message =
                        format!("there is no {NAME} here, and so no profile `{profile}` in it");
                    return Err(UserError::usage(message).with_help(
                        "go to its directory, or name it with --config; an OS family is selected with --profile",
                    ));
                }
                return Self::parse(path, "", profile);
            }
            Err(error) => return Err(UserError::unreadable(path, &error)),
        };
        Self::parse(path, &text, profile)
    }

    /// Settings of a profile from the text of a file; `path` is its name in errors, and what its paths are relative to.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn parse(path: &Path, text: &str, profile: Option<&str>) -> Result<Self, UserError> {
        let builtin = Source { path: Path::new("default.toml"), text: DEFAULT };
        let mut base: File = toml::from_str(DEFAULT)
            .map_err(|error| builtin.wrong_toml(&error).with_code(ExitCode::Defect))?;
        let source = Source { path, text };
        let mut file: File = toml::from_str(text).map_err(|error| source.wrong_toml(&error))?;
        source.check(&file)?;

        let name = profile.unwrap_or(DEFAULT_PROFILE);
        let selected = match file.profile.remove(name) {
            Some(selected) => selected,
            None if name == DEFAULT_PROFILE => Profile::default(),
            None => return Err(unknown_profile(name, path, &file)),
        };
        let mut layers = vec![base.profile.remove(DEFAULT_PROFILE).unwrap_or_default()];
        layers.extend(file.profile.remove(DEFAULT_PROFILE));
        layers.push(selected);
        let directory = path.parent().unwrap_or(Path::new(""));
        let mut settings = Self::empty();
        layers.into_iter().for_each(|layer| settings.apply(layer, directory));
        settings.test_groups = file
            .test_groups
            .into_iter()
            .map(|(name, group)| (name, group.max_machines.into_inner()))
            .collect();
        settings.images.apply(base.images, directory);
        settings.images.apply(file.images, directory);
        Ok(settings)
    }

    /// What stands in for values until the built-in file has been applied.
    fn empty() -> Self {
        let retries = Retries {
            product: 0,
            infra: 0,
            backoff: Backoff::Fixed,
            delay: Duration::ZERO,
            max_delay: Duration::MAX,
            jitter: false,
        };
        let slow_timeout = Duration::MAX;
        Self {
            case: CaseSettings { retries, slow_timeout, timeout: None, groups: Vec::new() },
            max_fail: None,
            flaky: Flaky::Report,
            deadline: None,
            jobs: Jobs::Auto,
            fork: ForkMode::Auto,
            history: None,
            waivers: None,
            test_groups: BTreeMap::new(),
            images: ImageSettings::default(),
            overrides: Vec::new(),
        }
    }

    /// Lets a profile change what it says.
    fn apply(&mut self, profile: Profile, directory: &Path) {
        let fail_fast = profile.fail_fast.map(|fail_fast| fail_fast.into_inner().then_some(1));
        if let Some(retries) = &profile.retries {
            retries.apply(&mut self.case.retries);
        }
        if let Some(slow_timeout) = profile.slow_timeout {
            self.case.slow_timeout = slow_timeout.0;
        }
        if let Some(max_fail) = profile.max_fail.map(|MaxFail(count)| count).or(fail_fast) {
            self.max_fail = max_fail;
        }
        self.flaky = profile.flaky.unwrap_or(self.flaky);
        self.deadline = profile.deadline.map(|deadline| deadline.0).or(self.deadline);
        self.jobs = profile.jobs.map_or(self.jobs, |jobs| jobs.0);
        self.fork = profile.fork.map_or(self.fork, Into::into);
        let place = |path: PathBuf| directory.join(path);
        self.history = profile.history.map(place).or(self.history.take());
        self.waivers = profile.waivers.map(place).or(self.waivers.take());
        let overrides = profile.overrides.into_iter().map(toml::Spanned::into_inner);
        self.overrides.splice(0..0, overrides);
    }
}

impl ImageSettings {
    /// Lets a file change what it says. A key and its fingerprint come together, as has been checked.
    fn apply(&mut self, images: Images, directory: &Path) {
        let Images { stall, retries, retry_delay, families } = images;
        self.patience.stall = stall.map_or(self.patience.stall, |stall| stall.0);
        self.patience.retries = retries.unwrap_or(self.patience.retries);
        self.patience.delay = retry_delay.map_or(self.patience.delay, |delay| delay.0);
        for (name, family) in families {
            let Family { key, fingerprint, mirrors } = family.into_inner();
            let trust = match key.zip(fingerprint) {
                Some((key, fingerprint)) => Trust::Key { file: directory.join(key), fingerprint },
                None => Trust::Unknown,
            };
            self.families.insert(name, FamilySettings { trust, mirrors });
        }
    }
}

impl Default for Settings {
    /// Those of the built-in file.
    fn default() -> Self {
        Self::parse(Path::new(NAME), "", None)
            .expect("the built-in file is part of the program, and tests read it")
    }
}

impl Source<'_> {
    /// What each value by itself can't know.
    fn check(&self, file: &File) -> Result<(), UserError> {
        for (name, group) in &file.test_groups {
            if *group.max_machines.get_ref() == 0 {
                let message = format!("nothing could run in group `{name}`; give a number from 1");
                return Err(self.wrong(group.max_machines.span(), message));
            }
        }
        let known = wheeltap_images::published::families();
        for (name, family) in &file.images.families {
            if !known.contains(name) {
                let words = known.iter().map(String::as_str);
                let hint = did_you_mean(name, words.chain(["stall", "retries", "retry-delay"]))
                    .unwrap_or_else(|| format!("there are: {}", known.join(", ")));
                let message = format!("no family of published images is named `{name}`; {hint}");
                return Err(self.wrong(family.span(), message));
            }
            let Family { key, fingerprint, .. } = family.get_ref();
            if key.is_some() != fingerprint.is_some() {
                let message = "a signing key needs both `key`, its file, and `fingerprint`, which says \
                               which key is meant";
                return Err(self.wrong(family.span(), message));
            }
        }
        for profile in file.profile.values() {
            if let (Some(fail_fast), Some(_)) = (&profile.fail_fast, profile.max_fail) {
                let message = "`fail-fast` is short for `max-fail = 1`; give only one of them";
                return Err(self.wrong(fail_fast.span(), message));
            }
            for one in &profile.overrides {
                let Override { filter, tag, test_group, .. } = one.get_ref();
                if filter.is_none() && tag.is_none() {
                    let message = "an override needs `filter` or `tag`, to say what it is about; \
                                   what is about everything goes into the profile itself";
                    return Err(self.wrong(one.span(), message));
                }
                for group in test_group.iter().flat_map(|groups| &groups.0) {
                    let known = || file.test_groups.keys().map(String::as_str);
                    let name = group.get_ref();
                    if !known().any(|known| known == name) {
                        let hint = did_you_mean(name, known()).unwrap_or_else(|| {
                            format!("add [test-groups.{name}] with max-machines")
                        });
                        let message = format!("there is no test group `{name}`; {hint}");
                        return Err(self.wrong(group.span(), message));
                    }
                }
            }
        }
        Ok(())
    }
}

fn unknown_profile(name: &str, path: &Path, file: &File) -> UserError {
    let known = || file.profile.keys().map(String::as_str);
    let place = path.display();
    let hint = match did_you_mean(name, known()) {
        Some(hint) => hint,
        None => {
            match known().filter(|known| *known != DEFAULT_PROFILE).collect::<Vec<_>>().as_slice() {
                [] => format!("add [profile.{name}] to it, or leave --run-profile out"),
                known => format!("there are: {DEFAULT_PROFILE}, {}", known.join(", ")),
            }
        }
    };
    UserError::usage(format!("{place} has no profile `{name}`; {hint}"))
        .with_help("--run-profile selects settings; an OS family is selected with --profile")
}
