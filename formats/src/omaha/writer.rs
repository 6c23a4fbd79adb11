//! From elements to text, byte for byte as go-omaha's server formats it.

use super::element::Element;

/// Writes a message: declaration, tabs, an end tag for every element, no newline at the end.
///
/// Source of the layout: go-omaha's `handler.go` (`xml.Header`, `Indent("", "\t")`).
pub(super) fn write(root: &Element) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    write_element(&mut text, root, 0);
    text
}

fn write_element(text: &mut String, element: &Element, depth: usize) {
    indent(text, depth);
    text.push('<');
    text.push_str(&element.name);
    for (name, value) in &element.attributes {
        text.push(' ');
        text.push_str(name);
        text.push_str("=\"");
        value.chars().for_each(|char| escape(text, char));
        text.push('"');
    }
    text.push('>');
    for child in &element.children {
        text.push('\n');
        write_element(text, child, depth + 1);
    }
    if !element.children.is_empty() {
        text.push('\n');
        indent(text, depth);
    }
    text.push_str("</");
    text.push_str(&element.name);
    text.push('>');
}

fn indent(text: &mut String, depth: usize) {
    text.extend(std::iter::repeat_n('\t', depth));
}

/// Escapes as Go's encoding/xml does. White space other than the blank needs it, because a reader
/// turns it into blanks otherwise; what XML cannot say at all becomes U+FFFD.
fn escape(text: &mut String, char: char) {
    match char {
        '"' => text.push_str("&#34;"),
        '\'' => text.push_str("&#39;"),
        '&' => text.push_str("&amp;"),
        '<' => text.push_str("&lt;"),
        '>' => text.push_str("&gt;"),
        '\t' => text.push_str("&#x9;"),
        '\n' => text.push_str("&#xA;"),
        '\r' => text.push_str("&#xD;"),
        char if is_xml_char(char) => text.push(char),
        _ => text.push(char::REPLACEMENT_CHARACTER),
    }
}

/// Whether XML 1.0 has this character (production 2, `Char`).
pub(super) fn is_xml_char(char: char) -> bool {
    matches!(
        char,
        '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..
    )
}
