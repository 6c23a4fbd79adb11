//! Units and what may be in their way.

use std::collections::{HashMap, HashSet};

use super::unit_text;
use crate::{path::Path, report::Report, tree::Object};

/// Says which files would be where units are.
pub(super) fn check_conflicts(config: &Object, path: &Path, report: &mut Report) {
    let mut taken = HashSet::new();
    for unit in config.object("systemd").iter().flat_map(|systemd| systemd.objects("units")) {
        let at = format!("/etc/systemd/system/{}", unit.text_or_empty("name"));
        for dropin in unit.objects("dropins") {
            if dropin.filled("contents").is_some() {
                taken.insert(format!("{at}.d/{}", dropin.text_or_empty("name")));
            }
        }
        if unit.filled("contents").is_some() {
            taken.insert(at);
        }
    }
    let Some(storage) = config.object("storage") else { return };
    for name in ["files", "directories", "links"] {
        for (index, node) in storage.objects(name).enumerate() {
            if taken.contains(node.text_or_empty("path")) {
                report.error(
                    path.key("storage").key(name).index(index).key("path"),
                    "path conflicts with systemd unit or dropin",
                );
            }
        }
    }
}

/// Says which instances nothing would start.
pub(super) fn check(systemd: &Object, path: &Path, report: &mut Report) {
    let units: HashMap<&str, &Object> =
        systemd.objects("units").map(|unit| (unit.text_or_empty("name"), unit)).collect();
    for (index, unit) in systemd.objects("units").enumerate() {
        let name = unit.text_or_empty("name");
        let Some(template) = template_of(name).filter(|_| unit.is_true("enabled")) else {
            continue;
        };
        let Some(contents) = units.get(template.as_str()).and_then(|unit| unit.filled("contents"))
        else {
            continue;
        };
        if !unit_text::sections(contents).is_ok_and(|sections| sections.contains("Install")) {
            report.warn(
                path.key("units").index(index).key("contents"),
                format!("template unit \"{template}\" for \"{name}\" doesn't have Install section"),
            );
        }
    }
}

/// `worker@.service` of `worker@blue.service`.
fn template_of(name: &str) -> Option<String> {
    let instance = name.strip_suffix(".service")?;
    // The first @ that has something on both sides.
    let (at, _) = instance.match_indices('@').find(|&(at, _)| at > 0 && at + 1 < instance.len())?;
    (!name.contains('\n')).then(|| format!("{}@.service", &instance[..at]))
}

pub(super) fn check_unit(unit: &Object, path: &Path, report: &mut Report) {
    let name = unit.text_or_empty("name");
    let known = [
        "service",
        "socket",
        "device",
        "mount",
        "automount",
        "swap",
        "target",
        "path",
        "timer",
        "snapshot",
        "slice",
        "scope",
    ];
    if !known.contains(&extension(name)) {
        report.error(path.key("name"), "invalid systemd unit extension");
    }
    let Some(contents) = unit.text("contents") else { return };
    match unit_text::sections(contents) {
        Err(message) => {
            report.error(path.key("contents"), format!("invalid unit content: {message}"));
        }
        Ok(sections)
            if unit.is_true("enabled") && !contents.is_empty() && !sections.contains("Install") =>
        {
            report.warn(
                path.key("contents"),
                format!(
                    "unit \"{name}\" is enabled, but has no install section so enable does nothing"
                ),
            );
        }
        Ok(_) => {}
    }
}

pub(super) fn check_dropin(dropin: &Object, path: &Path, report: &mut Report) {
    if let Some(Err(message)) = dropin.text("contents").map(unit_text::sections) {
        report.error(path.key("contents"), format!("invalid unit content: {message}"));
    }
    if extension(dropin.text_or_empty("name")) != "conf" {
        report.error(path.key("name"), "invalid systemd drop-in extension");
    }
}

fn extension(name: &str) -> &str {
    let name = name.rsplit('/').next().unwrap_or_default();
    name.rsplit_once('.').map_or("", |(_, extension)| extension)
}
