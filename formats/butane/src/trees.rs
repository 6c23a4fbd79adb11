//! Directories that are put into a config with all that is in them.

use std::collections::HashMap;

use crate::{
    checks::clean,
    files::{Entry, EntryKind, Files},
    path::Path,
    report::Report,
    schema::{FILE, LINK, RESOURCE, STORAGE, Type},
    translate::{NO_FILES, set_contents},
    tree::{Node, Object, Value},
};

/// The config with its trees; `source` is what the user wrote.
pub(crate) fn add(
    mut config: Object,
    source: &Object,
    files: Option<&dyn Files>,
    report: &mut Report,
) -> Object {
    let trees = source.object("storage").map_or(&[][..], |storage| storage.list("trees"));
    if trees.is_empty() {
        return config;
    }
    let storage = config.object_or_new("storage", &STORAGE);
    let mut planter = Planter::new(storage);
    for (index, tree) in trees.iter().filter_map(Node::as_object).enumerate() {
        let from = Path::of(&["storage", "trees"]).index(index);
        let Some(files) = files else {
            report.error(from, NO_FILES);
            break;
        };
        let local = tree.text_or_empty("local");
        let entries = match files.list(local) {
            Ok(entries) => entries,
            Err(message) => {
                report.error(from, message);
                continue;
            }
        };
        let top = tree.filled("path").unwrap_or("/");
        for entry in entries {
            let planted = entry.and_then(|entry| planter.plant(&entry, local, top, files, &from));
            if let Err(message) = planted {
                report.error(from.clone(), message);
            }
        }
    }
    config
}

/// Where there is something already, in which list and at which index.
struct Planter<'a> {
    storage: &'a mut Object,
    taken: HashMap<String, (&'static str, usize)>,
}

const TAKEN: &str = "matching filesystem node has existing contents or different type";

impl<'a> Planter<'a> {
    fn new(storage: &'a mut Object) -> Self {
        let mut taken = HashMap::new();
        for list in ["directories", "links", "files"] {
            for (index, node) in storage.objects(list).enumerate() {
                taken.insert(node.text_or_empty("path").to_owned(), (list, index));
            }
        }
        Self { storage, taken }
    }

    fn plant(
        &mut self,
        entry: &Entry,
        local: &str,
        top: &str,
        files: &dyn Files,
        from: &Path,
    ) -> Result<(), String> {
        let path = clean(&format!("{top}/{}", entry.path));
        match &entry.kind {
            EntryKind::Other => {
                Err("trees may only contain files, directories, and symlinks".to_owned())
            }
            EntryKind::Link { target } => {
                let link = self.node("links", &LINK, &path, from)?;
                if link.filled("target").is_some() {
                    return Err(TAKEN.to_owned());
                }
                link.set("target", Node::new(from.clone(), Value::Text(target.clone())));
                Ok(())
            }
            EntryKind::File { executable } => {
                let file = self.node("files", &FILE, &path, from)?;
                if file
                    .object("contents")
                    .is_some_and(|contents| contents.filled("source").is_some())
                {
                    return Err(TAKEN.to_owned());
                }
                let contents = files.read(&format!("{local}/{}", entry.path))?;
                set_contents(file.object_or_new("contents", &RESOURCE), &contents, from)
                    .map_err(|error| error.to_string())?;
                if let Some(node) = file.get_mut("contents") {
                    node.from = Some(from.clone());
                }
                if file.get("mode").is_none() {
                    let mode = if *executable { 0o755 } else { 0o644 };
                    file.set("mode", Node::new(from.clone(), Value::Int(mode)));
                }
                Ok(())
            }
        }
    }

    /// The node of that path: the user's, or a new one.
    fn node(
        &mut self,
        list: &'static str,
        ty: &'static Type,
        path: &str,
        from: &Path,
    ) -> Result<&mut Object, String> {
        let index = match self.taken.get(path) {
            Some(&(other, index)) if other == list => index,
            Some(_) => return Err(TAKEN.to_owned()),
            None => {
                let mut object = Object::new(ty);
                object.set("path", Node::new(from.clone(), Value::Text(path.to_owned())));
                let nodes = self.storage.list_or_new(list);
                nodes.push(Node::new(from.clone(), Value::Object(object)));
                self.taken.insert(path.to_owned(), (list, nodes.len() - 1));
                nodes.len() - 1
            }
        };
        let node = self.storage.list_mut(list).get_mut(index).and_then(Node::as_object_mut);
        node.ok_or_else(|| TAKEN.to_owned())
    }
}
