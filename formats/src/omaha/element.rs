//! An XML element as a tree, with typed attributes in both directions.
//!
//! Messages are small (1 MiB at most) and every fact is in an attribute, so text is not kept.

use super::error::{OmahaError, quote};

/// The value of an attribute.
pub(super) trait Value: Sized {
    /// What a value has to be, to complete "the attribute is …, not".
    const EXPECTED: &'static str;

    /// Reads the text of an attribute; `None` when it is of another type.
    fn read(text: &str) -> Option<Self>;

    /// Writes the text that [`Value::read`] reads.
    fn write(&self) -> String;
}

impl Value for String {
    const EXPECTED: &'static str = "a text";

    fn read(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }

    fn write(&self) -> String {
        self.clone()
    }
}

impl Value for bool {
    const EXPECTED: &'static str = "true or false";

    // update_engine writes ismachine="1" and delta_okay="true". It reads only "true" as true, so
    // that a spelling such as "True" must not pass here.
    fn read(text: &str) -> Option<Self> {
        match text {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        }
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

macro_rules! whole_numbers {
    ($($type:ty: $expected:literal,)*) => {$(
        impl Value for $type {
            const EXPECTED: &'static str = $expected;

            fn read(text: &str) -> Option<Self> {
                text.parse().ok()
            }

            fn write(&self) -> String {
                self.to_string()
            }
        }
    )*};
}

whole_numbers! {
    i32: "a whole number",
    u32: "a whole number from 0 to 4294967295",
    u64: "a whole number from 0 to 18446744073709551615",
}

/// An element, its attributes in order, and the elements in it.
#[derive(Debug)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) attributes: Vec<(String, String)>,
    pub(super) children: Vec<Element>,
}

/// Reading.
impl Element {
    /// The value of an attribute, or `None` when it is absent.
    pub(super) fn get<T: Value>(&self, attribute: &'static str) -> Result<Option<T>, OmahaError> {
        let Some((_, value)) = self.attributes.iter().find(|(name, _)| name == attribute) else {
            return Ok(None);
        };
        match T::read(value) {
            Some(value) => Ok(Some(value)),
            None => Err(OmahaError::BadAttribute {
                element: self.name.clone(),
                attribute,
                value: quote(value),
                expected: T::EXPECTED,
            }),
        }
    }

    /// The value of an attribute that has to be there.
    pub(super) fn need<T: Value>(&self, attribute: &'static str) -> Result<T, OmahaError> {
        self.get(attribute)?
            .ok_or_else(|| OmahaError::MissingAttribute { element: self.name.clone(), attribute })
    }

    /// The elements of this name that are directly in this one, in order.
    pub(super) fn children<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The element of this name, of which there is one or none.
    pub(super) fn child(&self, name: &'static str) -> Result<Option<&Self>, OmahaError> {
        let mut found = self.children(name);
        let first = found.next();
        if found.next().is_some() {
            return Err(OmahaError::Repeated { element: name, parent: self.name.clone() });
        }
        Ok(first)
    }
}

/// Writing.
impl Element {
    /// An element without attributes or children.
    pub(super) fn new(name: &'static str) -> Self {
        Self { name: name.to_owned(), attributes: Vec::new(), children: Vec::new() }
    }

    /// Adds an attribute.
    pub(super) fn with<T: Value>(mut self, attribute: &'static str, value: &T) -> Self {
        self.attributes.push((attribute.to_owned(), value.write()));
        self
    }

    /// Adds an attribute if there is a value.
    pub(super) fn maybe<T: Value>(self, attribute: &'static str, value: &Option<T>) -> Self {
        match value {
            Some(value) => self.with(attribute, value),
            None => self,
        }
    }

    /// Adds child elements.
    pub(super) fn holding(mut self, children: impl IntoIterator<Item = Self>) -> Self {
        self.children.extend(children);
        self
    }
}
