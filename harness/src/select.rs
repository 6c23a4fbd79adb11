//! Which scenarios are meant.

use std::collections::BTreeSet;

use wheeltap_scenarios::{Scenario, catalogue};

/// Filters, as given on the command line.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Names or globs; everything if empty.
    pub filters: Vec<String>,
    /// Tags, of which a scenario must have one; any if empty.
    pub tags: Vec<String>,
    /// Names or globs to leave out.
    pub skip: Vec<String>,
}

/// Why a selection makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// Nothing has that name.
    #[error("no scenario matches `{filter}`{}", did_you_mean(nearest.as_deref()))]
    UnknownScenario {
        /// The filter.
        filter: String,
        /// The name that is most like it.
        nearest: Option<String>,
    },
    /// Nothing has that tag.
    #[error("no scenario has tag `{tag}`; there are: {}", known.join(", "))]
    UnknownTag {
        /// The tag.
        tag: String,
        /// The tags that exist.
        known: Vec<String>,
    },
}

fn did_you_mean(nearest: Option<&str>) -> String {
    match nearest {
        Some(name) => format!("; did you mean `{name}`?"),
        None => "; `wheeltap list` shows all".to_owned(),
    }
}

impl Selection {
    /// The scenarios that are meant, in the catalogue's order.
    ///
    /// # Errors
    /// Every filter and tag must match something: a name with a slip of the pen would otherwise select nothing, and
    /// look like a pass.
    pub fn scenarios(&self) -> Result<Vec<&'static Scenario>, SelectError> {
        self.check()?;
        let any = |patterns: &[String], name: &str| {
            patterns.iter().any(|pattern| is_match(pattern, name))
        };
        Ok(catalogue()
            .filter(|scenario| self.filters.is_empty() || any(&self.filters, scenario.name))
            .filter(|scenario| {
                self.tags.is_empty()
                    || self.tags.iter().any(|tag| scenario.tags.contains(&tag.as_str()))
            })
            .filter(|scenario| !any(&self.skip, scenario.name))
            .collect())
    }

    fn check(&self) -> Result<(), SelectError> {
        for filter in self.filters.iter().chain(&self.skip) {
            if !catalogue().any(|scenario| is_match(filter, scenario.name)) {
                return Err(SelectError::UnknownScenario {
                    filter: filter.clone(),
                    nearest: nearest(filter, catalogue().map(|scenario| scenario.name)),
                });
            }
        }
        let known: BTreeSet<&str> =
            catalogue().flat_map(|scenario| scenario.tags).copied().collect();
        match self.tags.iter().find(|tag| !known.contains(tag.as_str())) {
            None => Ok(()),
            Some(tag) => Err(SelectError::UnknownTag {
                tag: tag.clone(),
                known: known.into_iter().map(str::to_owned).collect(),
            }),
        }
    }
}

/// `*` matches any number of characters, also dots, so `boot*` and `boot.*` do what they look like.
pub(crate) fn is_match(pattern: &str, name: &str) -> bool {
    glob_match::glob_match(pattern, name)
}

/// The name that is most like a word, if any is.
pub(crate) fn nearest<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    names
        .map(|name| (strsim::jaro_winkler(word, name), name))
        .max_by(|one, other| one.0.total_cmp(&other.0))
        // Below this, two names have little more in common than a letter here and there.
        .filter(|(likeness, _)| *likeness > 0.75)
        .map(|(_, name)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn select(
        filters: &[&str],
        tags: &[&str],
        skip: &[&str],
    ) -> Result<Vec<&'static str>, SelectError> {
        let own = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        let selection = Selection { filters: own(filters), tags: own(tags), skip: own(skip) };
        Ok(selection.scenarios()?.into_iter().map(|scenario| scenario.name).collect())
    }

    #[test]
    fn globs_tags_and_skips() {
        assert_eq!(select(&["power.*"], &[], &[]).unwrap(), ["power.off"]);
        assert_eq!(select(&["reboot.*"], &["smoke"], &[]).unwrap(), ["reboot.clean"]);
        assert!(!select(&[], &[], &["power.off"]).unwrap().contains(&"power.off"));
        assert_eq!(select(&[], &[], &[]).unwrap().len(), catalogue().count());
    }

    #[test]
    fn a_slip_of_the_pen_is_an_error_with_the_nearest_name() {
        let error = select(&["boot.multiuser"], &[], &[]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no scenario matches `boot.multiuser`; did you mean `boot.multi-user`?"
        );
        let error = select(&[], &["smoek"], &[]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no scenario has tag `smoek`; there are: rollback, slow, smoke, update"
        );
        assert!(select(&["zzz"], &[], &[]).unwrap_err().to_string().ends_with("shows all"));
    }
}
