//! From bytes to elements: the one place that meets hostile input.

use quick_xml::events::attributes::AttrError;
use quick_xml::events::{BytesDecl, BytesStart, Event};
use quick_xml::{Error, Reader, XmlVersion, escape};

use super::element::Element;
use super::error::{OmahaError, quote, quote_problem};
use super::writer::is_xml_char;

/// The longest message that is read, in bytes: go-omaha's limit for a request.
pub const MAX_MESSAGE: usize = 1024 * 1024;

/// The deepest real element is /response/app/updatecheck/manifest/packages/package, six deep.
pub(super) const MAX_DEPTH: usize = 16;

/// The richest real element is a request's app, with some twenty. The limit matters because
/// each attribute is compared with all before it, in search of duplicates.
pub(super) const MAX_ATTRIBUTES: usize = 64;

/// Reads a whole message whose root element is `root`.
pub(super) fn read(bytes: &[u8], root: &'static str) -> Result<Element, OmahaError> {
    if bytes.len() > MAX_MESSAGE {
        return Err(OmahaError::TooLarge { size: bytes.len() });
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| OmahaError::NotUtf8 { offset: error.valid_up_to() })?;
    if let Some((offset, char)) = text.char_indices().find(|(_, char)| !is_xml_char(*char)) {
        return Err(syntax(offset as u64, format!("{char:?} is not a character of XML")));
    }
    let document = document(text)?.ok_or(OmahaError::Empty { expected: root })?;
    if document.name != root {
        return Err(OmahaError::WrongRoot { found: quote(&document.name), expected: root });
    }
    Ok(document)
}

/// The root element, or `None` when there is nothing but comments and white space.
fn document(text: &str) -> Result<Option<Element>, OmahaError> {
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Element> = Vec::new();
    let mut root = None;
    let mut first = true;
    loop {
        let offset = reader.buffer_position();
        let event = reader
            .read_event()
            .map_err(|error| syntax(reader.error_position(), problem(&error)))?;
        let closed = match event {
            Event::Start(tag) => {
                open.push(element(&tag, open.len(), offset)?);
                None
            }
            Event::Empty(tag) => Some(element(&tag, open.len(), offset)?),
            Event::End(_) => open.pop(),
            Event::Eof => break,
            Event::DocType(_) => return Err(OmahaError::Doctype),
            Event::Decl(declaration) if first => {
                check_declaration(&declaration, offset)?;
                None
            }
            Event::Decl(_) => return Err(syntax(offset, "an XML declaration not at the start")),
            Event::GeneralRef(_) if open.is_empty() => return Err(stray_text(offset)),
            Event::GeneralRef(reference) => {
                check_reference(&String::from_utf8_lossy(&reference), offset)?;
                None
            }
            Event::Text(text) if open.is_empty() && !text.iter().all(u8::is_ascii_whitespace) => {
                return Err(stray_text(offset));
            }
            Event::CData(_) if open.is_empty() => return Err(stray_text(offset)),
            Event::Text(_) | Event::CData(_) | Event::Comment(_) | Event::PI(_) => None,
        };
        first = false;
        let Some(closed) = closed else { continue };
        match open.last_mut() {
            Some(parent) => parent.children.push(closed),
            None if root.is_none() => root = Some(closed),
            None => return Err(syntax(offset, "a second root element")),
        }
    }
    match open.pop() {
        Some(unfinished) => Err(OmahaError::Truncated { element: quote(&unfinished.name) }),
        None => Ok(root),
    }
}

/// One start tag, inside `depth` others.
fn element(tag: &BytesStart<'_>, depth: usize, offset: u64) -> Result<Element, OmahaError> {
    let name = String::from_utf8_lossy(tag.name().as_ref()).into_owned();
    if !name.starts_with(|char: char| char.is_alphabetic() || char == '_' || char == ':') {
        return Err(syntax(offset, format!("\"{}\" cannot name an element", quote(&name))));
    }
    if depth >= MAX_DEPTH {
        return Err(OmahaError::TooDeep { element: quote(&name) });
    }
    let malformed = |attribute: &str, problem: String| OmahaError::MalformedAttribute {
        element: quote(&name),
        attribute: quote(attribute),
        problem,
    };
    let mut attributes: Vec<(String, String)> = Vec::new();
    for attribute in tag.attributes().with_checks(false) {
        if attributes.len() == MAX_ATTRIBUTES {
            return Err(OmahaError::TooManyAttributes { element: quote(&name) });
        }
        let attribute = attribute.map_err(|error| {
            let (position, problem) = attribute_problem(&error);
            malformed(&name_before(tag, position), problem.to_owned())
        })?;
        let key = String::from_utf8_lossy(attribute.key.as_ref()).into_owned();
        if attributes.iter().any(|(other, _)| *other == key) {
            return Err(malformed(&key, "it is there twice".to_owned()));
        }
        let value = attribute
            .normalized_value(XmlVersion::Explicit1_0)
            .map_err(|error| malformed(&key, problem(&error)))?
            .into_owned();
        // A reference such as &#1; is the way around the check of the raw text.
        if let Some(char) = value.chars().find(|char| !is_xml_char(*char)) {
            return Err(malformed(&key, format!("{char:?} is not a character of XML")));
        }
        attributes.push((key, value));
    }
    Ok(Element { name, attributes, children: Vec::new() })
}

/// Where in the tag the parser gave up on an attribute, and why.
fn attribute_problem(error: &AttrError) -> (usize, &'static str) {
    match *error {
        AttrError::ExpectedEq(position) | AttrError::ExpectedValue(position) => {
            (position, "it has no value")
        }
        AttrError::UnquotedValue(position) => (position, "its value is not in quotes"),
        AttrError::ExpectedQuote(position, _) => (position, "its closing quote is missing"),
        AttrError::Duplicated(position, _) => (position, "it is there twice"),
    }
}

/// The name of the attribute that ends or has its value at this position of the tag.
fn name_before(tag: &BytesStart<'_>, position: usize) -> String {
    let before = String::from_utf8_lossy(&tag[..position.min(tag.len())]);
    let before = before.trim_end_matches(|char: char| char == '=' || char.is_whitespace());
    before.rsplit(char::is_whitespace).next().unwrap_or_default().to_owned()
}

fn check_declaration(declaration: &BytesDecl<'_>, offset: u64) -> Result<(), OmahaError> {
    match declaration.xml_version() {
        Ok(XmlVersion::Explicit1_0 | XmlVersion::Implicit1_0) => {}
        Ok(XmlVersion::Explicit1_1) => return Err(syntax(offset, "only XML 1.0 is read")),
        Err(error) => return Err(syntax(offset, problem(&error))),
    }
    match declaration.encoding() {
        None => Ok(()),
        Some(Ok(encoding)) if encoding.eq_ignore_ascii_case(b"utf-8") => Ok(()),
        Some(Ok(encoding)) => {
            Err(OmahaError::Encoding { encoding: quote(&String::from_utf8_lossy(&encoding)) })
        }
        Some(Err(error)) => Err(syntax(offset, quote_problem(&error))),
    }
}

/// Text is not kept, but an entity that nothing defines makes the document ill-formed.
fn check_reference(reference: &str, offset: u64) -> Result<(), OmahaError> {
    let text = format!("&{reference};");
    escape::unescape(&text).map_err(|error| syntax(offset, quote_problem(&error)))?;
    Ok(())
}

fn stray_text(offset: u64) -> OmahaError {
    syntax(offset, "text outside of the root element")
}

/// The parser's sentence without its preamble.
fn problem(error: &Error) -> String {
    match error {
        Error::Syntax(error) => quote_problem(error),
        Error::IllFormed(error) => quote_problem(error),
        Error::Escape(error) => quote_problem(error),
        error => quote_problem(error),
    }
}

fn syntax(offset: u64, problem: impl Into<String>) -> OmahaError {
    OmahaError::Syntax { offset, problem: problem.into() }
}
