//! `limits.toml`: text in, checked rules out. Everything that is wrong is said at once, with line and column.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::rule::{Allow, Check, KINDS, Limits, MUST_BE_COMPARABLE, Rule, Severity};
use super::values::{Reader, Value};
use crate::{Aspect, Component};

/// Something that is wrong in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
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

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)
    }
}

/// Limits that make no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct LimitsError {
    /// All of it, in the order of the file.
    pub problems: Vec<Problem>,
}

/// The keys of every rule.
const COMMON: [&str; 3] = ["kind", "severity", "allow"];

/// The keys of an accepted hit; the first four must be there.
const ALLOW: [&str; 5] = ["id", "owner", "reason", "expires", "tracker"];

impl Limits {
    /// Checks a file's text; `file` is its name in errors and reports.
    ///
    /// # Errors
    /// Everything that is wrong in it.
    pub fn parse(file: &str, text: &str) -> Result<Self, LimitsError> {
        let mut reader = Reader { file, text, problems: Vec::new() };
        let (rules, allows) = reader.document();
        if !reader.problems.is_empty() {
            reader.problems.sort_by_key(|problem| problem.span.start);
            return Err(LimitsError { problems: reader.problems });
        }
        Ok(match rules {
            Some(rules) => Self { source: file.to_owned(), rules, allows },
            // Whoever only accepts hits accepts those of the built-in limits.
            None => Self { source: format!("built-in, with {file}"), allows, ..Self::builtin()? },
        })
    }

    /// The limits that are used where none are given.
    ///
    /// # Errors
    /// If the built-in file is wrong, which a test sees.
    pub fn builtin() -> Result<Self, LimitsError> {
        let limits = Self::parse("default.toml", super::DEFAULT)?;
        Ok(Self { source: "built-in".into(), ..limits })
    }
}

impl Reader<'_> {
    fn document(&mut self) -> (Option<Vec<Rule>>, Vec<Allow>) {
        let document = match DeTable::parse(self.text) {
            Ok(document) => document,
            Err(error) => {
                self.problem(&error.span().unwrap_or_default(), error.message());
                return (None, Vec::new());
            }
        };
        let (mut rules, mut allows) = (None, Vec::new());
        for (key, value) in document.get_ref() {
            match (&**key.get_ref(), value.get_ref()) {
                ("limits", DeValue::Table(tables)) => rules = Some(self.rules(tables)),
                ("limits", _) => {
                    self.problem(&value.span(), "each rule begins with a line `[limits.NAME]`");
                }
                ("allow", DeValue::Array(tables)) => {
                    allows = tables.iter().filter_map(|table| self.allow(table)).collect();
                }
                ("allow", _) => {
                    self.problem(&value.span(), "each accepted hit begins with a line `[[allow]]`");
                }
                (other, _) => self.unknown("key", &key.span(), other, &["limits", "allow"]),
            }
        }
        (rules, allows)
    }

    fn rules(&mut self, tables: &DeTable<'_>) -> Vec<Rule> {
        let mut rules = Vec::new();
        for (name, value) in tables {
            let is_name = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            if name.get_ref().is_empty() || !name.get_ref().chars().all(is_name) {
                let message =
                    "a rule's name begins ids, and may have letters, digits and `._-` only";
                self.problem(&name.span(), message);
                continue;
            }
            let DeValue::Table(keys) = value.get_ref() else {
                self.problem(&value.span(), "each rule begins with a line `[limits.NAME]`");
                continue;
            };
            rules.extend(self.rule(&name.span(), name.get_ref(), keys));
        }
        // In the file's order, not the alphabet's: whoever wrote it put first what matters most.
        rules.sort_by_key(|(place, _)| *place);
        rules.into_iter().map(|(_, rule)| rule).collect()
    }

    fn rule(
        &mut self,
        span: &Range<usize>,
        name: &str,
        keys: &DeTable<'_>,
    ) -> Option<(usize, Rule)> {
        let known = KINDS.map(|kind| kind.name);
        let kind = self.field(keys, "kind", Self::text);
        if keys.contains_key("kind") && kind.is_none() {
            return None;
        }
        let word = kind.as_deref().unwrap_or(name);
        let Some(kind) = KINDS.iter().find(|kind| kind.name == word) else {
            match keys.get("kind") {
                Some(value) => self.unknown("kind", &value.span(), word, &known),
                None if keys.is_empty() => self.unknown("rule", span, word, &known),
                None => {
                    self.problem(
                        span,
                        format!("the rule `{word}` needs a `kind`: {}", known.join(", ")),
                    );
                }
            }
            return None;
        };
        if kind.name == MUST_BE_COMPARABLE && name != kind.name {
            self.problem(
                span,
                format!("this rule must be named `{MUST_BE_COMPARABLE}`, as its hits are"),
            );
        }
        let all: Vec<&str> = kind.keys.iter().chain(&COMMON).copied().collect();
        for key in keys.keys().filter(|key| !all.contains(&&**key.get_ref())) {
            self.unknown("key", &key.span(), key.get_ref(), &all);
        }
        let severity = match keys.get("severity") {
            None => Some(Severity::Error),
            Some(value) => self.severity(value),
        };
        let allow = match keys.get("allow") {
            None => Some(Vec::new()),
            Some(value) => self.globs(value, "allow"),
        };
        let check = self.check(span, kind.name, keys);
        Some((
            span.start,
            Rule { name: name.to_owned(), severity: severity?, allow: allow?, check: check? },
        ))
    }

    fn severity(&mut self, value: &Value<'_>) -> Option<Severity> {
        match &*self.text(value, "severity")? {
            "error" => Some(Severity::Error),
            "warn" => Some(Severity::Warn),
            other => {
                self.unknown("severity", &value.span(), other, &["error", "warn"]);
                None
            }
        }
    }

    fn check(&mut self, span: &Range<usize>, kind: &str, keys: &DeTable<'_>) -> Option<Check> {
        Some(match kind {
            "partition-used" | "partition-size" => {
                let partition = self.needed(span, keys, "partition", Self::text);
                let below = self.needed(span, keys, "below", Self::size)?;
                let partition = partition?;
                match kind {
                    "partition-used" => Check::PartitionUsed { partition, below },
                    _ => Check::PartitionSize { partition, below },
                }
            }
            "image-size-change" => {
                Check::ImageSizeChange { within: self.needed(span, keys, "within", Self::size)? }
            }
            "directory-size" => {
                let path = self.needed(span, keys, "path", Self::path);
                let component = self.field(keys, "component", Self::text);
                let below = self.field(keys, "below", Self::size);
                let growth = self.field(keys, "growth-below", Self::size);
                if !keys.contains_key("below") && !keys.contains_key("growth-below") {
                    self.problem(
                        span,
                        "this lacks `below` or `growth-below`, so that nothing would be checked",
                    );
                }
                let component = match component.as_deref() {
                    None | Some("image") => Component::Base,
                    Some("initrd") => Component::Initrd,
                    Some("full-initrd") => Component::FullInitrd,
                    Some(name) => Component::Sysext(name.to_owned()),
                };
                Check::DirectorySize { path: path?, component, below, growth }
            }
            "no-downgrade" => Check::NoDowngrade,
            "no-new-setuid" => Check::NoNewSetuid,
            "no-new-capability" => Check::NoNewCapability,
            "no-removed-unit" => Check::NoRemovedUnit,
            "no-removed-file" => {
                Check::NoRemovedFile { files: self.needed(span, keys, "files", Self::globs)? }
            }
            "no-new-listener" => Check::NoNewListener,
            "no-new-user" => Check::NoNewUser,
            "kernel-config" => {
                let must = self.field(keys, "must", Self::options).unwrap_or_default();
                let unchanged = self.field(keys, "unchanged", Self::globs).unwrap_or_default();
                if !keys.contains_key("must") && !keys.contains_key("unchanged") {
                    self.problem(
                        span,
                        "this lacks `must` or `unchanged`, so that nothing would be checked",
                    );
                }
                Check::KernelConfig { must, unchanged }
            }
            _ => {
                let aspects = self.field(keys, "aspects", Self::aspects);
                Check::MustBeComparable { aspects: aspects.unwrap_or_default() }
            }
        })
    }

    fn path(&mut self, value: &Value<'_>, key: &str) -> Option<String> {
        let path = self.text(value, key)?;
        if path.starts_with('/') {
            return Some(path);
        }
        self.problem(
            &value.span(),
            format!("`{key}` must begin at the root, such as /usr/lib/firmware"),
        );
        None
    }

    fn options(&mut self, value: &Value<'_>, key: &str) -> Option<BTreeMap<String, String>> {
        let DeValue::Table(options) = value.get_ref() else {
            self.problem(
                &value.span(),
                format!("`{key}` must be a table, such as {{ CONFIG_MODULE_SIG = \"y\" }}"),
            );
            return None;
        };
        let mut all = BTreeMap::new();
        for (option, value) in options {
            if !option.get_ref().starts_with("CONFIG_") {
                self.problem(&option.span(), "names of options begin with `CONFIG_`");
            }
            all.insert(option.get_ref().to_string(), self.text(value, key)?);
        }
        Some(all)
    }

    fn aspects(&mut self, value: &Value<'_>, key: &str) -> Option<Vec<Aspect>> {
        let mut aspects = Vec::new();
        for (span, word) in self.list(value, key)? {
            match Aspect::ALL.iter().find(|aspect| aspect.name() == word) {
                Some(aspect) => aspects.push(*aspect),
                None => self.unknown("aspect", &span, &word, &Aspect::ALL.map(Aspect::name)),
            }
        }
        Some(aspects)
    }

    fn allow(&mut self, table: &Value<'_>) -> Option<Allow> {
        let DeValue::Table(keys) = table.get_ref() else {
            self.problem(&table.span(), "each accepted hit begins with a line `[[allow]]`");
            return None;
        };
        for key in keys.keys().filter(|key| !ALLOW.contains(&&**key.get_ref())) {
            self.unknown("key", &key.span(), key.get_ref(), &ALLOW);
        }
        let missing: Vec<_> = ALLOW[..4].iter().filter(|key| !keys.contains_key(**key)).collect();
        if !missing.is_empty() {
            let missing: Vec<_> = missing.into_iter().map(|key| format!("`{key}`")).collect();
            self.problem(&table.span(), format!("this accepted hit lacks {}", missing.join(", ")));
        }
        let id = self.field(keys, "id", Self::id);
        let owner = self.field(keys, "owner", Self::text);
        let reason = self.field(keys, "reason", Self::text);
        let tracker = self.field(keys, "tracker", Self::text);
        let expires = self.field(keys, "expires", Self::date);
        Some(Allow { id: id?, owner: owner?, reason: reason?, tracker, expires: expires? })
    }

    fn id(&mut self, value: &Value<'_>, key: &str) -> Option<String> {
        let id = self.text(value, key)?;
        // Whoever wants that leaves the rule out, where everybody sees it.
        if id.starts_with(['*', '?', '{', '[']) {
            let message = "this accepts hits of any rule, also those that nobody has seen; begin with a rule's name";
            self.problem(&value.span(), message);
            return None;
        }
        Some(id)
    }
}
