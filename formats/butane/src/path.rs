//! Where something is: in a config by its keys, and in a text by line and column.

use std::{borrow::Cow, fmt};

use crate::yaml::lines;

/// A place in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// From 1.
    pub line: u64,
    /// From 1, in characters; a byte order mark isn't one.
    pub column: u64,
}

impl Position {
    pub(crate) const START: Self = Self { line: 1, column: 1 };

    /// The line of a text, without its end.
    #[must_use]
    pub fn line_of<'a>(&self, text: &'a str) -> Option<&'a str> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        lines(text).nth(usize::try_from(self.line).ok()?.checked_sub(1)?)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// A place in a config, as Butane writes it: `$.storage.files.0.path`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Path(Vec<Segment>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Segment {
    Key(Cow<'static, str>),
    Index(usize),
}

impl Path {
    pub(crate) fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// Whether it is the config itself.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn key(&self, key: impl Into<Cow<'static, str>>) -> Self {
        self.with(Segment::Key(key.into()))
    }

    pub(crate) fn index(&self, index: usize) -> Self {
        self.with(Segment::Index(index))
    }

    /// Of several keys.
    pub(crate) fn of(keys: &[&'static str]) -> Self {
        Self(keys.iter().map(|&key| Segment::Key(Cow::Borrowed(key))).collect())
    }

    fn with(&self, segment: Segment) -> Self {
        let mut longer = Vec::with_capacity(self.0.len() + 1);
        longer.extend_from_slice(&self.0);
        longer.push(segment);
        Self(longer)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$")?;
        for segment in &self.0 {
            match segment {
                Segment::Key(key) => write!(f, ".{key}")?,
                Segment::Index(index) => write!(f, ".{index}")?,
            }
        }
        Ok(())
    }
}
