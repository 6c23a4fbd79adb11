//! Ignition configs within a Butane config: `ignition.config.merge` and `replace`, given `inline`.

use serde_json::Value as Json;

use crate::{
    checks, duplicates,
    path::{Path, Segment},
    report::Report,
    schema::{self, Kind, Spec, Type, camel},
    tree::{Node, Object, Value},
};

/// Checks what `merge` and `replace` hold.
pub(crate) fn check(config: &Object, spec: Spec, path: &Path, report: &mut Report) {
    let merged = config.objects("merge").enumerate();
    let merged = merged.map(|(index, reference)| (path.key("merge").index(index), reference));
    let replaced = config.object("replace").map(|reference| (path.key("replace"), reference));
    for (path, reference) in merged.chain(replaced) {
        if let Some(text) = reference.get("inline").and_then(Node::as_bytes) {
            check_one(text, spec, &path, report);
        }
    }
}

fn check_one(text: &[u8], spec: Spec, path: &Path, report: &mut Report) {
    let mut unused = Report::default();
    let config = serde_json::from_slice::<Json>(text)
        .map_err(|error| error.to_string())
        .and_then(|json| object(&json, &schema::CONFIG, spec, &Path::default(), &mut unused));
    let config = match config {
        Ok(config) => config,
        Err(message) => {
            // At the start of the text, as Butane has it.
            report.error(Path::default(), message);
            report.error(path.key("inline"), "config is not valid");
            return;
        }
    };
    let said = config.object("ignition").map_or("", |ignition| ignition.text_or_empty("version"));
    let wanted = format!("3.{}.0", spec.ignition());
    let mut inner = Report::default();
    match crate::decode::semver(said) {
        None => inner
            .error(Path::of(&["ignition", "version"]), "invalid config version (couldn't parse)"),
        Some(version) if version != wanted => {
            report.warn(
                path.key("version"),
                format!(
                    "this Ignition config is not checked: its version is {version}, not {wanted}"
                ),
            );
            return;
        }
        Some(_) => {}
    }
    inner.append(checks::check(&config, spec));
    inner.append(duplicates::check(&config));
    // The places of the inner config are looked up in the outer one, as Butane does it.
    report.append(inner.renamed(in_camel_case));
    report.append(unused);
}

fn in_camel_case(path: &Path) -> Path {
    path.segments().iter().fold(Path::default(), |camel_path, segment| match segment {
        Segment::Key(key) => camel_path.key(camel(key)),
        Segment::Index(index) => camel_path.index(*index),
    })
}

fn object(
    json: &Json,
    ty: &'static Type,
    spec: Spec,
    path: &Path,
    unused: &mut Report,
) -> Result<Object, String> {
    let mut object = Object::new(ty);
    let Json::Object(entries) = json else {
        return match json {
            Json::Null => Ok(object),
            _ => Err(format!("{path}: {} is no object", kind_of(json))),
        };
    };
    for (key, json) in entries {
        let known = |field: &&schema::Field| field.in_ignition(spec) && camel(field.name) == *key;
        match ty.fields.iter().find(known) {
            Some(field) => {
                let path = path.key(key.clone());
                if let Some(node) = node(json, &field.kind, spec, &path, unused)? {
                    object.set(field.name, node);
                }
            }
            None => unused.unused_key(path, key),
        }
    }
    Ok(object)
}

fn node(
    json: &Json,
    kind: &'static Kind,
    spec: Spec,
    path: &Path,
    unused: &mut Report,
) -> Result<Option<Node>, String> {
    let value = match (json, kind) {
        (Json::Null, _) => return Ok(None),
        (Json::Bool(value), Kind::Bool) => Value::Bool(*value),
        (Json::String(text), Kind::Text) => Value::Text(text.clone()),
        (Json::Number(number), Kind::Int) if number.as_i64().is_some() => {
            Value::Int(number.as_i64().unwrap_or_default())
        }
        (Json::Array(items), Kind::List(kind)) => {
            let mut nodes = Vec::new();
            for (index, item) in items.iter().enumerate() {
                nodes.extend(node(item, kind, spec, &path.index(index), unused)?);
            }
            Value::List(nodes)
        }
        (Json::Object(_), Kind::Object(ty)) => Value::Object(object(json, ty, spec, path, unused)?),
        _ => return Err(format!("{path}: {} has the wrong type", kind_of(json))),
    };
    Ok(Some(Node { from: None, value }))
}

fn kind_of(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(_) => "a string",
        Json::Array(_) => "an array",
        Json::Object(_) => "an object",
    }
}
