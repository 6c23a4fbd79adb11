//! A config in the middle: its values, and where each of them comes from.

use crate::{
    path::{Path, Segment},
    schema::Type,
};

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    /// The user's node that made it. None where two have, or nobody.
    pub(crate) from: Option<Path>,
    pub(crate) value: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Int(i64),
    Bool(bool),
    Text(String),
    /// What is no text; only of `!!binary`.
    Bytes(Vec<u8>),
    List(Vec<Node>),
    Object(Object),
}

#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) ty: &'static Type,
    slots: Vec<Option<Node>>,
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.ty, other.ty) && self.slots == other.slots
    }
}

impl Node {
    fn visit(&self, path: &Path, visitor: &mut impl FnMut(&Object, &Path)) {
        match &self.value {
            Value::Object(object) => object.visit(path, visitor),
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    item.visit(&path.index(index), visitor);
                }
            }
            _ => {}
        }
    }

    pub(crate) fn new(from: Path, value: Value) -> Self {
        Self { from: Some(from), value }
    }

    pub(crate) fn as_object(&self) -> Option<&Object> {
        match &self.value {
            Value::Object(object) => Some(object),
            _ => None,
        }
    }

    pub(crate) fn as_object_mut(&mut self) -> Option<&mut Object> {
        match &mut self.value {
            Value::Object(object) => Some(object),
            _ => None,
        }
    }

    pub(crate) fn as_list(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_bytes(&self) -> Option<&[u8]> {
        match &self.value {
            Value::Text(text) => Some(text.as_bytes()),
            Value::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Whether there is nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        match &self.value {
            Value::List(items) => items.is_empty(),
            Value::Object(object) => object.is_empty(),
            _ => false,
        }
    }
}

impl Object {
    pub(crate) fn new(ty: &'static Type) -> Self {
        Self { ty, slots: ty.fields.iter().map(|_| None).collect() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.iter().flatten().all(Node::is_empty)
    }

    fn slot(&self, name: &str) -> usize {
        self.ty.slot(name).unwrap_or_else(|| unreachable!("{:?} has no {name}", self.ty.name))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Node> {
        self.slots[self.slot(name)].as_ref()
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Node> {
        let slot = self.slot(name);
        self.slots[slot].as_mut()
    }

    pub(crate) fn set(&mut self, name: &str, node: Node) {
        let slot = self.slot(name);
        self.slots[slot] = Some(node);
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<Node> {
        let slot = self.slot(name);
        self.slots[slot].take()
    }

    /// Shows this object and all that lie in it: parents first, in the order of the fields.
    pub(crate) fn visit(&self, path: &Path, visitor: &mut impl FnMut(&Self, &Path)) {
        visitor(self, path);
        for (field, node) in self.fields() {
            if let Some(node) = node {
                node.visit(&path.key(field.name), visitor);
            }
        }
    }

    /// Fields with their values, in order.
    pub(crate) fn fields(
        &self,
    ) -> impl Iterator<Item = (&'static crate::schema::Field, Option<&Node>)> {
        self.ty.fields.iter().zip(self.slots.iter().map(Option::as_ref))
    }

    pub(crate) fn slots_mut(
        &mut self,
    ) -> impl Iterator<Item = (&'static crate::schema::Field, &mut Option<Node>)> {
        self.ty.fields.iter().zip(&mut self.slots)
    }

    /// A text; an empty one, too.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_text()
    }

    /// A text that is not empty.
    pub(crate) fn filled(&self, name: &str) -> Option<&str> {
        self.text(name).filter(|text| !text.is_empty())
    }

    /// A text that counts as empty if there is none.
    pub(crate) fn text_or_empty(&self, name: &str) -> &str {
        self.text(name).unwrap_or_default()
    }

    pub(crate) fn int(&self, name: &str) -> Option<i64> {
        match self.get(name)?.value {
            Value::Int(number) => Some(number),
            _ => None,
        }
    }

    pub(crate) fn bool(&self, name: &str) -> Option<bool> {
        match self.get(name)?.value {
            Value::Bool(value) => Some(value),
            _ => None,
        }
    }

    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.bool(name) == Some(true)
    }

    pub(crate) fn list(&self, name: &str) -> &[Node] {
        self.get(name).map_or(&[], Node::as_list)
    }

    pub(crate) fn list_mut(&mut self, name: &str) -> &mut [Node] {
        match self.get_mut(name).map(|node| &mut node.value) {
            Some(Value::List(items)) => items,
            _ => &mut [],
        }
    }

    /// The objects of a list.
    pub(crate) fn objects(&self, name: &str) -> impl Iterator<Item = &Object> {
        self.list(name).iter().filter_map(Node::as_object)
    }

    pub(crate) fn object(&self, name: &str) -> Option<&Object> {
        self.get(name)?.as_object()
    }

    /// The list of that name; an empty one is made.
    pub(crate) fn list_or_new(&mut self, name: &str) -> &mut Vec<Node> {
        let slot = self.slot(name);
        let node = self.slots[slot]
            .get_or_insert_with(|| Node { from: None, value: Value::List(Vec::new()) });
        match &mut node.value {
            Value::List(items) => items,
            _ => unreachable!("{name} is a list"),
        }
    }

    /// The object of that name; an empty one is made.
    pub(crate) fn object_or_new(&mut self, name: &str, ty: &'static Type) -> &mut Object {
        let slot = self.slot(name);
        let node = self.slots[slot]
            .get_or_insert_with(|| Node { from: None, value: Value::Object(Object::new(ty)) });
        match &mut node.value {
            Value::Object(object) => object,
            _ => unreachable!("{name} is an object"),
        }
    }

    /// Where what is at a path comes from: the same path where nothing is known, as most of Ignition is like Butane.
    pub(crate) fn origin(&self, path: &Path) -> Path {
        self.find(path.segments()).unwrap_or_else(|| path.clone())
    }

    fn find(&self, path: &[Segment]) -> Option<Path> {
        let (Segment::Key(key), rest) = path.split_first()? else { return None };
        let node = self.slots[self.ty.slot(key)?].as_ref()?;
        node.find(rest)
    }
}

impl Node {
    fn find(&self, path: &[Segment]) -> Option<Path> {
        let Some((first, rest)) = path.split_first() else { return self.from.clone() };
        match (&self.value, first) {
            (Value::Object(object), Segment::Key(_)) => object.find(path),
            (Value::List(items), Segment::Index(index)) => items.get(*index)?.find(rest),
            _ => None,
        }
    }
}
