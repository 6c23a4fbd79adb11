//! For people, in an issue, a comment or a job's summary. What an image's files are called stands in code, so that it can
//! neither mention anybody nor draw anything.

use std::fmt::Write as _;

use super::story::{Row, Story, Tone};
use crate::visible::shortened;

/// GitHub takes comments of up to 65,536 characters, counted in bytes by some of its APIs.
const MOST: usize = 65_535;

/// What is kept for the lines that say what was left out.
const RESERVE: usize = 80;

/// The longest row, in characters.
const WIDTH: usize = 400;

pub(super) fn render(story: &Story) -> String {
    let mut out = format!("## Image diff\n\n{} **{}**\n\n", mark(story.tone), story.verdict);
    for (name, side) in &story.sides {
        let _ = writeln!(out, "- {name}: {}", code(&shortened(side, WIDTH)));
    }
    // Heads come first: they must fit, whatever is left out.
    let heads: Vec<String> = story
        .sections
        .iter()
        .map(|section| {
            format!("\n### {}\n\n{}\n\n", section.title, code(&shortened(&section.summary, WIDTH)))
        })
        .collect();
    let fixed: usize = heads.iter().map(|head| head.len() + RESERVE).sum();
    let mut room = MOST.saturating_sub(out.len() + fixed);
    for (section, head) in story.sections.iter().zip(&heads) {
        out.push_str(head);
        for (index, row) in section.rows.iter().enumerate() {
            let row = item(row);
            if row.len() > room {
                let more = section.rows.len() - index;
                let _ = writeln!(out, "- … {more} more are left out, since this must stay short");
                // What comes later is less important than what was just left out.
                room = 0;
                break;
            }
            room -= row.len();
            out.push_str(&row);
        }
    }
    out
}

fn item(row: &Row) -> String {
    let text = shortened(&row.text, WIDTH);
    match &row.id {
        Some(id) => format!(
            "- {} {} {}: {}\n",
            mark(row.tone),
            row.label,
            code(&shortened(id, WIDTH)),
            code(&text)
        ),
        None => format!("- {} {} {}\n", mark(row.tone), row.label, code(&text)),
    }
}

fn mark(tone: Tone) -> &'static str {
    match tone {
        Tone::Bad => "❌",
        Tone::Warn => "⚠️",
        Tone::Good => "✅",
        Tone::Plain => "▫️",
    }
}

/// Text as code, whatever backticks are in it.
pub(super) fn code(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    if longest == 0 && !text.is_empty() {
        return format!("{fence}{text}{fence}");
    }
    // A space on both sides belongs to the fence.
    format!("{fence} {text} {fence}")
}
