//! Putting what was generated under what the user wrote, by the rules by which Ignition merges configs.

use std::collections::{HashMap, HashSet};

use crate::{
    schema::{Empty, Field, Group, Kind, TypeName},
    tree::{Node, Object, Value},
};

/// The child's values win; of lists the parent's items come first.
pub(crate) fn merge(mut parent: Object, mut child: Object) -> Object {
    let mut merged = Object::new(parent.ty);
    for ((field, parent), (_, child)) in parent.slots_mut().zip(child.slots_mut()) {
        if let Some(node) = merge_field(field, parent.take(), child.take()) {
            merged.set(field.name, node);
        }
    }
    merged
}

fn merge_field(field: &Field, parent: Option<Node>, child: Option<Node>) -> Option<Node> {
    let (parent, child) = match (parent, child) {
        (Some(parent), Some(child)) => (parent, child),
        (node, None) | (None, node) => return node.map(|node| moved(field, node)),
    };
    match (parent.value, child.value) {
        (Value::Object(parent), Value::Object(child)) => {
            Some(Node { from: None, value: Value::Object(merge(parent, child)) })
        }
        (Value::List(parents), Value::List(children)) => Some(Node {
            from: child.from.or(parent.from),
            value: Value::List(merge_lists(field, parents, children)),
        }),
        (_, value) => Some(moved(field, Node { value, ..child })),
    }
}

fn merge_lists(field: &Field, parents: Vec<Node>, children: Vec<Node>) -> Vec<Node> {
    let keep = |node: Node| moved(field, node);
    if field.group == Group::None {
        return parents.into_iter().chain(children).map(keep).collect();
    }
    // Of the children with one key, the last.
    let by_key: HashMap<String, usize> =
        children.iter().enumerate().map(|(index, child)| (key(child), index)).collect();
    let parent_keys: HashSet<String> = parents.iter().map(key).collect();
    let mut merged = Vec::new();
    for parent in parents {
        match by_key.get(&key(&parent)).map(|&index| children[index].clone()) {
            None => merged.push(keep(parent)),
            Some(child) => merged.extend(merge_field(field, Some(parent), Some(child))),
        }
    }
    merged
        .extend(children.into_iter().filter(|child| !parent_keys.contains(&key(child))).map(keep));
    merged
}

/// A node in its new place. Of an empty value that can't be told from a missing one it is no longer known where it is from.
fn moved(field: &Field, mut node: Node) -> Node {
    let zero = match &node.value {
        Value::Int(number) => *number == 0,
        Value::Text(text) => text.is_empty(),
        _ => false,
    };
    if zero && matches!(field.empty, Empty::Text | Empty::Zero) {
        node.from = None;
    }
    match &mut node.value {
        Value::Object(object) => {
            for (field, slot) in object.slots_mut() {
                *slot = slot.take().map(|node| moved(field, node));
            }
        }
        Value::List(items) if matches!(field.kind, Kind::List(Kind::Object(_))) => {
            for item in items {
                let taken = std::mem::replace(item, Node { from: None, value: Value::Bool(false) });
                *item = moved(field, taken);
            }
        }
        _ => {}
    }
    node
}

/// By what an item of a list is known.
pub(crate) fn key(node: &Node) -> String {
    let object = match &node.value {
        Value::Text(text) => return text.clone(),
        Value::Object(object) => object,
        _ => return String::new(),
    };
    let name = match object.ty.name {
        TypeName::Partition => {
            return match (object.int("number").unwrap_or(0), object.text("label")) {
                (0, None) => String::new(),
                (0, Some(label)) => format!("label:{label}"),
                (number, _) => format!("number:{number}"),
            };
        }
        TypeName::Directory | TypeName::File | TypeName::Link => "path",
        TypeName::Disk | TypeName::Filesystem => "device",
        TypeName::Tang => "url",
        TypeName::Reference | TypeName::Resource => "source",
        _ => "name",
    };
    object.text_or_empty(name).to_owned()
}
