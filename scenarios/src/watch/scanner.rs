//! Applies the rules to bytes as they come.

use std::{collections::VecDeque, sync::Arc};

use super::{
    boot::BootCounter,
    hit::{Hit, Line},
    ignition_failure::IgnitionFailure,
    lines::{Lines, Piece},
    rules::{LineMatches, Rules, UnknownRule},
};

/// Lines of context on each side of a hit.
const CONTEXT: usize = 20;
/// Lines that are remembered for [`Scanner::tail`].
const RECENT: usize = 200;
/// Hits kept per rule. A machine in a crash loop repeats itself for hours.
const HITS_PER_RULE: u64 = 100;

/// Finds hits in a log. Holds a bounded number of lines and hits, however long the log is.
#[derive(Debug)]
pub struct Scanner {
    lines: Lines,
    state: State,
}

/// Everything but the splitting into lines, which borrows from it.
#[derive(Debug)]
struct State {
    rules: Rules,
    boots: BootCounter,
    recent: VecDeque<Line>,
    hits: Vec<Hit>,
    /// Hits whose lines after are still to come, as indexes.
    open: Vec<usize>,
    counts: Vec<Count>,
    /// Line and boot of the last piece, and the rules that have matched on that line.
    current: (u64, u32),
    matched: Vec<usize>,
    expectations: Vec<Expected>,
}

/// How often a rule has matched.
#[derive(Clone, Debug, Default)]
struct Count {
    total: u64,
    boot: u32,
    in_boot: u32,
}

/// Rules whose hits are expected, and how often they have matched since.
#[derive(Debug)]
struct Expected {
    id: u64,
    rules: Vec<(usize, u64)>,
}

impl Scanner {
    /// A scanner at the beginning of a log.
    #[must_use]
    pub fn new(rules: &Rules) -> Self {
        let state = State {
            rules: rules.clone(),
            boots: BootCounter::default(),
            recent: VecDeque::with_capacity(RECENT),
            hits: Vec::new(),
            open: Vec::new(),
            counts: vec![Count::default(); rules.len()],
            current: (0, 0),
            matched: Vec::new(),
            expectations: Vec::new(),
        };
        Self { lines: Lines::default(), state }
    }

    /// Takes in the next bytes of the log, cut anywhere.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.lines.feed(bytes, |piece| self.state.piece(piece));
    }

    /// The end of the log: looks at a last line without a line break, too.
    pub fn finish(&mut self) {
        self.lines.finish(|piece| self.state.piece(piece));
    }

    /// Looks at a line that has not ended yet, for when nothing has come for a while. Prompts never end.
    pub fn look_at_partial_line(&mut self) {
        if let Some(piece) = self.lines.partial() {
            let line = self.state.line(piece);
            let rules = self.state.rules.clone();
            self.state.apply_rules(&line, &rules.matches(&line.text));
        }
    }

    /// The log begins anew, as when its file was replaced: line numbers start at 1 again. Hits stay.
    pub fn restart_log(&mut self) {
        self.finish();
        self.lines = Lines::default();
        self.state.current = (0, 0);
    }

    /// The machine was reset. Consoles show most resets themselves; this is for those that they don't.
    pub fn new_boot(&mut self) {
        self.finish();
        self.state.boots.begin();
    }

    /// The number of the boot that the log is in, counted from 1.
    #[must_use]
    pub fn boot(&self) -> u32 {
        self.state.boots.boot()
    }

    /// All hits so far, oldest first, but no more than 100 of one rule. Only ever grows at its end.
    #[must_use]
    pub fn hits(&self) -> &[Hit] {
        &self.state.hits
    }

    /// How often a rule has matched, whether or not the hits were kept.
    ///
    /// # Errors
    /// [`UnknownRule`] with the known ones.
    pub fn count(&self, rule: &str) -> Result<u64, UnknownRule> {
        Ok(self.state.counts[self.state.rules.index(rule)?].total)
    }

    /// The last `n` lines, at most 200.
    #[must_use]
    pub fn tail(&self, n: usize) -> Vec<Line> {
        let skip = self.state.recent.len().saturating_sub(n);
        self.state.recent.iter().skip(skip).cloned().collect()
    }

    /// The headline of the first unexpected fatal hit after the first `seen` hits.
    ///
    /// If an Ignition failure may be behind it, later lines of the same boot that explain it are preferred to it.
    #[must_use]
    pub fn fatal_headline(&self, seen: usize) -> Option<&str> {
        let mut fatal = self.state.hits.iter().skip(seen).filter(|hit| hit.is_fatal());
        let first = fatal.next()?;
        let explained = |hit: &&Hit| hit.ignition.is_some() && hit.line.boot == first.line.boot;
        let better = if first.explained_by_ignition && first.ignition.is_none() {
            fatal.find(explained)
        } else {
            None
        };
        Some(&better.unwrap_or(first).headline)
    }

    /// From now on, hits of these rules are expected. Gives a number by which the expectation is known.
    ///
    /// # Errors
    /// [`UnknownRule`] with the known ones.
    pub fn expect(&mut self, rules: &[&str]) -> Result<u64, UnknownRule> {
        let indexes: Result<Vec<_>, _> =
            rules.iter().map(|rule| Ok((self.state.rules.index(rule)?, 0))).collect();
        let id = self.state.expectations.last().map_or(0, |last| last.id + 1);
        self.state.expectations.push(Expected { id, rules: indexes? });
        Ok(id)
    }

    /// The rules of an expectation that have not matched since it was made.
    #[must_use]
    pub fn unmet(&self, expectation: u64) -> Vec<Arc<str>> {
        let found = self.state.expectations.iter().find(|expected| expected.id == expectation);
        let rules = found.iter().flat_map(|expected| &expected.rules);
        let unmet = rules.filter(|(_, count)| *count == 0);
        unmet.map(|(rule, _)| self.state.rules.get(*rule).id.clone()).collect()
    }

    /// Ends an expectation.
    pub fn unexpect(&mut self, expectation: u64) {
        self.state.expectations.retain(|expected| expected.id != expectation);
    }
}

impl State {
    fn piece(&mut self, piece: Piece<'_>) {
        let mut line = self.line(piece);
        let rules = self.rules.clone();
        let matches = rules.matches(&line.text);
        if !line.text.is_empty() {
            self.boots.see(matches.marker());
            line.boot = self.boots.boot();
        }
        self.complete_hits(&line);
        self.apply_rules(&line, &matches);
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(line);
    }

    fn line(&self, piece: Piece<'_>) -> Line {
        let text = String::from_utf8_lossy(piece.bytes);
        Line { number: piece.number, boot: self.boots.boot(), text: text.trim_end().into() }
    }

    /// Adds a line to the hits before it.
    fn complete_hits(&mut self, line: &Line) {
        let (hits, rules) = (&mut self.hits, &self.rules);
        self.open.retain(|&index| {
            let hit = &mut hits[index];
            // A line that was looked at before it had ended has now come in full.
            if hit.line.number == line.number && line.text.starts_with(&*hit.line.text) {
                hit.line = line.clone();
                if let Ok(rule) = rules.index(&hit.rule) {
                    hit.headline = rules.get(rule).headline(&line.text);
                }
            } else {
                hit.after.push(line.clone());
            }
            explain(hit);
            hit.after.len() < CONTEXT
        });
    }

    fn apply_rules(&mut self, line: &Line, matches: &LineMatches<'_>) {
        let place = (line.number, line.boot);
        if self.current != place {
            self.current = place;
            self.matched.clear();
        }
        for index in matches.rules() {
            let rule = self.rules.get(index);
            if self.matched.contains(&index) || rule.excludes(&line.text) {
                continue;
            }
            self.matched.push(index);
            if self.counts[index].add(line.boot).is_multiple_of(rule.repeat) {
                self.record(index, line);
            }
        }
    }

    fn record(&mut self, index: usize, line: &Line) {
        let rule = self.rules.get(index);
        let mut expected = false;
        for (_, count) in self
            .expectations
            .iter_mut()
            .flat_map(|expectation| &mut expectation.rules)
            .filter(|(rule, _)| *rule == index)
        {
            *count += 1;
            expected = true;
        }
        if self.counts[index].total > HITS_PER_RULE * u64::from(rule.repeat) {
            return;
        }
        let skip = self.recent.len().saturating_sub(CONTEXT);
        let mut hit = Hit {
            rule: rule.id.clone(),
            severity: rule.severity,
            expected,
            headline: rule.headline(&line.text),
            ignition: None,
            explained_by_ignition: rule.explained_by_ignition,
            line: line.clone(),
            before: self.recent.iter().skip(skip).cloned().collect(),
            after: Vec::new(),
        };
        explain(&mut hit);
        self.open.push(self.hits.len());
        self.hits.push(hit);
    }
}

/// Looks for the Ignition failure behind a hit, if its rule says that there may be one.
fn explain(hit: &mut Hit) {
    if hit.explained_by_ignition
        && let Some(failure) = IgnitionFailure::find(hit.same_boot())
    {
        hit.headline = failure.to_string();
        hit.ignition = Some(failure);
    }
}

impl Count {
    /// Counts a match, and gives how often the rule has matched in this boot.
    fn add(&mut self, boot: u32) -> u32 {
        if self.boot != boot {
            (self.boot, self.in_boot) = (boot, 0);
        }
        self.total += 1;
        self.in_boot += 1;
        self.in_boot
    }
}

#[cfg(test)]
mod tests;
