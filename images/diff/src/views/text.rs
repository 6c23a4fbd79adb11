//! For people at a terminal: one screen tells the story.

use std::fmt::Write as _;

use super::story::Story;
use crate::visible::shortened;

/// The longest line, in characters: most terminals show it in one, and the rest in two.
const WIDTH: usize = 120;

pub(super) fn render(story: &Story, all: bool) -> String {
    let mut out = String::new();
    let mut line = |text: &str| {
        let text = if all { text.to_owned() } else { shortened(text, WIDTH) };
        let _ = writeln!(out, "{text}");
    };
    for (name, side) in &story.sides {
        line(&format!("{name}  {side}"));
    }
    line(&format!("=>   {}", story.verdict));
    let mut left_out = 0;
    for section in &story.sections {
        line(&format!("{}: {}", section.title, section.summary));
        let shown =
            if all { section.rows.len() } else { section.on_screen.min(section.rows.len()) };
        for row in &section.rows[..shown] {
            let id = row.id.as_ref().map(|id| format!("{id}: ")).unwrap_or_default();
            line(&format!("  {:<7} {id}{}", row.label, row.text));
        }
        let more = section.rows.len() - shown;
        left_out += more;
        if more > 0 && shown > 0 {
            line(&format!("  … {more} more"));
        }
    }
    if left_out > 0 {
        line(&format!("--all shows the other {left_out} lines"));
    }
    out
}
