//! `gate.toml`: text in, checked policy out.

use serde::Deserialize;
use toml::Spanned;

use super::values::{Days, Glob, Graver, Percent, PolicyError, Source, Weight};

/// The version of policies that is read.
const VERSION: u32 = 1;

/// What must be known and good. `default.toml` explains each key.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[expect(missing_docs, reason = "default.toml is the documentation, and the only one")]
pub struct Policy {
    version: Spanned<u32>,
    #[serde(default)]
    pub cell: Vec<Cell>,
    #[serde(default)]
    pub verdicts: Verdicts,
    #[serde(default)]
    pub results: Results,
    #[serde(default)]
    pub baseline: Baseline,
    #[serde(default)]
    pub removed: Vec<Removed>,
    #[serde(default)]
    pub flakes: Flakes,
    #[serde(default)]
    pub update_path: Vec<UpdatePath>,
    #[serde(default)]
    pub image_diff: ImageDiff,
    #[serde(default)]
    pub manual: Vec<Manual>,
}

/// `[[cell]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Cell {
    pub name: Spanned<Glob>,
    #[serde(default = "yes")]
    pub required: bool,
    pub owner: String,
    #[serde(default)]
    pub scenarios: Vec<Glob>,
    #[serde(default)]
    pub tags: Vec<String>,
}

/// `[verdicts]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Verdicts {
    pub flaky: Weight,
    pub infra: Graver,
    pub not_run: Graver,
    pub skip: Weight,
}

/// `[results]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Results {
    pub max_age: Option<Days>,
    pub runs: Option<usize>,
}

/// `[baseline]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Baseline {
    pub required: bool,
    pub runs: Option<usize>,
}

/// `[[removed]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Removed {
    pub scenario: Glob,
    #[serde(default)]
    pub cell: Glob,
    pub reason: String,
}

/// `[flakes]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Flakes {
    pub budget: Option<Percent>,
    pub worse: Spanned<Weight>,
    pub significance: Spanned<f64>,
}

/// `[[update-path]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct UpdatePath {
    pub from: String,
    pub cells: Spanned<Vec<String>>,
    #[serde(default = "update_apply")]
    pub scenarios: Spanned<Vec<Glob>>,
    #[serde(default)]
    pub owner: Option<String>,
}

/// `[image-diff]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ImageDiff {
    pub required: bool,
    pub severities: Vec<Severity>,
    pub rules: Vec<String>,
}

/// The severity of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    Error,
    Warn,
}

/// `[[manual]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Manual {
    pub text: String,
    #[serde(default)]
    pub owner: Option<String>,
}

impl Default for Verdicts {
    fn default() -> Self {
        Self {
            flaky: Weight::Warn,
            infra: Graver::Incomplete,
            not_run: Graver::Incomplete,
            skip: Weight::Warn,
        }
    }
}

impl Default for Flakes {
    fn default() -> Self {
        let (worse, significance) = (Spanned::new(0..0, Weight::Warn), Spanned::new(0..0, 0.05));
        Self { budget: None, worse, significance }
    }
}

impl Default for ImageDiff {
    fn default() -> Self {
        Self { required: false, severities: vec![Severity::Error], rules: Vec::new() }
    }
}

fn yes() -> bool {
    true
}

fn update_apply() -> Spanned<Vec<Glob>> {
    Spanned::new(0..0, vec![Glob("update.apply".to_owned())])
}

impl Policy {
    /// Checks a file's text; `file` is its name in errors.
    ///
    /// # Errors
    /// What is wrong first, with its line and column.
    pub fn parse(file: &str, text: &str) -> Result<Self, PolicyError> {
        /// All that is certain about a policy of any version.
        #[derive(Deserialize)]
        struct Versioned {
            version: Option<Spanned<i64>>,
        }

        let source = Source { file, text };
        if let Ok(Versioned { version: Some(version) }) = toml::from_str(text)
            && *version.get_ref() > i64::from(VERSION)
        {
            return Err(source.wrong(
                version.span(),
                format!(
                    "this policy has version {}, and this wheeltap reads up to version {VERSION}; \
                     use a newer wheeltap",
                    version.get_ref()
                ),
            ));
        }
        let policy: Self = toml::from_str(text).map_err(|error| source.wrong_toml(&error))?;
        policy.check(&source)?;
        Ok(policy)
    }

    /// What makes sense key by key, and not together.
    fn check(&self, source: &Source<'_>) -> Result<(), PolicyError> {
        if *self.version.get_ref() != VERSION {
            let message = format!("there is no version {} of policies", self.version.get_ref());
            return Err(source.wrong(self.version.span(), message));
        }
        if !self.cell.iter().any(|cell| cell.required) {
            let message = "no `[[cell]]` is required, so that everything would be a GO; \
                           name the cells that must be good";
            return Err(source.wrong(0..0, message));
        }
        for cell in self.cell.iter().filter(|cell| cell.required) {
            let says = !cell.scenarios.is_empty() || !cell.tags.is_empty();
            if !says && !self.baseline.required {
                let message = format!(
                    "nothing says what must have run in `{}`, so that a run of a single scenario \
                     would do; give it `scenarios` or `tags`, or require a baseline",
                    cell.name.get_ref().0
                );
                return Err(source.wrong(cell.name.span(), message));
            }
        }
        let significance = *self.flakes.significance.get_ref();
        if !(significance > 0.0 && significance < 1.0) {
            let message = "`significance` must be a probability between 0 and 1, such as 0.05";
            return Err(source.wrong(self.flakes.significance.span(), message));
        }
        if *self.flakes.worse.get_ref() != Weight::Warn && !self.baseline.required {
            let message = "nothing can be worse than a baseline that may be left out; \
                           give `[baseline]` with `required = true`, or `worse = \"warn\"`";
            return Err(source.wrong(self.flakes.worse.span(), message));
        }
        for path in &self.update_path {
            for (list, span, what) in [
                (path.cells.get_ref().len(), path.cells.span(), "cells"),
                (path.scenarios.get_ref().len(), path.scenarios.span(), "scenarios"),
            ] {
                if list == 0 {
                    let message =
                        format!("`{what}` is empty, so that nothing would have to be tested");
                    return Err(source.wrong(span, message));
                }
            }
        }
        Ok(())
    }
}
