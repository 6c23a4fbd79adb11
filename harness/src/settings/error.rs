//! Where a settings file is wrong, and what was meant.

use std::{ops::Range, path::Path};

use crate::{UserError, select::nearest};

/// A file and its text.
pub(super) struct Source<'a> {
    pub(super) path: &'a Path,
    pub(super) text: &'a str,
}

impl Source<'_> {
    /// An error of the parser, or of a single value.
    pub(super) fn wrong_toml(&self, error: &toml::de::Error) -> UserError {
        self.wrong(error.span().unwrap_or(0..0), in_our_words(error.message()))
    }

    /// An error at a place of the text, which is shown.
    pub(super) fn wrong(&self, span: Range<usize>, message: impl std::fmt::Display) -> UserError {
        let before = self.text.get(..span.start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
        let path = self.path.display();
        // A table's place is all of it; its first line says enough.
        let shown = self.text.get(span.clone()).unwrap_or_default();
        let end = span.start + shown.find('\n').unwrap_or(shown.len());
        UserError::usage(format!("{path}:{line}:{column}: {message}")).with_snippet(
            self.path,
            self.text,
            span.start..end,
        )
    }
}

/// Messages of serde name everything that exists. What was most likely meant says more.
fn in_our_words(message: &str) -> String {
    let Some((what, expected)) = ["field", "variant"].iter().find_map(|what| {
        let rest = message.strip_prefix(&format!("unknown {what} "))?;
        rest.split_once(", ")
    }) else {
        return match message {
            "wanted string or table" => "this must be a word in quotes".to_owned(),
            other => other.replace("missing field", "missing key"),
        };
    };
    let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    let given = what.trim_matches('`');
    let kind = if message.starts_with("unknown field") { "key" } else { "value" };
    let hint = did_you_mean(given, known.iter().copied())
        .unwrap_or_else(|| format!("there are: {}", known.join(", ")));
    format!("unknown {kind} `{given}`; {hint}")
}

/// The known word that is most like it, as a question.
pub(super) fn did_you_mean<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    nearest(word, known).map(|name| format!("did you mean `{name}`?"))
}
