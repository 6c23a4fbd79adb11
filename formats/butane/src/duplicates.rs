//! What may be in a config only once.

use std::collections::{HashMap, HashSet};

use crate::{
    merge::key,
    path::Path,
    report::Report,
    schema::Group,
    tree::{Node, Object, Value},
};

/// Says of all but the first of them that they are there again.
pub(crate) fn check(config: &Object) -> Report {
    let mut report = Report::default();
    walk(config, &Path::default(), &mut report);
    report
}

fn walk(object: &Object, path: &Path, report: &mut Report) {
    let mut groups: HashMap<&str, HashSet<String>> = HashMap::new();
    for (field, node) in object.fields() {
        let Some(Value::List(items)) = node.map(|node| &node.value) else { continue };
        let group = match field.group {
            Group::Own => field.name,
            Group::Shared(name) => name,
            Group::None => continue,
        };
        let keys = groups.entry(group).or_default();
        for (index, item) in items.iter().enumerate() {
            if !keys.insert(key(item)) {
                report.error(path.key(field.name).index(index), "duplicate entry defined");
            }
        }
    }
    for (field, node) in object.fields() {
        if let Some(node) = node {
            walk_node(node, &path.key(field.name), report);
        }
    }
}

fn walk_node(node: &Node, path: &Path, report: &mut Report) {
    match &node.value {
        Value::Object(object) => walk(object, path, report),
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                walk_node(item, &path.index(index), report);
            }
        }
        _ => {}
    }
}
