//! Why bytes are not an Omaha message, in sentences.

use thiserror::Error;

use super::reader::{MAX_ATTRIBUTES, MAX_DEPTH, MAX_MESSAGE};

/// The bytes are not a message of the Omaha protocol.
///
/// Names and values in it come from the message; control characters are escaped, and what is long
/// is cut.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OmahaError {
    /// More than [`MAX_MESSAGE`] bytes.
    #[error("the message has {size} bytes, more than the {MAX_MESSAGE} that a message may have")]
    TooLarge {
        /// Length in bytes.
        size: usize,
    },
    /// Not text.
    #[error("the message is not UTF-8: byte {offset} starts no valid character")]
    NotUtf8 {
        /// Where, in bytes from the start.
        offset: usize,
    },
    /// The XML declaration names another encoding.
    #[error("the message declares the encoding \"{encoding}\"; only UTF-8 is read")]
    Encoding {
        /// What it declares.
        encoding: String,
    },
    /// A document type could define entities that expand without end.
    #[error("the message has a DOCTYPE; it is refused, because no Omaha message needs one")]
    Doctype,
    /// Not well-formed.
    #[error("the message is not well-formed XML at byte {offset}: {problem}")]
    Syntax {
        /// Where, in bytes from the start.
        offset: u64,
        /// What is wrong there.
        problem: String,
    },
    /// The text ends inside an element.
    #[error("the message ends before </{element}>; was the transfer cut off?")]
    Truncated {
        /// The innermost element that is still open.
        element: String,
    },
    /// No element at all.
    #[error("the message holds no <{expected}>; was the body left out?")]
    Empty {
        /// The root element that was looked for.
        expected: &'static str,
    },
    /// Another kind of document.
    #[error("the message is a <{found}>, not a <{expected}>")]
    WrongRoot {
        /// The root element.
        found: String,
        /// The one it has to be.
        expected: &'static str,
    },
    /// Elements inside elements inside elements.
    #[error("<{element}> is nested more than {MAX_DEPTH} elements deep")]
    TooDeep {
        /// The first element that is too deep.
        element: String,
    },
    /// More attributes than any message has.
    #[error("<{element}> has more than {MAX_ATTRIBUTES} attributes")]
    TooManyAttributes {
        /// The element.
        element: String,
    },
    /// An attribute without quotes, twice, or with an unknown entity.
    #[error("the {attribute} attribute of <{element}> is malformed: {problem}")]
    MalformedAttribute {
        /// The element.
        element: String,
        /// The attribute.
        attribute: String,
        /// What is wrong with it.
        problem: String,
    },
    /// An attribute that the element cannot do without.
    #[error("<{element}> has no {attribute} attribute")]
    MissingAttribute {
        /// The element.
        element: String,
        /// The attribute.
        attribute: &'static str,
    },
    /// An attribute of the wrong type.
    #[error("the {attribute} attribute of <{element}> is \"{value}\", not {expected}")]
    BadAttribute {
        /// The element.
        element: String,
        /// The attribute.
        attribute: &'static str,
        /// What it is.
        value: String,
        /// What it has to be.
        expected: &'static str,
    },
    /// Two where there can be one: readers disagree which one counts.
    #[error("<{parent}> has more than one <{element}>")]
    Repeated {
        /// The element.
        element: &'static str,
        /// The element it is in.
        parent: String,
    },
}

/// Makes a name or value from a message fit to be shown.
pub(super) fn quote(text: &str) -> String {
    printable(text, 60)
}

/// Makes a sentence of the XML parser, which may hold names from the message, fit to be shown.
pub(super) fn quote_problem(problem: &impl ToString) -> String {
    printable(&problem.to_string(), 160)
}

/// Cuts the text after `limit` characters and escapes what would break the line or hide the rest.
fn printable(text: &str, limit: usize) -> String {
    let mut printable = String::new();
    for char in text.chars().take(limit) {
        match char {
            '"' | '\'' | '\\' => printable.push(char),
            _ => printable.extend(char.escape_debug()),
        }
    }
    if text.chars().nth(limit).is_some() {
        printable.push('…');
    }
    printable
}
