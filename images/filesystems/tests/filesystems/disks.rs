//! Disks, raw and qcow2, and what is none.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;

use test_case::test_case;
use wheeltap_filesystems::{Disk, FileSystem, FileSystemError, Source};

use crate::make;

/// What qemu-img makes of a raw disk is read as that disk.
#[test_case("-o compat=1.1"; "standard")]
#[test_case("-o compat=0.10"; "version 2")]
#[test_case("-o cluster_size=512"; "small clusters")]
#[test_case("-c"; "compressed")]
#[test_case("-c -o compression_type=zstd"; "compressed with zstd")]
fn qcow2_is_the_disk_in_it(options: &str) {
    let scratch = tempfile::tempdir().unwrap();
    let (raw, qcow2) = (scratch.path().join("raw"), scratch.path().join("qcow2"));
    let file = File::create(&raw).unwrap();
    file.set_len(9 << 20).unwrap();
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..40 {
        let (at, byte) = (random.u64(..(9 << 20) - 70_000), random.u8(..));
        let noise: Vec<u8> = (0..random.usize(..70_000))
            .map(|at| byte.wrapping_add(at as u8 & random.u8(..4)))
            .collect();
        file.write_all_at(&noise, at).unwrap();
    }
    file.write_all_at(b"hsqs", 0).unwrap();
    let mut convert = Command::new("qemu-img");
    convert
        .args(["convert", "-f", "raw", "-O", "qcow2"])
        .args(options.split(' '))
        .args([&raw, &qcow2]);
    if make::run(convert).is_none() {
        return;
    }
    let disk = Disk::open(&qcow2).unwrap();
    let source = &disk.partitions()[0].source;
    assert!(source.read(0, 9 << 20).unwrap() == fs::read(&raw).unwrap());
    assert!(source.read((9 << 20) - 1, 2).is_err());
}

#[test]
fn partitions_are_found_by_label() {
    let scratch = tempfile::tempdir().unwrap();
    let disk = scratch.path().join("disk");
    File::create(&disk).unwrap().set_len(8 << 20).unwrap();
    let mut sgdisk = Command::new("sgdisk");
    sgdisk
        .args(["-n1:2048:4095", "-c1:EFI-SYSTEM", "-t1:ef00", "-n3:4096:8191", "-c3:USR-A"])
        .arg(&disk);
    if make::run(sgdisk).is_none() {
        return;
    }
    let opened = Disk::open(&disk).unwrap();
    let found: Vec<_> = opened
        .partitions()
        .iter()
        .map(|part| (part.number, &*part.label, part.offset, part.size))
        .collect();
    assert_eq!(found, [(1, "EFI-SYSTEM", 1 << 20, 1 << 20), (3, "USR-A", 2 << 20, 2 << 20)]);
    assert_eq!(opened.partitions()[0].type_guid, "c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
    File::options().write(true).open(&disk).unwrap().set_len(3 << 20).unwrap();
    let error = Disk::open(&disk).err().unwrap().to_string();
    assert!(
        error.ends_with(
            "ends before the end of its partition \"USR-A\": it was cut short, so get it again"
        ),
        "{error}"
    );
}

#[test]
fn what_is_no_disk_is_refused_with_the_fix() {
    let scratch = tempfile::tempdir().unwrap();
    let (empty, noise) = (scratch.path().join("empty"), scratch.path().join("noise"));
    fs::write(&empty, b"").unwrap();
    fs::write(&noise, [7; 5000]).unwrap();
    let says = |path: &Path| Disk::open(path).err().unwrap().to_string();
    assert!(says(scratch.path()).ends_with("is a directory: name the image file in it"));
    assert!(says(&empty).ends_with("is empty: get the image again"));
    assert!(says(&noise).contains("neither a partition table nor a file system"));
    assert!(says(&scratch.path().join("none")).contains("No such file"));
}

#[test_case(0, b"LUKS\xba\xbe", "it is encrypted (LUKS): give it an image that isn't, or decrypt it first"; "luks")]
#[test_case(0, b"XFSB", "it holds xfs, which is not read: only ext2, ext3, ext4, squashfs, erofs, btrfs and vfat are"; "xfs")]
#[test_case(4086, b"SWAPSPACE2", "it holds swap, which is not read: only ext2, ext3, ext4, squashfs, erofs, btrfs and vfat are"; "swap")]
#[test_case(0, b"nothing", "it holds no file system that is known"; "nothing")]
#[test_case(0, b"hsqs", "it is squashfs with version 0, which is not read"; "squashfs without a superblock")]
fn what_cannot_be_read_is_named(at: usize, mark: &[u8], sentence: &str) {
    let mut bytes = vec![0; 1 << 17];
    bytes[at..at + mark.len()].copy_from_slice(mark);
    let error: FileSystemError = FileSystem::open(Source::from_bytes(bytes)).err().unwrap();
    assert_eq!(error.to_string(), sentence);
}

#[test_case(&[(8, &[1])], "it has a backing file; join them with `qemu-img convert -O qcow2`"; "backing file")]
#[test_case(&[(35, &[2])], "it is encrypted; decrypt it with `qemu-img convert -O raw`"; "encrypted")]
#[test_case(&[(7, &[9])], "it has version 9; convert it with `qemu-img convert -O raw`"; "another version")]
#[test_case(&[(24, &[255])], "its size does not fit its tables; get it again"; "absurd size")]
fn qcow2_that_is_not_read_is_named(changes: &[(u64, &[u8])], sentence: &str) {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("qcow2");
    let mut create = Command::new("qemu-img");
    create.args(["create", "-q", "-f", "qcow2"]).arg(&path).arg("1M");
    if make::run(create).is_none() {
        return;
    }
    let file = File::options().write(true).open(&path).unwrap();
    for (at, bytes) in changes {
        file.write_all_at(bytes, *at).unwrap();
    }
    let error = Disk::open(&path).err().unwrap().to_string();
    assert!(error.ends_with(sentence), "{error}");
}
