//! `wheeltap image payload` as its users meet it.

#![expect(clippy::unwrap_used, reason = "a test says what it expected by panicking")]

use std::{
    fs::{self, File},
    io::{Cursor, Write as _},
    os::unix::fs::FileExt as _,
    path::Path,
    process::{Command, Output},
};

use test_case::test_case;
use wheeltap_formats::payload::{Content, PrivateKey, create};
use wheeltap_images::{DEVELOPMENT_KEY, DEVELOPMENT_PUBLIC_KEY};

/// Keys of other kinds.
const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../formats/tests/payload/fixtures");
const MIB: u64 = 1 << 20;

/// Runs `wheeltap image payload` with blank-separated arguments.
fn payload(directory: &Path, args: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wheeltap"))
        .args(["image", "payload"])
        .args(args.split_whitespace())
        .current_dir(directory)
        .env("WHEELTAP_CACHE", directory.join("cache"))
        .env("NO_COLOR", "1")
        .output()
        .unwrap()
}

/// Standard error as one line, so that a message is found however it is wrapped.
fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).replace('│', " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A good payload, broken ones, keys of every kind, and disks with and without slots.
fn workshop() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let file =
        |name: &str, content: &[u8]| fs::write(directory.path().join(name), content).unwrap();
    let good = small_payload();
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    file("good.gz", &good);
    file("truncated.gz", &good[..good.len() - 300]);
    file("headless.gz", &good[..10]);
    file("changed.gz", &with(good.len() - 1, good[good.len() - 1] ^ 1));
    file("version-2.gz", &with(11, 2));
    file("longer.gz", &[&*good, b"more"].concat());
    file("gzip.gz", b"\x1f\x8b\x08\x00");
    file("empty.gz", b"");
    file("key.pem", DEVELOPMENT_KEY.as_bytes());
    file("pub.pem", DEVELOPMENT_PUBLIC_KEY.as_bytes());
    for (name, fixture) in [
        ("other.pub.pem", "test-key.pub.pem"),
        ("ec.pem", "ec-test-key.pem"),
        ("ec.pub.pem", "ec-test-key.pub.pem"),
        ("small.pem", "short-test-key.pem"),
        ("small.pub.pem", "short-test-key.pub.pem"),
    ] {
        fs::copy(Path::new(FIXTURES).join(fixture), directory.path().join(name)).unwrap();
    }
    file("no-key.pem", b"\xff\xfe hello\n");
    disk(&directory.path().join("disk.img"), &["EFI-SYSTEM", "USR-A"]);
    disk(&directory.path().join("no-slots.img"), &["EFI-SYSTEM", "root"]);
    let mut mbr = vec![0; 4096];
    mbr[510..512].copy_from_slice(&[0x55, 0xAA]);
    file("mbr.img", &mbr);
    directory
}

fn small_payload() -> Vec<u8> {
    let mut partition: &[u8] = &[7; 8192];
    let mut kernel: &[u8] = b"kernel";
    let content = Content { partition: &mut partition, kernel: Some(&mut kernel) };
    let key = PrivateKey::from_pem(DEVELOPMENT_KEY).unwrap();
    let mut out = Vec::new();
    create(content, &[key], Cursor::new(Vec::new()), &mut out).unwrap();
    out
}

/// A disk with a FAT partition with a kernel, and a second one with two blocks of sevens.
fn disk(path: &Path, labels: &[&str]) {
    let mut disk = File::create(path).unwrap();
    disk.set_len(16 * MIB).unwrap();
    let mut table = gptman::GPT::new_from(&mut disk, 512, [1; 16]).unwrap();
    for (label, number) in labels.iter().zip(1..) {
        let start = u64::from(number) * 4 * MIB / 512;
        table[number] = gptman::GPTPartitionEntry {
            partition_type_guid: [2; 16],
            unique_partition_guid: [number as u8; 16],
            starting_lba: start,
            ending_lba: start + 4 * MIB / 512 - 1,
            attribute_bits: 0,
            partition_name: (*label).into(),
        };
    }
    table.write_into(&mut disk).unwrap();
    let mut volume = Cursor::new(vec![0; 4 << 20]);
    fatfs::format_volume(&mut volume, fatfs::FormatVolumeOptions::new()).unwrap();
    let fat = fatfs::FileSystem::new(&mut volume, fatfs::FsOptions::new()).unwrap();
    fat.root_dir().create_dir("flatcar").unwrap();
    let mut kernel = fat.root_dir().create_file("flatcar/vmlinuz-a").unwrap();
    kernel.write_all(b"kernel").unwrap();
    drop(kernel);
    drop(fat);
    disk.write_all_at(&volume.into_inner(), 4 * MIB).unwrap();
    disk.write_all_at(&[7; 8192], 8 * MIB).unwrap();
}

#[test_case("inspect good.gz", "inspect"; "inspect for people")]
#[test_case("inspect good.gz --json", "inspect_json"; "inspect for programs")]
#[test_case("verify good.gz --key pub.pem", "verify"; "verify for people")]
#[test_case("verify good.gz --key pub.pem --json", "verify_json"; "verify for programs")]
fn good_payloads(args: &str, name: &str) {
    let directory = workshop();
    let output = payload(directory.path(), args);
    assert_eq!((output.status.code(), said(&output)), (Some(0), String::new()));
    insta::assert_snapshot!(name, String::from_utf8(output.stdout).unwrap());
}

#[test]
fn what_is_created_can_be_verified() {
    let directory = workshop();
    let create = "create --image disk.img --profile flatcar --out new.gz";
    let output = payload(directory.path(), create);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "new.gz\n");
    assert!(said(&output).contains("signed with the development key"), "{}", said(&output));
    let output = payload(directory.path(), "verify new.gz --key pub.pem");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    // The same content, so the same payload.
    assert!(fs::read(directory.path().join("new.gz")).unwrap() == small_payload());

    let output = payload(directory.path(), &format!("{create} --key key.pem --json"));
    assert_eq!(said(&output), "disk.img: payload");
    let created: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(created["path"], "new.gz");
    assert_eq!(created["payload"]["summary"]["parts"][1]["new"]["size"], 6);
}

#[test_case("truncated.gz", "truncated.gz: the payload is cut short: "; "truncated")]
#[test_case("headless.gz", "headless.gz: the payload is cut short: 10 bytes are missing in the header"; "without a header")]
#[test_case("changed.gz", "changed.gz: the payload's signature is wrong for this key"; "changed")]
#[test_case("version-2.gz", "the payload has format version 2; only version 1 is supported"; "unknown format version")]
#[test_case("longer.gz", "more data follows the end of the payload"; "something behind it")]
#[test_case("gzip.gz", "this is not an update payload"; "real gzip")]
#[test_case("empty.gz", "this is not an update payload"; "empty")]
#[test_case("good.gz --key other.pub.pem", "it was signed with another key, or changed"; "another key")]
fn payloads_that_do_not_verify(args: &str, message: &str) {
    let directory = workshop();
    let key = if args.contains("--key") { "" } else { "--key pub.pem" };
    let output = payload(directory.path(), &format!("verify {args} {key}"));
    assert!(said(&output).contains(message), "{}", said(&output));
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));

    let output = payload(directory.path(), &format!("verify {args} {key} --json"));
    let verdict: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &verdict["valid"]), (Some(1), &false.into()));
    assert!(verdict["reason"].as_str().is_some_and(|reason| !reason.is_empty()));
}

#[test_case("verify good.gz", "--key <FILE>"; "no key")]
#[test_case("verify nonesuch.gz --key pub.pem", "nonesuch.gz can't be read: No such file"; "no payload to verify")]
#[test_case("verify . --key pub.pem", ". is a directory: give the path of a payload"; "a directory to verify")]
#[test_case("verify good.gz --key nonesuch.pem", "nonesuch.pem can't be read: No such file"; "no such key")]
#[test_case("verify good.gz --key .", ". can't be read: Is a directory"; "a directory as key")]
#[test_case("verify good.gz --key no-key.pem", "no-key.pem: this is not a PEM key"; "a key that is none")]
#[test_case("verify good.gz --key key.pem", "write it with openssl rsa -in KEY -pubout"; "a private key to verify with")]
#[test_case("verify good.gz --key ec.pub.pem", "payloads are signed with RSA"; "an EC key to verify with")]
#[test_case("verify good.gz --key small.pub.pem", "the RSA key has 1024 bits"; "a small key to verify with")]
#[test_case("inspect nonesuch.gz", "nonesuch.gz can't be read: No such file"; "no payload to inspect")]
#[test_case("inspect .", ". is a directory: give the path of a payload"; "a directory to inspect")]
#[test_case("inspect truncated.gz", "truncated.gz: the payload is cut short"; "a truncated payload to inspect")]
#[test_case("inspect version-2.gz", "has format version 2"; "an unknown version to inspect")]
#[test_case("inspect key.pem", "key.pem: this is not an update payload: it begins with"; "a key to inspect")]
#[test_case("create --image disk.img --out out.gz", "give --profile with one of:"; "no profile")]
#[test_case("create --image disk.img --profile fcos --out out.gz", "images of the profile fcos have no update slots"; "a family without slots")]
#[test_case("create --image disk.img --profile flatcar --out disk.img", "--out is the image itself"; "the image as output")]
#[test_case("create --image no-slots.img --profile flatcar --out out.gz", "has no partition \"USR-A\"; it has EFI-SYSTEM, root"; "an image without slots")]
#[test_case("create --image mbr.img --profile flatcar --out out.gz", "has no GUID partition table"; "an image without a GPT")]
#[test_case("create --image good.gz --profile flatcar --out out.gz", "good.gz is no disk image"; "a payload as image")]
#[test_case("create --image . --profile flatcar --out out.gz", ". is no disk image: it is a directory"; "a directory as image")]
#[test_case("create --image nonesuch.img --profile flatcar --out out.gz", "there is no image \"nonesuch.img\""; "no such image")]
#[test_case("create --key pub.pem --out out.gz", "payloads are signed with the other half of the pair"; "a public key to sign with")]
#[test_case("create --key ec.pem --out out.gz", "payloads are signed with RSA"; "an EC key to sign with")]
#[test_case("create --key small.pem --out out.gz", "the RSA key has 1024 bits"; "a small key to sign with")]
fn bad_input(args: &str, message: &str) {
    let directory = workshop();
    let before = fs::read_dir(directory.path()).unwrap().count();
    let output = payload(directory.path(), args);
    assert!(said(&output).contains(message), "{}", said(&output));
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), before, "nothing was left");
}

#[test_case("create --image disk.img --profile flatcar --out nonesuch/out.gz", "cannot write nonesuch/out.gz: No such file"; "no such directory")]
#[test_case("create --image disk.img --profile flatcar --out .", "cannot write .: is a directory"; "a directory as output")]
fn places_that_cannot_be_written(args: &str, message: &str) {
    let directory = workshop();
    let output = payload(directory.path(), args);
    assert!(said(&output).contains(message), "{}", said(&output));
    assert_eq!(output.status.code(), Some(3));
}

#[test_case("create")]
#[test_case("inspect")]
#[test_case("verify")]
fn every_command_has_help_with_an_example(command: &str) {
    let output = payload(Path::new("."), &format!("{command} --help"));
    assert!(String::from_utf8_lossy(&output.stdout).contains("Example:"));
    assert_eq!(output.status.code(), Some(0));
}
