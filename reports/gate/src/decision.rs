//! What was decided, and why: `gate.json`.

use std::fmt;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use wheeltap_reports::WaiverState;

/// The version of `gate.json`; it grows when a reader would break.
pub const FORMAT_VERSION: u32 = 1;

/// A decision with everything that it rests on. Paths are relative to the directory it was written to, or absolute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The format, see [`FORMAT_VERSION`].
    pub version: u32,
    /// In one word.
    pub verdict: Verdict,
    /// The day (UTC) as of which waivers and ages count.
    pub as_of: Date,
    /// What was tested, one for each architecture and variant; empty if no result could be read.
    pub images: Vec<ImageSummary>,
    /// Everything that was found, the gravest first.
    pub findings: Vec<Finding>,
    /// The matrix.
    pub cells: Vec<CellSummary>,
    /// What each waiver did.
    pub waivers: Vec<WaiverSummary>,
    /// First-pass rates.
    pub flakes: Option<Flakes>,
    /// What the release's ticket asks for.
    pub checklist: Vec<Checkbox>,
    /// What the decision was made from, and nothing else.
    pub inputs: Vec<InputFile>,
}

/// The decision in one word, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Something that is known must not leave. More results can't make it better.
    NoGo,
    /// Something that must be known isn't.
    Incomplete,
    /// All is known and good, or was accepted by somebody.
    GoWithWaivers,
    /// All is known and good.
    Go,
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What it means for the verdict.
    pub effect: Effect,
    /// The rule, `AREA.RULE`, such as `cell.verdict`; `docs/gate.md` lists them.
    pub rule: String,
    /// What it is about: a case (`scenario [cell]`), a cell, a run's directory, the id of a limit's hit or of a waiver.
    pub id: String,
    /// What was found, in one line.
    pub text: String,
    /// Who looks after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The waiver that accepts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiver: Option<String>,
    /// Files that show it, the most telling first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
}

/// What a finding means for the verdict, the gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// NO-GO.
    Blocks,
    /// INCOMPLETE, unless something blocks.
    Incomplete,
    /// Would block, and somebody accepted it.
    Accepted,
    /// Worth a look.
    Warns,
    /// As it should be.
    Fine,
}

/// An image that was tested.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ImageSummary {
    /// As it was asked for.
    pub name: String,
    /// The version in it.
    pub version: String,
    /// Such as `amd64`.
    pub arch: String,
    /// Its sha256, in hex.
    pub digest: String,
}

/// A cell of the matrix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellSummary {
    /// Its name, or the glob of the policy that no cell matches.
    pub name: String,
    /// Whether the policy requires it.
    pub required: bool,
    /// Who looks after it.
    pub owner: Option<String>,
    /// Cases that were planned.
    pub planned: usize,
    /// Those that passed at the first attempt.
    pub passed: usize,
    /// Those that passed later.
    pub flaky: usize,
    /// Those that failed, and nobody accepted it.
    pub failed: usize,
    /// Those that failed as somebody accepted.
    pub waived: usize,
    /// Those that couldn't be judged, or didn't run.
    pub open: usize,
    /// Those that were skipped, with a reason.
    pub skipped: usize,
    /// Cases that were judged in the baseline, if there is one.
    pub baseline: Option<usize>,
}

/// A waiver and what it did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaiverSummary {
    /// Its id.
    pub id: String,
    /// Who answers for it.
    pub owner: String,
    /// Where it is tracked, a URL.
    pub tracker: String,
    /// Its last day.
    pub expires: Date,
    /// Why.
    pub reason: String,
    /// What it did: `used`, `unneeded`, `idle`, `expired` or `out-of-scope`.
    pub state: String,
    /// What it accepts.
    pub accepts: Vec<String>,
}

/// First-pass rates of cases in required cells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flakes {
    /// Of all that passed in the end.
    pub all: Rate,
    /// Of those that the baseline has, too: now, in the baseline, and the probability that a difference like this or a
    /// greater one is chance (Fisher's exact test, one-sided).
    pub compared: Option<(Rate, Rate, f64)>,
}

/// So many of so many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// Cases that passed at the first attempt.
    pub passed: usize,
    /// Cases that passed at any: `pass` or `flaky`.
    pub all: usize,
}

/// A box of the checklist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkbox {
    /// What it says.
    pub text: String,
    /// Whether it is done; `null` if a person has to say.
    pub done: Option<bool>,
    /// Who ticks it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

/// A file that the decision was made from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct InputFile {
    /// What it was for.
    pub role: Role,
    /// Where it lies.
    pub path: String,
    /// Its sha256 in hex; none if it isn't there or can't be read.
    pub sha256: Option<String>,
}

/// What an input is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The policy.
    Policy,
    /// The waivers.
    Waivers,
    /// A file of a run.
    Results,
    /// A file of a run of the release before.
    Baseline,
    /// The comparison with the image before.
    ImageDiff,
    /// A file that a finding names.
    Evidence,
}

impl Verdict {
    /// The verdict that follows from what was found.
    #[must_use]
    pub fn of(findings: &[Finding]) -> Self {
        match findings.iter().map(|finding| finding.effect).min() {
            Some(Effect::Blocks) => Self::NoGo,
            Some(Effect::Incomplete) => Self::Incomplete,
            Some(Effect::Accepted) => Self::GoWithWaivers,
            Some(Effect::Warns | Effect::Fine) => Self::Go,
            // A decision about nothing.
            None => Self::Incomplete,
        }
    }

    /// Whether the image may leave.
    #[must_use]
    pub fn is_go(self) -> bool {
        matches!(self, Self::Go | Self::GoWithWaivers)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NoGo => "NO-GO",
            Self::Incomplete => "INCOMPLETE",
            Self::GoWithWaivers => "GO WITH WAIVERS",
            Self::Go => "GO",
        })
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Blocks => "blocks",
            Self::Incomplete => "incomplete",
            Self::Accepted => "accepted",
            Self::Warns => "warns",
            Self::Fine => "fine",
        })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.passed, self.all)
    }
}

impl Finding {
    pub(crate) fn new(
        effect: Effect,
        rule: &str,
        id: impl Into<String>,
        text: impl Into<String>,
    ) -> Self {
        Self {
            effect,
            rule: rule.to_owned(),
            id: id.into(),
            text: text.into(),
            owner: None,
            waiver: None,
            evidence: Vec::new(),
        }
    }

    pub(crate) fn owned_by(mut self, owner: Option<&str>) -> Self {
        self.owner = owner.map(str::to_owned);
        self
    }

    pub(crate) fn seen_in(mut self, evidence: impl IntoIterator<Item = String>) -> Self {
        self.evidence.extend(evidence);
        self
    }

    /// The part of a rule's name before the dot.
    pub(crate) fn area(&self) -> &str {
        self.rule.split_once('.').map_or(&*self.rule, |(area, _)| area)
    }
}

impl Decision {
    /// Findings with this effect.
    pub fn with(&self, effect: Effect) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |finding| finding.effect == effect)
    }

    /// The verdict and how many findings it rests on, in one line.
    #[must_use]
    pub fn headline(&self) -> String {
        let count = |effect| self.with(effect).count();
        let counts = [
            (count(Effect::Blocks), "blocking"),
            (count(Effect::Incomplete), "open"),
            (count(Effect::Accepted), "accepted"),
            (count(Effect::Warns), "to look at"),
        ];
        let counts: Vec<_> = counts
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        match &*counts {
            [] => self.verdict.to_string(),
            counts => format!("{}: {}", self.verdict, counts.join(", ")),
        }
    }
}

pub(crate) fn state_word(state: WaiverState) -> &'static str {
    match state {
        WaiverState::Used => "used",
        WaiverState::Unneeded => "unneeded",
        WaiverState::Idle => "idle",
        WaiverState::Expired => "expired",
        WaiverState::OutOfScope => "out-of-scope",
    }
}
