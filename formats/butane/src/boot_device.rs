//! The disk that Fedora CoreOS boots from: mirrored, encrypted, with users of its boot loader.

use crate::{
    data_url,
    merge::merge,
    path::Path,
    report::Report,
    schema::{
        CLEVIS, CONFIG, DISK, FILE, FILESYSTEM, LUKS, PARTITION, RAID, RESOURCE, STORAGE, Spec,
        Type,
    },
    tree::{Node, Object, Value},
};

const RESERVED: &str = "8DA63339-0007-60C0-C436-083AC8230908";
const BIOS: &str = "21686148-6449-6E6F-744E-656564454649";
const PREP: &str = "9E1A2D38-C612-4316-AA26-8B49521E5A8B";
const ESP: &str = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B";

/// The config with what `boot_device` asks for; `source` is what the user wrote.
pub(crate) fn add(config: Object, source: &Object, report: &mut Report) -> Object {
    let Some(device) = source.object("boot_device") else { return config };
    let path = Path::of(&["boot_device"]);
    let luks = device.object("luks").filter(|luks| {
        let cex = luks.object("cex").is_some_and(|cex| cex.is_true("enabled"));
        luks.is_true("tpm2") || !luks.list("tang").is_empty() || cex
    });
    let mirror: Vec<&str> = match device.object("mirror") {
        Some(mirror) => mirror.list("devices").iter().filter_map(Node::as_text).collect(),
        None => Vec::new(),
    };
    if luks.is_none() && mirror.is_empty() {
        return config;
    }
    let layout = device.text("layout");
    let mut storage = Generated(Object::new(&STORAGE));
    if !mirror.is_empty() {
        if layout.is_none() {
            report.warn(
                path.key("mirror"),
                "boot_device.layout should be specified when boot_device.mirror is specified",
            );
        }
        storage.mirror(&mirror, layout.unwrap_or("x86_64"), &path.key("mirror"));
    }
    if let Some(luks) = luks {
        storage.luks(luks, layout, !mirror.is_empty(), &path.key("luks"));
    }
    let root = if luks.is_some() { "/dev/mapper/root" } else { "/dev/md/md-root" };
    storage.filesystem(root, "xfs", "root", &path);
    storage.merged_with(config, &path)
}

struct Generated(Object);

impl Generated {
    fn push(&mut self, list: &str, object: Object, from: &Path) {
        self.0.list_or_new(list).push(Node::new(from.clone(), Value::Object(object)));
        if let Some(node) = self.0.get_mut(list) {
            node.from = Some(from.clone());
        }
    }

    fn filesystem(&mut self, device: &str, format: &str, label: &str, from: &Path) {
        let filesystem = made(
            &FILESYSTEM,
            from,
            [
                ("device", text(device)),
                ("format", text(format)),
                ("label", text(label)),
                ("wipe_filesystem", Value::Bool(true)),
            ],
        );
        self.push("filesystems", filesystem, from);
    }

    fn mirror(&mut self, devices: &[&str], layout: &str, path: &Path) {
        let uefi = matches!(layout, "x86_64" | "aarch64");
        for (index, device) in devices.iter().enumerate() {
            let from = path.key("devices").index(index);
            let number = index + 1;
            let partition = |name: &str, mebibytes: Option<i64>, guid: Option<&str>| {
                let label = Some(("label", text(&format!("{name}-{number}"))));
                let size = mebibytes.map(|size| ("size_mib", Value::Int(size)));
                let guid = guid.map(|guid| ("type_guid", text(guid)));
                let fields = [label, size, guid].into_iter().flatten();
                Node::new(from.clone(), Value::Object(made(&PARTITION, &from, fields)))
            };
            let first = match layout {
                "x86_64" => partition("bios", Some(1), Some(BIOS)),
                "ppc64le" => partition("prep", Some(4), Some(PREP)),
                _ => partition("reserved", Some(1), Some(RESERVED)),
            };
            let second = match uefi {
                true => partition("esp", Some(127), Some(ESP)),
                false => partition("reserved", Some(1), Some(RESERVED)),
            };
            let partitions = vec![
                first,
                second,
                partition("boot", Some(384), None),
                partition("root", None, None),
            ];
            let fields = [
                ("device", text(device)),
                ("partitions", Value::List(partitions)),
                ("wipe_table", Value::Bool(true)),
            ];
            self.push("disks", made(&DISK, &from, fields), &from);
            if uefi {
                let device = format!("/dev/disk/by-partlabel/esp-{number}");
                self.filesystem(&device, "vfat", &format!("esp-{number}"), &from);
            }
        }
        for name in ["boot", "root"] {
            let parts = (1..=devices.len())
                .map(|number| text(&format!("/dev/disk/by-partlabel/{name}-{number}")));
            let parts = parts.map(|part| Node::new(path.clone(), part)).collect();
            let mut raid = made(
                &RAID,
                path,
                [
                    ("devices", Value::List(parts)),
                    ("level", text("raid1")),
                    ("name", text(&format!("md-{name}"))),
                ],
            );
            if name == "boot" {
                // At the end of the partition, so that the BIOS's GRUB sees a file system and no RAID.
                let options = vec![Node::new(path.clone(), text("--metadata=1.0"))];
                raid.set("options", Node::new(path.clone(), Value::List(options)));
            }
            self.push("raid", raid, path);
        }
        self.filesystem("/dev/md/md-boot", "ext4", "boot", path);
    }

    fn luks(&mut self, luks: &Object, layout: Option<&str>, mirrored: bool, path: &Path) {
        let chosen = luks.text_or_empty("device");
        let device = match layout {
            Some("s390x-eckd") => format!("{chosen}2"),
            Some("s390x-zfcp") => format!("{chosen}4"),
            _ if mirrored => "/dev/md/md-root".to_owned(),
            _ => "/dev/disk/by-partlabel/root".to_owned(),
        };
        let mut volume = made(
            &LUKS,
            path,
            [
                ("device", text(&device)),
                ("label", text("luks-root")),
                ("name", text("root")),
                ("wipe_volume", Value::Bool(true)),
            ],
        );
        let mut clevis = Object::new(&CLEVIS);
        for name in ["tang", "threshold", "tpm2"] {
            if let Some(node) = luks.get(name) {
                clevis.set(name, node.clone());
            }
        }
        if !clevis.is_empty() {
            volume.set("clevis", Node::new(path.clone(), Value::Object(clevis)));
        }
        for name in ["cex", "discard"] {
            if let Some(node) = luks.get(name) {
                volume.set(name, node.clone());
            }
        }
        self.push("luks", volume, path);
    }

    fn merged_with(self, config: Object, from: &Path) -> Object {
        let mut generated = Object::new(&CONFIG);
        generated.set("storage", Node::new(from.clone(), Value::Object(self.0)));
        merge(generated, config)
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn made(
    ty: &'static Type,
    from: &Path,
    fields: impl IntoIterator<Item = (&'static str, Value)>,
) -> Object {
    let mut object = Object::new(ty);
    for (name, value) in fields {
        object.set(name, Node::new(from.clone(), value));
    }
    object
}

/// Warns of partitions that the system expects to be otherwise.
pub(crate) fn check_partitions(config: &Object, spec: Spec, report: &mut Report) {
    let Some(storage) = config.object("storage") else { return };
    for (index, disk) in storage.objects("disks").enumerate() {
        let path = Path::of(&["storage", "disks"]).index(index).key("partitions");
        let partitions: Vec<&Object> = disk.objects("partitions").collect();
        for (index, partition) in partitions.iter().enumerate() {
            let reserved = match partition.text("label") {
                Some("BIOS-BOOT" | "PowerPC-PReP-boot") => 1,
                Some("EFI-SYSTEM") => 2,
                Some("boot") => 3,
                Some("root") => 4,
                _ => continue,
            };
            if !disk.is_true("wipe_table") && partition.int("number").unwrap_or(0) != reserved {
                report.warn(
                    config.origin(&path.index(index).key("label")),
                    "incorrect partition number; a new partition will be created using reserved label",
                );
            }
        }
        if spec.is_fcos(3) {
            check_root(config, &partitions, &path, report);
        }
    }
}

/// What the system needs in the end, its updates included.
const ROOT_MIB: i64 = 8192;

fn check_root(config: &Object, partitions: &[&Object], path: &Path, report: &mut Report) {
    let automatic = |partition: &&Object| partition.int("start_mib").unwrap_or(0) == 0;
    let placed: Vec<usize> =
        (0..partitions.len()).filter(|&at| automatic(&partitions[at])).collect();
    for (index, partition) in partitions.iter().enumerate() {
        if partition.text("label") != Some("root") {
            continue;
        }
        match partition.int("size_mib").unwrap_or(0) {
            0 if placed.iter().any(|&other| other != index) => report.warn(
                config.origin(&path.index(index).key("label")),
                "root partition cannot expand; it is set to fill available space but is followed by an auto-positioned partition",
            ),
            0 => {}
            // Butane looks this one up by its place among the merged disks, and so does this.
            size if size < ROOT_MIB => report
                .warn(path.index(index).key("size_mib"), "root should have 8GiB of space assigned"),
            _ => {}
        }
    }
}

/// The config with the users of GRUB; `source` is what the user wrote.
pub(crate) fn add_grub_users(config: Object, source: &Object, report: &mut Report) -> Object {
    let Some(grub) = source.object("grub") else { return config };
    let from = Path::of(&["grub", "users"]);
    let users: Vec<(&str, &str)> = grub
        .objects("users")
        .map(|user| (user.text_or_empty("name"), user.text_or_empty("password_hash")))
        .collect();
    if users.is_empty() {
        return config;
    }
    let names: Vec<&str> = users.iter().map(|&(name, _)| name).collect();
    let mut script = format!("# Generated by Butane\n\nset superusers=\"{}\"\n", names.join(" "));
    for (name, hash) in users {
        script.push_str(&["password_pbkdf2 ", name, " ", hash, "\n"].concat());
    }
    let encoded = match data_url::encode(script.as_bytes(), None) {
        Ok(encoded) => encoded,
        Err(error) => {
            report.error(from, error.to_string());
            return config;
        }
    };
    let compression = text(encoded.compression.unwrap_or_default());
    let resource =
        made(&RESOURCE, &from, [("source", text(&encoded.url)), ("compression", compression)]);
    let append = vec![Node::new(from.clone(), Value::Object(resource))];
    let fields = [("path", text("/boot/grub2/user.cfg")), ("append", Value::List(append))];
    let mut storage = Generated(Object::new(&STORAGE));
    storage.push("files", made(&FILE, &from, fields), &from);
    let fields = [
        ("device", text("/dev/disk/by-label/boot")),
        ("format", text("ext4")),
        ("path", text("/boot")),
    ];
    storage.push("filesystems", made(&FILESYSTEM, &from, fields), &from);
    storage.merged_with(config, &from)
}
