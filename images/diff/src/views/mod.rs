//! What is said about a comparison, in six forms.
//!
//! `story` decides what is said, and in which order; `text`, `md` and `html` say it to people. `json` has everything, for
//! programs. `sarif` and `junit` have what hit the limits, for CI systems.

mod html;
mod json;
mod junit;
mod md;
mod sarif;
mod story;
#[cfg(test)]
mod tests;
mod text;
mod words;

pub(crate) use words::bytes;

use crate::Diff;
use crate::limits::Judgement;

/// The version of the JSON report. Keys may be added within a version.
pub const FORMAT_VERSION: u32 = 1;

/// A form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people at a terminal.
    Text,
    /// For people, in an issue or a summary of GitHub.
    Markdown,
    /// For people with a browser.
    Html,
    /// For programs.
    Json,
    /// The hits, for code scanning.
    Sarif,
    /// The hits, for CI systems.
    Junit,
}

/// A serializer refused the data, which is a defect of wheeltap.
#[derive(Debug, thiserror::Error)]
#[error("the comparison can't be written as {format}: {source}")]
pub struct RenderError {
    format: &'static str,
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl RenderError {
    fn new(format: &'static str, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self { format, source: Box::new(source) }
    }
}

/// Says what changed and what hit the limits. With `all`, text isn't cut to a screen, and HTML has every line.
///
/// # Errors
/// Only if a serializer refuses the data, which is a defect of wheeltap.
pub fn render(
    diff: &Diff<'_>,
    judgement: &Judgement,
    format: Format,
    all: bool,
) -> Result<String, RenderError> {
    match format {
        Format::Text => Ok(text::render(&story::tell(diff, judgement), all)),
        Format::Markdown => Ok(md::render(&story::tell(diff, judgement))),
        Format::Html => Ok(html::render(&story::tell(diff, judgement), all)),
        Format::Json => json::render(diff, judgement),
        Format::Sarif => sarif::render(diff, judgement),
        Format::Junit => junit::render(diff, judgement),
    }
}
