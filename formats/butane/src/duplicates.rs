//! What may be in a config only once.

use std::collections::{HashMap, HashSet};

use crate::{
    merge::key,
    path::Path,
    report::Report,
    schema::Group,
    tree::{Object, Value},
};

/// Says of all but the first of them that they are there again.
pub(crate) fn check(config: &Object) -> Report {
    let mut report = Report::default();
    config.visit(&Path::default(), &mut |object, path| check_object(object, path, &mut report));
    report
}

fn check_object(object: &Object, path: &Path, report: &mut Report) {
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
}
