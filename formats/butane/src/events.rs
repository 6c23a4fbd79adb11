//! The events of a YAML text, by libyaml as it was translated to Rust by machine. All that is unsafe is here.
//!
//! Not by a parser with a nicer face: only a libyaml refuses what Go's yaml.v3 refuses, and names the line that it names; the
//! safe port of it panics where it isn't finished.

use std::{
    ffi::{CStr, c_void},
    mem::MaybeUninit,
    ptr, slice,
};

use libyaml_rs::{
    YAML_ALIAS_EVENT, YAML_DOCUMENT_END_EVENT, YAML_DOUBLE_QUOTED_SCALAR_STYLE,
    YAML_FLOW_MAPPING_STYLE, YAML_FLOW_SEQUENCE_STYLE, YAML_MAPPING_END_EVENT,
    YAML_MAPPING_START_EVENT, YAML_PLAIN_SCALAR_STYLE, YAML_READER_ERROR, YAML_SCALAR_EVENT,
    YAML_SCANNER_ERROR, YAML_SEQUENCE_END_EVENT, YAML_SEQUENCE_START_EVENT, YAML_STREAM_END_EVENT,
    yaml_event_delete, yaml_event_t, yaml_mark_t, yaml_parser_delete, yaml_parser_initialize,
    yaml_parser_parse, yaml_parser_set_input, yaml_parser_t,
};

use crate::path::Position;

pub(crate) struct Event {
    pub(crate) kind: EventKind,
    pub(crate) start: Mark,
    pub(crate) end: Mark,
}

pub(crate) enum EventKind {
    Scalar {
        anchor: Option<String>,
        tag: Option<String>,
        text: String,
        style: Style,
    },
    ListStart {
        anchor: Option<String>,
        flow: bool,
    },
    MapStart {
        anchor: Option<String>,
        flow: bool,
    },
    /// Of a list or a map.
    End,
    Alias {
        anchor: String,
    },
    /// Of the document, or of the text.
    DocumentEnd,
    /// What has no meaning here.
    Other,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    DoubleQuoted,
    Other,
}

/// A place in the text.
#[derive(Clone, Copy)]
pub(crate) struct Mark {
    /// How many characters are before it, without a byte order mark.
    pub(crate) index: usize,
    pub(crate) position: Position,
}

/// Why there is no next event.
pub(crate) struct Failure {
    pub(crate) by: Stage,
    pub(crate) problem: String,
    pub(crate) at: Mark,
    /// What was going on, and since when.
    pub(crate) context: Option<(String, Mark)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Reader,
    Scanner,
    Parser,
}

/// What is read at once, as Go does it, so that no more than the first document and a little is looked at.
const CHUNK: usize = 512;

pub(crate) struct Events<'a> {
    parser: Box<MaybeUninit<yaml_parser_t>>,
    /// What isn't read yet. The parser holds a pointer to it, so it stays where it is.
    rest: *mut &'a [u8],
}

impl<'a> Events<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let mut parser = Box::new(MaybeUninit::uninit());
        let rest = Box::into_raw(Box::new(text.as_bytes()));
        // SAFETY: The parser is initialised before anything else is done with it. Memory that can't be had ends the process
        // within. `read` gets the pointer to the rest, which lives as long as `self`, and so longer than the parser.
        unsafe {
            let initialised = yaml_parser_initialize(parser.as_mut_ptr());
            assert!(initialised.ok, "a parser needs memory and nothing else");
            yaml_parser_set_input(parser.as_mut_ptr(), read, rest.cast());
        }
        Self { parser, rest }
    }

    /// After the end of the document nothing should be asked.
    pub(crate) fn next(&mut self) -> Result<Event, Failure> {
        let mut event = MaybeUninit::<yaml_event_t>::uninit();
        // SAFETY: The parser is initialised. If it succeeds the event is, too; it is copied out before it is deleted.
        unsafe {
            if yaml_parser_parse(self.parser.as_mut_ptr(), event.as_mut_ptr()).fail {
                return Err(failure(self.parser.assume_init_ref()));
            }
            let copied = copy(event.assume_init_ref());
            yaml_event_delete(event.as_mut_ptr());
            Ok(copied)
        }
    }
}

impl Drop for Events<'_> {
    fn drop(&mut self) {
        // SAFETY: Both were made by `new`, and are used no more. The parser goes first, as it has a pointer to the rest.
        unsafe {
            yaml_parser_delete(self.parser.as_mut_ptr());
            drop(Box::from_raw(self.rest));
        }
    }
}

/// Gives the parser some bytes; none at the end.
///
/// # Safety
/// `rest` is a pointer to a slice that nobody else uses now; `buffer` has room for `size` bytes.
unsafe fn read(rest: *mut c_void, buffer: *mut u8, size: u64, size_read: *mut u64) -> i32 {
    // SAFETY: As this function asks for.
    unsafe {
        let rest = &mut *rest.cast::<&[u8]>();
        let room = usize::try_from(size).unwrap_or(usize::MAX);
        let (chunk, after) = rest.split_at(rest.len().min(CHUNK).min(room));
        ptr::copy_nonoverlapping(chunk.as_ptr(), buffer, chunk.len());
        *rest = after;
        *size_read = chunk.len() as u64;
    }
    1
}

/// # Safety
/// The event was made by the parser, and is not deleted.
unsafe fn copy(event: &yaml_event_t) -> Event {
    // SAFETY: Of the data that part is read which the type says to be there. Names are null or end in a zero byte; a
    // scalar's text is as long as it says.
    let kind = unsafe {
        match event.type_ {
            YAML_SCALAR_EVENT => {
                let scalar = &event.data.scalar;
                let length = usize::try_from(scalar.length).unwrap_or_default();
                let text = slice::from_raw_parts(scalar.value, length);
                EventKind::Scalar {
                    anchor: name(scalar.anchor),
                    tag: name(scalar.tag),
                    text: String::from_utf8_lossy(text).into_owned(),
                    style: match scalar.style {
                        YAML_PLAIN_SCALAR_STYLE => Style::Plain,
                        YAML_DOUBLE_QUOTED_SCALAR_STYLE => Style::DoubleQuoted,
                        _ => Style::Other,
                    },
                }
            }
            YAML_SEQUENCE_START_EVENT => EventKind::ListStart {
                anchor: name(event.data.sequence_start.anchor),
                flow: event.data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE,
            },
            YAML_MAPPING_START_EVENT => EventKind::MapStart {
                anchor: name(event.data.mapping_start.anchor),
                flow: event.data.mapping_start.style == YAML_FLOW_MAPPING_STYLE,
            },
            YAML_ALIAS_EVENT => {
                EventKind::Alias { anchor: name(event.data.alias.anchor).unwrap_or_default() }
            }
            YAML_SEQUENCE_END_EVENT | YAML_MAPPING_END_EVENT => EventKind::End,
            YAML_DOCUMENT_END_EVENT | YAML_STREAM_END_EVENT => EventKind::DocumentEnd,
            _ => EventKind::Other,
        }
    };
    Event { kind, start: mark(event.start_mark), end: mark(event.end_mark) }
}

fn failure(parser: &yaml_parser_t) -> Failure {
    // SAFETY: Both are null or constants that end in a zero byte.
    let (problem, context) = unsafe { (name(parser.problem.cast()), name(parser.context.cast())) };
    Failure {
        by: match parser.error {
            YAML_READER_ERROR => Stage::Reader,
            YAML_SCANNER_ERROR => Stage::Scanner,
            _ => Stage::Parser,
        },
        problem: problem.unwrap_or_default(),
        at: mark(parser.problem_mark),
        context: context.map(|context| (context, mark(parser.context_mark))),
    }
}

/// # Safety
/// The pointer is null, or to bytes that end in a zero.
unsafe fn name(name: *const u8) -> Option<String> {
    // SAFETY: As this function asks for.
    (!name.is_null()).then(|| unsafe { CStr::from_ptr(name.cast()) }.to_string_lossy().into_owned())
}

fn mark(mark: yaml_mark_t) -> Mark {
    Mark {
        index: usize::try_from(mark.index).unwrap_or(usize::MAX),
        position: Position { line: mark.line + 1, column: mark.column + 1 },
    }
}
