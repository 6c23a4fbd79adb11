//! The rules: what to look for, and what it means.

use std::{
    collections::HashSet,
    io,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
};

use regex::bytes::{Regex, RegexBuilder, RegexSet, RegexSetBuilder, SetMatches};
use serde::Deserialize;

use super::{
    boot::{Marker, MarkerPatterns},
    hit::{Severity, Source},
};
use crate::profile::toml_position;

static BUILTIN: LazyLock<Rules> = LazyLock::new(|| {
    let text = include_str!("../../console-rules.toml");
    // A test parses the same text, so a broken file never gets into a release.
    Rules::parse("console-rules.toml", text).expect("the built-in console rules are valid")
});

/// A set of rules, compiled. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Rules(Arc<Compiled>);

#[derive(Debug)]
struct Compiled {
    rules: Vec<Rule>,
    markers: MarkerPatterns,
    marker_kinds: Vec<Marker>,
    /// The patterns of all rules, then those of all markers, so that one pass over a line finds everything.
    set: RegexSet,
}

/// One compiled rule.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) id: Arc<str>,
    pub(super) severity: Severity,
    pub(super) explained_by_ignition: bool,
    pub(super) repeat: u32,
    meaning: String,
    regex: Regex,
    exclude: RegexSet,
    sources: Vec<Source>,
}

/// The file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RulesFile {
    boot: MarkerPatterns,
    rule: Vec<RuleEntry>,
}

/// A rule in the file.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RuleEntry {
    id: String,
    meaning: String,
    pattern: String,
    #[serde(default)]
    exclude: Vec<String>,
    severity: Severity,
    sources: Vec<Source>,
    #[expect(dead_code, reason = "read by people, and checked to be one of the known words")]
    origin: Origin,
    explained_by: Option<Explanation>,
    #[serde(default = "once")]
    repeat: u32,
    #[cfg_attr(not(test), expect(dead_code, reason = "the tests check it"))]
    examples: Vec<String>,
    #[cfg_attr(not(test), expect(dead_code, reason = "the tests check it"))]
    near_misses: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Origin {
    Kola,
    Own,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Explanation {
    Ignition,
}

fn once() -> u32 {
    1
}

/// Why rules can't be had.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// The file can't be read.
    #[error("can't read the console rules {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not TOML, or not of the right shape.
    #[error("{file}:{line}:{column}: not valid console rules: {message}")]
    Syntax {
        /// The file.
        file: String,
        /// Line, counted from 1.
        line: usize,
        /// Column in characters, counted from 1.
        column: usize,
        /// What is wrong.
        message: String,
    },
    /// A rule makes no sense.
    #[error("{file}: rule {rule:?}: {message}")]
    Rule {
        /// The file.
        file: String,
        /// Id of the rule, or `boot` for the markers.
        rule: String,
        /// What is wrong.
        message: String,
    },
}

/// No rule has this id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no console rule {id:?}. Known rules: {}", known.join(", "))]
pub struct UnknownRule {
    /// The id asked for.
    pub id: String,
    /// The ids that exist.
    pub known: Vec<String>,
}

impl Rules {
    /// The rules that come with wheeltap.
    #[must_use]
    pub fn builtin() -> Self {
        BUILTIN.clone()
    }

    /// Rules from a file.
    ///
    /// # Errors
    /// The file can't be read, or is not valid.
    pub fn load(path: &Path) -> Result<Self, RulesError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| RulesError::Unreadable { path: path.to_owned(), source })?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// Rules from text; `file` is its name in errors.
    ///
    /// # Errors
    /// [`RulesError::Syntax`] with line and column, or [`RulesError::Rule`] with the id of the rule.
    pub fn parse(file: &str, text: &str) -> Result<Self, RulesError> {
        let parsed: RulesFile = toml::from_str(text).map_err(|error| {
            let (line, column) = toml_position(text, &error);
            let message = error.message().to_owned();
            RulesError::Syntax { file: file.to_owned(), line, column, message }
        })?;
        let wrong = |rule: &str, message: String| RulesError::Rule {
            file: file.to_owned(),
            rule: rule.to_owned(),
            message,
        };
        let mut ids = HashSet::new();
        let mut rules = Vec::new();
        for entry in parsed.rule {
            let id = entry.id.clone();
            if !ids.insert(id.clone()) {
                return Err(wrong(&id, "the id is used twice".into()));
            }
            rules.push(entry.compile().map_err(|message| wrong(&id, message))?);
        }
        Self::assemble(rules, parsed.boot).map_err(|error| wrong("boot", error.to_string()))
    }

    fn assemble(rules: Vec<Rule>, markers: MarkerPatterns) -> Result<Self, regex::Error> {
        let patterns = rules.iter().map(|rule| rule.regex.as_str());
        let set = regex_set(patterns.chain(markers.iter().map(|(_, pattern)| pattern)))?;
        let marker_kinds = markers.iter().map(|(marker, _)| marker).collect();
        Ok(Self(Arc::new(Compiled { rules, markers, marker_kinds, set })))
    }

    /// The rules that apply to one kind of log.
    #[must_use]
    pub fn for_source(&self, source: Source) -> Self {
        let applies = |rule: &&Rule| rule.sources.contains(&source);
        let rules = self.0.rules.iter().filter(applies).cloned().collect();
        Self::assemble(rules, self.0.markers.clone()).unwrap_or_else(|_| self.clone())
    }

    /// The ids of all rules, in the order of the file.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.rules.iter().map(|rule| &*rule.id)
    }

    pub(super) fn get(&self, index: usize) -> &Rule {
        &self.0.rules[index]
    }

    pub(super) fn len(&self) -> usize {
        self.0.rules.len()
    }

    pub(super) fn index(&self, id: &str) -> Result<usize, UnknownRule> {
        self.0.rules.iter().position(|rule| &*rule.id == id).ok_or_else(|| UnknownRule {
            id: id.to_owned(),
            known: self.ids().map(str::to_owned).collect(),
        })
    }

    /// Everything that a line matches, exclusions not yet applied.
    pub(super) fn matches(&self, line: &str) -> LineMatches<'_> {
        LineMatches { rules: self, matches: self.0.set.matches(line.as_bytes()) }
    }
}

/// What a line matches.
pub(super) struct LineMatches<'a> {
    rules: &'a Rules,
    matches: SetMatches,
}

impl LineMatches<'_> {
    /// What the line says about the boot.
    pub(super) fn marker(&self) -> Option<Marker> {
        let first = self.rules.len();
        let markers = self.matches.iter().filter_map(|index| index.checked_sub(first));
        markers.map(|index| self.rules.0.marker_kinds[index]).next()
    }

    /// Indexes of the rules.
    pub(super) fn rules(&self) -> impl Iterator<Item = usize> {
        self.matches.iter().take_while(|&index| index < self.rules.len())
    }
}

impl Rule {
    /// Whether the line is one of the known exceptions.
    pub(super) fn excludes(&self, line: &str) -> bool {
        self.exclude.is_match(line.as_bytes())
    }

    /// The meaning, and the part of the line that says more.
    pub(super) fn headline(&self, line: &str) -> String {
        let captures = self.regex.captures(line.as_bytes());
        let detail = captures
            .iter()
            .flat_map(|captures| captures.iter().skip(1).flatten())
            .map(|group| String::from_utf8_lossy(group.as_bytes().trim_ascii()))
            .find(|text| !text.is_empty());
        match detail {
            Some(detail) => format!("{}: {detail}", self.meaning),
            None => self.meaning.clone(),
        }
    }
}

// Patterns see bytes, not Unicode: word boundaries that know Unicode are very slow on lines with any such character,
// and systemd's messages are full of bullets and ellipses.
fn regex(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern).unicode(false).build()
}

fn regex_set(
    patterns: impl IntoIterator<Item = impl AsRef<str>>,
) -> Result<RegexSet, regex::Error> {
    RegexSetBuilder::new(patterns).unicode(false).build()
}

impl RuleEntry {
    fn compile(self) -> Result<Rule, String> {
        if self.repeat == 0 {
            return Err("repeat must be 1 or more".into());
        }
        if self.sources.is_empty() {
            return Err("sources must not be empty".into());
        }
        Ok(Rule {
            id: self.id.into(),
            severity: self.severity,
            explained_by_ignition: matches!(self.explained_by, Some(Explanation::Ignition)),
            repeat: self.repeat,
            meaning: self.meaning,
            regex: regex(&self.pattern).map_err(|error| error.to_string())?,
            exclude: regex_set(&self.exclude).map_err(|error| error.to_string())?,
            sources: self.sources,
        })
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    const TEXT: &str = include_str!("../../console-rules.toml");

    #[test]
    fn every_rule_matches_its_examples_and_not_its_near_misses() {
        let file: RulesFile = toml::from_str(TEXT).unwrap();
        let rules = Rules::builtin();
        for entry in &file.rule {
            let index = rules.index(&entry.id).unwrap();
            let hits = |line: &str| {
                rules.matches(line).rules().any(|matched| matched == index)
                    && !rules.get(index).excludes(line)
            };
            assert!(!entry.examples.is_empty(), "{} has no example", entry.id);
            assert!(!entry.near_misses.is_empty(), "{} has no near miss", entry.id);
            for line in &entry.examples {
                assert!(hits(line), "{} must match {line:?}", entry.id);
            }
            for line in &entry.near_misses {
                assert!(!hits(line), "{} must not match {line:?}", entry.id);
            }
        }
    }

    #[test]
    fn headlines_name_the_cause() {
        let file: RulesFile = toml::from_str(TEXT).unwrap();
        let rules = Rules::builtin();
        let headlines: Vec<_> = file
            .rule
            .iter()
            .flat_map(|entry| {
                let rule = rules.get(rules.index(&entry.id).unwrap());
                entry
                    .examples
                    .iter()
                    .map(|line| format!("{:?} {}", rule.severity, rule.headline(line)))
            })
            .collect();
        insta::assert_snapshot!(headlines.join("\n"));
    }

    const BOOT: &str = "[boot]\nend = []\nkexec = []\nfirmware = []\nloader = []\nkernel = []\n";

    fn rule(id: &str, more: &str) -> String {
        format!(
            "[[rule]]\nid = \"{id}\"\nmeaning = \"m\"\nseverity = \"warn\"\nsources = [\"console\"]\n\
             origin = \"own\"\nexamples = []\nnear-misses = []\n{more}\n"
        )
    }

    #[test_case(&rule("a", "pattern = '('"), "r.toml: rule \"a\": regex parse error:" ; "bad pattern")]
    #[test_case(&rule("a", "pattern = 'x'\nexclude = ['[']"), "r.toml: rule \"a\": regex parse error:" ; "bad exclusion")]
    #[test_case(&rule("a", "pattern = 'x'\nrepeat = 0"), "r.toml: rule \"a\": repeat must be 1 or more" ; "repeat")]
    #[test_case(&rule("a", "pattern = 'x'").repeat(2), "r.toml: rule \"a\": the id is used twice" ; "twice")]
    #[test_case(&rule("a", "patern = 'x'"), "r.toml:15:1: not valid console rules: unknown field `patern`" ; "unknown field")]
    #[test_case("[[rule]", "r.toml:7:8: not valid console rules: " ; "syntax")]
    fn broken_rules_are_refused_by_name(text: &str, message: &str) {
        let error = Rules::parse("r.toml", &format!("{BOOT}{text}")).unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
    }

    #[test]
    fn rules_are_chosen_by_source() {
        let journal = Rules::builtin().for_source(Source::Journal);
        assert!(journal.index("kernel-panic").is_ok());
        let error = journal.index("grub-memory").unwrap_err();
        assert!(
            error.to_string().starts_with(
                "there is no console rule \"grub-memory\". Known rules: kernel-panic, "
            )
        );
    }
}
