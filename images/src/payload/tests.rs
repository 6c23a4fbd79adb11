//! Payloads of small disks, made with the crates that read them and checked by applying them.

use std::fs::{self, File};
use std::io::{Cursor, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::TempDir;
use test_case::test_case;
use wheeltap_formats::payload::{Part, PrivateKey, PublicKey, Slot, apply};

use super::*;
use crate::{Cache, resolve};

const MIB: u64 = 1 << 20;
/// Where the partitions are, and how large each of them is.
const BOOT: u64 = MIB;
const USR: u64 = 8 * MIB;
const SIZE: u64 = 4 * MIB;

fn layout() -> SlotLayout {
    let [usr_label, boot_label, kernel] =
        ["USR-A", "EFI-SYSTEM", "flatcar/vmlinuz-a"].map(str::to_owned);
    SlotLayout { usr_label, boot_label, kernel }
}

fn keys() -> [PrivateKey; 1] {
    [PrivateKey::from_pem(DEVELOPMENT_KEY).unwrap()]
}

/// Bytes that differ.
fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at / 7 % 251 + 1) as u8).collect()
}

/// A directory that is gone after the test, with a disk in it.
struct Bench {
    directory: TempDir,
    kernel: Vec<u8>,
    usr: Vec<u8>,
}

impl Bench {
    fn new() -> Self {
        // A bit less than two blocks: the rest of the second belongs to the slot.
        let bench = Self {
            directory: TempDir::new().unwrap(),
            kernel: pattern(70_001),
            usr: pattern(8000),
        };
        bench.write(&[("EFI-SYSTEM", BOOT), ("USR-A", USR)]);
        bench
    }

    fn image(&self) -> PathBuf {
        self.directory.path().join("disk.img")
    }

    fn write(&self, partitions: &[(&str, u64)]) {
        let mut disk = File::create(self.image()).unwrap();
        disk.set_len(16 * MIB).unwrap();
        let mut table = gptman::GPT::new_from(&mut disk, 512, [1; 16]).unwrap();
        for ((label, start), number) in partitions.iter().zip(1..) {
            table[number] = gptman::GPTPartitionEntry {
                partition_type_guid: [2; 16],
                unique_partition_guid: [number as u8; 16],
                starting_lba: start / 512,
                ending_lba: (start + SIZE) / 512 - 1,
                attribute_bits: 0,
                partition_name: (*label).into(),
            };
        }
        table.write_into(&mut disk).unwrap();
        disk.write_all_at(&self.usr, USR).unwrap();
        disk.write_all_at(&fat("flatcar/vmlinuz-a", &self.kernel), BOOT).unwrap();
    }

    fn create(&self, image: &Path, out: &Path) -> Result<(), CreatePayloadError> {
        let go_on = AtomicBool::new(false);
        create_payload(image, &layout(), &keys(), out, &go_on, &mut |_| {}).map(|_| ())
    }

    /// The message of a failure, without the directory. Nothing else may be left of it.
    fn failure(&self) -> String {
        let out = self.directory.path().join("out/update.payload");
        fs::create_dir_all(out.parent().unwrap()).unwrap();
        let message = self.create(&self.image(), &out).unwrap_err().to_string();
        assert_eq!(fs::read_dir(out.parent().unwrap()).unwrap().count(), 0);
        message.replace(&format!("{}/", self.directory.path().display()), "")
    }

    /// What the payload writes, checked with the public key.
    fn check(&self, payload: &Path) {
        let (mut usr, mut kernel) = (Cursor::new(Vec::new()), Cursor::new(Vec::new()));
        let key = PublicKey::from_pem(DEVELOPMENT_PUBLIC_KEY).unwrap();
        let mut slots = [
            Slot { part: Part::Partition, target: &mut usr, old: None },
            Slot { part: Part::Kernel, target: &mut kernel, old: None },
        ];
        apply(File::open(payload).unwrap(), Some(&key), &mut slots).unwrap();
        let mut expected = self.usr.clone();
        expected.resize(8192, 0);
        assert!(usr.into_inner() == expected);
        // Targets are written in whole blocks.
        assert!(kernel.into_inner()[..self.kernel.len()] == self.kernel);
    }
}

fn fat(path: &str, content: &[u8]) -> Vec<u8> {
    let mut volume = Cursor::new(vec![0; SIZE as usize]);
    fatfs::format_volume(&mut volume, fatfs::FormatVolumeOptions::new()).unwrap();
    let fat = fatfs::FileSystem::new(&mut volume, fatfs::FsOptions::new()).unwrap();
    let (directory, _) = path.split_once('/').unwrap();
    fat.root_dir().create_dir(directory).unwrap();
    fat.root_dir().create_file(path).unwrap().write_all(content).unwrap();
    drop(fat);
    volume.into_inner()
}

#[test]
fn the_slot_is_cut_where_its_zeros_begin() {
    let bench = Bench::new();
    let out = bench.directory.path().join("update.payload");
    bench.create(&bench.image(), &out).unwrap();
    bench.check(&out);
    let left = fs::read_dir(bench.directory.path()).unwrap().count();
    assert_eq!(left, 2, "the image and the payload");
}

#[test]
fn a_full_slot_is_taken_whole() {
    let mut bench = Bench::new();
    bench.usr = pattern(SIZE as usize);
    bench.write(&[("EFI-SYSTEM", BOOT), ("USR-A", USR)]);
    let disk = disk::Disk::open(&bench.image(), &bench.image()).unwrap();
    assert_eq!(disk.partition("USR-A").unwrap().used().unwrap(), SIZE);
}

#[test]
fn qcow2_is_read_with_qemu_img() {
    let bench = Bench::new();
    let qcow2 = bench.directory.path().join("disk.qcow2");
    let convert = Command::new("qemu-img")
        .args(["convert", "-f", "raw", "-O", "qcow2"])
        .args([&bench.image(), &qcow2])
        .status();
    if convert.is_err() {
        eprintln!("skipped: there is no qemu-img");
        return;
    }
    let out = bench.directory.path().join("update.payload");
    bench.create(&qcow2, &out).unwrap();
    bench.check(&out);

    // Its magic alone is not enough.
    fs::write(&qcow2, b"QFI\xfb\0\0\0\x03").unwrap();
    let error = bench.create(&qcow2, &out).unwrap_err();
    assert!(matches!(error, CreatePayloadError::QemuImg { .. }), "{error}");
}

#[test_case(&[("EFI-SYSTEM", BOOT), ("root", USR)], "disk.img has no partition \"USR-A\"; it has EFI-SYSTEM, root. Does the profile fit the image?"; "no slots")]
#[test_case(&[("USR-A", USR)], "disk.img has no partition \"EFI-SYSTEM\"; it has USR-A. Does the profile fit the image?"; "no boot partition")]
#[test_case(&[], "disk.img has no partition \"USR-A\"; it has no partitions. Does the profile fit the image?"; "no partitions")]
#[test_case(&[("EFI-SYSTEM", USR), ("USR-A", BOOT)], "the partition \"EFI-SYSTEM\" of disk.img can't be read as FAT: Invalid boot sector signature"; "no FAT")]
#[test_case(&[("EFI-SYSTEM", BOOT), ("USR-A", 12 * MIB - 512 * 40)], "the partition \"USR-A\" of disk.img is empty: there is no system in it to update to"; "an empty slot")]
fn images_without_an_update(partitions: &[(&str, u64)], message: &str) {
    let bench = Bench::new();
    bench.write(partitions);
    assert_eq!(bench.failure(), message);
}

#[test]
fn a_missing_kernel_is_named() {
    let bench = Bench::new();
    let disk = File::options().write(true).open(bench.image()).unwrap();
    disk.write_all_at(&fat("flatcar/vmlinuz-b", b"kernel"), BOOT).unwrap();
    assert_eq!(
        bench.failure(),
        "the partition \"EFI-SYSTEM\" of disk.img has no kernel \"flatcar/vmlinuz-a\""
    );
}

#[test]
fn a_disk_that_was_cut_short_is_no_image() {
    let bench = Bench::new();
    File::options().write(true).open(bench.image()).unwrap().set_len(USR + 8192).unwrap();
    assert_eq!(
        bench.failure(),
        "disk.img ends before the end of its partition \"USR-A\": it was cut short, so get it again"
    );
}

#[test]
fn an_mbr_disk_has_no_slots() {
    let bench = Bench::new();
    let mut disk = vec![0; 4096];
    disk[510..512].copy_from_slice(b"\x55\xaa");
    fs::write(bench.image(), disk).unwrap();
    let message = bench.failure();
    assert!(message.starts_with("disk.img has no GUID partition table ("), "{message}");
}

#[test]
fn other_files_are_named_for_what_they_are() {
    let bench = Bench::new();
    fs::write(bench.image(), "text").unwrap();
    assert!(bench.failure().starts_with("disk.img is no disk image: it is a text file; "));
    fs::remove_file(bench.image()).unwrap();
    assert!(bench.failure().starts_with("cannot read the image disk.img: No such file"));
    fs::create_dir(bench.image()).unwrap();
    assert!(bench.failure().starts_with("disk.img is no disk image: it is a directory; "));
}

#[test]
fn cancelled_work_leaves_nothing() {
    let bench = Bench::new();
    let out = bench.directory.path().join("update.payload");
    let cancel = AtomicBool::new(false);
    let mut step = |_: &str| cancel.store(true, Ordering::Relaxed);
    let made = create_payload(&bench.image(), &layout(), &keys(), &out, &cancel, &mut step);
    assert!(matches!(made, Err(CreatePayloadError::Cancelled)));
    assert_eq!(fs::read_dir(bench.directory.path()).unwrap().count(), 1);
}

#[test]
fn the_cache_makes_each_payload_once() {
    let bench = Bench::new();
    let cache = Cache::at(bench.directory.path().join("cache"));
    let image = resolve(bench.image().to_str().unwrap()).unwrap();
    let go_on = AtomicBool::new(false);
    let make = |layout: &SlotLayout, keys: &[PrivateKey]| {
        let mut steps = 0;
        let path = cache.payload(&image, layout, keys, &go_on, &mut |_| steps += 1);
        (path, steps)
    };
    let (first, steps) = make(&layout(), &keys());
    let first = first.unwrap();
    bench.check(&first);
    assert_eq!(steps, 1);
    assert!(fs::metadata(&first).unwrap().permissions().readonly());

    let (second, steps) = make(&layout(), &keys());
    assert_eq!((second.unwrap(), steps), (first.clone(), 0));
    let (unsigned, steps) = make(&layout(), &[]);
    assert_ne!(unsigned.unwrap(), first);
    assert_eq!(steps, 1);
    let other = SlotLayout { usr_label: "USR-B".into(), ..layout() };
    assert!(matches!(make(&other, &keys()).0, Err(CreatePayloadError::NoPartition { .. })));
    let cache = bench.directory.path().join("cache");
    assert_eq!(fs::read_dir(cache.join("work")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(cache.join("payloads")).unwrap().count(), 2);
}
