//! Values of a policy, and what is said about those that are none.

use std::ops::Range;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// What is wrong in a policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {message}")]
pub struct PolicyError {
    /// The file's name, as it was given.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// The place in the file, in bytes.
    pub span: Range<usize>,
    /// What is wrong, and what to do about it.
    pub message: String,
}

/// A file and its text.
pub(super) struct Source<'a> {
    pub(super) file: &'a str,
    pub(super) text: &'a str,
}

impl Source<'_> {
    pub(super) fn wrong(&self, span: Range<usize>, message: impl Into<String>) -> PolicyError {
        let before = self.text.get(..span.start).unwrap_or_default();
        PolicyError {
            file: self.file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before.chars().rev().take_while(|c| *c != '\n').count() + 1,
            span,
            message: message.into(),
        }
    }

    pub(super) fn wrong_toml(&self, error: &toml::de::Error) -> PolicyError {
        self.wrong(error.span().unwrap_or_default(), in_our_words(error.message()))
    }
}

/// Messages of serde name everything that exists. What was most likely meant says more.
fn in_our_words(message: &str) -> String {
    let Some((kind, rest)) = [("key", "unknown field "), ("value", "unknown variant ")]
        .into_iter()
        .find_map(|(kind, start)| Some((kind, message.strip_prefix(start)?)))
    else {
        return message.replace("missing field", "missing key");
    };
    let (word, expected) = rest.split_once(", ").unwrap_or((rest, ""));
    let word = word.trim_matches('`');
    let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    format!("unknown {kind} `{word}`; {}", hint(word, &known))
}

/// The known word that is most like it, as a question; or all of them.
pub(crate) fn hint(word: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|known| (strsim::jaro_winkler(&word.to_lowercase(), &known.to_lowercase()), known))
        .max_by(|one, other| one.0.total_cmp(&other.0))
        // Below this, two names have little more in common than a letter here and there.
        .filter(|(likeness, _)| *likeness > 0.75);
    match nearest {
        Some((_, nearest)) => format!("did you mean `{nearest}`?"),
        None => format!("there are: {}", known.join(", ")),
    }
}

/// What may be said of what is worth a look at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weight {
    /// It is said.
    Warn,
    /// It leaves the decision open.
    Incomplete,
    /// It is a NO-GO.
    Block,
}

/// What may be said of what leaves the decision open at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Graver {
    /// It leaves the decision open.
    Incomplete,
    /// It is a NO-GO.
    Block,
}

/// A name, or a glob over names. Any by default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(pub String);

impl Glob {
    /// Whether this name is meant.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        glob_match::glob_match(&self.0, name)
    }
}

impl Default for Glob {
    fn default() -> Self {
        Self("*".to_owned())
    }
}

impl<'de> Deserialize<'de> for Glob {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let glob = String::deserialize(from)?;
        // Nothing would match it, silently.
        for (open, close) in [('[', ']'), ('{', '}')] {
            if glob.matches(open).count() != glob.matches(close).count() {
                return Err(D::Error::custom(format!(
                    "the glob `{glob}` has a `{open}` or `{close}` without its partner"
                )));
            }
        }
        if glob.is_empty() {
            return Err(D::Error::custom("an empty name matches nothing; `*` matches any"));
        }
        Ok(Self(glob))
    }
}

/// `7 days`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Days(pub u32);

impl<'de> Deserialize<'de> for Days {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let days = text.strip_suffix("days").or_else(|| text.strip_suffix("day"));
        days.and_then(|number| number.trim().parse().ok()).map(Self).ok_or_else(|| {
            D::Error::custom(format!("`{text}` is no age; give days, such as \"7 days\""))
        })
    }
}

/// `2 %`, as a share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Percent(pub f64);

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.strip_suffix('%')
            .and_then(|number| number.trim().parse::<f64>().ok())
            .filter(|number| (0.0..=100.0).contains(number))
            .map(|number| Self(number / 100.0))
            .ok_or_else(|| {
                D::Error::custom(format!(
                    "`{text}` is no share; give a percentage, such as \"2 %\""
                ))
            })
    }
}
