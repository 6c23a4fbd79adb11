//! `waivers.toml`: text in, checked waivers out.
//!
//! Everything that is wrong is said at once, with line and column: a file that was mended for an hour
//! is not to fail again the next night.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use jiff::civil::Date;
use regex::Regex;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::scope::Scope;
use super::version::VersionRange;
use super::{LimitWaiver, Matcher, Waiver, WaiverUse, Waivers};
use crate::clean::{self, LINE};
use crate::{Error, Result, signature};

/// Something that is wrong in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file's name, as it was given.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// What is wrong, and what to do about it.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)
    }
}

/// The keys of a waiver; the first seven must be there, or with `limit` those of [`LIMIT_KEYS`].
const KEYS: [&str; 12] = [
    "id",
    "scenario",
    "signature",
    "owner",
    "tracker",
    "expires",
    "reason",
    "platform",
    "arch",
    "channel",
    "version",
    "limit",
];

/// The keys of a waiver that is about a limit; all must be there.
const LIMIT_KEYS: [&str; 6] = ["id", "limit", "owner", "tracker", "expires", "reason"];

impl Waivers {
    /// Checks a file's text; `file` is its name in errors.
    ///
    /// # Errors
    /// [`Error::BadWaivers`] with everything that is wrong.
    pub fn parse(file: &str, text: &str) -> Result<Self> {
        let mut reader = Reader { file, text, problems: Vec::new() };
        let (waivers, limits) = reader.document();
        if reader.problems.is_empty() {
            return Ok(Self { text: text.to_owned(), waivers, limits });
        }
        reader.problems.sort_by_key(|problem| (problem.line, problem.column));
        Err(Error::BadWaivers { problems: reader.problems })
    }
}

struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    problems: Vec<Problem>,
}

type Value<'a> = Spanned<DeValue<'a>>;

impl Reader<'_> {
    fn problem(&mut self, span: &Range<usize>, message: impl Into<String>) {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        self.problems.push(Problem {
            file: self.file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before.chars().rev().take_while(|c| *c != '\n').count() + 1,
            message: message.into(),
        });
    }

    fn document(&mut self) -> (Vec<Waiver>, Vec<LimitWaiver>) {
        let document = match DeTable::parse(self.text) {
            Ok(document) => document,
            Err(error) => {
                self.problem(&error.span().unwrap_or_default(), error.message());
                return (Vec::new(), Vec::new());
            }
        };
        let (mut waivers, mut limits) = (Vec::new(), Vec::new());
        let mut ids = HashMap::new();
        for (key, value) in document.get_ref() {
            if key.get_ref() != "waiver" {
                self.unknown_key(&key.span(), key.get_ref(), &["waiver"]);
                continue;
            }
            let DeValue::Array(tables) = value.get_ref() else {
                self.problem(&value.span(), "each waiver begins with a line `[[waiver]]`");
                continue;
            };
            for table in tables.iter() {
                let DeValue::Table(keys) = table.get_ref() else {
                    self.problem(&table.span(), "each waiver begins with a line `[[waiver]]`");
                    continue;
                };
                let id = if keys.contains_key("limit") {
                    let Some(limit) = self.limit(&table.span(), keys) else { continue };
                    let id = limit.waiver.id.clone();
                    limits.push(limit);
                    id
                } else {
                    let Some(waiver) = self.waiver(&table.span(), keys) else { continue };
                    let id = waiver.id.clone();
                    waivers.push(waiver);
                    id
                };
                let span = keys.get("id").map_or(table.span(), Spanned::span);
                if ids.insert(id.clone(), ()).is_some() {
                    let message = format!("another waiver has the id `{id}`; ids are unique");
                    self.problem(&span, message);
                }
            }
        }
        (waivers, limits)
    }

    /// An accepted hit of a limit. It is named as it is: a glob would accept what nobody has seen.
    fn limit(&mut self, span: &Range<usize>, keys: &DeTable<'_>) -> Option<LimitWaiver> {
        let before = self.problems.len();
        for key in keys.keys().filter(|key| !LIMIT_KEYS.contains(&&**key.get_ref())) {
            if KEYS.contains(&&**key.get_ref()) {
                let message = format!(
                    "`{}` is about scenarios, and this waiver is about a limit; make it two",
                    key.get_ref()
                );
                self.problem(&key.span(), message);
            } else {
                self.unknown_key(&key.span(), key.get_ref(), &LIMIT_KEYS);
            }
        }
        self.missing(span, keys, &LIMIT_KEYS);
        let id = self.field(keys, "id", Self::id);
        let limit = self.field(keys, "limit", Self::limit_id);
        let owner = self.field(keys, "owner", Self::line);
        let tracker = self.field(keys, "tracker", Self::url);
        let expires = self.field(keys, "expires", Self::date);
        let reason = self.field(keys, "reason", Self::line);
        if self.problems.len() > before {
            return None;
        }
        let waiver = WaiverUse {
            id: id?,
            owner: owner?,
            tracker: tracker?,
            expires: expires?,
            reason: reason?,
        };
        Some(LimitWaiver { limit: limit?, waiver })
    }

    fn missing(&mut self, span: &Range<usize>, keys: &DeTable<'_>, needed: &[&str]) {
        let missing = needed.iter().filter(|key| !keys.contains_key(**key));
        let missing: Vec<_> = missing.map(|key| format!("`{key}`")).collect();
        if !missing.is_empty() {
            self.problem(span, format!("this waiver lacks {}", missing.join(", ")));
        }
    }

    fn waiver(&mut self, span: &Range<usize>, keys: &DeTable<'_>) -> Option<Waiver> {
        let before = self.problems.len();
        for key in keys.keys() {
            if !KEYS.contains(&&**key.get_ref()) {
                self.unknown_key(&key.span(), key.get_ref(), &KEYS);
            }
        }
        self.missing(span, keys, &KEYS[..7]);
        let id = self.field(keys, "id", Self::id);
        let scenario = self.field(keys, "scenario", Self::glob);
        let signature = self.field(keys, "signature", Self::matcher);
        let owner = self.field(keys, "owner", Self::line);
        let tracker = self.field(keys, "tracker", Self::url);
        let expires = self.field(keys, "expires", Self::date);
        let reason = self.field(keys, "reason", Self::line);
        let platform = self.field(keys, "platform", Self::words);
        let arch = self.field(keys, "arch", Self::words);
        let channel = self.field(keys, "channel", Self::words);
        let version = self.field(keys, "version", Self::range);
        if self.problems.len() > before {
            return None;
        }
        let scope = Scope {
            scenario: scenario?,
            platform: platform.unwrap_or_default(),
            arch: arch.unwrap_or_default(),
            channel: channel.unwrap_or_default(),
            version,
        };
        Some(Waiver {
            id: id?,
            signature: signature?,
            scope,
            owner: owner?,
            tracker: tracker?,
            expires: expires?,
            reason: reason?,
        })
    }

    fn field<T>(
        &mut self,
        keys: &DeTable<'_>,
        key: &str,
        read: impl Fn(&mut Self, &Value<'_>, &str) -> Option<T>,
    ) -> Option<T> {
        let value = keys.get(key)?;
        read(self, value, key)
    }

    fn unknown_key(&mut self, span: &Range<usize>, key: &str, known: &[&str]) {
        let nearest = known
            .iter()
            .map(|known| (strsim::jaro_winkler(key, known), known))
            .max_by(|one, other| one.0.total_cmp(&other.0))
            // Below this, two names have little more in common than a letter here and there.
            .filter(|(likeness, _)| *likeness > 0.75);
        let hint = match nearest {
            Some((_, nearest)) => format!("did you mean `{nearest}`?"),
            None => format!("there are: {}", known.join(", ")),
        };
        self.problem(span, format!("unknown key `{key}`; {hint}"));
    }

    /// Text with something in it, fit for reports.
    fn line(&mut self, value: &Value<'_>, key: &str) -> Option<String> {
        let text = value.get_ref().as_str().map(|text| clean::line(text, LINE));
        if text.as_ref().is_none_or(String::is_empty) {
            self.problem(&value.span(), format!("`{key}` must be text, and not empty"));
            return None;
        }
        text
    }

    fn id(&mut self, value: &Value<'_>, key: &str) -> Option<String> {
        let id = self.line(value, key)?;
        if id.chars().all(|c| c.is_ascii_alphanumeric() || "._-#".contains(c)) {
            return Some(id);
        }
        let message =
            format!("the id `{id}` may have letters, digits and `._-#` only, such as `W-12`");
        self.problem(&value.span(), message);
        None
    }

    /// `RULE:SUBJECT`, as `wheeltap image diff` shows it.
    fn limit_id(&mut self, value: &Value<'_>, key: &str) -> Option<String> {
        let limit = self.line(value, key)?;
        if limit
            .split_once(':')
            .is_some_and(|(rule, subject)| !rule.is_empty() && !subject.is_empty())
        {
            return Some(limit);
        }
        let message =
            format!("`{limit}` is no id of a hit; give one such as `no-downgrade:openssl`");
        self.problem(&value.span(), message);
        None
    }

    fn glob(&mut self, value: &Value<'_>, key: &str) -> Option<String> {
        let glob = self.line(value, key)?;
        match glob_problem(&glob) {
            None => Some(glob),
            Some(problem) => {
                let message = format!("the glob `{glob}` {problem}; give one such as `update.*`");
                self.problem(&value.span(), message);
                None
            }
        }
    }

    fn matcher(&mut self, value: &Value<'_>, key: &str) -> Option<Matcher> {
        // Not cleaned: every character of a pattern counts.
        let Some(text) = value.get_ref().as_str().filter(|text| !text.is_empty()) else {
            self.problem(&value.span(), format!("`{key}` must be text, and not empty"));
            return None;
        };
        let is_digest = text.len() == signature::DIGITS
            && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if is_digest {
            return Some(Matcher::Signature(text.to_owned()));
        }
        match Regex::new(text) {
            Ok(pattern) if pattern.is_match("") => {
                let message = "this pattern matches every failure, also those that nobody has seen; \
                               name what is accepted";
                self.problem(&value.span(), message);
                None
            }
            Ok(pattern) => Some(Matcher::Headline(pattern)),
            Err(error) => {
                // The last line is the reason; those before it draw the pattern.
                let error = error.to_string();
                let reason = error.lines().last().unwrap_or(&error);
                let reason = reason.strip_prefix("error: ").unwrap_or(reason);
                let message = format!(
                    "`{key}` is neither a regular expression ({reason}) nor the 12 hex digits of a signature"
                );
                self.problem(&value.span(), message);
                None
            }
        }
    }

    fn url(&mut self, value: &Value<'_>, key: &str) -> Option<String> {
        let url = self.line(value, key)?;
        let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        if host.is_some_and(|host| !host.is_empty() && !host.contains(' ')) {
            return Some(url);
        }
        let message = format!("`{url}` is no URL; give one such as https://example.org/issues/12");
        self.problem(&value.span(), message);
        None
    }

    /// A TOML date, or a date as text.
    fn date(&mut self, value: &Value<'_>, _key: &str) -> Option<Date> {
        let text = match value.get_ref() {
            DeValue::String(text) => text.to_string(),
            DeValue::Datetime(date) => date.to_string(),
            _ => String::new(),
        };
        // jiff would take the date of a time, too; on which day that ends depends on the reader's clock.
        let date = (text.len() == 10).then(|| text.parse().ok()).flatten();
        if date.is_none() {
            self.problem(
                &value.span(),
                "`expires` must be a date such as 2026-03-31, its last day",
            );
        }
        date
    }

    /// A word, or a list of words.
    fn words(&mut self, value: &Value<'_>, key: &str) -> Option<Vec<String>> {
        let values: Vec<_> = match value.get_ref() {
            DeValue::Array(values) => values.iter().collect(),
            _ => vec![value],
        };
        if values.is_empty() {
            let message =
                format!("`{key}` is empty, so this waiver holds nowhere; leave it out to mean any");
            self.problem(&value.span(), message);
            return None;
        }
        values.into_iter().map(|value| self.line(value, key)).collect()
    }

    fn range(&mut self, value: &Value<'_>, key: &str) -> Option<VersionRange> {
        let text = self.line(value, key)?;
        match VersionRange::parse(&text) {
            Ok(range) => Some(range),
            Err(message) => {
                self.problem(&value.span(), message);
                None
            }
        }
    }
}

/// What is wrong with a glob. Nothing would match it, silently.
fn glob_problem(glob: &str) -> Option<String> {
    if let Some(c) =
        glob.chars().find(|c| !c.is_ascii_alphanumeric() && !".-_*?[]{}!^,".contains(*c))
    {
        return Some(format!("has {c:?} in it, which no scenario has"));
    }
    for (open, close) in [('[', ']'), ('{', '}')] {
        let mut depth = 0_i32;
        for c in glob.chars() {
            depth += i32::from(c == open) - i32::from(c == close);
            if depth < 0 {
                break;
            }
        }
        if depth != 0 {
            return Some(format!("has a `{open}` or `{close}` without its partner"));
        }
    }
    None
}
