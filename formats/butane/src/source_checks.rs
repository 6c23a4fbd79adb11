//! What Butane checks in what the user wrote, before it becomes Ignition: parents first, in the order of the fields.

use crate::{
    inline_config,
    path::Path,
    report::Report,
    schema::{Spec, TypeName},
    tree::Object,
};

pub(crate) fn check(config: &Object, spec: Spec) -> Report {
    let mut report = Report::default();
    if spec.is_fcos(6) {
        check_config(config, &mut report);
    }
    config.visit(&Path::default(), &mut |object, path| {
        check_object(object, spec, path, &mut report);
    });
    report
}

fn check_object(object: &Object, spec: Spec, path: &Path, report: &mut Report) {
    match object.ty.name {
        TypeName::IgnitionConfig => inline_config::check(object, spec, path, report),
        TypeName::Resource | TypeName::Reference => check_sources(object, spec, path, report),
        TypeName::Directory => check_mode(object, true, path, report),
        TypeName::File => check_mode(object, false, path, report),
        TypeName::Filesystem => check_mount_unit(object, spec, path, report),
        TypeName::Tree if object.filled("local").is_none() => {
            report.error(path.clone(), "local is required");
        }
        TypeName::Unit | TypeName::Dropin
            if object.get("contents").is_some() && object.get("contents_local").is_some() =>
        {
            report.error(
                path.key("contents_local"),
                "only one of the following can be set: contents, contents_local",
            );
        }
        TypeName::BootDevice => check_boot_device(object, spec, path, report),
        TypeName::Mirror if object.list("devices").len() == 1 => {
            report.error(path.key("devices"), "mirroring requires at least two devices");
        }
        TypeName::GrubUser => {
            for name in ["name", "password_hash"] {
                if object.filled(name).is_none() {
                    report.error(path.key(name), format!("field \"{name}\" is required"));
                }
            }
        }
        _ => {}
    }
}

fn check_sources(resource: &Object, spec: Spec, path: &Path, report: &mut Report) {
    let set: Vec<_> = ["local", "inline", "source"]
        .into_iter()
        .filter(|name| resource.get(name).is_some())
        .collect();
    match set[..] {
        // As the first version says it.
        ["inline", "source"] if spec.ignition() == 0 => {
            report.error(path.key("inline"), ONE_SOURCE);
        }
        [.., _, last] => report.error(path.key(last), ONE_SOURCE),
        _ => {}
    }
}

const ONE_SOURCE: &str = "only one of the following can be set: inline, local, source";

fn check_mode(node: &Object, directory: bool, path: &Path, report: &mut Report) {
    if let Some(mode) = node.int("mode")
        && looks_octal(mode, directory)
    {
        report.warn(
            path.key("mode"),
            "unreasonable mode would be reasonable if specified in octal; remember to add a leading zero",
        );
    }
}

/// Whether a mode is strange, but its decimal digits would be usual octal ones.
fn looks_octal(mode: i64, directory: bool) -> bool {
    let digits = mode.to_string();
    let read = (0..=7777).contains(&mode).then(|| i64::from_str_radix(&digits, 8).ok()).flatten();
    read.is_some_and(|read| !is_usual(mode, directory) && is_usual(read, directory))
}

fn is_usual(mode: i64, directory: bool) -> bool {
    if mode == 0 {
        return true;
    }
    let (mut had_read, mut had_write, mut had_execute) = (false, false, false);
    // Others, group, owner: each has what those before have.
    for shift in [0, 3, 6] {
        let bits = mode >> shift;
        let (read, write, execute) = (bits & 4 != 0, bits & 2 != 0, bits & 1 != 0);
        let loses = (!read && had_read) || (!write && had_write) || (!execute && had_execute);
        let odd = execute && had_read && !had_execute;
        if loses || odd || ((write || execute) && !read) {
            return false;
        }
        had_read |= read;
        had_write |= write;
        had_execute |= execute;
    }
    let special = match directory {
        true => had_execute && mode & 0o4000 == 0 && (mode & 0o3000 == 0 || had_write),
        false => mode & 0o1000 == 0 && (mode & 0o6000 == 0 || (had_execute && mode & 2 == 0)),
    };
    had_read && special
}

fn check_mount_unit(filesystem: &Object, spec: Spec, path: &Path, report: &mut Report) {
    if !filesystem.is_true("with_mount_unit") {
        return;
    }
    let no_format = |report: &mut Report| {
        report.error(path.key("format"), "format is required if with_mount_unit is true");
    };
    let no_path = |report: &mut Report| {
        report.error(
            path.key("path"),
            "path is required if with_mount_unit is true and format is not swap",
        );
    };
    let (format, mounted) = (filesystem.filled("format"), filesystem.filled("path").is_some());
    if spec.ignition() < 3 {
        if !mounted {
            no_path(report);
        }
        if format.is_none() {
            no_format(report);
        }
        return;
    }
    match format {
        None => no_format(report),
        Some("swap") => {}
        Some(_) if !mounted => no_path(report),
        Some(_) => {}
    }
}

/// The disk that the system boots from, in a config that says nothing else.
const BOOT_DISK: &str = "/dev/disk/by-id/coreos-boot-disk";

fn check_config(config: &Object, report: &mut Report) {
    let Some(storage) = config.object("storage") else { return };
    let path = Path::of(&["storage"]);
    let mirror = config.object("boot_device").and_then(|device| device.object("mirror"));
    let mirrored = |device: &str| {
        mirror.is_some_and(|mirror| {
            mirror.list("devices").iter().any(|mirrored| mirrored.as_text() == Some(device))
        })
    };
    for (index, disk) in storage.objects("disks").enumerate() {
        let device = disk.text_or_empty("device");
        if device == BOOT_DISK || disk.is_true("wipe_table") || mirrored(device) {
            continue;
        }
        for (number, partition) in disk.objects("partitions").enumerate() {
            if partition.int("number").unwrap_or(0) == 0 && partition.get("label").is_some() {
                report.warn(
                    path.key("disks").index(index).key("partitions").index(number).key("number"),
                    format!(
                        "partitions cannot be reused by label; number must be specified except on boot disk ({BOOT_DISK}) \
                         or when wipe_table is true"
                    ),
                );
            }
        }
    }
    for (index, filesystem) in storage.objects("filesystems").enumerate() {
        let Some(mounted) = filesystem.text("path") else { continue };
        let allowed = ["/etc", "/var"].into_iter().any(|top| {
            mounted.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        if filesystem.is_true("with_mount_unit") && !allowed {
            report.error(
                path.key("filesystems").index(index).key("path"),
                "path must be under /etc or /var if with_mount_unit is true",
            );
        }
    }
}

fn check_boot_device(device: &Object, spec: Spec, path: &Path, report: &mut Report) {
    let layout = device.text("layout");
    let at_layout = || path.key("layout");
    let mirrored = device.object("mirror").is_some_and(|mirror| !mirror.list("devices").is_empty());
    let luks = device.object("luks");
    let s390x = spec.is_fcos(6) && layout.is_some_and(|layout| layout.starts_with("s390x"));
    match layout {
        None | Some("aarch64" | "ppc64le" | "x86_64") => {}
        Some("s390x-virt") if s390x => {}
        Some(layout @ ("s390x-eckd" | "s390x-zfcp")) if s390x => {
            let start = if layout == "s390x-eckd" { "/dev/dasd" } else { "/dev/sd" };
            match luks.and_then(|luks| luks.filled("device")) {
                None => report
                    .error(at_layout(), "device is required for layouts: s390x-eckd, s390x-zfcp"),
                Some(device) if !ends_in_disk(device, start) => report.error(
                    at_layout(),
                    "device name must start with /dev/dasd on s390x-eckd layout or /dev/sd on s390x-zfcp layout",
                ),
                Some(_) => {}
            }
        }
        Some(_) => {
            let more = if spec.is_fcos(6) { ", s390x-eckd, s390x-virt, s390x-zfcp" } else { "" };
            report.error(
                at_layout(),
                format!("layout must be one of: aarch64, ppc64le, x86_64{more}"),
            );
        }
    }
    if s390x && mirrored {
        report.error(
            at_layout(),
            "mirroring not supported on layouts: s390x-eckd, s390x-zfcp, s390x-virt",
        );
    }
    if let Some(luks) = luks
        && spec.is_fcos(6)
        && luks.object("cex").is_some_and(|cex| cex.is_true("enabled"))
    {
        if !s390x {
            let at = match layout {
                None => path.key("luks").key("cex"),
                Some(_) => at_layout(),
            };
            report.error(at, "when using cex the targeted architecture must match s390x");
        }
        if luks.is_true("tpm2") || !luks.list("tang").is_empty() {
            report.error(path.key("luks"), "cannot use cex with clevis");
        }
    }
    // Said here and by the mirror itself, as Butane does it.
    if let Some(mirror) = device.object("mirror") {
        check_object(mirror, spec, &path.key("mirror"), report);
    }
}

/// Whether a name ends in that of a whole disk, such as `/dev/sda`.
fn ends_in_disk(device: &str, start: &str) -> bool {
    let Some((rest, letter)) =
        device.len().checked_sub(1).and_then(|end| device.split_at_checked(end))
    else {
        return false;
    };
    letter.bytes().all(|byte| byte.is_ascii_lowercase()) && rest.ends_with(start)
}

#[cfg(test)]
mod tests {
    use super::looks_octal;

    /// These, and nothing else below a thousand.
    #[test]
    fn decimal_modes_are_noticed() {
        let found = |directory| -> Vec<i64> {
            (0..10_000).filter(|&mode| looks_octal(mode, directory)).collect()
        };
        let below_1000 = |modes: Vec<i64>| -> Vec<i64> {
            modes.into_iter().filter(|&mode| mode < 1000).collect()
        };
        assert_eq!(
            below_1000(found(false)),
            [
                400, 440, 444, 500, 550, 555, 600, 640, 644, 660, 664, 666, 700, 750, 755, 770,
                775, 777
            ]
        );
        assert_eq!(below_1000(found(true)), [500, 550, 555, 700, 750, 755, 770, 775, 777]);
        assert!(looks_octal(4755, false) && !looks_octal(4755, true));
        assert!(looks_octal(1777, true) && !looks_octal(1777, false));
        assert!(!looks_octal(-644, false) && !looks_octal(0o644, false));
    }
}
