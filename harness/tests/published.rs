//! `wheeltap image fetch` and its relatives in front of a release server, good and bad.
//!
//! The keys and signatures in `tests/published` were made with gpg: `key.asc` signed `disk.img` and `zeros.img.*`, `other.asc`
//! signed `other.img.sig`, and `expired.asc` signed `expired.img.sig` in 2025, four years after it had expired.

#![expect(clippy::unwrap_used, reason = "a test says what it expected by panicking")]

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;
use test_case::test_case;

#[path = "published/server.rs"]
mod server;

use server::{Fault, Server};

const KEY: (&str, &str) = ("key.asc", "630459A8004CA7A1A73FF58E6BD9FD6AD39987D2");
const EXPIRED: (&str, &str) = ("expired.asc", "4B31DEFF1E95DE0B84D662DB6B8F9D2D04E61F07");

const CURRENT: &str = "/stable/amd64-usr/current/version.txt";
const ABOUT: &str = "/stable/amd64-usr/4593.2.3/version.txt";
const IMAGE: &str = "/stable/amd64-usr/4593.2.3/flatcar_production_qemu_image.img";
const VERSION_TXT: &str =
    "FLATCAR_BUILD=4593\nFLATCAR_VERSION=4593.2.3\nFLATCAR_VERSION_ID=4593.2.3\n";

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/published").join(name)
}

fn signature(name: &str) -> Vec<u8> {
    fs::read(fixture(name)).unwrap()
}

/// What `disk.img.sig` is the signature of: noise, as far as anybody can see, that looks like a disk.
fn disk() -> Vec<u8> {
    let mut state = 1_u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let mut disk: Vec<u8> = (0..256 << 10).map(|_| noise()).collect();
    disk[510..512].copy_from_slice(b"\x55\xaa");
    disk
}

/// A server with one version, as Flatcar publishes it but for the packing.
fn release_server() -> Server {
    let server = Server::start();
    server
        .put(CURRENT, VERSION_TXT)
        .put(ABOUT, VERSION_TXT)
        .put(IMAGE, disk())
        .put(&format!("{IMAGE}.sig"), signature("disk.img.sig"));
    server
}

/// A user: a directory with a cache and settings.
struct User {
    directory: TempDir,
}

impl User {
    /// Who trusts a key, and waits for a slow host as long as it takes.
    fn trusting((key, fingerprint): (&str, &str), mirrors: &[String]) -> Self {
        Self::with(&format!(
            "[images]\nstall = \"1h\"\nretries = 2\nretry-delay = \"1ms\"\n\
             [images.flatcar]\nkey = {:?}\nfingerprint = {fingerprint:?}\nmirrors = {mirrors:?}\n\
             [images.fcos]\nkey = {:?}\nfingerprint = {fingerprint:?}\nmirrors = {mirrors:?}\n",
            fixture(key),
            fixture(key),
        ))
    }

    /// Who waits for a server that sends nothing no longer than a busy host needs to answer.
    fn impatient(self) -> Self {
        let path = self.directory.path().join("wheeltap.toml");
        let settings = fs::read_to_string(&path).unwrap();
        fs::write(path, settings.replace("\"1h\"", "\"2s\"")).unwrap();
        self
    }

    fn with(settings: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("wheeltap.toml"), settings).unwrap();
        Self { directory }
    }

    /// Who uses this server.
    fn of(server: &Server) -> Self {
        Self::trusting(KEY, &[format!("{}/{{channel}}", server.url())])
    }

    fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(args)
            .current_dir(self.directory.path())
            .env("WHEELTAP_CACHE", self.directory.path().join("cache"))
            .env("WHEELTAP_HISTORY", self.directory.path().join("history.sqlite"))
            .env("WHEELTAP_STATE", self.directory.path().join("state"))
            .env("NO_PROXY", "127.0.0.1")
            .env("NO_COLOR", "1")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn wheeltap(&self, args: &[&str]) -> Output {
        self.command(env!("CARGO_BIN_EXE_wheeltap"), args).output().unwrap()
    }

    fn start(&self, args: &[&str]) -> Child {
        self.command(env!("CARGO_BIN_EXE_wheeltap"), args).spawn().unwrap()
    }

    fn cached(&self, part: &str) -> Vec<String> {
        let entries = fs::read_dir(self.directory.path().join("cache").join(part));
        let mut names: Vec<_> = entries
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn partial(&self) -> PathBuf {
        self.directory.path().join("cache/partial/flatcar-4593.2.3-amd64/download")
    }

    /// Nothing that anybody would take for an image.
    fn assert_no_image(&self) {
        assert_eq!(self.cached("images"), [""; 0]);
        assert_eq!(self.cached("work"), [""; 0]);
    }
}

/// Standard error as one line, so that a message is found however it is wrapped.
fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).replace('│', " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn assert_code(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{}", said(output));
}

/// The path that was printed.
#[track_caller]
fn path_of(output: &Output) -> PathBuf {
    assert_code(output, 0);
    String::from_utf8_lossy(&output.stdout).trim_end().into()
}

#[test]
fn a_channel_is_resolved_once_verified_and_fetched_once() {
    let server = release_server();
    let user = User::of(&server);
    let path = path_of(&user.wheeltap(&["image", "fetch", "flatcar:stable"]));
    assert_eq!(fs::read(&path).unwrap(), disk());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o444);
    let current = server.asked().iter().filter(|one| one.path.contains("/current/")).count();
    assert_eq!(current, 1, "what is current may change; only the version is asked for after that");

    let again = path_of(&user.wheeltap(&["image", "fetch", "flatcar:stable"]));
    assert_eq!((again, server.gets(IMAGE).len()), (path.clone(), 1));
    let asked = server.asked().len();
    path_of(&user.wheeltap(&["image", "fetch", "flatcar:4593.2.3"]));
    assert_eq!(server.asked().len(), asked, "a version that is here needs no server");

    let list = String::from_utf8(user.wheeltap(&["image", "list"]).stdout).unwrap();
    assert!(list.contains("flatcar:4593.2.3") && list.contains(KEY.1), "{list}");
    let listed = user.wheeltap(&["image", "list", "--json"]).stdout;
    let listed: serde_json::Value = serde_json::from_slice(&listed).unwrap();
    let about = &listed[0]["published"];
    assert_eq!((&about["channel"], &about["insecure"]), (&"stable".into(), &false.into()));
    assert!(about["origin"].as_str().unwrap().ends_with(IMAGE), "{about}");
    assert_eq!(about["signature"]["made"], "2025-06-01T00:00:00Z");
    assert_eq!(user.cached("partial"), [""; 0]);
}

#[test]
fn a_version_is_looked_for_in_the_channels() {
    let server = Server::start();
    let beta = |file: &str| format!("/beta/amd64-usr/4593.2.3/{file}");
    server
        .put(&beta("version.txt"), VERSION_TXT)
        .put(&beta("flatcar_production_qemu_image.img"), disk())
        .put(&beta("flatcar_production_qemu_image.img.sig"), signature("disk.img.sig"));
    let user = User::of(&server);
    path_of(&user.wheeltap(&["image", "fetch", "flatcar:4593.2.3"]));
    let output = user.wheeltap(&["image", "fetch", "flatcar:4593.2.4"]);
    assert_code(&output, 3);
    assert!(said(&output).contains("has no image flatcar:4593.2.4"), "{}", said(&output));
}

#[test_case("img.bz2", "zeros.img.bz2"; "bzip2")]
#[test_case("img.xz", "zeros.img.xz"; "xz under a name of fcos")]
fn packed_images_are_unpacked(kind: &str, file: &str) {
    let server = Server::start();
    let user = User::of(&server);
    let name = if kind == "img.bz2" {
        server
            .put(CURRENT, VERSION_TXT)
            .put(&format!("{IMAGE}.bz2"), signature(file))
            .put(&format!("{IMAGE}.bz2.sig"), signature(&format!("{file}.sig")));
        "flatcar:stable"
    } else {
        // Metadata name the original server, and the mirror is asked.
        let path = "prod/streams/stable/builds/42.20250803.3.0/x86_64/fedora-coreos.qcow2.xz";
        let location = format!("https://builds.coreos.fedoraproject.org/{path}");
        let stream = serde_json::json!({ "architectures": { "x86_64": { "artifacts": { "qemu": {
            "release": "42.20250803.3.0", "formats": { "qcow2.xz": { "disk": {
                "location": location, "signature": format!("{location}.sig"),
                "sha256": "f5f9c4e1", "uncompressed-sha256": null } } } } } } } });
        server
            .put("/stable/streams/stable.json", stream.to_string().replace("f5f9c4e1", XZ_DIGEST))
            .put(&format!("/stable/{path}"), signature(file))
            .put(&format!("/stable/{path}.sig"), signature(&format!("{file}.sig")));
        "fcos:stable"
    };
    let path = path_of(&user.wheeltap(&["image", "fetch", name]));
    let disk = fs::read(&path).unwrap();
    assert_eq!((disk.len(), &disk[510..512]), (1 << 20, &b"\x55\xaa"[..]));
    // The signature is of the packed file, which is gone; who checked it then is noted.
    let verified = user.wheeltap(&["image", "verify", name]);
    assert_code(&verified, 0);
    let text = String::from_utf8_lossy(&verified.stdout);
    assert!(text.contains("checked when it was fetched"), "{text}");
}

#[test]
fn a_build_is_found_by_its_version() {
    let server = Server::start();
    let user = User::of(&server);
    let build = "/stable/prod/streams/stable/builds/42.20250803.3.0/x86_64";
    let meta = serde_json::json!({ "buildid": "42.20250803.3.0", "images": { "qemu": {
        "path": "fedora-coreos.qcow2.xz", "sha256": XZ_DIGEST } } });
    server
        .put(&format!("{build}/meta.json"), meta.to_string())
        .put(&format!("{build}/fedora-coreos.qcow2.xz"), signature("zeros.img.xz"))
        .put(&format!("{build}/fedora-coreos.qcow2.xz.sig"), signature("zeros.img.xz.sig"));
    let path = path_of(&user.wheeltap(&["image", "fetch", "fcos:42.20250803.3.0"]));
    assert_eq!(fs::metadata(path).unwrap().len(), 1 << 20);
}

/// It can't be booted here, and it can be fetched, listed and verified.
#[test]
fn an_image_for_another_architecture_is_kept_beside_ours() {
    let server = release_server();
    let user = User::of(&server);
    let arm = |path: &str| path.replace("amd64-usr", "arm64-usr");
    server
        .put(&arm(CURRENT), VERSION_TXT)
        .put(&arm(ABOUT), VERSION_TXT)
        .put(&arm(IMAGE), disk())
        .put(&arm(&format!("{IMAGE}.sig")), signature("disk.img.sig"));
    let ours = path_of(&user.wheeltap(&["image", "fetch", "flatcar:stable"]));
    let theirs = path_of(&user.wheeltap(&["image", "fetch", "flatcar:stable@arm64"]));
    assert_ne!(ours, theirs);
    assert_code(&user.wheeltap(&["image", "verify", "flatcar:stable@arm64"]), 0);
    let listed = user.wheeltap(&["image", "list"]);
    let listed = String::from_utf8_lossy(&listed.stdout);
    assert!(listed.contains("flatcar:4593.2.3@arm64"), "{listed}");
}

/// `sha256sum tests/published/zeros.img.xz`
const XZ_DIGEST: &str = "86bf358b99ce0895a41d6904745f0f54e42b74a94db230e12058fd489f8f8dc1";

#[test_case(CURRENT, Fault::Status(404, ""), "HTTP status 404", 1; "no such channel")]
#[test_case(CURRENT, Fault::Status(403, ""), "HTTP status 403", 1; "forbidden")]
#[test_case(IMAGE, Fault::Status(403, ""), "HTTP status 403", 0; "forbidden image")]
#[test_case(CURRENT, Fault::Status(500, ""), "HTTP status 500; try again later", 3; "out of order")]
#[test_case(CURRENT, Fault::Cut, "getting", 3; "cut each time")]
#[test_case(CURRENT, Fault::Stall, "the server has sent nothing for 2 s", 3; "stalls each time")]
fn what_does_not_get_better_is_given_up(path: &str, fault: Fault, message: &str, tries: usize) {
    let server = release_server();
    server.always_fail(path, fault);
    let user = User::of(&server).impatient();
    let output = user.wheeltap(&["image", "fetch", "flatcar:stable"]);
    assert!(said(&output).contains(message), "{}", said(&output));
    assert_code(&output, 3);
    assert_eq!(server.gets(path).len(), tries);
    user.assert_no_image();
}

#[test_case(&[Fault::Status(500, ""), Fault::Status(503, "Retry-After: 0\r\n")], 3, 1; "out of order for a moment")]
#[test_case(&[Fault::Cut], 2, 1; "cut before an answer")]
#[test_case(&[Fault::Short], 2, 1; "short")]
#[test_case(&[Fault::Stall, Fault::Short], 3, 1; "stalled and then short")]
#[test_case(&[Fault::Short, Fault::NoRange], 2, 2; "a server without ranges begins again")]
fn what_passes_is_tried_again(faults: &[Fault], tries: usize, whole: usize) {
    let server = release_server();
    server.fail(IMAGE, faults);
    let user = User::of(&server).impatient();
    let path = path_of(&user.wheeltap(&["image", "fetch", "flatcar:stable"]));
    assert_eq!(fs::read(path).unwrap(), disk());
    let gets = server.gets(IMAGE);
    assert_eq!(gets.len(), tries, "{gets:?}");
    let sent: usize = gets.iter().map(|one| one.sent).sum();
    if whole == 1 {
        assert_eq!(sent, disk().len(), "no byte came twice: {gets:?}");
    }
    // Whoever had got something asked for the rest.
    for pair in gets.windows(2).filter(|pair| pair[0].sent > 0) {
        assert!(pair[1].range.is_some(), "{gets:?}");
    }
}

#[test]
fn the_settings_of_a_server_that_is_not_there() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let user = User::trusting(KEY, &[format!("http://{gone}")]);
    let output = user.wheeltap(&["image", "fetch", "flatcar:stable"]);
    assert!(said(&output).contains("Connection refused"), "{}", said(&output));
    assert!(said(&output).contains("wheeltap image fetch flatcar:stable"), "{}", said(&output));
    assert_code(&output, 3);
}

/// Whatever the signature says, the next mirror isn't tried, and nothing is kept.
#[test_case("other.img.sig", KEY, "is not signed by the trusted key"; "somebody else's")]
#[test_case("zeros.img.xz.sig", KEY, "does not fit the file"; "of another file")]
#[test_case("expired.img.sig", EXPIRED, "which had expired at 2021"; "by an expired key")]
#[test_case("key.asc", KEY, "the signature is none"; "a key in its place")]
fn bad_signatures(file: &str, key: (&str, &str), message: &str) {
    let server = release_server();
    server.put(&format!("{IMAGE}.sig"), signature(file));
    let mirror = release_server();
    let user = User::trusting(
        key,
        &[format!("{}/{{channel}}", server.url()), format!("{}/{{channel}}", mirror.url())],
    );
    let output = user.wheeltap(&["image", "fetch", "flatcar:stable"]);
    assert!(said(&output).contains(message), "{}", said(&output));
    assert_code(&output, 3);
    assert_eq!((mirror.asked().len(), user.cached("partial").len()), (0, 0));
    user.assert_no_image();
}

#[test]
fn a_corrupt_body_is_refused_by_its_signature_and_named_by_its_digest() {
    let server = release_server();
    let mut bad = disk();
    bad[100_000] ^= 1;
    server.put(IMAGE, bad);
    let user = User::of(&server);
    let output = user.wheeltap(&["image", "fetch", "flatcar:stable"]);
    assert!(said(&output).contains("does not fit the file"), "{}", said(&output));
    assert_code(&output, 3);
    let digests =
        format!("# SHA512 HASH\n{}  flatcar_production_qemu_image.img\n", "ab".repeat(64));
    server.put(&format!("{IMAGE}.DIGESTS"), digests);
    let output = user.wheeltap(&["image", "fetch", "flatcar:stable"]);
    assert!(said(&output).contains("is corrupt: its SHA-512 is"), "{}", said(&output));
    assert_code(&output, 3);
    user.assert_no_image();
    assert_eq!(user.cached("partial"), [""; 0]);
}

#[test]
fn what_is_not_signed_is_refused_unless_that_is_wanted() {
    let server = release_server();
    server.remove(&format!("{IMAGE}.sig"));
    let user = User::of(&server);
    let output = user.wheeltap(&["image", "fetch", "flatcar:stable"]);
    assert!(said(&output).contains("is not signed: there is no"), "{}", said(&output));
    assert_code(&output, 3);
    assert_eq!(server.gets(IMAGE).len(), 0, "nothing was downloaded for it");
    user.assert_no_image();

    let output = user.wheeltap(&["image", "fetch", "flatcar:stable", "--insecure"]);
    path_of(&output);
    assert!(said(&output).contains("WARNING: flatcar:4593.2.3 is INSECURE"), "{}", said(&output));
    let list = String::from_utf8(user.wheeltap(&["image", "list"]).stdout).unwrap();
    assert!(list.contains("INSECURE"), "{list}");

    // Who trusts a key doesn't get it by accident.
    assert_code(&user.wheeltap(&["image", "fetch", "flatcar:stable"]), 3);
    server.put(&format!("{IMAGE}.sig"), signature("disk.img.sig"));
    assert_code(&user.wheeltap(&["image", "fetch", "flatcar:stable"]), 0);
    let list = String::from_utf8(user.wheeltap(&["image", "list"]).stdout).unwrap();
    assert!(!list.contains("INSECURE"), "{list}");
}

#[test_case(&["image", "fetch", "flatcar:stabel"], "neither a channel of flatcar"; "unknown channel")]
#[test_case(&["image", "fetch", "flatcar:stable@mips"], "has no images for \"mips\""; "unknown architecture")]
#[test_case(&["image", "fetch", "reference"], "names no published image"; "a built one")]
#[test_case(&["image", "fetch", "flatcar:stable"], "no signing key for flatcar is configured"; "no key")]
#[test_case(&["run", "--image", "flatcar:stable"], "no signing key for flatcar is configured"; "no key for a run")]
#[test_case(&["run", "--image", "flatcar:stable@arm64"], "is an image for arm64"; "another architecture")]
#[test_case(&["image", "fetch", "flatcar:stable", "--mirror", "mirror"], "is no mirror"; "no url")]
#[test_case(&["image", "fetch", "flatcar:stable", "--key", "nonesuch", "--fingerprint", KEY.1], "nonesuch"; "no such key")]
#[test_case(&["image", "fetch", "flatcar:stable", "--key", "."], "--fingerprint"; "no fingerprint")]
#[test_case(&["image", "fetch", "flatcar:stable", "--key", "wheeltap.toml", "--fingerprint", KEY.1], "is no OpenPGP key"; "no key file")]
#[test_case(&["image", "verify", "flatcar:stable"], "wheeltap image fetch flatcar:stable"; "verify what is not here")]
#[test_case(&["image", "rm", "flatcar:stable"], "there is no image"; "remove what is not here")]
#[test_case(&["image", "path", "flatcar:stable"], "wheeltap image fetch flatcar:stable"; "path of what is not here")]
fn bad_input(args: &[&str], message: &str) {
    let user = User::with("");
    let output = user.wheeltap(args);
    assert!(said(&output).contains(message), "{}", said(&output));
    assert_code(&output, 2);
}

#[test]
fn the_key_that_is_meant_must_be_in_the_file() {
    let user = User::trusting(("key.asc", EXPIRED.1), &["http://127.0.0.1:9".to_owned()]);
    let output = user.wheeltap(&["image", "fetch", "flatcar:stable"]);
    assert!(said(&output).contains("does not hold the key"), "{}", said(&output));
    assert_code(&output, 2);
}

#[test_case(Fault::Status(404, ""); "which has nothing")]
#[test_case(Fault::Status(500, ""); "out of order")]
fn mirrors_are_asked_in_turn(fault: Fault) {
    let (first, second) = (release_server(), release_server());
    first.always_fail(IMAGE, fault);
    let user = User::trusting(KEY, &[]);
    let mirrors = [&first, &second].map(|server| format!("{}/{{channel}}", server.url()));
    let args =
        ["image", "fetch", "flatcar:stable", "--mirror", &mirrors[0], "--mirror", &mirrors[1]];
    let output = user.wheeltap(&args);
    path_of(&output);
    assert!(said(&output).contains(&format!("mirror {}", mirrors[0])), "{}", said(&output));
    assert_eq!(second.gets(IMAGE).len(), 1);
}

/// The first holds the lock while its answer is held back; the second says that it waits.
#[test]
fn two_at_once_download_once() {
    let server = release_server();
    let gate = server.hold(IMAGE);
    let user = User::of(&server);
    let first = user.start(&["image", "fetch", "flatcar:stable"]);
    wait_for(|| !server.gets(IMAGE).is_empty());
    let mut second = user.start(&["image", "fetch", "flatcar:stable"]);
    let mut lines = BufReader::new(second.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("waiting for another process")));
    drop(gate);
    lines.for_each(drop);
    let paths = [first, second].map(|child| path_of(&child.wait_with_output().unwrap()));
    assert_eq!(paths[0], paths[1]);
    assert_eq!(server.gets(IMAGE).len(), 1);
}

/// No test waits this long unless something is broken.
const GUARD: Duration = Duration::from_secs(120);

/// Until it holds.
fn wait_for(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < GUARD, "it never came to be");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

#[test]
fn a_kill_in_the_middle_leaves_what_the_next_fetch_goes_on_with() {
    let server = release_server();
    server.fail(IMAGE, &[Fault::Stall]);
    let user = User::of(&server);
    let half = disk().len() as u64 / 2;
    let mut child = user.start(&["image", "fetch", "flatcar:stable"]);
    wait_for(|| fs::metadata(user.partial()).is_ok_and(|file| file.len() == half));
    child.kill().unwrap();
    child.wait().unwrap();
    user.assert_no_image();

    let path = path_of(&user.wheeltap(&["image", "fetch", "flatcar:stable"]));
    assert_eq!(fs::read(path).unwrap(), disk());
    let gets = server.gets(IMAGE);
    assert_eq!(gets[1].range, Some(format!("bytes={half}-")));
    assert_eq!(gets.iter().map(|one| one.sent).sum::<usize>(), disk().len());
}

#[test_case(&["gc"]; "gc")]
#[test_case(&["image", "gc", "--keep", "1"]; "image gc")]
fn what_a_killed_fetch_left_can_be_removed(gc: &[&str]) {
    let server = release_server();
    server.always_fail(IMAGE, Fault::Short);
    let user = User::of(&server);
    assert_code(&user.wheeltap(&["image", "fetch", "flatcar:stable"]), 3);
    assert_eq!(user.cached("partial").len(), 1);
    // And of one that was killed before it had noted what it fetched.
    fs::create_dir_all(user.directory.path().join("cache/images")).unwrap();
    for file in ["flatcar-4593.2.2-amd64.img", "flatcar-4593.2.2-amd64.img.sig"] {
        fs::write(user.directory.path().join("cache/images").join(file), "").unwrap();
    }
    let output = user.wheeltap(gc);
    assert_code(&output, 0);
    assert_eq!(user.cached("images"), [""; 0]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("flatcar-4593.2.3-amd64"));
    assert_eq!(user.cached("partial"), [""; 0]);
}

/// A limit on the size of files stands in for a full disk, which only root could make.
#[test]
fn a_full_disk_is_said_and_left_as_it_was() {
    let server = release_server();
    let user = User::of(&server);
    // In units of 512 bytes: 64 KiB. The signal would kill; ignored, the write fails.
    let script = format!(
        "trap '' XFSZ; ulimit -f 128; exec {} image fetch flatcar:stable",
        env!("CARGO_BIN_EXE_wheeltap")
    );
    let output = user.command("sh", &["-c", &script]).output().unwrap();
    assert!(said(&output).contains("there is no room for the image in"), "{}", said(&output));
    assert_code(&output, 3);
    assert_eq!(user.cached("partial"), [""; 0]);
    user.assert_no_image();
}

#[test]
fn images_are_verified_again() {
    let server = release_server();
    let user = User::of(&server);
    let path = path_of(&user.wheeltap(&["image", "fetch", "flatcar:stable"]));
    let output = user.wheeltap(&["image", "verify", "flatcar:stable"]);
    assert_code(&output, 0);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("checked now") && text.contains(KEY.1), "{text}");

    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let mut bad = disk();
    bad[1000] ^= 1;
    fs::write(&path, bad).unwrap();
    let output = user.wheeltap(&["image", "verify", path.to_str().unwrap()]);
    assert!(said(&output).contains("is not what was fetched"), "{}", said(&output));
    assert_code(&output, 3);
}

#[test]
fn older_versions_are_removed_and_those_in_use_stay() {
    let server = release_server();
    let user = User::of(&server);
    for version in ["4593.2.3", "4593.2.10", "4593.2.9"] {
        let place = |file: &str| IMAGE.replace("4593.2.3", version) + file;
        server
            .put(&ABOUT.replace("4593.2.3", version), VERSION_TXT.replace("4593.2.3", version))
            .put(&place(""), disk())
            .put(&place(".sig"), signature("disk.img.sig"));
        path_of(&user.wheeltap(&["image", "fetch", &format!("flatcar:{version}")]));
    }
    // A run holds this while it uses the image.
    let held = user.directory.path().join("cache/locks/use-flatcar-4593.2.9-amd64");
    let held = fs::File::create(held).unwrap();
    held.lock_shared().unwrap();
    let output = user.wheeltap(&["image", "gc", "--keep", "1", "--dry-run"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.starts_with("would remove flatcar:4593.2.3:"), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert_code(&user.wheeltap(&["image", "gc", "--keep", "1"]), 0);
    let images = user.cached("images");
    assert!(images.iter().any(|name| name == "flatcar-4593.2.10-amd64.img"), "{images:?}");
    assert!(images.iter().any(|name| name == "flatcar-4593.2.9-amd64.img"), "{images:?}");
    assert!(!images.iter().any(|name| name.starts_with("flatcar-4593.2.3-")), "{images:?}");

    let output = user.wheeltap(&["image", "rm", "flatcar:4593.2.9"]);
    assert!(said(&output).contains("is in use by another process"), "{}", said(&output));
    drop(held);
    assert_code(&user.wheeltap(&["image", "rm", "flatcar:4593.2.9", "flatcar:4593.2.10"]), 0);
    assert_eq!(user.cached("images"), [""; 0]);
}

/// Runs nothing, since the only case is in another partition, but plans it.
const RUN: [&str; 6] =
    ["run", "boot.release", "--partition", "slice:2/2", "--no-history", "--image"];

#[test]
fn version_digest_and_trust_stand_in_every_report() {
    let server = release_server();
    let user = User::of(&server);
    let mut args = RUN.to_vec();
    args.push("flatcar:stable");
    let output = user.wheeltap(&args);
    let plan = user.directory.path().join("wheeltap-out/latest/plan.json");
    let plan =
        fs::read_to_string(plan).unwrap_or_else(|error| panic!("{error}: {}", said(&output)));
    let image = &serde_json::from_str::<serde_json::Value>(&plan).unwrap()["image"];
    assert_eq!((&image["name"], &image["version"]), (&"flatcar:stable".into(), &"4593.2.3".into()));
    assert_eq!((&image["signed_by"], &image["profile"]), (&KEY.1.into(), &"flatcar".into()));
    assert_eq!(image["digest"].as_str().unwrap().len(), 64);
    assert_eq!(image.get("insecure"), None);

    path_of(&user.wheeltap(&["image", "rm", "flatcar:4593.2.3"]));
    path_of(&user.wheeltap(&["image", "fetch", "flatcar:4593.2.3", "--insecure"]));
    fs::write(user.directory.path().join("wheeltap.toml"), "").unwrap();
    args[6] = "flatcar:4593.2.3";
    let output = user.wheeltap(&args);
    assert!(said(&output).contains("WARNING: flatcar:4593.2.3 is INSECURE"), "{}", said(&output));
    let latest = user.directory.path().join("wheeltap-out/latest");
    let plan = fs::read_to_string(latest.join("plan.json")).unwrap();
    assert!(plan.contains("\"insecure\": true"), "{plan}");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("insecure: nobody checked who signed flatcar:4593.2.3"), "{text}");
}

#[test]
fn without_the_server_a_cached_version_can_be_named() {
    let server = release_server();
    let user = User::of(&server);
    path_of(&user.wheeltap(&["image", "fetch", "flatcar:stable"]));
    server.always_fail(CURRENT, Fault::Status(503, ""));
    let mut args = RUN.to_vec();
    args.push("flatcar:stable");
    let output = user.wheeltap(&args);
    let help = "such as `wheeltap run --image flatcar:4593.2.3`";
    assert!(said(&output).contains(help), "{}", said(&output));
    assert_code(&output, 3);
}
