//! `wheeltap gc`.

use std::{fmt::Write as _, path::PathBuf};

use serde::Serialize;
use wheeltap_images::Cache;
use wheeltap_platforms::{
    lease::{Collection, Collector, Failed, Found, Left},
    states::States,
};

use super::{args::GcArgs, list::print_json, out};
use crate::{ExitCode, UserError};

/// The format of `--json`. Keys may be added within a version.
const FORMAT_VERSION: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    dry_run: bool,
    #[serde(flatten)]
    collection: &'a Collection,
}

pub(super) fn gc(args: &GcArgs) -> Result<ExitCode, UserError> {
    let collector = Collector::of_user();
    let mut collection = if args.dry_run {
        collector.find()
    } else {
        let collected = collector.collect();
        collected.map_err(|error| UserError::infra(format!("nothing was removed: {error}")))?
    };
    // Without a cache nothing was left in it.
    if let Ok(cache) = Cache::of_user() {
        let builds = if args.dry_run { cache.abandoned() } else { cache.remove_abandoned() };
        add(&mut collection, cache.work_directory(), builds);
        let partials = if args.dry_run { cache.partials() } else { cache.remove_partials() };
        add(&mut collection, cache.partials_directory(), partials);
        let states = States::at(cache.states(), 0);
        let left = if args.dry_run { states.abandoned() } else { states.remove_abandoned() };
        add(&mut collection, states.directory().to_path_buf(), left);
    }
    if args.json {
        print_json(&Document {
            version: FORMAT_VERSION,
            dry_run: args.dry_run,
            collection: &collection,
        })?;
    } else {
        out::text(removed(&collection, args.dry_run));
        out::write_error(failed(&collection));
    }
    Ok(if collection.failed.is_empty() { ExitCode::Passed } else { ExitCode::InfraFailure })
}

/// Adds what was left in a part of the cache, which has locks of its own and therefore no leases.
fn add(
    collection: &mut Collection,
    place: PathBuf,
    left: Result<Vec<PathBuf>, impl std::fmt::Display>,
) {
    let found = |path| Found { what: Left::Directory { path }, owner: None };
    match left {
        Ok(paths) => collection.removed.extend(paths.into_iter().map(found)),
        Err(why) => {
            collection.failed.push(Failed { found: found(place), why: why.to_string() });
        }
    }
}

/// One line for each thing; nothing if there was nothing.
fn removed(collection: &Collection, dry_run: bool) -> String {
    let mut text = String::new();
    for Found { what, owner } in &collection.removed {
        let done = match (what, dry_run) {
            (Left::Process { .. }, false) => "killed",
            (Left::Process { .. }, true) => "would kill",
            (_, false) => "removed",
            (_, true) => "would remove",
        };
        let _ = writeln!(text, "{done} {}, left by {}", name(what), owner_name(*owner));
    }
    text
}

fn failed(collection: &Collection) -> String {
    let mut text = String::new();
    for Failed { found, why } in &collection.failed {
        let _ = writeln!(
            text,
            "not removed: {}, left by {}: {why}",
            name(&found.what),
            owner_name(found.owner)
        );
    }
    text
}

fn owner_name(owner: Option<u32>) -> String {
    owner.map_or_else(|| "a process that was killed".to_owned(), |pid| format!("process {pid}"))
}

fn name(what: &Left) -> String {
    match what {
        Left::Process { pid, program } => format!("process {pid} ({program})"),
        Left::Directory { path } => format!("directory {}", path.display()),
        Left::File { path } => format!("file {}", path.display()),
        Left::Lease { path } => format!("what the lease {} is about", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collection() -> Collection {
        let found = |what| Found { what, owner: Some(4711) };
        Collection {
            removed: vec![
                found(Left::Process { pid: 4720, program: "qemu-system-x86_64".into() }),
                found(Left::File { path: "/out/run/cells/c/s/attempt-1/m1/disk.qcow2".into() }),
                found(Left::Directory { path: "/tmp/wheeltap-4711-99-0123456789".into() }),
                Found { what: Left::Directory { path: "/cache/work/Ab12".into() }, owner: None },
            ],
            failed: vec![
                Failed {
                    found: found(Left::Directory { path: "/out/run/forks/boot-1/state".into() }),
                    why: "it belongs to another user (its lease is /s/leases/4711-99-x/3.json)"
                        .into(),
                },
                Failed {
                    found: found(Left::Lease { path: "/s/leases/4711-99-x/4.json".into() }),
                    why: "another version of wheeltap wrote it".into(),
                },
            ],
            alive: vec![4800],
        }
    }

    #[test]
    fn what_was_done_is_said() {
        insta::assert_snapshot!(removed(&collection(), false), @r"
        killed process 4720 (qemu-system-x86_64), left by process 4711
        removed file /out/run/cells/c/s/attempt-1/m1/disk.qcow2, left by process 4711
        removed directory /tmp/wheeltap-4711-99-0123456789, left by process 4711
        removed directory /cache/work/Ab12, left by a process that was killed
        ");
        insta::assert_snapshot!(failed(&collection()), @r"
        not removed: directory /out/run/forks/boot-1/state, left by process 4711: it belongs to another user (its lease is /s/leases/4711-99-x/3.json)
        not removed: what the lease /s/leases/4711-99-x/4.json is about, left by process 4711: another version of wheeltap wrote it
        ");
    }

    #[test]
    fn what_would_be_done_is_said() {
        insta::assert_snapshot!(removed(&collection(), true), @r"
        would kill process 4720 (qemu-system-x86_64), left by process 4711
        would remove file /out/run/cells/c/s/attempt-1/m1/disk.qcow2, left by process 4711
        would remove directory /tmp/wheeltap-4711-99-0123456789, left by process 4711
        would remove directory /cache/work/Ab12, left by a process that was killed
        ");
    }

    #[test]
    fn nothing_is_said_of_nothing() {
        let nothing = Collection { alive: vec![4800], ..Collection::default() };
        assert_eq!((removed(&nothing, false), failed(&nothing)), (String::new(), String::new()));
    }

    #[test]
    fn programs_may_read_it() {
        let collection = collection();
        let document = Document { version: 1, dry_run: true, collection: &collection };
        insta::assert_snapshot!(serde_json::to_string_pretty(&document).unwrap());
    }
}
