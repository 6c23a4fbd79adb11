//! The rules of the cache, with recipes that take no time.

use std::cell::Cell;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;

use tempfile::TempDir;
use test_case::test_case;

use super::*;

const UNPACK: (&str, &str) =
    ("unpack", "mkdir -p \"$1/root\"; echo 'bash 5.2-1' >\"$1/versions\"; echo unpacked >&2");
const PACKAGES: (&str, &str) = ("packages", "bash");

fn quick() -> Recipe {
    Recipe::of(&[PACKAGES, UNPACK, ("build", "echo 'step: disk'; echo \"disk of $1\" >\"$3\"")])
}

fn options(version: &str) -> BuildOptions {
    BuildOptions::new(version)
}

/// A cache that is gone after the test, and a build in it that notes the steps.
struct Bench {
    directory: TempDir,
    steps: Vec<String>,
}

impl Bench {
    fn new() -> Self {
        Self { directory: TempDir::new().unwrap(), steps: Vec::new() }
    }

    fn cache(&self) -> Cache {
        Cache::at(self.directory.path())
    }

    fn build(&mut self, recipe: &Recipe, options: &BuildOptions) -> Result<Built, BuildError> {
        self.steps.clear();
        let steps = &mut self.steps;
        let mut note = |step: &str| {
            // A process that another test is just starting may hold a copy of the lock for a moment.
            if !step.starts_with("waiting") {
                steps.push(step.to_owned());
            }
        };
        let cache = Cache::at(self.directory.path());
        cache.build_recipe(recipe, options, &AtomicBool::new(false), &mut note)
    }

    fn leftovers(&self) -> usize {
        fs::read_dir(self.directory.path().join("work")).unwrap().count()
    }
}

#[test]
fn builds_once() {
    let mut bench = Bench::new();
    let first = bench.build(&quick(), &options("4000.0.0")).unwrap();
    assert!(!first.cached);
    assert_eq!(bench.steps, ["packages", "disk", "digest"]);
    assert_eq!(fs::read_to_string(&first.image.path).unwrap(), "disk of 4000.0.0\n");
    assert!(fs::metadata(&first.image.path).unwrap().permissions().readonly());
    assert_eq!(first.image.digest, digest::of_file(&first.image.path).unwrap());
    assert_eq!(first.image.packages, [Package { name: "bash".into(), version: "5.2-1".into() }]);

    let second = bench.build(&quick(), &options("4000.0.0")).unwrap();
    assert!(second.cached);
    assert_eq!(second.image, first.image);
    assert!(bench.steps.is_empty());
    assert_eq!(bench.leftovers(), 0);
}

#[test]
fn another_version_uses_the_same_packages() {
    let mut bench = Bench::new();
    bench.build(&quick(), &options("4000.0.0")).unwrap();
    bench.build(&quick(), &options("4000.1.0")).unwrap();
    assert_eq!(bench.steps, ["disk", "digest"]);
    let names: Vec<_> = bench.cache().list().unwrap().into_iter().map(|i| i.name).collect();
    assert_eq!(names, ["reference:4000.0.0", "reference:4000.1.0"]);
}

#[test]
fn force_asks_apt_again() {
    let mut bench = Bench::new();
    bench.build(&quick(), &options("4000.0.0")).unwrap();
    let forced = BuildOptions { force: true, ..options("4000.0.0") };
    assert!(!bench.build(&quick(), &forced).unwrap().cached);
    assert_eq!(bench.steps, ["packages", "disk", "digest"]);
}

#[test]
fn another_recipe_is_another_image() {
    let mut bench = Bench::new();
    let one = bench.build(&quick(), &options("4000.0.0")).unwrap();
    let other = Recipe::of(&[PACKAGES, UNPACK, ("build", "echo other >\"$3\"")]);
    let two = bench.build(&other, &options("4000.0.0")).unwrap();
    assert_ne!(one.image.path, two.image.path);
}

#[test]
fn out_is_a_copy_with_a_sidecar() {
    let mut bench = Bench::new();
    let out = bench.directory.path().join("copy.img");
    let wanted = BuildOptions { out: Some(out.clone()), ..options("4000.0.0") };
    let built = bench.build(&quick(), &wanted).unwrap();
    assert_eq!(built.image.path, out);
    assert_eq!(fs::read_to_string(&out).unwrap(), "disk of 4000.0.0\n");
    assert_eq!(CachedImage::of(&out), Some(built.image));
}

#[test]
fn a_sidecar_is_believed_only_for_its_image() {
    let mut bench = Bench::new();
    let built = bench.build(&quick(), &options("4000.0.0")).unwrap();
    fs::set_permissions(&built.image.path, Permissions::from_mode(0o644)).unwrap();
    fs::write(&built.image.path, "changed").unwrap();
    assert_eq!(CachedImage::of(&built.image.path), None);
    assert!(bench.cache().list().unwrap().is_empty());
    assert!(!bench.build(&quick(), &options("4000.0.0")).unwrap().cached);
}

#[test]
fn a_failed_step_is_named_and_leaves_nothing() {
    let mut bench = Bench::new();
    let recipe = Recipe::of(&[
        PACKAGES,
        UNPACK,
        ("build", "echo 'step: kernel'; echo half >\"$3\"; echo 'no such kernel' >&2; exit 3"),
    ]);
    let error = bench.build(&recipe, &options("4000.0.0")).unwrap_err();
    insta::assert_snapshot!(error);
    assert!(bench.cache().list().unwrap().is_empty());
    assert_eq!(bench.leftovers(), 0);
}

/// Cancelling kills the whole group: the grandchild never gets to write the image.
#[test]
fn a_cancelled_build_leaves_nothing() {
    let bench = Bench::new();
    let recipe = Recipe::of(&[
        PACKAGES,
        UNPACK,
        ("build", "echo half >\"$3\"; sleep 1000 & echo \"step: $!\"; wait"),
    ]);
    let cancel = AtomicBool::new(false);
    let grandchild = Cell::new(0);
    let error = bench
        .cache()
        .build_recipe(&recipe, &options("4000.0.0"), &cancel, &mut |step| {
            if let Ok(pid) = step.parse::<i32>() {
                grandchild.set(pid);
                cancel.store(true, Ordering::Relaxed);
            }
        })
        .unwrap_err();
    assert!(matches!(error, BuildError::Cancelled), "{error}");
    assert!(bench.cache().list().unwrap().is_empty());
    assert_eq!(bench.leftovers(), 0);
    // Killed; whoever adopted it may not have reaped it yet.
    let status = fs::read_to_string(format!("/proc/{}/status", grandchild.get()));
    assert!(status.is_err() || !status.unwrap().contains("State:\tS"));
}

/// What a killed build leaves at any point: scratch, an image without its sidecar.
#[test]
fn what_a_killed_build_left_is_not_trusted() {
    let mut bench = Bench::new();
    let dead = bench.directory.path().join("work/dead/scratch");
    fs::create_dir_all(&dead).unwrap();
    fs::write(dead.join("usr.img"), "half").unwrap();
    fs::write(bench.directory.path().join("work/dead/lock"), "").unwrap();
    let image = bench.cache().image_path(&quick(), "4000.0.0");
    fs::create_dir_all(image.parent().unwrap()).unwrap();
    fs::write(&image, "half").unwrap();

    let built = bench.build(&quick(), &options("4000.0.0")).unwrap();
    assert!(!built.cached);
    assert_eq!(fs::read_to_string(&image).unwrap(), "disk of 4000.0.0\n");
    assert_eq!(bench.leftovers(), 0);
}

#[test]
fn a_living_build_is_not_swept() {
    let bench = Bench::new();
    let living = bench.cache().work().unwrap();
    let other = bench.cache().work().unwrap();
    assert!(living.path().exists());
    assert_ne!(living.path(), other.path());
}

#[test]
fn a_second_build_says_that_it_waits_and_can_be_cancelled() {
    let bench = Bench::new();
    let cancel = AtomicBool::new(false);
    let _held = bench.cache().lock("reference-4000.0.0", &cancel, &mut |_| ()).unwrap();
    let waited = Cell::new(false);
    let error = bench
        .cache()
        .build_recipe(&quick(), &options("4000.0.0"), &cancel, &mut |_| {
            waited.set(true);
            cancel.store(true, Ordering::Relaxed);
        })
        .unwrap_err();
    assert!(matches!(error, BuildError::Cancelled) && waited.get());
}

#[test]
fn a_recipe_without_an_update_client_says_why() {
    let why = "its update client cannot be built: install libc6-dev";
    let recipe = Recipe::of(&[PACKAGES, UNPACK, ("update_engine.missing", why)]);
    let error = Bench::new().build(&recipe, &options("4000.0.0")).unwrap_err();
    insta::assert_snapshot!(error, @"
    this wheeltap cannot build the reference image, because its update client cannot be built: install libc6-dev
    then build wheeltap again
    ");
}

#[test]
fn missing_tools_are_named_together() {
    let error = BuildError::MissingPackages { packages: vec!["gdisk", "mtools"] };
    insta::assert_snapshot!(error, @"building the reference image needs more Debian packages: apt-get install gdisk mtools");
}

#[test_case("4000.0.0", true)]
#[test_case("4000.0", false)]
#[test_case("4000.0.0.0", false)]
#[test_case("4000.0.$(id)", false)]
#[test_case("4000..0", false)]
#[test_case("", false)]
#[test_case("../x", false)]
fn versions(text: &str, good: bool) {
    assert_eq!(is_version(text), good);
    if !good {
        let error = Bench::new().build(&quick(), &options(text)).unwrap_err();
        assert!(matches!(error, BuildError::BadVersion { .. }));
    }
}

/// `die_with_caller` of lib.sh: when wheeltap is killed, the script's standard input ends.
#[test]
fn a_script_dies_with_its_caller() {
    let directory = TempDir::new().unwrap();
    Recipe::embedded().write(directory.path()).unwrap();
    let mut script = Command::new("bash")
        .args(["-c", ". ./lib.sh; die_with_caller; sleep 1000; true"])
        .current_dir(directory.path())
        .env("WHEELTAP_LIFELINE", "1")
        .stdin(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    drop(script.stdin.take());
    assert!(!script.wait().unwrap().success());
}
