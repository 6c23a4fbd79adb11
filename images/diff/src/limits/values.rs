//! Values of `limits.toml`, with an error for each that is none.

use std::ops::Range;

use jiff::civil::Date;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::file::Problem;

pub(super) type Value<'a> = Spanned<DeValue<'a>>;

/// Collects everything that is wrong: a file that was mended for an hour is not to fail again.
pub(super) struct Reader<'a> {
    pub(super) file: &'a str,
    pub(super) text: &'a str,
    pub(super) problems: Vec<Problem>,
}

impl Reader<'_> {
    pub(super) fn problem(&mut self, span: &Range<usize>, message: impl Into<String>) {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        self.problems.push(Problem {
            file: self.file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before.chars().rev().take_while(|c| *c != '\n').count() + 1,
            span: span.clone(),
            message: message.into(),
        });
    }

    pub(super) fn unknown(&mut self, what: &str, span: &Range<usize>, word: &str, known: &[&str]) {
        let nearest = known
            .iter()
            .map(|known| (strsim::jaro_winkler(word, known), known))
            .max_by(|one, other| one.0.total_cmp(&other.0))
            // Below this, two names have little more in common than a letter here and there.
            .filter(|(likeness, _)| *likeness > 0.75);
        let hint = match nearest {
            Some((_, nearest)) => format!("did you mean `{nearest}`?"),
            None => format!("there are: {}", known.join(", ")),
        };
        let word = crate::visible::shortened(word, 60);
        self.problem(span, format!("unknown {what} `{word}`; {hint}"));
    }

    pub(super) fn field<T>(
        &mut self,
        keys: &DeTable<'_>,
        key: &str,
        read: impl Fn(&mut Self, &Value<'_>, &str) -> Option<T>,
    ) -> Option<T> {
        read(self, keys.get(key)?, key)
    }

    /// The same of a key that must be there.
    pub(super) fn needed<T>(
        &mut self,
        table: &Range<usize>,
        keys: &DeTable<'_>,
        key: &str,
        read: impl Fn(&mut Self, &Value<'_>, &str) -> Option<T>,
    ) -> Option<T> {
        if !keys.contains_key(key) {
            self.problem(table, format!("this lacks `{key}`"));
        }
        self.field(keys, key, read)
    }

    pub(super) fn text(&mut self, value: &Value<'_>, key: &str) -> Option<String> {
        let text = value.get_ref().as_str().filter(|text| !text.trim().is_empty());
        if text.is_none() {
            self.problem(&value.span(), format!("`{key}` must be text in quotes, and not empty"));
        }
        text.map(str::to_owned)
    }

    /// Bytes: a number, or a number with a unit.
    pub(super) fn size(&mut self, value: &Value<'_>, key: &str) -> Option<u64> {
        let size = match value.get_ref() {
            DeValue::Integer(number) => {
                u64::from_str_radix(&number.as_str().replace('_', ""), number.radix()).ok()
            }
            DeValue::String(text) => parse_size(text),
            _ => None,
        };
        if size.is_none() {
            let message =
                format!("`{key}` must be a size: bytes, or text such as \"60 MiB\" or \"500 MB\"");
            self.problem(&value.span(), message);
        }
        size
    }

    /// A list of text.
    pub(super) fn list(
        &mut self,
        value: &Value<'_>,
        key: &str,
    ) -> Option<Vec<(Range<usize>, String)>> {
        let DeValue::Array(values) = value.get_ref() else {
            self.problem(
                &value.span(),
                format!("`{key}` must be a list, such as [\"/usr/bin/*\"]"),
            );
            return None;
        };
        values.iter().map(|value| Some((value.span(), self.text(value, key)?))).collect()
    }

    /// A list of globs.
    pub(super) fn globs(&mut self, value: &Value<'_>, key: &str) -> Option<Vec<String>> {
        let globs = self.list(value, key)?;
        globs.into_iter().map(|(span, glob)| self.glob(&span, glob)).collect()
    }

    pub(super) fn glob(&mut self, span: &Range<usize>, glob: String) -> Option<String> {
        // Nothing would match it, silently.
        for (open, close) in [('[', ']'), ('{', '}')] {
            if glob.matches(open).count() != glob.matches(close).count() {
                let message =
                    format!("the glob `{glob}` has a `{open}` or `{close}` without its partner");
                self.problem(span, message);
                return None;
            }
        }
        Some(glob)
    }

    /// A TOML date, or a date as text.
    pub(super) fn date(&mut self, value: &Value<'_>, key: &str) -> Option<Date> {
        let text = match value.get_ref() {
            DeValue::String(text) => text.to_string(),
            DeValue::Datetime(date) => date.to_string(),
            _ => String::new(),
        };
        // The date of a time would be taken, too; on which day that ends depends on the reader's clock.
        let date = (text.len() == 10).then(|| text.parse().ok()).flatten();
        if date.is_none() {
            self.problem(
                &value.span(),
                format!("`{key}` must be a date such as 2026-03-31, its last day"),
            );
        }
        date
    }
}

/// `60 MiB`, `500 MB`.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 9] = [
        ("B", 1),
        ("kB", 1000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
    ];
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(end);
    let (_, factor) = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit.trim()))?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}
