//! `wheeltap gc`: it takes away what dead processes left, and nothing else, whatever the leases say.
//!
//! Each test has a state directory and a directory for temporary files of its own, and touches no process but its own.

#![expect(clippy::unwrap_used, reason = "a test says what it expected by panicking")]

use std::{
    fs::{self, File},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use serde_json::{Value, json};
use test_case::test_case;

/// A host of its own: state, temporary files, and somebody's files that nobody may touch.
struct Place {
    directory: tempfile::TempDir,
}

/// What `gc` did.
struct Said {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Said {
    /// Nothing was there, or nothing was to be done.
    fn is_nothing(&self) -> bool {
        self.code == Some(0) && self.stdout.is_empty() && self.stderr.is_empty()
    }
}

/// A process that has ended, with the number and start time it had.
#[derive(Clone, Copy)]
struct Owner {
    pid: u32,
    start: u64,
}

impl Owner {
    fn dead() -> Self {
        let mut child = sleeper();
        let owner = Self::of(child.id());
        child.kill().unwrap();
        child.wait().unwrap();
        owner
    }

    fn of(pid: u32) -> Self {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let fields = stat.rsplit_once(')').unwrap().1;
        let start = fields.split_whitespace().nth(19).unwrap().parse().unwrap();
        Self { pid, start }
    }

    fn mark(self, lease: u64) -> String {
        format!(".wheeltap-lease-{}-{}-{lease}", self.pid, self.start)
    }

    fn private(self) -> String {
        format!("wheeltap-{}-{}-0123456789", self.pid, self.start)
    }
}

/// Waits until its standard input is closed.
fn sleeper() -> Child {
    Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap()
}

fn line(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["state/leases", "tmp", "user"] {
            fs::create_dir_all(directory.path().join(name)).unwrap();
        }
        Self { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        fs::canonicalize(self.directory.path()).unwrap().join(name)
    }

    fn gc(&self, args: &[&str]) -> Said {
        self.command(args).output().unwrap().into()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wheeltap"));
        command
            .arg("gc")
            .args(args)
            .env("WHEELTAP_STATE", self.path("state"))
            .env("WHEELTAP_CACHE", self.path("cache"))
            .env("TMPDIR", self.path("tmp"));
        command
    }

    /// Leases of a process, numbered from 1, as a kill leaves them.
    fn leases(&self, owner: Owner, leases: &[Value]) -> PathBuf {
        let texts: Vec<String> = leases.iter().map(Value::to_string).collect();
        self.lease_files(owner, &texts)
    }

    fn lease_files(&self, owner: Owner, leases: &[String]) -> PathBuf {
        let ledger =
            self.path("state/leases").join(format!("{}-{}-0123456789", owner.pid, owner.start));
        fs::create_dir_all(&ledger).unwrap();
        let machine = line("/etc/machine-id");
        let host = if machine.is_empty() { line("/proc/sys/kernel/hostname") } else { machine };
        let boot = line("/proc/sys/kernel/random/boot_id");
        let owner_file = json!({ "version": 1, "host": host, "boot": boot }).to_string();
        fs::write(ledger.join("owner.json"), owner_file).unwrap();
        for (number, lease) in (1..).zip(leases) {
            fs::write(ledger.join(format!("{number}.json")), lease).unwrap();
        }
        ledger
    }

    /// A directory with a file in it.
    fn filled(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("content"), "of value").unwrap();
        path
    }

    /// What `--json` says, without the directory of the test.
    fn json(&self, args: &[&str]) -> Value {
        let said = self.gc(&[args, &["--json"]].concat());
        serde_json::from_str(&said.stdout).unwrap()
    }

    fn is_clean(&self) -> bool {
        let count = |name| fs::read_dir(self.path(name)).unwrap().count();
        // The lock stays.
        count("tmp") == 0 && count("state/leases") <= 1
    }
}

fn directory(path: &Path) -> Value {
    json!({ "version": 1, "kind": "directory", "path": path })
}

fn files(directory: &Path, names: &[&str]) -> Value {
    json!({ "version": 1, "kind": "files", "directory": directory, "names": names })
}

#[test]
fn where_nothing_was_left_nothing_is_said_and_nothing_is_made() {
    let place = Place::new();
    fs::remove_dir_all(place.path("state")).unwrap();
    assert!(place.gc(&[]).is_nothing());
    assert!(place.gc(&["--dry-run"]).is_nothing());
    assert!(!place.path("state").exists());
}

#[test]
fn what_a_dead_process_left_is_removed_and_named() {
    let place = Place::new();
    let owner = Owner::dead();
    let state = place.filled("out/run/forks/boot-1/state");
    File::create(state.join(owner.mark(1))).unwrap();
    let machine = place.filled("out/run/m1");
    fs::write(machine.join("disk.qcow2"), "").unwrap();
    fs::write(machine.join(".wheeltap-Ab12xY"), "").unwrap();
    File::create(machine.join(owner.mark(2))).unwrap();
    let private = place.filled(&format!("tmp/{}", owner.private()));
    File::create(private.join(owner.mark(3))).unwrap();
    place.leases(
        owner,
        &[directory(&state), files(&machine, &["disk.qcow2", "ovmf-vars.fd"]), directory(&private)],
    );

    let would = place.gc(&["--dry-run"]);
    assert_eq!(would.code, Some(0));
    assert_eq!(would.stdout.matches("would remove").count(), 4, "{}", would.stdout);
    assert!(state.exists() && machine.join("disk.qcow2").exists() && private.exists());

    let did = place.gc(&[]);
    assert_eq!(did.code, Some(0), "{}", did.stderr);
    assert_eq!(did.stdout, would.stdout.replace("would remove", "removed"));
    assert!(did.stdout.contains(&format!("left by process {}", owner.pid)));
    assert!(!state.exists() && !private.exists());
    let left: Vec<_> = fs::read_dir(&machine).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(left, ["content"], "evidence stays");
    assert!(place.is_clean());
    assert!(place.gc(&[]).is_nothing());
}

#[test]
fn json_says_the_same() {
    let place = Place::new();
    let owner = Owner::dead();
    let path = place.path("tmp").join(owner.private());
    fs::create_dir(&path).unwrap();
    let expected = json!({
        "version": 1, "dry_run": true,
        "removed": [{ "kind": "directory", "path": path, "owner": owner.pid }],
        "failed": [], "alive": [],
    });
    assert_eq!(place.json(&["--dry-run"]), expected);
}

#[test]
fn private_directories_are_found_without_leases() {
    let place = Place::new();
    let dead = place.filled(&format!("tmp/{}", Owner::dead().private()));
    let alive = place.filled(&format!("tmp/{}", Owner::of(std::process::id()).private()));
    // A process whose number somebody else has now.
    let mut reused = Owner::of(std::process::id());
    reused.start += 1;
    let reused = place.filled(&format!("tmp/{}", reused.private()));
    let users = ["tmp/wheeltap-out", "tmp/wheeltap-12-x", "tmp/other"].map(|it| place.filled(it));
    fs::remove_dir_all(place.path("state")).unwrap();
    let said = place.gc(&[]);
    assert_eq!(said.code, Some(0));
    assert!(!dead.exists() && !reused.exists());
    assert!(alive.exists() && users.iter().all(|path| path.join("content").exists()));
}

#[test]
fn a_private_directory_whose_lock_is_held_is_in_use() {
    let place = Place::new();
    // As a process of another PID namespace has it.
    let private = place.filled(&format!("tmp/{}", Owner::dead().private()));
    let lock = File::open(&private).unwrap();
    lock.lock().unwrap();
    assert!(place.gc(&[]).is_nothing());
    lock.unlock().unwrap();
    assert!(place.gc(&[]).stdout.contains("removed directory"));
}

#[test]
fn what_a_living_process_has_stays() {
    let place = Place::new();
    let mut child = sleeper();
    let owner = Owner::of(child.id());
    let state = place.filled("state-of-it");
    File::create(state.join(owner.mark(1))).unwrap();
    place.leases(owner, &[directory(&state)]);
    assert!(place.gc(&[]).is_nothing());
    assert_eq!(place.json(&[])["alive"], json!([owner.pid]));
    assert!(state.exists());
    child.kill().unwrap();
    // It is not reaped yet: its number and start time are still there.
    while place.gc(&["--dry-run"]).is_nothing() {}
    assert_eq!(place.gc(&[]).stdout.lines().count(), 1);
    assert!(!state.exists());
    child.wait().unwrap();
}

#[test]
fn what_is_locked_stays_and_what_has_only_the_number_goes() {
    let place = Place::new();
    let mut owner = Owner::of(std::process::id());
    owner.start += 1;
    let state = place.filled("state-of-it");
    File::create(state.join(owner.mark(1))).unwrap();
    let ledger = place.leases(owner, &[directory(&state)]);
    let lock = File::open(&ledger).unwrap();
    lock.lock().unwrap();
    assert!(place.gc(&[]).is_nothing());
    lock.unlock().unwrap();
    assert!(!place.gc(&[]).is_nothing());
    assert!(!state.exists() && place.is_clean());
}

#[test_case("host", true; "a process of another host may live")]
#[test_case("boot", false; "a process from before the last boot can not")]
fn other_places_and_times(key: &str, stays: bool) {
    let place = Place::new();
    let owner = Owner::of(std::process::id());
    let state = place.filled("state-of-it");
    File::create(state.join(owner.mark(1))).unwrap();
    let ledger = place.leases(owner, &[directory(&state)]);
    let file = ledger.join("owner.json");
    let mut host: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    host["boot"] = "11111111-2222-3333-4444-555555555555".into();
    host[key] = "another".into();
    fs::write(&file, host.to_string()).unwrap();
    assert_eq!(place.gc(&[]).code, Some(0));
    assert_eq!(state.exists(), stays);
}

/// Whatever a lease names, what bears no mark of it isn't touched.
#[test]
fn a_lease_that_names_what_is_not_ours_does_no_harm() {
    let place = Place::new();
    let owner = Owner::dead();
    let home = place.filled("user/home");
    fs::write(home.join("disk.qcow2"), "of value").unwrap();
    // Marks of other leases, and of the same lease of another process.
    File::create(home.join(owner.mark(7))).unwrap();
    File::create(home.join(Owner::of(std::process::id()).mark(1))).unwrap();
    let ledger = place.leases(
        owner,
        &[directory(&home), files(&home, &["disk.qcow2", "content"]), directory(Path::new("/"))],
    );
    let said = place.gc(&[]);
    assert_eq!(said.code, Some(3));
    assert!(said.stderr.contains(&format!("directory {}", home.display())), "{}", said.stderr);
    assert!(said.stderr.contains("not marked as wheeltap's"), "{}", said.stderr);
    assert!(said.stderr.contains(&ledger.join("1.json").display().to_string()), "{}", said.stderr);
    assert_eq!(fs::read_dir(&home).unwrap().count(), 4);
    // The lease that nothing came of is gone; the others stay until somebody has looked.
    assert!(!ledger.join("2.json").exists() && ledger.join("1.json").exists());
}

#[test_case("../home/content"; "up")]
#[test_case("/etc/hostname"; "absolute")]
#[test_case(".."; "only up")]
#[test_case(""; "nothing")]
#[test_case("a/b"; "down")]
fn a_name_that_is_a_path_is_refused(name: &str) {
    let place = Place::new();
    let owner = Owner::dead();
    place.filled("user/home");
    let machine = place.filled("user/m1");
    fs::create_dir(machine.join("a")).unwrap();
    fs::write(machine.join("a/b"), "").unwrap();
    File::create(machine.join(owner.mark(1))).unwrap();
    place.leases(owner, &[files(&machine, &[name])]);
    let said = place.gc(&[]);
    assert_eq!(said.code, Some(3), "{}", said.stdout);
    assert!(said.stderr.contains("not one that wheeltap writes"), "{}", said.stderr);
    assert!(place.path("user/home/content").exists() && machine.join("a/b").exists());
}

#[test_case("user/../user/home"; "up and down")]
#[test_case("relative"; "relative")]
fn a_path_that_is_not_plain_is_refused(path: &str) {
    let place = Place::new();
    let owner = Owner::dead();
    let home = place.filled("user/home");
    File::create(home.join(owner.mark(1))).unwrap();
    let path = match path {
        "relative" => PathBuf::from("home"),
        path => place.path("").join(path),
    };
    place.leases(owner, &[directory(&path)]);
    let said: Said = place.command(&[]).current_dir(place.path("user")).output().unwrap().into();
    assert_eq!(said.code, Some(3), "{}", said.stdout);
    assert!(home.join("content").exists());
}

#[test]
fn symbolic_links_are_never_followed() {
    let place = Place::new();
    let owner = Owner::dead();
    let home = place.filled("user/home");
    for number in 1..=3 {
        File::create(home.join(owner.mark(number))).unwrap();
    }
    // In place of the directory itself, and of one above it; and within one that is ours.
    symlink(&home, place.path("link")).unwrap();
    symlink(place.path("user"), place.path("up")).unwrap();
    let ours = place.filled("ours");
    symlink(&home, ours.join("link")).unwrap();
    File::create(ours.join(owner.mark(4))).unwrap();
    symlink(&home, place.path("tmp").join(owner.private())).unwrap();
    place.leases(
        owner,
        &[
            directory(&place.path("link")),
            directory(&place.path("up/home")),
            files(&place.path("link"), &["content"]),
            directory(&ours),
        ],
    );
    let said = place.gc(&[]);
    assert_eq!(said.code, Some(3));
    assert_eq!(said.stderr.matches("through a symbolic link").count(), 4, "{}", said.stderr);
    assert!(home.join("content").exists());
    assert!(!ours.exists(), "the link in it is removed, not what it points to");
}

#[test]
fn torn_leases_were_about_nothing() {
    let place = Place::new();
    let owner = Owner::dead();
    let home = place.filled("user/home");
    let whole = directory(&home).to_string();
    let torn: Vec<String> = (0..whole.len()).map(|length| whole[..length].to_owned()).collect();
    place.lease_files(owner, &torn);
    assert!(place.gc(&[]).is_nothing());
    assert!(place.is_clean());
    assert!(home.join("content").exists());
}

#[test]
fn a_process_that_was_killed_before_its_first_lease_leaves_nothing() {
    let place = Place::new();
    let owner = Owner::dead();
    let ledger = place.leases(owner, &[]);
    fs::write(ledger.join("owner.json"), "{\"vers").unwrap();
    assert!(place.gc(&[]).is_nothing());
    assert!(place.is_clean());
}

#[test]
fn what_another_version_wrote_is_named_and_stays() {
    let place = Place::new();
    let owner = Owner::dead();
    let ledger = place.leases(owner, &[json!({ "version": 2, "kind": "instance", "id": "i-1" })]);
    for _ in 0..2 {
        let said = place.gc(&[]);
        assert_eq!(said.code, Some(3));
        assert!(said.stderr.contains("another version of wheeltap"), "{}", said.stderr);
    }
    assert!(ledger.join("1.json").exists() && ledger.join("owner.json").exists());
}

#[test]
fn a_removal_that_was_cut_off_is_finished() {
    let place = Place::new();
    let owner = Owner::dead();
    // The mark goes last, then the directory: this is what a kill between the two leaves. Then come leases whose directory
    // was never made, or is gone.
    let empty = place.path("empty");
    fs::create_dir(&empty).unwrap();
    let gone = place.path("never/made");
    place.leases(owner, &[directory(&empty), directory(&gone), files(&gone, &["disk.qcow2"])]);
    assert_eq!(place.gc(&[]).stdout.lines().count(), 1);
    assert!(!empty.exists() && place.is_clean());
}

#[test]
fn what_a_living_process_has_a_lease_for_too_stays() {
    let place = Place::new();
    let (dead, alive) = (Owner::dead(), Owner::of(std::process::id()));
    let machine = place.filled("out/run/m1");
    fs::write(machine.join("disk.qcow2"), "").unwrap();
    for owner in [dead, alive] {
        File::create(machine.join(owner.mark(1))).unwrap();
        place.leases(owner, &[files(&machine, &["disk.qcow2"])]);
    }
    assert!(place.gc(&[]).is_nothing());
    assert!(machine.join("disk.qcow2").exists());
}

#[test]
fn several_at_a_time_remove_everything_once() {
    let place = Place::new();
    let mut all = 0;
    for _ in 0..5 {
        let owner = Owner::dead();
        let states: Vec<PathBuf> = (1..=20)
            .map(|number| {
                let state = place.filled(&format!("out/{}/{number}", owner.pid));
                File::create(state.join(owner.mark(number))).unwrap();
                state
            })
            .collect();
        place.leases(owner, &states.iter().map(|state| directory(state)).collect::<Vec<_>>());
        all += states.len();
    }
    let collectors: Vec<Child> = (0..4)
        .map(|_| {
            let mut command = place.command(&[]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let said: Vec<Said> =
        collectors.into_iter().map(|child| child.wait_with_output().unwrap().into()).collect();
    assert!(said.iter().all(|said| said.code == Some(0) && said.stderr.is_empty()));
    let removed: usize = said.iter().map(|said| said.stdout.lines().count()).sum();
    assert_eq!(removed, all);
    assert!(place.is_clean());
}

/// A process with the command line of a QEMU of ours.
fn machine(place: &Place, owner: Owner) -> Child {
    let socket = place.path("tmp").join(owner.private()).join("qmp");
    let argument = format!("unix:{},server=on,wait=off", socket.display());
    let child = Command::new("sh")
        .args(["-c", "read line", &argument])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    // Until then it is a copy of the test.
    let line = format!("/proc/{}/cmdline", child.id());
    while !fs::read_to_string(&line).unwrap().contains("unix:") {}
    child
}

fn process(place: &Place, owner: Owner, machine: Option<Owner>) -> Value {
    let socket = place.path("tmp").join(owner.private()).join("qmp");
    let mut lease = json!({ "version": 1, "kind": "process", "socket": socket });
    if let Some(Owner { pid, start }) = machine {
        lease["pid"] = pid.into();
        lease["start"] = start.into();
    }
    lease
}

#[test_case(true, true; "whose number is known")]
#[test_case(true, false; "that had just started")]
#[test_case(false, false; "without a lease")]
fn a_machine_that_outlived_its_wheeltap_is_killed(leased: bool, numbered: bool) {
    let place = Place::new();
    let owner = Owner::dead();
    place.filled(&format!("tmp/{}", owner.private()));
    let mut machine = machine(&place, owner);
    if leased {
        let known = numbered.then(|| Owner::of(machine.id()));
        place.leases(owner, &[process(&place, owner, known)]);
    }
    let would = place.gc(&["--dry-run"]);
    assert!(would.stdout.contains(&format!("would kill process {} (sh)", machine.id())));
    assert!(machine.try_wait().unwrap().is_none());
    let said = place.gc(&[]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    assert!(said.stdout.contains(&format!("killed process {} (sh)", machine.id())));
    assert!(!machine.wait().unwrap().success());
    assert!(place.is_clean());
}

#[test]
fn a_machine_elsewhere_that_no_lease_tells_of_is_left_to_whoever_works_there() {
    let (place, elsewhere) = (Place::new(), Place::new());
    let mut machine = machine(&elsewhere, Owner::dead());
    assert!(place.gc(&[]).is_nothing());
    assert!(machine.try_wait().unwrap().is_none());
    assert_eq!(elsewhere.gc(&[]).stdout.lines().count(), 1);
    machine.wait().unwrap();
}

#[test]
fn the_machine_of_a_living_wheeltap_stays() {
    let place = Place::new();
    let owner = Owner::of(std::process::id());
    let mut machine = machine(&place, owner);
    place.leases(owner, &[process(&place, owner, Some(Owner::of(machine.id())))]);
    assert!(place.gc(&[]).is_nothing());
    assert!(machine.try_wait().unwrap().is_none());
    machine.kill().unwrap();
    machine.wait().unwrap();
}

#[test]
fn who_has_the_number_of_a_machine_now_stays() {
    let place = Place::new();
    let owner = Owner::dead();
    let mut other = sleeper();
    place.leases(owner, &[process(&place, owner, Some(Owner::of(other.id())))]);
    assert!(place.gc(&[]).is_nothing());
    assert!(other.try_wait().unwrap().is_none());
    assert!(place.is_clean());
    drop(other.stdin.take());
    assert!(other.wait().unwrap().success());
}

#[test]
fn killed_builds_leave_nothing_in_the_cache() {
    let place = Place::new();
    let (dead, alive) = (place.filled("cache/work/dead"), place.filled("cache/work/alive"));
    let image = place.filled("cache/images");
    File::create(dead.join("lock")).unwrap();
    let lock = File::create(alive.join("lock")).unwrap();
    lock.lock().unwrap();
    let line = format!("remove directory {}, left by a process that was killed\n", dead.display());
    assert_eq!(place.gc(&["--dry-run"]).stdout, format!("would {line}"));
    assert_eq!(place.gc(&[]).stdout, line.replacen("remove", "removed", 1));
    assert!(!dead.exists() && alive.exists() && image.join("content").exists());
    assert!(place.gc(&[]).is_nothing());
}

#[test]
fn killed_runs_leave_no_unfinished_states_in_the_cache() {
    let place = Place::new();
    let names = ["one", "one.making", "two.making", "three.own-12-0", "four.making"];
    let [one, making, two, three, alive] =
        names.map(|name| place.filled(&format!("cache/states/{name}")));
    File::create(place.path("cache/states/two.lock")).unwrap();
    let lock = File::create(place.path("cache/states/four.lock")).unwrap();
    lock.lock().unwrap();
    let would = place.gc(&["--dry-run"]);
    assert_eq!(would.stdout.matches("would remove directory").count(), 3, "{}", would.stdout);
    let did = place.gc(&[]);
    assert_eq!(did.stdout, would.stdout.replace("would remove", "removed"));
    assert!(![making, two, three].iter().any(|path| path.exists()));
    assert!(one.exists() && alive.exists(), "what is complete, and what somebody makes");
    assert!(place.gc(&[]).is_nothing());
}

#[test]
fn what_cannot_be_removed_is_named_and_tried_again() {
    let place = Place::new();
    let owner = Owner::dead();
    let state = place.filled("state-of-it");
    File::create(state.join(owner.mark(1))).unwrap();
    let machine = place.filled("m1");
    // A directory where a file should be is nothing that we made.
    fs::create_dir(machine.join("disk.qcow2")).unwrap();
    File::create(machine.join(owner.mark(2))).unwrap();
    place.leases(owner, &[directory(&state), files(&machine, &["disk.qcow2"])]);
    let said = place.gc(&[]);
    assert_eq!(said.code, Some(3));
    assert!(said.stdout.contains("removed directory"), "the rest is removed: {}", said.stdout);
    assert!(said.stderr.contains("m1/disk.qcow2"), "{}", said.stderr);
    fs::remove_dir(machine.join("disk.qcow2")).unwrap();
    assert!(place.gc(&[]).is_nothing());
    assert!(place.is_clean());
}
