//! From Ignition's log lines to one sentence: stage, object and cause.
//!
//! The log formats are those of Ignition 2.14 and later: each operation ends with `op(N): [finished]` or
//! `op(N): [failed]`, and a stage that fails ends with `Ignition failed: ` and the whole chain of errors.

use std::{fmt, sync::LazyLock};

use regex::{Captures, Regex};
use serde::Serialize;

/// Longer causes are cut; the whole text is in the lines around.
const MAX_CAUSE: usize = 300;

/// Why Ignition failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IgnitionFailure {
    /// The stage: `fetch-offline`, `fetch`, `kargs`, `disks`, `mount`, `files` or `umount`.
    pub stage: Option<String>,
    /// The operation that failed, in Ignition's words: `writing file "/etc/foo"`.
    pub operation: Option<String>,
    /// What it was about: a path on the guest, `user "core"`, or a place in the config.
    pub object: Option<String>,
    /// The end of the chain of errors.
    pub cause: String,
}

impl fmt::Display for IgnitionFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ignition failed")?;
        if let Some(stage) = &self.stage {
            write!(f, " in stage {stage}")?;
        }
        if let Some(object) = &self.object {
            write!(f, ": {object}")?;
        }
        write!(f, ": {}", self.cause)
    }
}

macro_rules! regex {
    ($pattern:expr) => {{
        static REGEX: LazyLock<Regex> =
            LazyLock::new(|| Regex::new($pattern).expect("a constant pattern, used by every test"));
        &*REGEX
    }};
}

impl IgnitionFailure {
    /// Looks for a failure in the lines of one boot. Lines of others are passed over.
    pub fn find<'a>(lines: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut found = Found::default();
        lines.into_iter().for_each(|line| found.read(line));
        found.conclude()
    }
}

/// What the lines said.
#[derive(Default)]
struct Found {
    stage: Option<String>,
    /// Place and cause of the first error in the config itself.
    config: Option<(String, String)>,
    /// Description and cause of the last operation that failed.
    operation: Option<(String, String)>,
    /// The chain of errors after `Ignition failed: `.
    chain: Option<String>,
    /// The last error of an HTTP request that was tried again.
    retried: Option<String>,
}

impl Found {
    fn read(&mut self, line: &str) {
        const STAGE: &str = "fetch-offline|fetch|kargs|disks|mount|files|umount";
        let stage_said = regex!(&format!(
            r"\bStage: ({STAGE})\b|\bin stage ({STAGE})\b|\b[Ii]gnition[ -]\(?({STAGE})\b|: ({STAGE}) failed$"
        ));
        if let Some(captures) = stage_said.captures(line) {
            self.stage = first_group(&captures);
        }
        if self.config.is_none()
            && let Some(captures) =
                regex!(r"\berror at ((?:\$\S*, )?line \d+ col \d+): (.+)").captures(line)
        {
            self.config = Some((captures[1].to_owned(), captures[2].to_owned()));
        }
        let operation =
            regex!(&format!(r"\b(?:({STAGE}): )?(?:[\w()]+: )*op\([0-9a-f]+\): \[failed\]\s+(.+)"));
        if let Some(captures) = operation.captures(line) {
            if let Some(stage) = captures.get(1) {
                self.stage = Some(stage.as_str().to_owned());
            }
            let mut parts = split(&captures[2]);
            let what = parts.remove(0).to_owned();
            self.operation = Some((what, parts.join(": ")));
        }
        if let Some(captures) = regex!(r"\bGET error: (.+)").captures(line) {
            self.retried = Some(captures[1].to_owned());
        }
        if let Some(captures) = regex!(r"Ignition failed: (.+)").captures(line) {
            self.chain = Some(captures[1].to_owned());
        }
    }

    fn conclude(self) -> Option<IgnitionFailure> {
        let Self { stage, config, operation, chain, retried } = self;
        let stage = stage.or_else(|| chain.as_deref().and_then(stage_of));
        if let Some((place, cause)) = config {
            let object = Some(format!("config {place}"));
            return Some(IgnitionFailure { stage, operation: None, object, cause });
        }
        let (what, operation_cause) = operation.unzip();
        let (object, cause) = match chain.as_deref().map(last_link) {
            Some(link) => link,
            None => (None, operation_cause.filter(|cause| !cause.is_empty())?),
        };
        let object = object.or_else(|| what.as_deref().and_then(object_in));
        let operation = what.map(|what| on_guest(&what));
        let cause = match retried {
            // Ignition's own words for its total timeout don't say what went wrong each time.
            Some(retried) if cause.ends_with("unable to fetch resource in time") => {
                format!("{cause}; last error: {retried}")
            }
            _ => cause,
        };
        Some(IgnitionFailure { stage, operation, object, cause: plain(&cause) })
    }
}

fn first_group(captures: &Captures<'_>) -> Option<String> {
    captures.iter().skip(1).flatten().next().map(|group| group.as_str().to_owned())
}

/// The stage that begins its errors in this way.
fn stage_of(chain: &str) -> Option<String> {
    let stage = match chain {
        chain if chain.starts_with("failed to create files") => "files",
        chain if chain.starts_with("failed to create users") => "files",
        chain if chain.starts_with("failed to create units") => "files",
        chain if chain.starts_with("failed to create filesystems") => "disks",
        chain if chain.starts_with("create partitions failed") => "disks",
        _ => return None,
    };
    Some(stage.to_owned())
}

/// Object and cause from a chain of errors.
///
/// The links go from the general to the particular: `failed to create files: error creating /x: no such user`.
/// The object is in the last link that says what failed, and the cause is all that comes after it.
fn last_link(chain: &str) -> (Option<String>, String) {
    let links = split(chain);
    let says_what_failed = |link: &&str| {
        regex!(r"^(?:failed to|error |couldn't|unable to|create \w+ failed)").is_match(link)
    };
    let named = links.iter().rposition(|link| says_what_failed(link) && object_in(link).is_some());
    if let Some(position) = named
        && position + 1 < links.len()
    {
        return (object_in(links[position]), links[position + 1..].join(": "));
    }
    let general = links.iter().take_while(|link| says_what_failed(link)).count();
    (None, links[general.saturating_sub(1)..].join(": "))
}

/// A path, or a kind of thing with its name in quotes.
fn object_in(text: &str) -> Option<String> {
    if let Some(captures) =
        regex!(r#"\b(user|group|unit|preset|raid|luks|volume|array) "([^"]+)""#).captures(text)
    {
        return Some(format!("{} \"{}\"", &captures[1], &captures[2]));
    }
    let path = regex!(r#"/[^\s"\],:]+"#).find(text)?;
    Some(on_guest(path.as_str()))
}

/// The text with paths as the guest has them when it runs; during Ignition its root is elsewhere.
fn on_guest(text: &str) -> String {
    text.replace("/sysroot/", "/")
}

/// The cause as people would say it: what a failed command wrote, instead of the command.
fn plain(cause: &str) -> String {
    let said = regex!(r#"Stderr: "((?:[^"\\]|\\.)+)"#).captures(cause);
    // The closing quote may be missing: consoles cut long lines.
    let cause = match &said {
        Some(said) => &said[1].replace("\\n", "\n").replace("\\\"", "\""),
        None => regex!(": Cmd: .*").split(cause).next().unwrap_or(cause),
    };
    let cause = on_guest(&cause.split_whitespace().collect::<Vec<_>>().join(" "));
    match cause.char_indices().nth(MAX_CAUSE) {
        Some((end, _)) => format!("{}…", &cause[..end]),
        None => cause,
    }
}

/// Splits at `": "` outside quotes and brackets.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut quoted, mut escaped, mut depth) = (0, false, false, 0_u32);
    for (position, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '[' | '(' if !quoted => depth += 1,
            ']' | ')' if !quoted => depth = depth.saturating_sub(1),
            ':' if !quoted && depth == 0 && text[position..].starts_with(": ") => {
                parts.push(&text[start..position]);
                start = position + 2;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests;
