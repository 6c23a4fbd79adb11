//! What there is to say about a config.

use crate::{
    path::{Path, Position},
    tree::Object,
    yaml::Document,
};

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The config can be used, but probably does something else than was meant.
    Warning,
    /// The config can't be used.
    Error,
}

/// Something that is wrong with a config, or strange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What it is about, in the words of Butane; None if the text is no config.
    pub path: Option<Path>,
    /// In one line.
    pub message: String,
    /// Where; None if it is about all of the text.
    pub position: Option<Position>,
}

/// A diagnostic without its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) severity: Severity,
    pub(crate) path: Path,
    /// It is about the last key of the path, not about its value.
    pub(crate) key: bool,
    pub(crate) message: String,
}

#[derive(Debug, Default)]
pub(crate) struct Report(Vec<Finding>);

impl Report {
    pub(crate) fn error(&mut self, path: Path, message: impl Into<String>) {
        self.add(Severity::Error, path, message);
    }

    pub(crate) fn warn(&mut self, path: Path, message: impl Into<String>) {
        self.add(Severity::Warning, path, message);
    }

    pub(crate) fn unused_key(&mut self, path: &Path, key: &str) {
        self.0.push(Finding {
            severity: Severity::Warning,
            path: path.key(key.to_owned()),
            key: true,
            message: format!("unused key {key}"),
        });
    }

    fn add(&mut self, severity: Severity, path: Path, message: impl Into<String>) {
        self.0.push(Finding { severity, path, key: false, message: message.into() });
    }

    pub(crate) fn is_fatal(&self) -> bool {
        self.0.iter().any(|finding| finding.severity == Severity::Error)
    }

    pub(crate) fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    pub(crate) fn renamed(mut self, rename: impl Fn(&Path) -> Path) -> Self {
        for finding in &mut self.0 {
            finding.path = rename(&finding.path);
        }
        self
    }

    /// What was found in Ignition's config is about what the user wrote for it.
    pub(crate) fn traced(self, config: &Object) -> Self {
        self.renamed(|path| config.origin(path))
    }

    pub(crate) fn diagnostics(self, document: &Document) -> Vec<Diagnostic> {
        let place = |finding: Finding| Diagnostic {
            severity: finding.severity,
            position: Some(match finding.key {
                true => document.locate_key(&finding.path),
                false => document.locate(&finding.path),
            }),
            path: Some(finding.path),
            message: finding.message,
        };
        self.0.into_iter().map(place).collect()
    }
}
