//! From Butane to Ignition: what is local is read, what is short for something is written out.

use crate::{
    boot_device, data_url,
    files::Files,
    mount_units,
    path::Path,
    report::Report,
    schema::{IGNITION, Spec, TypeName, Variant},
    tree::{Node, Object, Value},
    trees,
};

/// The Ignition config, as far as there is one.
pub(crate) fn translate(
    source: &Object,
    spec: Spec,
    files: Option<&dyn Files>,
    report: &mut Report,
) -> Object {
    let mut translator = Translator { spec, files, report };
    let mut config = source.clone();
    translator.object(&mut config, &Path::default());
    let version = Value::Text(format!("3.{}.0", spec.ignition()));
    config
        .object_or_new("ignition", &IGNITION)
        .set("version", Node::new(Path::of(&["version"]), version));
    let config = mount_units::add(config, source, spec);
    let mut config = trees::add(config, source, files, translator.report);
    if translator.report.is_fatal() {
        return config;
    }
    config = boot_device::add(config, source, translator.report);
    if spec.variant == Variant::Fcos {
        boot_device::check_partitions(&config, spec, translator.report);
    }
    boot_device::add_grub_users(config, source, translator.report)
}

struct Translator<'a> {
    spec: Spec,
    files: Option<&'a dyn Files>,
    report: &'a mut Report,
}

pub(crate) const NO_FILES: &str =
    "local file paths are relative to a files directory that must be specified with -d/--files-dir";

impl Translator<'_> {
    fn node(&mut self, node: &mut Node, path: &Path) {
        match &mut node.value {
            Value::Object(object) => self.object(object, path),
            Value::List(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.node(item, &path.index(index));
                }
            }
            _ => {}
        }
    }

    fn object(&mut self, object: &mut Object, path: &Path) {
        for (field, slot) in object.slots_mut() {
            if let Some(node) = slot {
                self.node(node, &path.key(field.name));
            }
        }
        match object.ty.name {
            TypeName::Reference | TypeName::Resource => self.resource(object, path),
            TypeName::User => self.keys(object, path),
            TypeName::Unit | TypeName::Dropin => self.unit_text(object, path),
            _ => {}
        }
        // What is only Butane's has been read, or is read from the source.
        for (field, slot) in object.slots_mut() {
            if !field.in_ignition(self.spec) {
                *slot = None;
            }
        }
    }

    fn read(&mut self, name: &str, path: Path) -> Option<Vec<u8>> {
        let contents = match self.files {
            None => Err(NO_FILES.to_owned()),
            Some(files) => files.read(name),
        };
        contents.map_err(|message| self.report.error(path, message)).ok()
    }

    fn resource(&mut self, resource: &mut Object, path: &Path) {
        if let Some(local) = resource.take("local").as_ref().and_then(Node::as_text) {
            let path = path.key("local");
            if let Some(contents) = self.read(local, path.clone()) {
                self.set_contents(resource, &contents, path);
            }
        }
        if let Some(inline) = resource.take("inline").as_ref().and_then(Node::as_bytes) {
            self.set_contents(resource, inline, path.key("inline"));
        }
    }

    fn set_contents(&mut self, resource: &mut Object, contents: &[u8], from: Path) {
        if self.spec.ignition() == 0 {
            let url = data_url::encode_plainly(contents);
            resource.set("source", Node::new(from, Value::Text(url)));
            return;
        }
        if let Err(error) = set_contents(resource, contents, &from) {
            self.report.error(from, error.to_string());
        }
    }

    fn keys(&mut self, user: &mut Object, path: &Path) {
        let path = path.key("ssh_authorized_keys_local");
        let Some(local) = user.take("ssh_authorized_keys_local") else { return };
        if local.as_list().is_empty() {
            return;
        }
        if self.files.is_none() {
            self.report.error(path, NO_FILES);
            return;
        }
        let mut keys = Vec::new();
        for (index, file) in local.as_list().iter().enumerate() {
            let path = path.index(index);
            let name = file.as_text().unwrap_or_default();
            let Some(contents) = self.read(name, path.clone()) else { continue };
            let contents = text_of(&contents);
            let lines = contents.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
            keys.extend(
                lines
                    .filter(|line| !line.is_empty())
                    .map(|line| Node::new(path.clone(), Value::Text(line.to_owned()))),
            );
        }
        user.list_or_new("ssh_authorized_keys").extend(keys);
        if let Some(list) = user.get_mut("ssh_authorized_keys") {
            list.from = Some(path);
        }
    }

    fn unit_text(&mut self, unit: &mut Object, path: &Path) {
        let Some(local) = unit.take("contents_local") else { return };
        let Some(name) = local.as_text().filter(|name| !name.is_empty()) else { return };
        let path = path.key("contents_local");
        if let Some(contents) = self.read(name, path.clone()) {
            unit.set("contents", Node::new(path, Value::Text(text_of(&contents))));
        }
    }
}

/// Puts contents into a resource, from the second version on.
pub(crate) fn set_contents(
    resource: &mut Object,
    contents: &[u8],
    from: &Path,
) -> std::io::Result<()> {
    let encoded = data_url::encode(contents, resource.text("compression"))?;
    resource.set("source", Node::new(from.clone(), Value::Text(encoded.url)));
    if let Some(method) = encoded.compression {
        resource.set("compression", Node::new(from.clone(), Value::Text(method.to_owned())));
    }
    Ok(())
}

/// Each byte that is not UTF-8 becomes a replacement character, as in Go's JSON.
fn text_of(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    text
}
