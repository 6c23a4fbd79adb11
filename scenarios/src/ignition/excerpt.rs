//! The line of a file that an error is about, with a mark under the column.

/// Characters shown on each side of the column. Generated configs are often one line of many thousands.
const CONTEXT: usize = 60;

/// Shows `line` (counted from 1) of `text` with a caret under the byte `column` (counted from 1).
///
/// Returns the column in characters too. Both may lie past the end, where parsers notice that something is missing.
pub(super) fn excerpt(text: &[u8], line: usize, column: usize) -> (usize, String) {
    let bytes = text.split(|&byte| byte == b'\n').nth(line.saturating_sub(1)).unwrap_or_default();
    let byte_column = column.saturating_sub(1).min(bytes.len());
    let before = String::from_utf8_lossy(&bytes[..byte_column]);
    let after = String::from_utf8_lossy(&bytes[byte_column..]);
    let before: Vec<char> = printable(&before);
    let after: Vec<char> = printable(after.trim_end());

    let (left, skipped) = match before.len().checked_sub(CONTEXT) {
        Some(cut @ 1..) => ("…", cut),
        _ => ("", 0),
    };
    let right = if after.len() > CONTEXT { "…" } else { "" };
    let head: String = before[skipped..].iter().collect();
    let tail: String = after.iter().take(CONTEXT).collect();
    let number = line.to_string();
    let (gutter, indent) =
        (" ".repeat(number.len()), " ".repeat(left.chars().count() + before.len() - skipped));
    (before.len() + 1, format!("  {number} | {left}{head}{tail}{right}\n  {gutter} | {indent}^"))
}

/// Replaces what would move the cursor by one blank each, so that the caret stays under its column.
fn printable(text: &str) -> Vec<char> {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
