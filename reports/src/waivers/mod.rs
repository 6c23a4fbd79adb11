//! Waivers: failures that somebody has accepted, for a time and with a reason.
//!
//! ```text
//! waivers.toml ─▶ Waivers::parse ─▶ Waivers::apply(run, day) ─▶ CaseResult::waived, Run::waivers
//! ```
//! `file` reads the file, `scope` decides where a waiver holds, `version` has ranges of versions, and
//! `apply` judges a run. `docs/waivers.md` is the reference.

mod apply;
mod file;
mod scope;
mod version;

#[cfg(test)]
mod tests;

use std::path::Path;

use jiff::civil::Date;
use regex::Regex;

pub use apply::{WaiverState, WaiverStatus, WaiverUse};
pub use file::Problem;

use crate::{Error, Failure, Result, WAIVERS_FILE, atomic};
use scope::Scope;

/// The waivers of one file, checked.
#[derive(Clone, Debug)]
pub struct Waivers {
    /// The file as it was read, to be kept with the run.
    text: String,
    waivers: Vec<Waiver>,
    limits: Vec<LimitWaiver>,
}

/// An accepted hit of a limit: something that changed between two images. It has nothing to say about runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitWaiver {
    /// The hit's id, such as `no-downgrade:openssl`.
    pub limit: String,
    /// Who accepts it, until when and why.
    pub waiver: WaiverUse,
}

/// An accepted failure.
#[derive(Clone, Debug)]
pub(crate) struct Waiver {
    pub(crate) id: String,
    pub(crate) signature: Matcher,
    pub(crate) scope: Scope,
    pub(crate) owner: String,
    pub(crate) tracker: String,
    /// The last day on which it holds.
    pub(crate) expires: Date,
    pub(crate) reason: String,
}

/// Which failures a waiver is about.
#[derive(Clone, Debug)]
pub(crate) enum Matcher {
    /// Those whose headline it matches somewhere.
    Headline(Regex),
    /// Those with this [`Failure::signature`].
    Signature(String),
}

impl Waivers {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`Error::Read`], and [`Error::BadWaivers`] with everything that is wrong in it.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| Error::Read { path: path.to_owned(), source })?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// The waivers of several runs as one, each once; none if there are none. The runs are named by
    /// their directories.
    ///
    /// # Errors
    /// [`Error::OtherWaivers`] if one id means two things.
    pub(crate) fn union<'a>(
        all: impl Iterator<Item = (&'a Path, &'a Self)>,
    ) -> Result<Option<Self>> {
        let mut seen: Vec<(&Path, &Waiver)> = Vec::new();
        let mut limits: Vec<LimitWaiver> = Vec::new();
        let mut texts = Vec::new();
        for (dir, file) in all {
            if !texts.contains(&&*file.text) {
                texts.push(&*file.text);
            }
            limits.extend(
                file.limits.iter().filter(|it| !limits.contains(it)).cloned().collect::<Vec<_>>(),
            );
            for waiver in &file.waivers {
                match seen.iter().find(|(_, other)| other.id == waiver.id) {
                    None => seen.push((dir, waiver)),
                    // Every part of a waiver shows in its debug form, patterns included.
                    Some((_, other)) if format!("{other:?}") == format!("{waiver:?}") => {}
                    Some((one, _)) => {
                        return Err(Error::OtherWaivers {
                            id: waiver.id.clone(),
                            one: one.to_path_buf(),
                            other: dir.to_owned(),
                        });
                    }
                }
            }
        }
        Ok((!texts.is_empty()).then(|| Self {
            text: texts.join("\n"),
            waivers: seen.into_iter().map(|(_, waiver)| waiver.clone()).collect(),
            limits,
        }))
    }

    /// The accepted hits of limits.
    #[must_use]
    pub fn limits(&self) -> &[LimitWaiver] {
        &self.limits
    }

    /// Writes the file into a run's directory, where [`Run::load`](crate::Run::load) finds it.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn write(&self, dir: &Path) -> Result<()> {
        atomic::write(&dir.join(WAIVERS_FILE), self.text.as_bytes())
    }
}

impl Matcher {
    /// Whether it is about this failure, as far as this one of its headlines goes.
    pub(crate) fn matches(&self, failure: &Failure, headline: &str) -> bool {
        match self {
            Self::Headline(pattern) => pattern.is_match(headline),
            Self::Signature(signature) => {
                let one = Failure { headline: headline.to_owned(), ..failure.clone() };
                one.signature() == *signature
            }
        }
    }
}
