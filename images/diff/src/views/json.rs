//! For programs: everything.
//!
//! ```json
//! {"version": 1, "old": {…}, "new": {…}, "errors": 1, "warnings": 0, "allowed": 0,
//!  "judgement": {"limits": "built-in", "rules": [{"name": …, "hits": [{"id": …, "message": …}]}], "remarks": []},
//!  "changes": [{"alarm": "rights", "what": "file", …}], "incomparable": [{"aspect": "users", "why": …}]}
//! ```
//! Names are as the image has them: bytes that are no UTF-8 as `\xNN`, backslashes doubled. Keys may be added within a version.

use std::fmt::Write as _;

use serde::Serialize;

use super::{FORMAT_VERSION, RenderError};
use crate::limits::{Judgement, Severity};
use crate::visible::is_hidden;
use crate::{Alarm, Change, Diff, Incomparable, Inventory, Origin};

#[derive(Serialize)]
struct Report<'a> {
    version: u32,
    old: Side<'a>,
    new: Side<'a>,
    errors: usize,
    warnings: usize,
    allowed: usize,
    judgement: &'a Judgement,
    changes: Vec<Ranked<'a>>,
    incomparable: &'a [Incomparable],
}

#[derive(Serialize)]
struct Side<'a> {
    name: &'a str,
    origin: Origin,
    board: Option<&'a str>,
    version: Option<&'a str>,
    size: Option<u64>,
}

#[derive(Serialize)]
struct Ranked<'a> {
    alarm: Alarm,
    #[serde(flatten)]
    change: &'a Change<'a>,
}

pub(super) fn render(diff: &Diff<'_>, judgement: &Judgement) -> Result<String, RenderError> {
    let report = Report {
        version: FORMAT_VERSION,
        old: side(diff.old),
        new: side(diff.new),
        errors: judgement.count(Severity::Error),
        warnings: judgement.count(Severity::Warn),
        allowed: judgement.allowed(),
        judgement,
        changes: diff
            .changes
            .iter()
            .map(|change| Ranked { alarm: change.alarm(), change })
            .collect(),
        incomparable: &diff.incomparable,
    };
    let text =
        serde_json::to_string_pretty(&report).map_err(|error| RenderError::new("JSON", error))?;
    Ok(plain(&text) + "\n")
}

/// JSON in which everything that can't be seen is escaped, and not only what JSON itself demands: it is looked at, too.
pub(super) fn plain(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        // Outside of strings there are line breaks only.
        if c == '\n' || !is_hidden(c) {
            out.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(out, "\\u{unit:04x}");
        }
    }
    out
}

fn side(inventory: &Inventory) -> Side<'_> {
    Side {
        name: &inventory.name,
        origin: inventory.origin,
        board: inventory.board.as_deref(),
        version: inventory.version.as_deref(),
        size: inventory.size,
    }
}
