//! Secrets in text from guests, tools and command lines, replaced by `[redacted]`.
//!
//! What goes is the *value*; what it was called stays, and so does everything that evidence is made
//! of: public keys, digests, fingerprints, UUIDs, paths. A secret that looks like nothing, such as a
//! word in the middle of a sentence, can't be told from it and stays, too.
//!
//! Every text of a report comes through here, see [`Run::load`](crate::Run::load). A failure's
//! signature is that of its redacted headline, so it is the same whoever computes it. Time and memory
//! grow linearly with the text.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

use regex::bytes::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};

mod key;
mod rules;
mod url;

#[cfg(test)]
mod tests;

/// What stands in place of a secret.
pub const REDACTED: &str = "[redacted]";

/// How deep a data URL may lie in another.
const DEPTH: u32 = 3;

/// The text with whatever looks like a secret replaced by [`REDACTED`]. Doing it again changes
/// nothing.
#[must_use]
pub fn text(text: &str) -> Cow<'_, str> {
    redact(text, DEPTH)
}

/// A command line, argument by argument: in `--token abc` the second is a secret because of the first.
#[must_use]
pub fn command(arguments: &[String]) -> Vec<String> {
    let mut after_option = false;
    let mut redacted = Vec::with_capacity(arguments.len());
    for argument in arguments {
        let is_value = after_option && !argument.starts_with("--") && !is_harmless(argument);
        redacted.push(if is_value { REDACTED.to_owned() } else { text(argument).into_owned() });
        after_option = rules::OPTION.is_match(argument.as_bytes());
    }
    redacted
}

fn redact(text: &str, depth: u32) -> Cow<'_, str> {
    /// What was hidden by a match before it shows in the next pass: in practice the second one finds
    /// nothing more.
    const PASSES: u32 = 4;

    let mut text = Cow::Borrowed(text);
    for _ in 0..PASSES {
        let spans = secrets(&text, depth);
        if spans.is_empty() {
            break;
        }
        text = Cow::Owned(without(&text, spans));
    }
    text
}

/// A kind of secret.
struct Rule {
    /// The last group that takes part is the secret.
    pattern: Regex,
    /// Whether it is one, by the first group that takes part, where the pattern alone can't tell.
    is_secret: Judge,
}

type Judge = fn(&str) -> bool;

/// All rules, and a set of their patterns that says in one pass which are worth a second look.
static RULES: LazyLock<(RegexSet, Vec<Rule>)> = LazyLock::new(|| {
    let rules = rules::all();
    let patterns = rules.iter().map(|rule| rule.pattern.as_str());
    let set = RegexSetBuilder::new(patterns).unicode(false).build();
    (set.expect("each pattern has been compiled"), rules)
});

/// Where the secrets are that aren't redacted yet, in any order.
fn secrets(text: &str, depth: u32) -> Vec<Range<usize>> {
    let (set, rules) = &*RULES;
    let mut spans = Vec::new();
    for index in set.matches(text.as_bytes()) {
        let Rule { pattern, is_secret } = &rules[index];
        for found in pattern.captures_iter(text.as_bytes()) {
            let mut groups = found.iter().skip(1).flatten().map(|group| group.range());
            let Some(judged) = groups.next() else { continue };
            let secret = groups.last().unwrap_or_else(|| judged.clone());
            if !is_harmless(&text[secret.clone()]) && is_secret(&text[judged]) {
                spans.push(secret);
            }
        }
    }
    key::find(text, &mut spans);
    url::find(text, depth, &mut spans);
    spans
}

/// Values that are no secret whatever they are called.
fn is_harmless(value: &str) -> bool {
    /// No value, an account without a password, and paths.
    static HARMLESS: LazyLock<Regex> = LazyLock::new(|| {
        RegexBuilder::new(concat!(
            r"^\s*(?:(?i:null|none|nil|true|false|yes|no|unset|empty|missing|x|-)?|[*!<(]*|<[^>]*>|\([^)]*\)|\$\{?[A-Z_][A-Z0-9_]*\}?",
            r"|\.?/(?:etc|run|var|usr|dev|proc|sys|boot|home|root|tmp|opt|mnt|oem|sysroot|lib|srv|media|work|workspace|builds)/.*",
            r"|(?:SHA256|MD5):.*|(?:ssh|ecdsa|sk)-[a-z0-9@.-]+\s.*)\s*$"
        ))
        .unicode(false)
        .build()
        .expect("this module's patterns are tested")
    });
    value.starts_with(REDACTED) || HARMLESS.is_match(value.as_bytes())
}

/// The text with each span replaced; those that touch or overlap become one.
fn without(text: &str, mut spans: Vec<Range<usize>>) -> String {
    spans.sort_by_key(|span| span.start);
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for span in spans {
        if span.start >= at {
            out.push_str(&text[at..span.start]);
            out.push_str(REDACTED);
        }
        at = at.max(span.end);
    }
    out.push_str(&text[at..]);
    out
}
