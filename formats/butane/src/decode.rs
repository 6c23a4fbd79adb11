//! From YAML to a config of a version, by the rules of Go's yaml.v3.

use std::collections::{HashMap, HashSet};

use crate::{
    path::Path,
    report::Report,
    scalar::Meaning,
    schema::{self, Spec, Type, Variant},
    tree::{Node, Object, Value},
    yaml::{self, Document, Id, MAX_NODES, Problem, Scalar},
};

/// The version that a config says it has.
pub(crate) fn version(document: &Document) -> Result<Spec, Problem> {
    let problem = |message: String| Problem { at: None, message };
    let mut variant = String::new();
    let mut version = String::new();
    let mut decoder = Decoder::new(document, Spec::ALL[0]);
    if let Some(root) = document.root() {
        let fields = decoder.entries(root).map_err(|mut problems| problems.swap_remove(0))?;
        for (key, value) in fields {
            let into = match key.as_str() {
                "variant" => &mut variant,
                "version" => &mut version,
                _ => continue,
            };
            let node = decoder.value(value, &schema::Kind::Text, Path::default());
            if let Some(Value::Text(text)) = node.map(|node| node.value) {
                *into = text;
            }
        }
        if let Some(first) = decoder.problems.into_iter().next() {
            return Err(first);
        }
    }
    if variant.is_empty() {
        return Err(problem(
            "the variant is missing: say which system this is for, such as `variant: flatcar`"
                .to_owned(),
        ));
    }
    let Some(normal) = semver(&version) else {
        return Err(problem(format!(
            "`{version}` is not a version: say which of Butane's this is, such as `version: 1.1.0`"
        )));
    };
    let known = |spec: &&Spec| {
        spec.variant.to_string() == variant && format!("1.{}.0", spec.minor) == normal
    };
    Spec::ALL.iter().find(known).copied().ok_or_else(|| unknown(&variant, &normal))
}

fn unknown(variant: &str, version: &str) -> Problem {
    let of = |wanted: Variant| Spec::ALL.into_iter().filter(move |spec| spec.variant == wanted);
    let message = match [Variant::Fcos, Variant::Flatcar]
        .into_iter()
        .find(|known| known.to_string() == variant)
    {
        Some(known) => {
            let versions: Vec<_> = of(known).map(|spec| format!("1.{}.0", spec.minor)).collect();
            format!("{variant} {version} is not known; there are {}", versions.join(", "))
        }
        None => format!("variant {variant} is not known; there are fcos and flatcar"),
    };
    Problem { at: None, message }
}

/// A version in its normal form, as coreos/go-semver takes it: leading zeros and a dash with nothing after it are fine.
pub(crate) fn semver(text: &str) -> Option<String> {
    let (text, build) = text.split_once('+').unwrap_or((text, ""));
    let (text, pre) = text.split_once('-').unwrap_or((text, ""));
    let fine = |part: &str| {
        part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
    };
    let numbers: Vec<i64> = text.splitn(3, '.').map(str::parse).collect::<Result<_, _>>().ok()?;
    let [major, minor, patch] = numbers[..] else { return None };
    if !fine(build) || !fine(pre) {
        return None;
    }
    let mut normal = format!("{major}.{minor}.{patch}");
    for (mark, part) in [('-', pre), ('+', build)] {
        if !part.is_empty() {
            normal.push(mark);
            normal.push_str(part);
        }
    }
    Some(normal)
}

static CONFIG: schema::Kind = schema::Kind::Object(&schema::CONFIG);

/// A config of a version.
pub(crate) fn config(document: &Document, spec: Spec) -> Result<Object, Vec<Problem>> {
    let mut decoder = Decoder::new(document, spec);
    let node = document.root().and_then(|root| decoder.value(root, &CONFIG, Path::default()));
    match (node.map(|node| node.value), decoder.problems) {
        (Some(Value::Object(config)), problems) if problems.is_empty() => Ok(config),
        (_, problems) if problems.is_empty() => Ok(Object::new(&schema::CONFIG)),
        (_, problems) => Err(problems),
    }
}

struct Decoder<'a> {
    document: &'a Document,
    spec: Spec,
    problems: Vec<Problem>,
    /// Keys and values seen, also those that are seen again through aliases.
    seen: usize,
    /// Those of them that are seen through aliases.
    aliased: usize,
    /// Aliases that are being followed.
    following: HashSet<Id>,
}

/// The entries of a map by their keys.
type Entries = Vec<(String, Id)>;

impl<'a> Decoder<'a> {
    fn new(document: &'a Document, spec: Spec) -> Self {
        Self {
            document,
            spec,
            problems: Vec::new(),
            seen: 0,
            aliased: 0,
            following: HashSet::new(),
        }
    }

    fn problem(&mut self, id: Id, message: impl Into<String>) {
        let at = Some(self.document.node(id).at);
        self.problems.push(Problem { at, message: message.into() });
    }

    /// Counts a value. Once there are too many it is said, and nothing more is looked at.
    fn may_go_on(&mut self, id: Id) -> bool {
        if self.is_too_much() {
            return false;
        }
        self.seen += 1;
        self.aliased += usize::from(!self.following.is_empty());
        let enough = self.is_too_much();
        if enough {
            self.problem(
                id,
                format!(
                    "aliases are too much of this: it has {} values, and {} of them are repeated",
                    self.seen, self.aliased
                ),
            );
        }
        !enough
    }

    /// Go's limit to what aliases may do, and one of our own.
    fn is_too_much(&self) -> bool {
        const LOW: usize = 400_000;
        const HIGH: usize = 4_000_000;
        #[expect(clippy::cast_precision_loss, reason = "both are far below what is exact")]
        let ratio = |part: usize, whole: usize| part as f64 / whole as f64;
        let allowed = 0.99 - 0.89 * ratio(self.seen.clamp(LOW, HIGH) - LOW, HIGH - LOW);
        let repeated = self.aliased > 100 && self.seen > 1000;
        self.seen > 2 * MAX_NODES || (repeated && ratio(self.aliased, self.seen) > allowed)
    }

    /// None for null, and where there is a problem.
    fn value(&mut self, id: Id, kind: &'static schema::Kind, path: Path) -> Option<Node> {
        if !self.may_go_on(id) {
            return None;
        }
        let value = match (&self.document.node(id).kind, kind) {
            (yaml::Kind::Alias { name, to }, _) => {
                if !self.following.insert(*to) {
                    self.problem(id, format!("anchor '{name}' contains itself"));
                    return None;
                }
                let node = self.value(*to, kind, path);
                self.following.remove(to);
                return node;
            }
            (yaml::Kind::Scalar(scalar), kind) => self.scalar(id, scalar, kind)?,
            (yaml::Kind::List(items), schema::Kind::List(kind)) => {
                let mut nodes = Vec::new();
                for &item in items {
                    // Null is left out, and what follows moves up.
                    nodes.extend(self.value(item, kind, path.index(nodes.len())));
                }
                Value::List(nodes)
            }
            (yaml::Kind::Map(_), schema::Kind::Object(ty)) => {
                Value::Object(self.object(id, ty, &path)?)
            }
            (yaml::Kind::List(_), kind) => {
                self.problem(id, format!("a list is no {}", noun(kind)));
                return None;
            }
            (yaml::Kind::Map(_), kind) => {
                self.problem(id, format!("a mapping is no {}", noun(kind)));
                return None;
            }
        };
        Some(Node::new(path, value))
    }

    fn scalar(&mut self, id: Id, scalar: &Scalar, kind: &schema::Kind) -> Option<Value> {
        let meaning = match Meaning::of(scalar) {
            Ok(meaning) => meaning,
            Err(message) => {
                self.problem(id, message);
                return None;
            }
        };
        let value = match (meaning, kind) {
            (Meaning::Null, _) => return None,
            (Meaning::Binary(bytes), schema::Kind::Text) => Some(match String::from_utf8(bytes) {
                Ok(text) => Value::Text(text),
                Err(error) => Value::Bytes(error.into_bytes()),
            }),
            (_, schema::Kind::Text) => Some(Value::Text(scalar.text.clone())),
            (meaning, schema::Kind::Int) => meaning.as_int().map(Value::Int),
            (meaning, schema::Kind::Bool) => meaning.as_bool(&scalar.text).map(Value::Bool),
            (_, schema::Kind::Object(_) | schema::Kind::List(_)) => None,
        };
        if value.is_none() {
            let tag = Meaning::of(scalar).map_or("", |meaning| meaning.tag());
            self.problem(id, format!("{tag} `{}` is no {}", shown(&scalar.text), noun(kind)));
        }
        value
    }

    fn object(&mut self, id: Id, ty: &'static Type, path: &Path) -> Option<Object> {
        let entries = match self.entries(id) {
            Ok(entries) => entries,
            Err(mut problems) => {
                self.problems.append(&mut problems);
                return None;
            }
        };
        let mut object = Object::new(ty);
        let mut done = HashSet::new();
        let mut merged = None;
        for (key, value) in entries {
            if key == MERGE {
                merged = Some(value);
                continue;
            }
            self.field(&mut object, &key, value, path);
            done.insert(key);
        }
        if let Some(merged) = merged {
            self.merge(&mut object, merged, path, &mut done);
        }
        Some(object)
    }

    fn field(&mut self, object: &mut Object, key: &str, value: Id, path: &Path) {
        let spec = self.spec;
        let known = |field: &&schema::Field| field.name == key && field.in_butane(spec);
        let Some(field) = object.ty.fields.iter().find(known) else { return };
        if let Some(node) = self.value(value, &field.kind, path.key(field.name)) {
            object.set(field.name, node);
        }
    }

    /// Takes from elsewhere what isn't done yet.
    fn merge(&mut self, object: &mut Object, from: Id, path: &Path, done: &mut HashSet<String>) {
        if !self.may_go_on(from) {
            return;
        }
        let from = match &self.document.node(from).kind {
            yaml::Kind::Alias { to, .. } => *to,
            _ => from,
        };
        match &self.document.node(from).kind {
            yaml::Kind::Map(_) => {
                if !self.following.insert(from) {
                    self.problem(from, "what is merged contains itself");
                    return;
                }
                match self.entries(from) {
                    Ok(entries) => {
                        let mut deeper = None;
                        for (key, value) in entries {
                            if key == MERGE {
                                deeper = Some(value);
                            } else if done.insert(key.clone()) {
                                self.field(object, &key, value, path);
                            }
                        }
                        if let Some(deeper) = deeper {
                            self.merge(object, deeper, path, done);
                        }
                    }
                    Err(mut problems) => self.problems.append(&mut problems),
                }
                self.following.remove(&from);
            }
            yaml::Kind::List(items) if !self.following.contains(&from) => {
                self.following.insert(from);
                for &item in items {
                    self.merge(object, item, path, done);
                }
                self.following.remove(&from);
            }
            _ => self.problem(from, "only mappings, or a list of them, can be merged"),
        }
    }

    /// The entries of a map. Of nothing, nothing.
    fn entries(&mut self, id: Id) -> Result<Entries, Vec<Problem>> {
        let document = self.document;
        let wrong = |id: Id, message: String| Problem { at: Some(document.node(id).at), message };
        let map = match &document.node(id).kind {
            yaml::Kind::Map(map) => map,
            yaml::Kind::Scalar(scalar) if Meaning::of(scalar) == Ok(Meaning::Null) => {
                return Ok(Vec::new());
            }
            _ => {
                return Err(vec![wrong(
                    id,
                    "a config is a mapping with a variant and a version".to_owned(),
                )]);
            }
        };
        let mut problems = Vec::new();
        let mut entries = Vec::new();
        let mut first_of = HashMap::new();
        for &(key, value) in &map.entries {
            if !self.may_go_on(key) {
                break;
            }
            let named = match &document.node(key).kind {
                yaml::Kind::Alias { to, .. } => *to,
                _ => key,
            };
            let yaml::Kind::Scalar(scalar) = &document.node(named).kind else {
                problems.push(wrong(key, "a key is a text".to_owned()));
                continue;
            };
            let line = document.node(key).at.line;
            if let Some(first) = first_of.insert(scalar.text.as_str(), line) {
                problems.push(wrong(
                    key,
                    format!("key \"{}\" is there already, in line {first}", shown(&scalar.text)),
                ));
            }
            match Meaning::of(scalar) {
                Ok(Meaning::Null) => {}
                // A quoted one is a key like any other.
                Ok(_) if scalar.text == MERGE && !scalar.plain => {}
                Ok(_) => entries.push((scalar.text.clone(), value)),
                Err(message) => problems.push(wrong(key, message)),
            }
        }
        if problems.is_empty() { Ok(entries) } else { Err(problems) }
    }
}

/// The key that takes over what another mapping has.
const MERGE: &str = "<<";

fn noun(kind: &schema::Kind) -> &'static str {
    match kind {
        schema::Kind::Int => "number",
        schema::Kind::Bool => "boolean",
        schema::Kind::Text => "text",
        schema::Kind::Object(_) => "mapping",
        schema::Kind::List(_) => "list",
    }
}

/// The beginning of a text, in one line.
fn shown(text: &str) -> String {
    let mut letters = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    let start: String = letters.by_ref().take(40).collect();
    if letters.next().is_some() { start + "…" } else { start }
}

/// Keys that the version doesn't have, parents first.
pub(crate) fn unused_keys(document: &Document, config: &Object, spec: Spec) -> Report {
    let mut report = Report::default();
    unused_in(document, config, spec, &Path::default(), &mut report);
    report
}

fn unused_in(document: &Document, object: &Object, spec: Spec, path: &Path, report: &mut Report) {
    if let Some(id) = document.at(path)
        && let yaml::Kind::Map(map) = &document.node(id).kind
    {
        for &(key, _) in &map.entries {
            let yaml::Kind::Scalar(key) = &document.node(key).kind else { continue };
            let known = |field: &schema::Field| field.name == key.text && field.in_butane(spec);
            if !object.ty.fields.iter().any(known) {
                report.unused_key(path, &key.text);
            }
        }
    }
    for (field, node) in object.fields() {
        if !field.in_butane(spec) {
            continue;
        }
        let path = path.key(field.name);
        match (node, &field.kind) {
            (Some(node), schema::Kind::Object(_) | schema::Kind::List(_)) => {
                unused_in_node(document, node, spec, &path, report);
            }
            (None, schema::Kind::Object(_)) => not_a_mapping(document, &path, report),
            _ => {}
        }
    }
}

fn unused_in_node(document: &Document, node: &Node, spec: Spec, path: &Path, report: &mut Report) {
    match &node.value {
        Value::Object(object) => {
            not_a_mapping(document, path, report);
            unused_in(document, object, spec, path, report);
        }
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                unused_in_node(document, item, spec, &path.index(index), report);
            }
        }
        _ => {}
    }
}

/// Nothing is said about keys behind an alias, nor about those that null hasn't, other than this.
fn not_a_mapping(document: &Document, path: &Path, report: &mut Report) {
    if let Some(id) = document.at(path)
        && !matches!(document.node(id).kind, yaml::Kind::Map(_))
    {
        report.warn(
            path.clone(),
            "there is an alias or nothing where a mapping is expected, so places within it may be inexact, and keys that \
             don't exist are not found",
        );
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::{Spec, config, semver, version};
    use crate::yaml::Document;

    #[test_case("1.1.0" => Some("1.1.0".to_owned()))]
    #[test_case("01.1.00" => Some("1.1.0".to_owned()); "zeros")]
    #[test_case("1.1.0-" => Some("1.1.0".to_owned()); "a dash")]
    #[test_case("1.1.0-rc.1+5" => Some("1.1.0-rc.1+5".to_owned()))]
    #[test_case("1.1" => None; "two numbers")]
    #[test_case("v1.1.0" => None; "a letter")]
    #[test_case("1.1.0 " => None; "a blank")]
    #[test_case("1.1.0-é" => None; "a strange letter")]
    #[test_case("" => None; "nothing")]
    fn versions(text: &str) -> Option<String> {
        semver(text)
    }

    #[test]
    fn every_version_is_found_by_its_name() {
        for spec in Spec::ALL {
            let (variant, minor) = (spec.variant, spec.minor);
            let text = format!("variant: {variant}\nversion: 1.{minor}.0\n");
            assert_eq!(version(&Document::parse(&text).unwrap()).unwrap(), spec);
            let text = format!("variant: {variant}\nversion: 1.{minor}.0-experimental\n");
            let problem = version(&Document::parse(&text).unwrap()).unwrap_err();
            assert!(
                problem.message.contains("is not known; there are 1.0.0"),
                "{}",
                problem.message
            );
        }
    }

    /// Go's limit: some repetition is fine, nothing but repetition isn't.
    #[test_case(1_000, 3 => true; "some")]
    #[test_case(1_000, 500 => false; "too much")]
    fn repetition(keys: usize, users: usize) -> bool {
        let keys = vec!["k"; keys].join(", ");
        let text = format!(
            "passwd:\n  users:\n    - {{groups: &groups [{keys}]}}\n{}",
            "    - {groups: *groups}\n".repeat(users)
        );
        config(&Document::parse(&text).unwrap(), Spec::ALL[8]).is_ok()
    }
}
