//! Ignition's JSON, and where each value of it comes from.

use std::fmt::Write as _;

use crate::{
    path::{Path, Position},
    schema::{Empty, Field, Spec, camel},
    tree::{Node, Object, Value},
    yaml::Document,
};

/// A value of the JSON, and the place in the user's text that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// As a JSON pointer (RFC 6901).
    pub pointer: String,
    /// The place.
    pub position: Position,
}

/// The JSON and its source map.
pub(crate) fn write(
    config: &Object,
    spec: Spec,
    document: &Document,
    pretty: bool,
) -> (String, Vec<Mapping>) {
    let mut writer =
        Writer { spec, document, pretty, json: String::new(), map: Vec::new(), depth: 0 };
    writer
        .map
        .push(Mapping { pointer: String::new(), position: document.locate(&Path::default()) });
    writer.object(config, &Place { path: Path::default(), pointer: "" });
    (writer.json, writer.map)
}

struct Writer<'a> {
    spec: Spec,
    document: &'a Document,
    pretty: bool,
    json: String,
    map: Vec<Mapping>,
    depth: usize,
}

/// Where a value is in the config and in the JSON.
struct Place<'a> {
    path: Path,
    pointer: &'a str,
}

impl Writer<'_> {
    fn object(&mut self, object: &Object, place: &Place<'_>) {
        let mut first = true;
        self.json.push('{');
        for (field, node) in object.fields() {
            if !field.in_ignition(self.spec) || !self.is_written(field, node) {
                continue;
            }
            self.separate(&mut first);
            let name = camel(field.name);
            self.text(&name);
            self.json.push_str(if self.pretty { ": " } else { ":" });
            let pointer = format!("{}/{name}", place.pointer);
            let place = Place { path: place.path.key(field.name), pointer: &pointer };
            match node {
                Some(node) => self.node(node, &place),
                None => {
                    self.note(None, &place);
                    self.json.push_str(match field.empty {
                        Empty::NullInFirst => "null",
                        _ => "\"\"",
                    });
                }
            }
        }
        self.end(first, '}');
    }

    fn is_written(&self, field: &Field, node: Option<&Node>) -> bool {
        let minor = self.spec.ignition();
        match (node, field.empty) {
            (None, Empty::Text) => true,
            (None, Empty::TextUpTo(last)) => minor <= last,
            (None, Empty::NullInFirst) => minor == 0,
            (None, _) => false,
            (Some(Node { value: Value::Int(0), .. }), Empty::Zero) => false,
            (Some(node), Empty::Zero) => node.as_text() != Some(""),
            (Some(_), Empty::ObjectInThird) if minor == 2 => true,
            (Some(node), _) => !node.is_empty(),
        }
    }

    fn node(&mut self, node: &Node, place: &Place<'_>) {
        self.note(node.from.as_ref(), place);
        match &node.value {
            Value::Int(number) => {
                let _ = write!(self.json, "{number}");
            }
            Value::Bool(value) => self.json.push_str(if *value { "true" } else { "false" }),
            Value::Text(text) => self.text(text),
            Value::Bytes(bytes) => self.text(&String::from_utf8_lossy(bytes)),
            Value::Object(object) => self.object(object, place),
            Value::List(items) => {
                let mut first = true;
                self.json.push('[');
                for (index, item) in items.iter().enumerate() {
                    self.separate(&mut first);
                    let pointer = format!("{}/{index}", place.pointer);
                    self.node(item, &Place { path: place.path.index(index), pointer: &pointer });
                }
                self.end(first, ']');
            }
        }
    }

    fn note(&mut self, from: Option<&Path>, place: &Place<'_>) {
        let position = self.document.locate(from.unwrap_or(&place.path));
        self.map.push(Mapping { pointer: place.pointer.to_owned(), position });
    }

    fn separate(&mut self, first: &mut bool) {
        if std::mem::take(first) {
            self.depth += 1;
        } else {
            self.json.push(',');
        }
        self.new_line();
    }

    fn end(&mut self, empty: bool, bracket: char) {
        if !empty {
            self.depth -= 1;
            self.new_line();
        }
        self.json.push(bracket);
    }

    fn new_line(&mut self) {
        if self.pretty {
            self.json.push('\n');
            self.json.extend(std::iter::repeat_n("  ", self.depth));
        }
    }

    /// Escaped as Go does it, which makes the JSON safe within HTML.
    fn text(&mut self, text: &str) {
        self.json.push('"');
        for letter in text.chars() {
            match letter {
                '"' => self.json.push_str("\\\""),
                '\\' => self.json.push_str("\\\\"),
                '\n' => self.json.push_str("\\n"),
                '\r' => self.json.push_str("\\r"),
                '\t' => self.json.push_str("\\t"),
                '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                    let _ = write!(self.json, "\\u{:04x}", u32::from(letter));
                }
                _ => self.json.push(letter),
            }
        }
        self.json.push('"');
    }
}
