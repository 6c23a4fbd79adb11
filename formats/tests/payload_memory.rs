//! Memory does not grow with the payload. In a file, and so a process, of its own: what is measured
//! is the most that the process ever had.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test says what it expected by panicking")]

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek as _, SeekFrom, Write as _};

use wheeltap_formats::payload::{
    Content, Part, PrivateKey, ResultCheck, Slot, apply, create, verify,
};

const GIB: u64 = 1 << 30;
const LIMIT_KIB: u64 = 64 << 10;

#[test]
fn a_sparse_image_of_1_gib() {
    // Zeros with a MiB of noise in the middle, so that both kinds of operations are there.
    let mut image = tempfile::tempfile().unwrap();
    image.set_len(GIB).unwrap();
    image.seek(SeekFrom::Start(GIB / 2)).unwrap();
    image.write_all(&noise().take(1 << 20).collect::<Vec<_>>()).unwrap();
    make_check_and_apply(image);
}

#[test]
#[ignore = "takes minutes: run it by hand when create, verify or apply change"]
fn a_payload_of_1_gib() {
    let mut image = BufWriter::new(tempfile::tempfile().unwrap());
    for byte in noise().take(GIB as usize) {
        image.write_all(&[byte]).unwrap();
    }
    let payload_size = make_check_and_apply(image.into_inner().unwrap());
    assert!(payload_size > GIB);
}

fn make_check_and_apply(mut image: File) -> u64 {
    let key = PrivateKey::from_pem(include_str!("payload/fixtures/test-key.pem")).unwrap();
    let mut payload = tempfile::tempfile().unwrap();
    image.rewind().unwrap();
    let content = Content { partition: &mut image, kernel: None };
    let scratch = tempfile::tempfile().unwrap();
    let created = create(content, std::slice::from_ref(&key), scratch, &mut payload).unwrap();
    assert!(peak_kib() < LIMIT_KIB, "creating took {} KiB", peak_kib());

    payload.rewind().unwrap();
    let verification = verify(BufReader::new(&payload), Some(&key.public_key())).unwrap();
    assert_eq!(verification.result, ResultCheck::Matches);
    assert!(peak_kib() < LIMIT_KIB, "verifying took {} KiB", peak_kib());

    payload.rewind().unwrap();
    let mut target = tempfile::tempfile().unwrap();
    let mut slots = [Slot { part: Part::Partition, target: &mut target, old: None }];
    apply(BufReader::new(&payload), Some(&key.public_key()), &mut slots).unwrap();
    assert!(peak_kib() < LIMIT_KIB, "applying took {} KiB", peak_kib());
    eprintln!("a payload of {} bytes took {} KiB at most", created.size, peak_kib());
    created.size
}

/// The most memory that this process ever had (`VmHWM`), in KiB.
fn peak_kib() -> u64 {
    let mut status = String::new();
    File::open("/proc/self/status").unwrap().read_to_string(&mut status).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Bytes that do not compress.
fn noise() -> impl Iterator<Item = u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    })
}
