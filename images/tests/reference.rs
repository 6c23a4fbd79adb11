//! Builds the reference image for real. Ignored by default, since that needs the Debian packages; `ci/test` runs it.

use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
};

use wheeltap_images::{BuildError, BuildOptions, Cache, DEFAULT_VERSION};

fn options() -> BuildOptions {
    BuildOptions::new(DEFAULT_VERSION)
}

#[test]
#[ignore = "builds the reference image; run by ci/test"]
fn the_same_inputs_give_the_same_image() {
    let not_cancelled = AtomicBool::new(false);
    let digests: Vec<String> = (0..2)
        .map(|_| {
            let directory = tempfile::tempdir().unwrap();
            let cache = Cache::at(directory.path().join("cache"));
            let built = cache.build(&options(), &not_cancelled, &mut |_| {}).unwrap();
            assert!(!built.cached);
            let again = cache.build(&options(), &not_cancelled, &mut |_| {}).unwrap();
            assert!(again.cached, "the second build finds the first");
            built.image.digest
        })
        .collect();
    assert_eq!(digests[0], digests[1]);
}

#[test]
#[ignore = "begins to build the reference image; run by ci/test"]
fn a_cancelled_build_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::at(directory.path().join("cache"));
    let cancel = AtomicBool::new(false);
    // In the middle, when the packages are there and the disk is not.
    let mut step = |name: &str| cancel.store(name == "identity", Ordering::Relaxed);
    let error = cache.build(&options(), &cancel, &mut step).unwrap_err();
    assert!(matches!(error, BuildError::Cancelled), "{error}");
    assert_eq!(cache.list().unwrap(), []);
    let left = fs::read_dir(directory.path().join("cache/work")).unwrap().count();
    assert_eq!(left, 0, "scratch directories are left");
}
