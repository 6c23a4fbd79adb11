//! Payloads that are cut, changed or made to do harm: an error that says what is wrong, each time.

use test_case::test_case;
use wheeltap_formats::payload::{PayloadError, inspect, verify};

use crate::builder::{BLOCK, Builder, HOLE, KEY, Message, Op, blocks, info, noise};
use crate::delta::bsdiff;
use crate::{apply_to, make, private_key, public_key};

fn sample() -> Vec<u8> {
    make(&blocks(&[1, 2, 3]), Some(&noise(5000, 1)), &[private_key()]).unwrap().0
}

/// Where the manifest, the partition's data, the kernel's data and the signatures begin.
fn regions(payload: &[u8]) -> [usize; 4] {
    let summary = inspect(payload).unwrap();
    let manifest = summary.metadata_size as usize;
    let kernel = manifest + summary.parts[0].data_size as usize;
    [20, manifest, kernel, kernel + summary.parts[1].data_size as usize]
}

#[test]
fn one_changed_bit_anywhere_is_found() {
    let payload = sample();
    let [manifest, partition, kernel, signatures] = regions(&payload);
    for at in 0..payload.len() {
        let mut changed = payload.clone();
        changed[at] ^= 1 << (at % 8);
        let error = verify(&*changed, Some(&public_key())).unwrap_err();
        let expected = match at {
            _ if at < 4 => matches!(error, PayloadError::NotAPayload { .. }),
            _ if at < 12 => matches!(error, PayloadError::Version { .. }),
            // A manifest that is a byte shorter or longer is no manifest, or does not fit the data.
            _ if at < manifest => !matches!(error, PayloadError::Signature(_)),
            _ if at < partition => true,
            _ if at < signatures => {
                let part = if at < kernel { "partition" } else { "kernel" };
                matches!(error, PayloadError::OperationHash { place, .. } if place.part.to_string() == part)
            }
            _ => matches!(error, PayloadError::Signature(_)),
        };
        assert!(expected, "byte {at}: {error}");
    }
}

#[test]
fn a_payload_cut_anywhere_is_found() {
    let payload = sample();
    for length in 0..payload.len() {
        let error = verify(&payload[..length], None).unwrap_err();
        let expected = match error {
            PayloadError::NotAPayload { .. } => length < 4,
            PayloadError::Truncated { .. } => length >= 4,
            _ => false,
        };
        assert!(expected, "cut after {length}: {error}");
        inspect(&payload[..length]).unwrap_err();
        apply_to(&payload[..length], None, 3 * BLOCK).unwrap_err();
    }
}

#[test]
fn data_behind_the_end_is_found() {
    let payload = [sample(), vec![0]].concat();
    for error in [verify(&*payload, None).unwrap_err(), inspect(&*payload).unwrap_err()] {
        assert!(matches!(error, PayloadError::TrailingData), "{error}");
    }
}

fn header(version: u64, manifest_size: u64) -> Vec<u8> {
    [&b"CrAU"[..], &version.to_be_bytes(), &manifest_size.to_be_bytes()].concat()
}

#[test_case(b"", "this is not an update payload: it begins with \"\" instead of \"CrAU\""; "empty")]
#[test_case(b"\x1f\x8b\x08\x00gzip", "this is not an update payload: it begins with \"\\\\x1f\\\\x8b\\\\x08\\\\x00\" instead of \"CrAU\""; "gzip")]
#[test_case(&header(2, 100), "the payload has format version 2; only version 1 is supported"; "Android's format")]
#[test_case(&header(1, 0), "the header announces a manifest of 0 bytes; it must have between 1 and 16777216"; "no manifest")]
#[test_case(&header(1, u64::MAX), "the header announces a manifest of 18446744073709551615 bytes; it must have between 1 and 16777216"; "a huge manifest")]
#[test_case(&header(1, 1 << 24), "the payload is cut short: 16777216 bytes are missing in the manifest; the download or copy was probably interrupted, so repeat it"; "a manifest that is not there")]
fn headers(payload: &[u8], message: &str) {
    assert_eq!(verify(payload, None).unwrap_err().to_string(), message);
}

/// The operation is the second of a partition of two blocks, with an old image of the same size.
fn refused(op: &Op) -> String {
    let (old, new) = (blocks(&[0, 0]), blocks(&[1, 2]));
    let ops = [Op::replace(&blocks(&[1, 2]), 0, 2), op.clone()];
    let payload = Builder::partition(&ops, Some(&old), &new).unsigned();
    let error = apply_to(&payload, Some(&old), 2 * BLOCK).unwrap_err();
    // What verifying can see without the old image, it reports in the same words.
    if !matches!(error, PayloadError::Operation { .. }) {
        assert_eq!(verify(&*payload, None).unwrap_err().to_string(), error.to_string());
    }
    error.to_string()
}

#[test_case(&Op::copy(&[(0, 1)], &[(2, 1)]), "where it writes: the extent of 1 blocks at block 2 reaches beyond the end at block 2"; "written behind the end")]
#[test_case(&Op::copy(&[(0, 2)], &[(1, 2)]), "where it writes: the extent of 2 blocks at block 1 reaches beyond the end at block 2"; "written across the end")]
#[test_case(&Op::copy(&[(2, 1)], &[(0, 1)]), "where it reads: the extent of 1 blocks at block 2 reaches beyond the end at block 2"; "read behind the end")]
#[test_case(&Op::copy(&[(u64::MAX - 1, 2)], &[(0, 2)]), "where it reads: the extent of 2 blocks at block 18446744073709551614 reaches beyond the end at block 2"; "overflow")]
#[test_case(&Op::copy(&[(0, u64::MAX)], &[(0, 2)]), "where it reads: the extent of 18446744073709551615 blocks at block 0 reaches beyond the end at block 2"; "huge extent")]
#[test_case(&Op::copy(&[(0, 0)], &[(0, 1)]), "where it reads: the extent at block 0 is empty"; "empty extent")]
#[test_case(&Op::copy(&[(0, 1)], &[]), "it writes nowhere"; "no destination")]
#[test_case(&Op::copy(&[(0, 1)], &[(0, 2)]), "it moves 1 blocks to 2 blocks"; "uneven move")]
#[test_case(&Op::copy(&[(HOLE, 1)], &[(0, 1)]), "it moves a sparse hole, which update_engine cannot"; "moved hole")]
#[test_case(&Op::copy(&[(0, 2)], &[(HOLE, 1 << 60)]), "where it writes: a hole of 1152921504606846976 blocks is larger than the whole part"; "huge hole")]
#[test_case(&Op { data: vec![1], ..Op::copy(&[(0, 1)], &[(0, 1)]) }, "a MOVE has no data, this one does"; "move with data")]
#[test_case(&Op::replace(&noise(BLOCK + 1, 1), 0, 1), "its 4097 bytes of data do not fit in 1 blocks"; "too much data")]
#[test_case(&Op::replace(&[], 0, 1), "it has no data"; "no data")]
#[test_case(&Op { src: vec![(0, 1)], ..Op::replace(&[1], 0, 1) }, "it replaces blocks, so it must not read any"; "replace that reads")]
#[test_case(&Op { shift: 1, ..Op::replace(&[1], 0, 1) }, "its data is at 8193, but the data before ends at 8192"; "data out of order")]
#[test_case(&Op { hash: Some(vec![]), ..Op::replace(&[1], 0, 1) }, "its data: its SHA-256 has 0 bytes instead of 32"; "no hash")]
#[test_case(&Op { hash: Some(vec![1; 20]), ..Op::replace(&[1], 0, 1) }, "its data: its SHA-256 has 20 bytes instead of 32"; "SHA-1")]
#[test_case(&Op { kind: 4, ..Op::replace(&[1], 0, 1) }, "operation type 4 is unknown"; "SOURCE_COPY")]
#[test_case(&bsdiff(&[1], &[(0, 1)], 4097, &[(0, 1)], 1), "it reads 4097 bytes from 1 blocks"; "patch that reads too much")]
#[test_case(&bsdiff(&[1], &[(0, 1)], 1, &[(0, 1)], 4097), "it writes 4097 bytes to 1 blocks"; "patch that writes too much")]
#[test_case(&Op { src_length: None, ..bsdiff(&[1], &[(0, 1)], 1, &[(0, 1)], 1) }, "the length of its source is missing"; "patch without a source")]
#[test_case(&Op { dst_length: None, ..bsdiff(&[1], &[(0, 1)], 1, &[(0, 1)], 1) }, "the length of its result is missing"; "patch without a result")]
fn impossible_operations(op: &Op, problem: &str) {
    let expected =
        format!("the payload's manifest is invalid: operation 2 of the partition: {problem}");
    assert_eq!(refused(op), expected);
}

#[test_case(&Op::replace_bz(&vec![0; 64 << 20], 0, 1), "it has more data than room to write it"; "a bomb")]
#[test_case(&Op::replace_bz(&blocks(&[1, 2, 3]), 0, 3), "it writes beyond the end at byte 8192"; "the last chunk, with too much data")]
#[test_case(&Op::replace(&blocks(&[1]), 2, 1), "it writes beyond the end at byte 8192"; "the last chunk, behind the end")]
#[test_case(&Op { kind: 1, ..Op::replace(b"BZh9", 0, 1) }, "its data is not bzip2: "; "cut bzip2")]
#[test_case(&Op { kind: 1, ..Op::replace(b"hello", 0, 1) }, "its data is not bzip2: "; "not bzip2")]
#[test_case(&Op { kind: 1, ..Op::replace(&[crate::builder::bzip2(b"1"), vec![0]].concat(), 0, 1) }, "1 bytes follow its bzip2 data"; "more than bzip2")]
fn operations_that_fail(op: &Op, problem: &str) {
    let expected = format!("operation 2 of the partition cannot be carried out: {problem}");
    assert!(refused(op).starts_with(&expected), "{}", refused(op));
}

#[test]
fn the_last_operation_may_have_a_whole_chunk_of_blocks() {
    // As delta_generator makes it: 256 blocks are announced, data comes for one.
    let payload = Builder::partition(&[Op::replace_bz(&blocks(&[5]), 0, 256)], None, &blocks(&[5]));
    let payload = payload.signed(&[(2, KEY)]);
    verify(&*payload, Some(&public_key())).unwrap();
    let (image, _) = apply_to(&payload, None, BLOCK).unwrap();
    assert!(image == blocks(&[5]));
}

fn manifest(manifest: Message) -> Vec<u8> {
    Builder { manifest, data: vec![] }.unsigned()
}

fn new_info() -> Message {
    Message::default().bytes(9, &info(b"").0)
}

#[test_case(Message(vec![0xff; 5]), "invalid varint"; "no protobuf")]
#[test_case(Message(vec![10, 200]), "invalid varint"; "half a length")]
#[test_case(Message(vec![10, 20, 1]), "a field is cut short"; "half a field")]
#[test_case(Message(vec![11]), "wire type 3 is not used in payloads"; "a group")]
#[test_case(Message::default().number(9, 1), "failed to decode Protobuf message: DeltaArchiveManifest.new_partition_info: invalid wire type: Varint (expected LengthDelimited)"; "a field of another type")]
#[test_case(Message::default().number(3, 4096), "size and digest of the new partition are missing"; "no partition")]
#[test_case(new_info().number(3, 512), "its block size is 512 bytes instead of 4096"; "small blocks")]
#[test_case(new_info().number(4, 7).number(5, 9), "the signatures are at 7, but the data ends at 0"; "signatures elsewhere")]
#[test_case(new_info().number(4, 0).number(5, 0), "the signatures take 0 bytes; between 1 and 65536 are possible"; "empty signatures")]
#[test_case(new_info().number(4, 0).number(5, 1 << 40), "the signatures take 1099511627776 bytes; between 1 and 65536 are possible"; "huge signatures")]
#[test_case(Message::default().bytes(9, &Message::default().number(1, 4096).0), "the new partition: its SHA-256 has 0 bytes instead of 32"; "no digest")]
#[test_case(Message::default().bytes(9, &Message::default().number(1, 1 << 63).0), "the new partition: it has 9223372036854775808 bytes, more than any device"; "a huge partition")]
#[test_case(new_info().bytes(10, &[]), "a procedure has no type"; "no type")]
#[test_case(new_info().bytes(10, &[8, 0]), "size and digest of the new kernel are missing"; "no kernel")]
#[test_case(new_info().bytes(1, &Op::copy(&[(0, 1)], &[(0, 1)]).encode(0).0), "operation 1 of the partition: where it reads: the extent of 1 blocks at block 0 reaches beyond the end at block 0"; "a move in nothing")]
#[test_case(Message::default().bytes(9, &info(&blocks(&[1])).0).bytes(1, &Op::copy(&[(0, 1)], &[(0, 1)]).encode(0).0), "it reads the old partition, whose size and digest are missing"; "a delta from nothing")]
#[test_case((0..70_000).fold(new_info(), |all, _| all.bytes(1, &[])), "it holds more than 65536 operations, 524288 extents or 16 procedures"; "many operations")]
#[test_case((0..20).fold(new_info(), |all, _| all.bytes(10, &[])), "it holds more than 65536 operations, 524288 extents or 16 procedures"; "many procedures")]
#[test_case(new_info().bytes(1, &[50, 0].repeat(600_000)), "it holds more than 65536 operations, 524288 extents or 16 procedures"; "many extents")]
fn impossible_manifests(message: Message, problem: &str) {
    let error = verify(&*manifest(message), None).unwrap_err().to_string();
    let error = error.strip_prefix("the payload's manifest is invalid: ").unwrap_or(&error);
    assert!(error.ends_with(problem), "{error}");
}

#[test]
fn two_kernels() {
    let builder = Builder::partition(&[Op::replace(&blocks(&[1]), 0, 1)], None, &blocks(&[1]));
    let kernel = [Op::replace(b"k", 0, 1)];
    let payload = builder.procedure(0, &kernel, None, b"k").procedure(0, &kernel, None, b"k");
    let error = verify(&*payload.unsigned(), None).unwrap_err().to_string();
    assert!(error.ends_with("there are two procedures for the kernel"), "{error}");
}

#[test]
fn results_that_are_not_what_is_promised() {
    let image = blocks(&[1, 2]);
    let wrong = Builder::partition(&[Op::replace(&image, 0, 2)], None, &blocks(&[1, 3]));
    let half = Builder::partition(&[Op::replace(&image[..BLOCK], 0, 1)], None, &image);
    let backwards = [Op::replace(&image[BLOCK..], 1, 1), Op::replace(&image[..BLOCK], 0, 1)];
    let backwards = Builder::partition(&backwards, None, &image);

    let error = verify(&*wrong.unsigned(), None).unwrap_err();
    assert!(matches!(error, PayloadError::Result { .. }), "{error}");
    let error = apply_to(&wrong.unsigned(), None, 2 * BLOCK).unwrap_err();
    assert!(matches!(error, PayloadError::Result { .. }), "{error}");
    let error = verify(&*half.unsigned(), None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the payload writes only 4096 of the 8192 bytes of the partition"
    );
    let error = apply_to(&half.unsigned(), None, 2 * BLOCK).unwrap_err();
    assert!(matches!(error, PayloadError::Result { .. }), "{error}");
    // Strange but right; only applying can tell.
    verify(&*backwards.unsigned(), None).unwrap();
    assert!(apply_to(&backwards.unsigned(), None, 2 * BLOCK).unwrap().0 == image);
}

#[test]
fn a_target_that_is_too_small() {
    // A device of fixed size, smaller than the image.
    let mut device = [0; BLOCK];
    let mut target = std::io::Cursor::new(&mut device[..]);
    let mut slots = [wheeltap_formats::payload::Slot {
        part: wheeltap_formats::payload::Part::Partition,
        target: &mut target,
        old: None,
    }];
    let error = wheeltap_formats::payload::apply(&*sample(), None, &mut slots).unwrap_err();
    let expected = "carrying out operation 1 of the partition failed: failed to write whole buffer";
    assert_eq!(error.to_string(), expected);
}
