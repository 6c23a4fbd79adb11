//! What release servers say, in the forms that they publish. How servers fail is tested with the command.

use proptest::prelude::*;
use test_case::test_case;

use super::*;

fn directories() -> Directories {
    Family::all().remove("flatcar").unwrap().directories.unwrap()
}

fn streams() -> Streams {
    Family::all().remove("fcos").unwrap().streams.unwrap()
}

const VERSION_TXT: &str = "FLATCAR_BUILD=4593\nFLATCAR_BRANCH=2\nFLATCAR_PATCH=3\n\
    FLATCAR_VERSION=4593.2.3\nFLATCAR_VERSION_ID=4593.2.3\nFLATCAR_BUILD_ID=\"2026-01-12-2340\"\n\
    FLATCAR_SDK_VERSION=4593.0.0\n";

#[test]
fn the_version_of_a_directory() {
    assert_eq!(version_in(VERSION_TXT, &directories(), "URL").unwrap(), "4593.2.3");
}

#[test_case("<html>Log in first</html>"; "another page")]
#[test_case("FLATCAR_VERSION=../../etc\n"; "a path")]
#[test_case("FLATCAR_VERSION_ID=4593.2.3\n"; "another key")]
#[test_case(""; "nothing")]
fn no_version(text: &str) {
    let error = version_in(text, &directories(), "http://server/version.txt").unwrap_err();
    assert!(error.to_string().contains("there is no line FLATCAR_VERSION="), "{error}");
}

const STREAM: &str = r#"{ "stream": "stable", "architectures": { "x86_64": { "artifacts": { "qemu": {
    "release": "42.20250803.3.0", "formats": { "qcow2.xz": { "disk": {
        "location": "https://builds.coreos.fedoraproject.org/prod/streams/stable/builds/42.20250803.3.0/x86_64/fedora-coreos-42.20250803.3.0-qemu.x86_64.qcow2.xz",
        "signature": "https://builds.coreos.fedoraproject.org/prod/streams/stable/builds/42.20250803.3.0/x86_64/fedora-coreos-42.20250803.3.0-qemu.x86_64.qcow2.xz.sig",
        "sha256": "aa", "uncompressed-sha256": "bb" } } } } } } } }"#;

#[test]
fn the_image_of_a_stream_is_on_the_mirror_too() {
    let family = Family::all().remove("fcos").unwrap();
    let name = PublishedName::parse("fcos:stable").unwrap().unwrap();
    let server = Server { name: &name, family: &family, base: "http://mirror/{channel}/" };
    let (version, disk) = stream(STREAM, &streams(), "x86_64", "URL").unwrap();
    assert_eq!(version, "42.20250803.3.0");
    let place = server.disk_place("stable", &disk).unwrap();
    let image = "http://mirror/stable/prod/streams/stable/builds/42.20250803.3.0/x86_64/fedora-coreos-42.20250803.3.0-qemu.x86_64.qcow2.xz";
    assert_eq!((place.image.as_str(), place.signature), (image, format!("{image}.sig")));
    assert_eq!(
        (place.sha256.as_deref(), place.unpacked_sha256.as_deref()),
        (Some("aa"), Some("bb"))
    );
}

#[test]
fn the_image_of_a_build_is_beside_its_metadata() {
    let text = r#"{ "buildid": "42.20250803.3.0", "images": { "qemu": {
        "path": "fedora-coreos-42.20250803.3.0-qemu.x86_64.qcow2.xz", "sha256": "aa", "size": 1 } } }"#;
    let (version, disk) = build(text, &streams(), "http://server/a/meta.json").unwrap();
    assert_eq!(version, "42.20250803.3.0");
    assert_eq!(disk.location, "http://server/a/fedora-coreos-42.20250803.3.0-qemu.x86_64.qcow2.xz");
}

#[test_case("x86_64", "{", "it is no JSON"; "no json")]
#[test_case("x86_64", "{}", "there is no version in /architectures/x86_64"; "something else")]
#[test_case("aarch64", STREAM, "there is no version in /architectures/aarch64"; "no such architecture")]
fn bad_streams(arch: &str, text: &str, expected: &str) {
    let error = stream(text, &streams(), arch, "URL").unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

proptest! {
    #[test]
    fn any_answer_is_read_without_a_panic(text in "\\PC*") {
        let _ = version_in(&text, &directories(), "URL");
        let _ = version_in(&format!("FLATCAR_VERSION={text}"), &directories(), "URL");
        let _ = stream(&text, &streams(), "x86_64", "URL");
        let _ = build(&text, &streams(), "URL");
    }
}
