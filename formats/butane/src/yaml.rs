//! YAML with positions, as Go's yaml.v3 sees it: its parser is a port of libyaml, and so is the one used here.
//!
//! Everything is bounded: the text, its nodes, how deep they are nested, and how many there are once aliases are followed
//! (the last by whoever follows them).

use std::collections::HashMap;

use crate::{
    events::{Event, EventKind, Events, Failure, Mark, Stage, Style},
    path::{Path, Position, Segment},
};

/// The largest text, in bytes. Ignition configs are below a few MiB: they have to get through metadata services.
pub const MAX_BYTES: usize = 16 << 20;
/// The most nodes, also after aliases are followed.
pub(crate) const MAX_NODES: usize = 1_000_000;
/// The deepest nesting. Butane needs 9.
const MAX_DEPTH: usize = 100;

/// A document, or nothing.
#[derive(Debug)]
pub(crate) struct Document {
    nodes: Vec<Node>,
    root: Option<Id>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Id(usize);

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) at: Position,
    pub(crate) kind: Kind,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Scalar(Scalar),
    List(Vec<Id>),
    Map(Map),
    /// To a node that was named before.
    Alias {
        name: String,
        to: Id,
    },
}

#[derive(Debug, Default)]
pub(crate) struct Map {
    pub(crate) entries: Vec<(Id, Id)>,
    /// Which entry a key means.
    by_key: HashMap<String, usize>,
}

#[derive(Debug)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    /// As in `!!int`, short.
    pub(crate) tag: Option<String>,
    /// Neither quoted nor a block.
    pub(crate) plain: bool,
}

/// Why a text is no YAML.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) at: Option<Position>,
    pub(crate) message: String,
}

impl Problem {
    fn new(at: Option<Position>, message: impl Into<String>) -> Self {
        Self { at, message: message.into() }
    }
}

impl Document {
    /// The first document of a text; what follows isn't looked at.
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        let mut events = Events::new(text);
        let mut builder = Builder::new(text);
        loop {
            let event = events.next().map_err(|failure| problem(text, failure))?;
            match event.kind {
                EventKind::DocumentEnd => break,
                EventKind::Other => {}
                _ => builder.add(event)?,
            }
        }
        Ok(Self { nodes: builder.nodes, root: builder.root })
    }

    pub(crate) fn root(&self) -> Option<Id> {
        self.root
    }

    pub(crate) fn node(&self, id: Id) -> &Node {
        &self.nodes[id.0]
    }

    /// What is at a path, or the deepest that there is on the way. Aliases aren't followed.
    fn deepest<'a>(&self, path: &'a [Segment]) -> Option<(Id, &'a [Segment])> {
        let mut id = self.root?;
        let mut rest = path;
        while let Some((first, deeper)) = rest.split_first() {
            let child = match (&self.node(id).kind, first) {
                (Kind::Map(map), Segment::Key(key)) => {
                    map.by_key.get(key.as_ref()).map(|&entry| map.entries[entry].1)
                }
                (Kind::List(items), Segment::Index(index)) => items.get(*index).copied(),
                _ => None,
            };
            let Some(child) = child else { break };
            (id, rest) = (child, deeper);
        }
        Some((id, rest))
    }

    /// What is exactly at a path.
    pub(crate) fn at(&self, path: &Path) -> Option<Id> {
        self.deepest(path.segments()).filter(|(_, rest)| rest.is_empty()).map(|(id, _)| id)
    }

    /// Where a path is in the text, or the deepest part of it that is there.
    pub(crate) fn locate(&self, path: &Path) -> Position {
        self.deepest(path.segments()).map_or(Position::START, |(id, _)| self.node(id).at)
    }

    /// Where the last key of a path is; without it, the deepest part.
    pub(crate) fn locate_key(&self, path: &Path) -> Position {
        if let Some((Segment::Key(key), parent)) = path.segments().split_last()
            && let Some((id, [])) = self.deepest(parent)
            && let Kind::Map(map) = &self.node(id).kind
            && let Some(&entry) = map.by_key.get(key.as_ref())
        {
            return self.node(map.entries[entry].0).at;
        }
        self.locate(path)
    }
}

struct Builder<'a> {
    text: &'a str,
    /// Byte offsets of the characters, if any are needed.
    offsets: Option<Vec<usize>>,
    nodes: Vec<Node>,
    root: Option<Id>,
    /// Those that are not at their end yet.
    open: Vec<Open>,
    anchors: HashMap<String, Id>,
}

struct Open {
    id: Id,
    /// Of a map, the one that waits for its value.
    key: Option<Id>,
    /// Written as `[…]` or `{…}`.
    in_brackets: bool,
}

impl<'a> Builder<'a> {
    fn new(text: &'a str) -> Self {
        let offsets = text.contains(['?', '/']).then(|| {
            let text = text.strip_prefix('\u{feff}').unwrap_or(text);
            text.char_indices().map(|(offset, _)| offset).chain([text.len()]).collect()
        });
        Self {
            text: text.strip_prefix('\u{feff}').unwrap_or(text),
            offsets,
            nodes: Vec::new(),
            root: None,
            open: Vec::new(),
            anchors: HashMap::new(),
        }
    }

    fn add(&mut self, event: Event) -> Result<(), Problem> {
        let at = event.start.position;
        let mut in_brackets = false;
        let (kind, anchor) = match event.kind {
            EventKind::Scalar { anchor, tag, text, style } => {
                self.refuse_what_go_refuses(style, event.start, event.end)?;
                let plain = style == Style::Plain;
                (Kind::Scalar(Scalar { text, tag: tag.map(short), plain }), anchor)
            }
            EventKind::ListStart { anchor, flow } => {
                in_brackets = flow;
                (Kind::List(Vec::new()), anchor)
            }
            EventKind::MapStart { anchor, flow } => {
                in_brackets = flow;
                (Kind::Map(Map::default()), anchor)
            }
            EventKind::Alias { anchor } => {
                let to = *self.anchors.get(&anchor).ok_or_else(|| {
                    Problem::new(Some(at), format!("unknown anchor '{anchor}' referenced"))
                })?;
                (Kind::Alias { name: anchor, to }, None)
            }
            EventKind::End => {
                if let Some(open) = self.open.pop() {
                    self.close(open.id);
                }
                return Ok(());
            }
            EventKind::DocumentEnd | EventKind::Other => return Ok(()),
        };
        if self.nodes.len() == MAX_NODES {
            return Err(Problem::new(
                Some(at),
                format!("there are more than {MAX_NODES} values; this is no config"),
            ));
        }
        let id = Id(self.nodes.len());
        let opens = matches!(kind, Kind::List(_) | Kind::Map(_));
        self.nodes.push(Node { at, kind });
        self.attach(id);
        if let Some(anchor) = anchor {
            self.anchors.insert(anchor, id);
        }
        if opens {
            if self.open.len() == MAX_DEPTH {
                return Err(Problem::new(
                    Some(at),
                    format!("values are nested more than {MAX_DEPTH} deep; this is no config"),
                ));
            }
            self.open.push(Open { id, key: None, in_brackets });
        }
        Ok(())
    }

    /// Puts a node into the one that is open.
    fn attach(&mut self, id: Id) {
        let Some(Open { id: parent, key, .. }) = self.open.last_mut() else {
            self.root = Some(id);
            return;
        };
        match &mut self.nodes[parent.0].kind {
            Kind::List(items) => items.push(id),
            Kind::Map(map) => match key.take() {
                Some(key) => map.entries.push((key, id)),
                None => *key = Some(id),
            },
            Kind::Scalar(_) | Kind::Alias { .. } => unreachable!("only lists and maps are opened"),
        }
    }

    fn close(&mut self, id: Id) {
        let Kind::Map(map) = &self.nodes[id.0].kind else { return };
        let keys = map.entries.iter().enumerate().filter_map(|(entry, (key, _))| {
            match &self.nodes[key.0].kind {
                Kind::Scalar(key) => Some((key.text.clone(), entry)),
                _ => None,
            }
        });
        let by_key = keys.collect();
        if let Kind::Map(map) = &mut self.nodes[id.0].kind {
            map.by_key = by_key;
        }
    }

    /// Go's yaml is a port of an older libyaml: in brackets a `?` ends a plain text, and it doesn't know JSON's escape `\/`.
    fn refuse_what_go_refuses(&self, style: Style, start: Mark, end: Mark) -> Result<(), Problem> {
        let Some(offsets) = &self.offsets else { return Ok(()) };
        let (Some(&start_at), Some(&end_at)) = (offsets.get(start.index), offsets.get(end.index))
        else {
            return Ok(());
        };
        let text = self.text.get(start_at..end_at).unwrap_or_default();
        let brackets = self.open.last().filter(|open| open.in_brackets);
        match (style, brackets) {
            (Style::DoubleQuoted, _) => {
                let mut letters = text.chars();
                while let Some(letter) = letters.next() {
                    if letter == '\\' && letters.next() == Some('/') {
                        return Err(Problem::new(
                            Some(start.position),
                            "found unknown escape character while parsing a quoted scalar",
                        ));
                    }
                }
            }
            (Style::Plain, Some(brackets)) if text.contains('?') => {
                // The line of the brackets, and one less, as with any error of a parser.
                let Position { line, .. } = self.nodes[brackets.id.0].at;
                return Err(Problem::new(
                    Some(Position { line: (line - 1).max(1), column: 1 }),
                    format!(
                        "in brackets a text with a question mark has to be quoted (seen at {})",
                        start.position
                    ),
                ));
            }
            _ => {}
        }
        Ok(())
    }
}

fn short(tag: String) -> String {
    match tag.strip_prefix("tag:yaml.org,2002:") {
        Some(name) => format!("!!{name}"),
        None => tag,
    }
}

/// Butane's line for a syntax error is the one where what is wrong began, and one less if the parser and not the scanner
/// found it. Whoever compares with Butane gets the same; the real place is in the message.
fn problem(text: &str, failure: Failure) -> Problem {
    if failure.by == Stage::Reader {
        let refused =
            |letter: char| letter.is_control() && !matches!(letter, '\t' | '\n' | '\r' | '\u{85}');
        let at = text.find(refused).map(|offset| place(text, offset));
        return Problem::new(at, failure.problem);
    }
    let found = failure.at.position;
    let began = failure.context.as_ref().map(|(_, mark)| mark.position.line);
    let line = began.into_iter().chain([found.line]).find(|&line| line != 1);
    let at = match (line, failure.by) {
        (None, _) => Position::START,
        (Some(line), Stage::Scanner) => Position { line, column: 1 },
        (Some(line), _) => Position { line: line - 1, column: 1 },
    };
    let message = match failure.context {
        Some((context, _)) => format!("{} {context} (seen at {found})", failure.problem),
        None => format!("{} (seen at {found})", failure.problem),
    };
    Problem::new(Some(at), message)
}

/// The place of a byte.
pub(crate) fn place(text: &str, offset: usize) -> Position {
    let before = text.get(..offset).unwrap_or(text);
    let before = before.strip_prefix('\u{feff}').unwrap_or(before);
    let (mut line, mut last) = (0, "");
    for text in lines(before) {
        (line, last) = (line + 1, text);
    }
    Position { line, column: last.chars().count() as u64 + 1 }
}

/// The lines of a text without their ends, of which YAML has more than most.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = text.find(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']);
        let Some(end) = end else { return rest.take() };
        let (line, after) = text.split_at(end);
        let mut letters = after.chars();
        if letters.next() == Some('\r') && after.starts_with("\r\n") {
            letters.next();
        }
        rest = Some(letters.as_str());
        Some(line)
    })
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::{Document, MAX_DEPTH, MAX_NODES, lines, place};

    fn problem(text: &str) -> Option<String> {
        Document::parse(text).err().map(|problem| problem.message)
    }

    #[test]
    fn depth_has_its_limit() {
        let nested = |depth| problem(&format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
        assert_eq!(nested(MAX_DEPTH), None);
        assert!(nested(MAX_DEPTH + 1).unwrap().contains("nested more than 100 deep"));
    }

    #[test]
    fn size_has_its_limit() {
        let long = format!("[{}]", "a,".repeat(MAX_NODES));
        assert!(problem(&long).unwrap().contains("more than 1000000 values"));
    }

    #[test]
    fn only_the_first_document_is_looked_at() {
        let text = format!("a: b\n---\n{}\u{1}", "#".repeat(2000));
        assert_eq!(problem(&text), None);
    }

    #[test_case("a\nbc", 3 => (2, 2))]
    #[test_case("\u{feff}é\r\nb", 7 => (2, 1); "marks and wide letters")]
    #[test_case("a\rb\u{85}c", 5 => (3, 1); "other line ends")]
    fn places(text: &str, offset: usize) -> (u64, u64) {
        let place = place(text, offset);
        (place.line, place.column)
    }

    #[test]
    fn a_text_has_one_line_more_than_line_ends() {
        assert_eq!(lines("a\r\n\nb\rc\n").collect::<Vec<_>>(), ["a", "", "b", "c", ""]);
        assert_eq!(lines("").collect::<Vec<_>>(), [""]);
    }
}
