//! Judging a comparison by limits.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::Serialize;

use super::check::is_match;
use super::rule::{Allow, Check, Limits, MUST_BE_COMPARABLE, Rule, Severity};
use crate::{Aspect, Component, Diff};

/// What became of the limits.
#[derive(Clone, Debug, Serialize)]
pub struct Judgement {
    /// Where the limits are from.
    pub limits: String,
    /// The rules, in the order of their file, with what hit them.
    pub rules: Vec<JudgedRule>,
    /// What somebody should know about accepted hits: those that have expired, and those that nobody needs any more.
    pub remarks: Vec<String>,
}

/// A rule and what hit it.
#[derive(Clone, Debug, Serialize)]
pub struct JudgedRule {
    /// Its name.
    pub name: String,
    /// What it checks.
    pub kind: &'static str,
    /// What it asks for.
    pub summary: &'static str,
    /// What a hit means.
    pub severity: Severity,
    /// What hit it.
    pub hits: Vec<Hit>,
}

/// Something that is not within the limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hit {
    /// `RULE:SUBJECT` or `RULE:COMPONENT:SUBJECT`: the same in each comparison in which the same is wrong.
    pub id: String,
    /// What is wrong, as a sentence, fit to be shown.
    pub message: String,
    /// The file in the image that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Who accepted it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed: Option<Allowed>,
}

/// Who accepted a hit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Allowed {
    /// Who answers for it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// Where it is tracked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracker: Option<String>,
    /// The last day on which it holds.
    pub expires: Date,
}

impl Judgement {
    /// All hits with what they mean, the gravest first; those that are accepted come last.
    pub fn hits(&self) -> impl Iterator<Item = (&JudgedRule, &Hit)> {
        let mut hits: Vec<_> = self
            .rules
            .iter()
            .flat_map(|rule| rule.hits.iter().map(move |hit| (rule, hit)))
            .collect();
        hits.sort_by_key(|(rule, hit)| (hit.allowed.is_some(), rule.severity));
        hits.into_iter()
    }

    /// How many hits there are of this severity that nobody accepted.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.hits().filter(|(rule, hit)| rule.severity == severity && hit.allowed.is_none()).count()
    }

    /// How many hits somebody accepted.
    #[must_use]
    pub fn allowed(&self) -> usize {
        self.hits().filter(|(_, hit)| hit.allowed.is_some()).count()
    }
}

impl Limits {
    /// Judges a comparison. `today` decides which accepted hits have expired: they hold until their day has ended.
    #[must_use]
    pub fn judge(&self, diff: &Diff<'_>, today: Date) -> Judgement {
        let mut rules: Vec<JudgedRule> = Vec::new();
        // What couldn't be compared, by the end of its id: why, and the rules that need it.
        let mut blind: BTreeMap<String, (Vec<String>, Vec<&str>)> = BTreeMap::new();
        for rule in &self.rules {
            let outcome = rule.check.run(diff);
            for (name, why) in blind_spots(diff, &outcome.needs).chain(outcome.unknown) {
                let (whys, needed_by) = blind.entry(name).or_default();
                if !whys.contains(&why) {
                    whys.push(why);
                }
                if !needed_by.contains(&&*rule.name) {
                    needed_by.push(&rule.name);
                }
            }
            let hits = outcome
                .found
                .into_iter()
                .filter(|found| !rule.allow.iter().any(|glob| is_match(glob, &found.subject)));
            let hits = hits.map(|found| Hit {
                id: id(&rule.name, found.component.as_ref(), &found.subject),
                message: found.message,
                path: found.path,
                allowed: None,
            });
            rules.push(JudgedRule { hits: hits.collect(), ..judged(rule) });
        }
        self.add_blind(&mut rules, blind);
        let remarks = self.accept(&mut rules, today);
        Judgement { limits: self.source.clone(), rules, remarks }
    }

    /// What couldn't be seen hits a rule of its own, also if nobody asked for it.
    fn add_blind(
        &self,
        rules: &mut Vec<JudgedRule>,
        blind: BTreeMap<String, (Vec<String>, Vec<&str>)>,
    ) {
        let asked = self.rules.iter().find(|rule| rule.name == MUST_BE_COMPARABLE);
        if asked.is_none() {
            if self.rules.is_empty() {
                return;
            }
            let check = Check::MustBeComparable { aspects: Vec::new() };
            let (name, severity) = (MUST_BE_COMPARABLE.to_owned(), Severity::Error);
            rules.push(judged(&Rule { name, severity, allow: Vec::new(), check }));
        }
        let allow = asked.map_or(&[][..], |rule| &rule.allow);
        let Some(rule) = rules.iter_mut().find(|rule| rule.name == MUST_BE_COMPARABLE) else {
            return;
        };
        for (name, (whys, mut needed_by)) in blind {
            if allow.iter().any(|glob| is_match(glob, &name)) {
                continue;
            }
            needed_by.retain(|rule| *rule != MUST_BE_COMPARABLE);
            let why = whys.join("; ");
            let why = crate::visible(&why);
            let message = match needed_by.as_slice() {
                [] => format!("{why}, and must be comparable"),
                rules => format!("{why}, so that {} can't be checked", rules.join(", ")),
            };
            rule.hits.push(Hit {
                id: id(MUST_BE_COMPARABLE, None, &name),
                message,
                path: None,
                allowed: None,
            });
        }
    }

    /// Marks what is accepted, and says what became of what was accepted.
    fn accept(&self, rules: &mut [JudgedRule], today: Date) -> Vec<String> {
        let mut remarks = Vec::new();
        for allow in &self.allows {
            let mut matching = 0;
            for hit in rules.iter_mut().flat_map(|rule| &mut rule.hits) {
                if !is_match(&allow.id, &hit.id) {
                    continue;
                }
                matching += 1;
                if today <= allow.expires && hit.allowed.is_none() {
                    hit.allowed = Some(allow.describe());
                }
            }
            let id = crate::visible(&allow.id);
            if matching == 0 {
                remarks.push(format!("{id} is accepted, and hits nothing any more: take it out"));
            } else if today > allow.expires {
                remarks.push(format!(
                    "{id} was accepted until {} only ({}: {})",
                    allow.expires,
                    crate::visible(&allow.owner),
                    crate::visible(&allow.reason)
                ));
            }
        }
        remarks
    }
}

impl Allow {
    fn describe(&self) -> Allowed {
        Allowed {
            owner: self.owner.clone(),
            reason: self.reason.clone(),
            tracker: self.tracker.clone(),
            expires: self.expires,
        }
    }
}

fn judged(rule: &Rule) -> JudgedRule {
    let kind = rule.check.kind();
    JudgedRule {
        name: rule.name.clone(),
        kind: kind.name,
        summary: kind.summary,
        severity: rule.severity,
        hits: Vec::new(),
    }
}

/// An id can be seen and typed, so that what a report shows can be accepted.
fn id(rule: &str, component: Option<&Component>, subject: &str) -> String {
    let id = match component {
        None => format!("{rule}:{subject}"),
        Some(component) => format!("{rule}:{component}:{subject}"),
    };
    crate::visible(&id).into_owned()
}

fn blind_spots<'a>(
    diff: &'a Diff<'_>,
    needs: &'a [Aspect],
) -> impl Iterator<Item = (String, String)> + 'a {
    let blind = diff.incomparable.iter().filter(|one| needs.contains(&one.aspect));
    blind.map(|one| (one.name(), one.why.clone()))
}
