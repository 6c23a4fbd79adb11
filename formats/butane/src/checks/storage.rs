//! Files, directories and links.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Verdict, judge};
use crate::{
    path::Path,
    report::Report,
    schema::{Spec, TypeName},
    tree::Object,
};

pub(super) fn check_node(node: &Object, path: &Path, report: &mut Report) {
    judge(report, path.key("path"), check_path(node.text_or_empty("path")));
    if node.ty.name == TypeName::Link {
        return;
    }
    if let Some(mode) = node.int("mode") {
        if !(0..=0o7777).contains(&mode) {
            report.error(path.key("mode"), "illegal file mode");
        }
        if mode & 0o7000 != 0 {
            report.warn(
                path.key("mode"),
                "setuid/setgid/sticky bits are not supported or functional in spec versions older than 3.6.0",
            );
        }
    }
    if node.ty.name == TypeName::File
        && node.is_true("overwrite")
        && node.object("contents").is_none_or(|contents| contents.get("source").is_none())
    {
        report.error(path.key("overwrite"), "overwrite must be false if source is unspecified");
    }
}

/// A path from the root, in its shortest form.
pub(super) fn check_path(path: &str) -> Verdict {
    match path {
        "" => Err("path not specified"),
        path if !path.starts_with('/') => Err("path not absolute"),
        path if clean(path) != path => Err("path is not fully simplified"),
        _ => Ok(()),
    }
}

/// Without `.`, `..` and double slashes, by its words only.
pub(crate) fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut words: Vec<&str> = Vec::new();
    for word in path.split('/') {
        match word {
            "" | "." => {}
            ".." if words.last().is_some_and(|&last| last != "..") => {
                words.pop();
            }
            ".." if rooted => {}
            _ => words.push(word),
        }
    }
    match (rooted, words.join("/")) {
        (true, words) => format!("/{words}"),
        (false, words) if words.is_empty() => ".".to_owned(),
        (false, words) => words,
    }
}

pub(super) fn check(storage: &Object, spec: Spec, path: &Path, report: &mut Report) {
    let links = Links::new(storage);
    for (name, message) in [
        ("directories", "directory path includes link in config"),
        ("files", "file path includes link in config"),
    ] {
        for (index, node) in storage.objects(name).enumerate() {
            for _ in 0..links.above(node.text_or_empty("path")) {
                report.error(path.key(name).index(index), message);
            }
        }
    }
    let directories: HashSet<&str> =
        storage.objects("directories").map(|node| node.text_or_empty("path")).collect();
    for (index, link) in storage.objects("links").enumerate() {
        let path = path.key("links").index(index);
        for _ in 0..links.above(link.text_or_empty("path")) {
            report.error(path.clone(), "link path includes link in config");
        }
        check_link(link, &directories, spec, &path, report);
    }
    check_filesystems_on_disks(storage, path, report);
}

/// How many links there are of each path.
struct Links<'a>(BTreeMap<&'a str, usize>);

impl<'a> Links<'a> {
    fn new(storage: &'a Object) -> Self {
        let mut links = BTreeMap::new();
        for link in storage.objects("links") {
            *links.entry(link.text_or_empty("path")).or_default() += 1;
        }
        Self(links)
    }

    /// How many a path leads through.
    fn above(&self, path: &str) -> usize {
        if self.0.is_empty() {
            return 0;
        }
        let parents = path.match_indices('/').map(|(slash, _)| &path[..slash]);
        parents.filter_map(|parent| self.0.get(parent)).sum()
    }
}

fn check_link(
    link: &Object,
    directories: &HashSet<&str>,
    spec: Spec,
    path: &Path,
    report: &mut Report,
) {
    let target = link.text_or_empty("target");
    if target.is_empty() && spec.ignition() >= 3 {
        report.error(path.key("target"), "link target is required");
        return;
    }
    if !link.is_true("hard") {
        return;
    }
    let target = match target.starts_with('/') {
        true => clean(target),
        false => clean(&format!("{}/{target}", link.text_or_empty("path"))),
    };
    if directories.contains(target.as_str()) {
        report.error(path.clone(), "hard link target is a directory");
    }
    for owner in ["user", "group"] {
        for name in ["id", "name"] {
            if link.object(owner).is_some_and(|owner| owner.get(name).is_some()) {
                report.warn(path.key(owner).key(name), "user/group ignored for hard link");
            }
        }
    }
}

fn check_filesystems_on_disks(storage: &Object, path: &Path, report: &mut Report) {
    let disks: HashMap<&str, &Object> =
        storage.objects("disks").map(|disk| (disk.text_or_empty("device"), disk)).collect();
    for (index, filesystem) in storage.objects("filesystems").enumerate() {
        let Some(disk) = disks.get(filesystem.text_or_empty("device")) else { continue };
        let at = || path.key("filesystems").index(index).key("device");
        if !disk.list("partitions").is_empty() {
            report.warn(at(), "filesystem overwrites partitioned device");
        } else if disk.is_true("wipe_table") && !filesystem.is_true("wipe_filesystem") {
            report
                .warn(at(), "device matches disk with wipeTable enabled; filesystem will be wiped");
        }
    }
}
