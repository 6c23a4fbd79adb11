//! Errors that a user sees: a sentence, perhaps a way out, and an exit code.

use std::{fmt, io, ops::Range, path::Path};

use miette::{LabeledSpan, NamedSource, SourceCode};
use wheeltap_images::{BuildError, CacheError, ResolveError};

use crate::{ExitCode, SelectError, engine::EngineError};

/// An error that ends a command.
#[derive(Debug)]
pub struct UserError {
    code: ExitCode,
    message: String,
    help: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
    snippet: Option<Box<Snippet>>,
}

/// The place in a file that is wrong.
#[derive(Debug)]
struct Snippet {
    source: NamedSource<String>,
    span: Range<usize>,
}

impl UserError {
    /// The user asked for something that can't be done.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            code: ExitCode::Usage,
            message: message.into(),
            help: None,
            source: None,
            snippet: None,
        }
    }

    /// The host can't do what was asked.
    pub(crate) fn infra(message: impl Into<String>) -> Self {
        Self { code: ExitCode::InfraFailure, ..Self::usage(message) }
    }

    /// Something that should not have been possible.
    pub(crate) fn defect(message: impl Into<String>) -> Self {
        Self { code: ExitCode::Defect, ..Self::usage(message) }
    }

    pub(crate) fn with_help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    pub(crate) fn with_code(self, code: ExitCode) -> Self {
        Self { code, ..self }
    }

    /// Shows the place in a file, by its bytes, that is wrong.
    pub(crate) fn with_snippet(self, path: &Path, text: &str, span: Range<usize>) -> Self {
        let source = NamedSource::new(path.to_string_lossy(), text.to_owned());
        Self { snippet: Some(Box::new(Snippet { source, span })), ..self }
    }

    /// The exit code that goes with it.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        self.code
    }

    /// A file that the user named can't be read.
    pub(crate) fn unreadable(path: &Path, error: &io::Error) -> Self {
        Self::usage(format!("{} can't be read: {error}", path.display()))
    }
}

impl fmt::Display for UserError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for UserError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl miette::Diagnostic for UserError {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as _)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.snippet.as_ref().map(|snippet| &snippet.source as _)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let snippet = self.snippet.as_ref()?;
        let here = LabeledSpan::new_with_span(Some("here".to_owned()), snippet.span.clone());
        Some(Box::new(std::iter::once(here)))
    }
}

impl From<SelectError> for UserError {
    fn from(error: SelectError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<EngineError> for UserError {
    fn from(error: EngineError) -> Self {
        let code = match error {
            EngineError::OtherPlan { .. } => ExitCode::Usage,
            EngineError::Directory { .. } | EngineError::Reports(_) => ExitCode::InfraFailure,
        };
        let message = error.to_string();
        let source = match error {
            EngineError::Directory { .. } | EngineError::OtherPlan { .. } => None,
            EngineError::Reports(error) => {
                std::error::Error::source(&error).map(|source| source.to_string().into())
            }
        };
        Self { code, message, help: None, source, snippet: None }
    }
}

impl From<wheeltap_reports::Error> for UserError {
    fn from(error: wheeltap_reports::Error) -> Self {
        Self { code: ExitCode::Usage, ..EngineError::from(error).into() }
    }
}

impl From<ResolveError> for UserError {
    fn from(error: ResolveError) -> Self {
        let code = match error {
            ResolveError::Cache(_) => ExitCode::InfraFailure,
            _ => ExitCode::Usage,
        };
        Self { code, ..Self::usage(error.to_string()) }
    }
}

impl From<BuildError> for UserError {
    fn from(error: BuildError) -> Self {
        let code = match error {
            BuildError::BadVersion { .. } => ExitCode::Usage,
            BuildError::Cancelled => ExitCode::Interrupted,
            BuildError::MissingPackages { .. }
            | BuildError::NoUpdateClient { .. }
            | BuildError::Failed { .. }
            | BuildError::Io { .. }
            | BuildError::Cache(_) => ExitCode::InfraFailure,
        };
        Self { code, ..Self::usage(error.to_string()) }
    }
}

impl From<CacheError> for UserError {
    fn from(error: CacheError) -> Self {
        Self::infra(error.to_string())
    }
}
