//! Disks, and what is on them.

use std::collections::HashSet;

use super::{judge, storage::check_path, urls};
use crate::{
    path::Path,
    report::Report,
    schema::Spec,
    tree::{Node, Object},
};

pub(super) fn check(disk: &Object, path: &Path, report: &mut Report) {
    let Some(device) = disk.filled("device") else {
        report.error(path.key("device"), "disk device is required");
        return;
    };
    judge(report, path.key("device"), check_path(device));
    let partitions: Vec<&Object> = disk.objects("partitions").collect();
    let at = |index| path.key("partitions").index(index);
    let number = |partition: &&Object| partition.int("number").filter(|&number| number != 0);
    if let Some(index) = first_again(partitions.iter().map(number)) {
        report.error(at(index), "partition numbers collide");
    }
    if let Some(index) = overlap(&partitions) {
        report.error(at(index), "partitions overlap");
    }
    let gone = partitions.iter().any(|partition| partition.bool("should_exist") == Some(false));
    if gone && partitions.iter().any(|partition| number(partition).is_none()) {
        report.error(
            path.key("partitions"),
            "shouldExist is false for a partition and other partition(s) has start or size 0",
        );
    }
    if let Some(index) = first_again(partitions.iter().map(|partition| partition.text("label"))) {
        report.error(at(index), "cannot use the same partition label twice");
    }
}

/// The first item that was there before.
fn first_again<T: Eq + std::hash::Hash>(items: impl Iterator<Item = Option<T>>) -> Option<usize> {
    let mut seen = HashSet::new();
    items.enumerate().find_map(|(index, item)| (!seen.insert(item?)).then_some(index))
}

/// Of the first partition that shares space with another one, the first of these others.
fn overlap(partitions: &[&Object]) -> Option<usize> {
    // The index, the first MiB and the last; what is placed automatically isn't known.
    let mut spans: Vec<(usize, i64, i64)> = Vec::new();
    for (index, partition) in partitions.iter().enumerate() {
        if let (Some(start), Some(size)) = (partition.int("start_mib"), partition.int("size_mib"))
            && start != 0
        {
            let end = if size == 0 { start } else { start.saturating_add(size).saturating_sub(1) };
            spans.push((index, start, end));
        }
    }
    let in_order = spans.clone();
    spans.sort_unstable_by_key(|&(_, start, _)| start);
    let mut overlapping = HashSet::new();
    let mut furthest: Option<(usize, i64)> = None;
    for &(index, start, end) in &spans {
        if let Some((before, last)) = furthest.filter(|&(_, last)| last >= start) {
            overlapping.extend([index, before]);
            furthest = Some(if end > last { (index, end) } else { (before, last) });
        } else {
            furthest = Some((index, end));
        }
    }
    // Who overlaps at all is known now, but not yet by whom the first is overlapped first.
    let first = in_order.iter().find(|(index, ..)| overlapping.contains(index))?;
    in_order
        .iter()
        .find(|other| other.0 != first.0 && other.1 <= first.2 && other.2 >= first.1)
        .map(|other| other.0)
}

pub(super) fn check_partition(partition: &Object, path: &Path, report: &mut Report) {
    let set = |name: &str| partition.get(name).is_some();
    let filled = |name: &str| partition.filled(name).is_some();
    if partition.bool("should_exist") == Some(false)
        && (set("label")
            || filled("type_guid")
            || filled("guid")
            || set("start_mib")
            || set("size_mib"))
    {
        report.error(path.clone(), "shouldExist specified false with other options also specified");
    }
    if partition.int("number").unwrap_or(0) == 0 && !set("label") {
        report.error(path.clone(), "a partition number >= 1 or a label must be specified");
    }
    if let Some(label) = partition.text("label") {
        if label.len() > 36 {
            report.error(path.key("label"), "partition labels may not exceed 36 characters");
        } else if label.contains(':') {
            report.error(
                path.key("label"),
                "partition label will be truncated to text before the colon",
            );
        }
    }
    for name in ["guid", "type_guid"] {
        if partition.filled(name).is_some_and(|guid| !is_guid(guid)) {
            report.error(
                path.key(name),
                "doesn't match the form \"01234567-89AB-CDEF-EDCB-A98765432101\"",
            );
        }
    }
}

fn is_guid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

pub(super) fn check_filesystem(filesystem: &Object, spec: Spec, path: &Path, report: &mut Report) {
    if let Some(mounted) = filesystem.filled("path") {
        judge(report, path.key("path"), check_path(mounted));
    }
    judge(report, path.key("device"), check_path(filesystem.text_or_empty("device")));
    let format = filesystem.filled("format");
    match format {
        None => {
            let texts = ["path", "label", "uuid"].map(|name| filesystem.filled(name).is_some());
            let lists = ["options", "mount_options"].map(|name| !filesystem.list(name).is_empty());
            let wiped = filesystem.is_true("wipe_filesystem");
            if texts.contains(&true) || lists.contains(&true) || wiped {
                report.error(
                    path.key("format"),
                    "format cannot be empty when path, label, uuid, wipeFilesystem, options, or mountOptions is specified",
                );
            }
        }
        Some("ext4" | "btrfs" | "xfs" | "swap" | "vfat") => {}
        Some("none") if spec.ignition() >= 3 => {}
        Some(_) => report.error(path.key("format"), "invalid filesystem format"),
    }
    let Some(label) = filesystem.filled("label") else { return };
    let longest = match format {
        None => {
            report.error(path.key("label"), "filesystem must specify format if label is specified");
            return;
        }
        Some("ext4") => 16,
        Some("xfs") => 12,
        Some("swap") => 15,
        Some("vfat") => 11,
        Some("btrfs") => 256,
        Some(_) => return,
    };
    if label.len() > longest {
        let format = format.unwrap_or_default();
        report.error(
            path.key("label"),
            format!(
                "filesystem labels cannot be longer than {longest} characters when using {format}"
            ),
        );
    }
}

pub(super) fn check_raid(raid: &Object, spec: Spec, path: &Path, report: &mut Report) {
    let level = match raid.text_or_empty("level") {
        "" if spec.ignition() >= 3 => Err("raid level is required"),
        "linear" | "raid0" | "0" | "stripe" if raid.int("spares").unwrap_or(0) != 0 => {
            Err("spares unsupported for linear and raid0 arrays")
        }
        "linear" | "raid0" | "0" | "stripe" | "raid1" | "1" | "mirror" | "raid4" | "4"
        | "raid5" | "5" | "raid6" | "6" | "raid10" | "10" => Ok(()),
        _ => Err("unrecognized raid level"),
    };
    judge(report, path.key("level"), level);
    let devices = raid.list("devices");
    if devices.is_empty() {
        report.error(path.key("devices"), "raid devices required");
    }
    for (index, device) in devices.iter().enumerate() {
        let device = device.as_text().unwrap_or_default();
        judge(report, path.key("devices").index(index), check_path(device));
    }
}

pub(super) fn check_luks(luks: &Object, spec: Spec, path: &Path, report: &mut Report) {
    if luks.text_or_empty("name").contains('/') {
        report.error(path.key("name"), "device names cannot contain slashes");
    }
    if luks.filled("label").is_some_and(|label| label.len() > 47) {
        report.error(path.key("label"), "luks device labels cannot be longer than 47 characters");
    }
    match luks.filled("device") {
        None => report.error(path.key("device"), "disk device is required"),
        Some(device) => judge(report, path.key("device"), check_path(device)),
    }
    if let Some(clevis) = luks.object("clevis") {
        let custom = match clevis.object("custom") {
            None => false,
            // The first versions with it tell an empty one from none.
            Some(_) if spec.ignition() < 3 => true,
            Some(custom) => custom.filled("pin").is_some(),
        };
        if custom && has_pins(clevis) {
            report.error(
                path.key("clevis"),
                "cannot use custom clevis config with tpm2, tang, or threshold",
            );
        }
    }
    if luks.object("cex").is_some_and(|cex| cex.is_true("enabled")) {
        let clevis = luks.object("clevis").is_some_and(|clevis| {
            has_pins(clevis)
                || clevis.object("custom").is_some_and(|custom| custom.filled("pin").is_some())
        });
        if clevis {
            report.error(path.key("cex"), "cannot use cex with clevis");
        }
        if luks.object("key_file").is_some_and(|file| file.filled("source").is_some()) {
            report.error(path.key("cex"), "cannot use key file with cex");
        }
    }
    let source = luks.object("key_file").and_then(|file| file.filled("source"));
    if source.is_some_and(|source| urls::check(source, spec).is_err()) {
        report.error(path.key("keys"), "invalid key-file source");
    }
}

fn has_pins(clevis: &Object) -> bool {
    clevis.is_true("tpm2")
        || !clevis.list("tang").is_empty()
        || clevis.int("threshold").unwrap_or(0) != 0
}

pub(super) fn check_clevis_custom(custom: &Object, path: &Path, report: &mut Report) {
    let (pin, config) = (custom.filled("pin"), custom.filled("config"));
    if pin.is_none() && config.is_none() && !custom.is_true("needs_network") {
        return;
    }
    match pin {
        Some("tpm2" | "tang" | "sss") => {}
        Some(_) => report.error(path.key("pin"), "unsupported clevis pin"),
        None => report.error(path.key("pin"), "missing required custom clevis pin"),
    }
    if config.is_none() {
        report.error(path.key("config"), "missing required custom clevis config");
    }
}

pub(super) fn check_tang(tang: &Object, path: &Path, report: &mut Report) {
    let verdict = match urls::scheme(tang.text_or_empty("url")) {
        Err(message) => Err(message),
        Ok(scheme) if matches!(scheme.as_str(), "http" | "https") => Ok(()),
        Ok(_) => Err("invalid url scheme"),
    };
    judge(report, path.key("url"), verdict);
    if tang.filled("thumbprint").is_none() {
        report.error(path.key("thumbprint"), "thumbprint is required");
    }
    let advertisement = tang.get("advertisement").and_then(Node::as_text);
    if advertisement.is_some_and(|text| {
        !text.is_empty() && serde_json::from_str::<serde::de::IgnoredAny>(text).is_err()
    }) {
        report.error(path.key("advertisement"), "advertisement is not valid JSON");
    }
}
