//! Failure signatures: a digest by which the same failure is known again in another case, on another
//! machine, in another night.
//!
//! # What it is made of
//! The first 12 hex digits of the sha256 over `class`, `kind` and the *normalised* headline, each
//! ended by a newline. The phase isn't part of it: where an attempt was when the cause showed is
//! chance.
//!
//! # How a headline is normalised
//! What differs between two sightings of one failure becomes a placeholder; what tells failures
//! apart stays.
//!
//! | becomes | what |
//! | --- | --- |
//! | `<n>` | numbers, ports, PIDs, addresses in memory, hex ids from 8 digits (5 where they stand alone), UUIDs, MAC addresses, long random words |
//! | `<key>` | fingerprints of keys |
//! | `<size>` | `512M`, `88000000 bytes`, `1.5 GiB` |
//! | `<time>` | times of day, dates, durations (`120 s`, `1min30s`, `3 min 12 s`) |
//! | `<ip>` | IPv4 and IPv6 addresses |
//! | `<version>` | three numbers or more with dots between: `4000.1.0`, `4593.2.3+nightly-20260131-2100`, also in a name: `vmlinuz-6.1.0-56-amd64` |
//! | `<run>`, `<attempt>` | the part of a path that leads to a run's directory, or to an attempt's in it |
//! | `<tmp>` | a random name below `/tmp`, `/var/tmp` or `/run` |
//!
//! - Digits that belong to a name stay: `vda9`, `ext4`, `getty@tty1.service`, `10-flatcar.conf`,
//!   `wheeltap-2.service`. Only five digits or more between hyphens, dots, `_` or `@` are an id.
//! - Codes stay: up to three digits after `error`, `errno`, `status`, `code`, `signal` or `HTTP` name
//!   a cause (`HTTP 404` is not `HTTP 500`).
//! - Words stay, and with them unit names, paths and what an errno says.
//! - ` (5 more)` at the end goes: how many other checks failed with the first is told in the detail.
//! - Of a headline that was cut (`…` at its end) the torn word goes; of a long one only the words
//!   within the first 160 characters count, so that cutting it at 200 makes no difference.

use std::net::IpAddr;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use sha2::{Digest, Sha256};

use crate::Failure;
use crate::clean::{self, HEADLINE};

#[cfg(test)]
mod tests;

/// Hex digits of a signature: 48 bits, so that among a million failures a collision is unlikely.
pub(crate) const DIGITS: usize = 12;

/// Characters of a normalised headline that count. Shorter than a headline may be, by about as much
/// as placeholders save.
const COUNTED: usize = 160;

/// Words after which a number names a cause.
const CODES: [&str; 6] = ["error", "errno", "status", "code", "signal", "http"];

impl Failure {
    /// What the same failure has in common wherever and whenever it is seen: 12 hex digits.
    ///
    /// Numbers, times, ids, addresses, versions and random parts of paths don't count, and neither
    /// does how many other checks failed beside the first. The rules are in `docs/waivers.md`.
    #[must_use]
    pub fn signature(&self) -> String {
        let mut hash = Sha256::new();
        for part in [self.class.to_string(), self.kind.clone(), normalise(&self.headline)] {
            hash.update(part);
            hash.update("\n");
        }
        let mut digest = hex::encode(hash.finalize());
        digest.truncate(DIGITS);
        digest
    }

    /// What failed, one headline for each: a failure can be made of several checks of one moment.
    ///
    /// `None` if it names others that its detail doesn't list, as when the detail was cut.
    #[must_use]
    pub fn headlines(&self) -> Option<Vec<&str>> {
        let Some(more) = MORE.captures(&self.headline) else { return Some(vec![&self.headline]) };
        let count = more[1].parse::<usize>().ok()?.checked_add(1)?;
        let listed = self.detail.lines().map_while(|line| line.strip_prefix("- "));
        let listed: Vec<_> = listed.take(count).collect();
        (listed.len() == count).then_some(listed)
    }
}

/// A regular expression of this module.
macro_rules! pattern {
    ($name:ident, $text:expr) => {
        static $name: LazyLock<Regex> =
            LazyLock::new(|| Regex::new($text).expect("this module's patterns are tested"));
    };
}

pattern!(MORE, r" ?\(([0-9]+|<n>) more\)$");
pattern!(NUMBER, r"^[0-9]+(?:\.[0-9]+)?$");
pattern!(SHORT_CODE, r"^[0-9]{1,3}$");
pattern!(POINTER, r"^0[xX][0-9a-fA-F]+$");
pattern!(MAC, r"^(?:[0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}$");
pattern!(DATE, r"^[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T_][0-9:.]+(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?$");
pattern!(CLOCK, r"^[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?Z?$");
pattern!(DURATION, r"^(?:[0-9]+(?:\.[0-9]+)?(?:ns|us|µs|ms|s|secs?|mins?|m|h|d))+$");
pattern!(SIZE, r"^[0-9]+(?:\.[0-9]+)?(?:[KMGT]i?B?|kB|B|bytes?)$");
pattern!(PERCENT, r"^[0-9]+(?:\.[0-9]+)?%$");
pattern!(UUID, r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}");
pattern!(VERSION, r"(^|[-_@:])v?[0-9]+(?:\.[0-9]+){2,}(?:-[0-9]+\b)*(?:\+[0-9A-Za-z.-]+)?");
pattern!(RUN, r"^[0-9]{8}-[0-9]{6}-[0-9a-f]+$");
pattern!(UNIT_OF_TIME, r"<n> (?:ns|us|µs|ms|s|secs?|seconds?|min|minutes?|h|hours?|days?)\b");
pattern!(UNIT_OF_SIZE, r"<n> (?:[KMGT]i?B|kB|B|bytes?)\b");
pattern!(TIMES, r"<time>(?: <time>)+");

/// A headline without what differs between two sightings of the same failure.
pub(crate) fn normalise(headline: &str) -> String {
    let mut line = clean::line(headline, HEADLINE);
    trim_end(&mut line);
    let mut out = String::with_capacity(line.len());
    let mut previous = "";
    let mut rest = &*line;
    while !rest.is_empty() {
        let chunk = &rest[..rest.find(is_separator).unwrap_or(rest.len())];
        if !chunk.is_empty() {
            // `error 5`, `status=5`, `error: -5`; but not `error, 5 times`.
            let near = out.ends_with([' ', '=']);
            out += &word(chunk, near && is_code_word(previous));
            previous = chunk;
        }
        let after = &rest[chunk.len()..];
        let gap = &after[..after.find(|c| !is_separator(c)).unwrap_or(after.len())];
        if gap.chars().any(|c| c != ' ' && c != '=') {
            previous = "";
        }
        out += gap;
        rest = &after[gap.len()..];
    }
    let out = UNIT_OF_TIME.replace_all(&out, "<time>");
    let out = UNIT_OF_SIZE.replace_all(&out, "<size>");
    let mut out = first_words(&TIMES.replace_all(&out, "<time>")).to_owned();
    trim_end(&mut out);
    out
}

/// Removes from the end what was torn, and how many others there are.
fn trim_end(text: &mut String) {
    loop {
        let end = match (text.strip_suffix('…'), MORE.find(text)) {
            // What follows the last space is torn, and may be half an id.
            (Some(torn), _) => torn.rfind(' ').unwrap_or(0),
            (None, Some(more)) => more.start(),
            (None, None) => text.trim_end().len(),
        };
        if end == text.len() {
            break;
        }
        text.truncate(end);
    }
}

/// What stands between words; not `<` and `>`, so that a placeholder is part of its word.
fn is_separator(c: char) -> bool {
    c.is_whitespace() || "\"'`()[]{}|,;=…".contains(c)
}

fn is_code_word(word: &str) -> bool {
    let word = word.trim_end_matches(':');
    CODES.iter().any(|code| word.eq_ignore_ascii_case(code))
}

/// The words that lie within the characters that count. A single long word stays whole.
fn first_words(text: &str) -> &str {
    let Some((end, _)) = text.char_indices().nth(COUNTED) else { return text };
    if text[end..].starts_with(' ') {
        return &text[..end];
    }
    match text[..end].rfind(' ') {
        Some(space) => &text[..space],
        None => text.split(' ').next().unwrap_or(text),
    }
}

/// Normalises what stands between two separators: punctuation around it stays.
fn word(chunk: &str, is_code: bool) -> String {
    let head = chunk.len() - chunk.trim_start_matches(['#', ':', '~', '-', '+', '$', '.']).len();
    // `./file` and `.tmpXXXXXX` are names, `::1` is an address, and `:9999` a port.
    let head =
        if chunk[head..].starts_with('/') || chunk.starts_with('.') || chunk.starts_with("::") {
            0
        } else {
            head
        };
    let (before, core) = chunk.split_at(head);
    let core_end = core.trim_end_matches(['.', ':', '!', '?']).len();
    let (core, after) = core.split_at(core_end);
    let first = core.split('/').next().unwrap_or(core);
    if is_code && SHORT_CODE.is_match(first) {
        return chunk.to_owned();
    }
    format!("{before}{}{after}", path(core))
}

/// Normalises a path or an URL, or a word without slashes.
fn path(core: &str) -> String {
    if let Some(kind) = ["SHA256:", "MD5:"].into_iter().find(|kind| core.starts_with(kind)) {
        return format!("{kind}<key>");
    }
    if let Some((scheme, rest)) = core.split_once("://") {
        return format!("{scheme}://{}", path(rest));
    }
    if !core.contains('/') {
        return whole(core);
    }
    let (root, core) = run_root(core);
    let mut below_tmp = false;
    let segments = core.split('/').map(|segment| {
        let was_below = std::mem::replace(&mut below_tmp, matches!(segment, "tmp" | "run"));
        let normal = whole(segment);
        if was_below && normal == segment && is_random_name(segment) {
            "<tmp>".to_owned()
        } else {
            normal
        }
    });
    format!("{root}{}", segments.collect::<Vec<_>>().join("/"))
}

/// Splits off what leads to a run's directory, and to an attempt's in it.
fn run_root(path: &str) -> (&'static str, &str) {
    let segments: Vec<_> = path.split('/').collect();
    let Some(run) = segments.iter().position(|segment| RUN.is_match(segment)) else {
        return ("", path);
    };
    let (root, below) = match segments[run + 1..] {
        ["cells", _, _, attempt, ..] if attempt.starts_with("attempt-") => ("<attempt>", run + 5),
        _ => ("<run>", run + 1),
    };
    let end = segments.iter().take(below).map(|segment| segment.len() + 1).sum::<usize>() - 1;
    (root, &path[end..])
}

/// `.tmpAbC12d`, `tmp.AbCdEfGh12`, `wheeltap-x7Q2bN`: names that a program made up.
fn is_random_name(name: &str) -> bool {
    let Some(tail) = name.rsplit(['-', '.', '_']).next() else { return false };
    let tail = name.strip_prefix(".tmp").unwrap_or(tail);
    (6..=12).contains(&tail.len())
        && tail.len() < name.len()
        && tail.chars().all(|c| c.is_ascii_alphanumeric())
        && tail.chars().any(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
}

/// Normalises a word or a segment of a path.
fn whole(text: &str) -> String {
    if let Some(placeholder) = alone(text) {
        return placeholder.to_owned();
    }
    // `inode.c:2721`, `CPU#0`, `10.0.2.2:8080`: each part by itself.
    each(text, &[':', '#'], |part| match alone(part) {
        Some(placeholder) => placeholder.to_owned(),
        None => name(part),
    })
}

/// Normalises a name, of which only parts can be an id: `vmlinuz-6.1.0-56`, `__queue_work+0x2f4`.
fn name(text: &str) -> String {
    let text = UUID.replace_all(text, "<n>");
    let text = VERSION.replace_all(&text, |found: &Captures<'_>| {
        let (before, rest) = found[0].split_at(found[1].len());
        let is_address = rest.parse::<IpAddr>().is_ok();
        format!("{before}{}", if is_address { "<ip>" } else { "<version>" })
    });
    each(&text, &['-', '_', '.', '@', '+'], |part| {
        if is_id(part) || POINTER.is_match(part) { "<n>".to_owned() } else { part.to_owned() }
    })
}

/// Applies a function to what stands between these characters, and keeps them.
fn each(text: &str, delimiters: &[char], normal: impl Fn(&str) -> String) -> String {
    text.split_inclusive(delimiters)
        .map(|part| {
            let core = part.trim_end_matches(delimiters);
            normal(core) + &part[core.len()..]
        })
        .collect()
}

/// The placeholder for something that stands alone, if it is to have one.
fn alone(text: &str) -> Option<&'static str> {
    if !text.contains(|c: char| c.is_ascii_digit()) && !MAC.is_match(text) {
        return None;
    }
    let is_match = |patterns: &[&LazyLock<Regex>]| patterns.iter().any(|it| it.is_match(text));
    let is_hex_id = text.len() >= 5 && is_mixed_hex(text);
    if text.parse::<IpAddr>().is_ok() {
        Some("<ip>")
    } else if is_match(&[&DATE, &CLOCK, &DURATION]) {
        Some("<time>")
    } else if is_match(&[&SIZE]) {
        Some("<size>")
    } else if is_match(&[&NUMBER, &PERCENT, &POINTER, &MAC]) || is_hex_id || is_id(text) {
        Some("<n>")
    } else {
        None
    }
}

/// Whether a part of a name is no name: digits from five on, hex from eight, or random letters.
fn is_id(part: &str) -> bool {
    let has = |kind: fn(&char) -> bool| part.chars().any(|c| kind(&c));
    let all = |kind: fn(&char) -> bool| part.chars().all(|c| kind(&c));
    let digits = part.len() >= 5 && all(char::is_ascii_digit);
    let hex = part.len() >= 8 && is_mixed_hex(part);
    // Base64 without its two special characters, or base62; no name has both cases and digits for so long.
    let random = part.len() >= 20
        && all(char::is_ascii_alphanumeric)
        && has(char::is_ascii_digit)
        && has(char::is_ascii_uppercase)
        && has(char::is_ascii_lowercase);
    digits || hex || random
}

/// Hex with digits and letters.
fn is_mixed_hex(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_hexdigit())
        && text.contains(|c: char| c.is_ascii_digit())
        && text.contains(|c: char| c.is_ascii_alphabetic())
}
