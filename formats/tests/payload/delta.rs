//! Deltas: MOVE and BSDIFF, in place on a copy of the old image.

use test_case::test_case;
use wheeltap_formats::payload::{Part, ResultCheck, inspect, verify};

use crate::apply_to;
use crate::builder::{BLOCK, BSDIFF, Builder, HOLE, KEY, Op, blocks, bzip2};
use crate::public_key;

const OLD: &[u8] = include_bytes!("fixtures/bsdiff-old.bin");
const NEW: &[u8] = include_bytes!("fixtures/bsdiff-new.bin");
const PATCH: &[u8] = include_bytes!("fixtures/bsdiff.patch");

fn number(value: i64) -> [u8; 8] {
    let sign = if value < 0 { 1 << 63 } else { 0 };
    (value.unsigned_abs() | sign).to_le_bytes()
}

/// A patch of bsdiff from its parts.
pub(crate) fn patch(control: &[[i64; 3]], difference: &[u8], extra: &[u8], size: i64) -> Vec<u8> {
    let control: Vec<u8> = control.iter().flatten().flat_map(|value| number(*value)).collect();
    let [control, difference, extra] = [&control, difference, extra].map(bzip2);
    let lengths = [control.len() as i64, difference.len() as i64, size];
    let mut patch = b"BSDIFF40".to_vec();
    patch.extend(lengths.iter().flat_map(|value| number(*value)));
    [patch, control, difference, extra].concat()
}

pub(crate) fn bsdiff(
    patch: &[u8],
    src: &[(u64, u64)],
    from: u64,
    dst: &[(u64, u64)],
    to: u64,
) -> Op {
    Op {
        kind: BSDIFF,
        data: patch.into(),
        src: src.into(),
        src_length: Some(from),
        dst: dst.into(),
        dst_length: Some(to),
        ..Op::default()
    }
}

#[test]
fn a_patch_made_by_bsdiff() {
    // The old file lies in blocks 4, 1 and 2, the new one goes to 5 and 3, and the image is patched
    // in place.
    let mut old = blocks(&[10, 11, 12, 13, 14, 15]);
    old[4 * BLOCK..][..BLOCK].copy_from_slice(&OLD[..BLOCK]);
    old[BLOCK..][..OLD.len() - BLOCK].copy_from_slice(&OLD[BLOCK..]);
    let mut new = old.clone();
    new[5 * BLOCK..][..BLOCK].copy_from_slice(&NEW[..BLOCK]);
    new[3 * BLOCK..][..BLOCK].fill(0);
    new[3 * BLOCK..][..NEW.len() - BLOCK].copy_from_slice(&NEW[BLOCK..]);

    let (from, to) = (OLD.len() as u64, NEW.len() as u64);
    let op = bsdiff(PATCH, &[(4, 1), (1, 2)], from, &[(5, 1), (3, 1)], to);
    let payload = Builder::partition(&[op], Some(&old), &new).signed(&[(2, KEY)]);
    let (image, _) = apply_to(&payload, Some(&old), old.len()).unwrap();
    assert!(image == new);
}

#[test]
fn blocks_that_change_places() {
    // Each step reads what the one before wrote: a swap by way of a spare block, then a shift onto
    // itself.
    let ops = [
        Op::copy(&[(0, 2)], &[(4, 2)]),
        Op::copy(&[(2, 2)], &[(0, 2)]),
        Op::copy(&[(4, 2)], &[(2, 1), (3, 1)]),
        Op::replace_bz(&blocks(&[8, 9]), 4, 2),
        Op::copy(&[(1, 3)], &[(2, 3)]),
    ];
    let (old, new) = (blocks(&[0, 1, 2, 3, 4, 5]), blocks(&[2, 3, 3, 0, 1, 9]));
    let payload = Builder::partition(&ops, Some(&old), &new).signed(&[(2, KEY)]);
    let (image, _) = apply_to(&payload, Some(&old), old.len()).unwrap();
    assert!(image == new);

    let verification = verify(&*payload, Some(&public_key())).unwrap();
    assert_eq!(verification.result, ResultCheck::NotChecked);
    assert!(!verification.summary.full);
    insta::assert_snapshot!("delta_summary", inspect(&*payload).unwrap());
}

#[test]
fn holes_are_read_as_zeros_and_not_written() {
    let old = blocks(&[1, 2, 3]);
    let mut new = blocks(&[1, 2, 9]);
    new[2 * BLOCK..].fill(5);
    // Read: block 0, a hole. Written: a hole, block 2. All of it is old data plus 5.
    let patch = patch(&[[2 * BLOCK as i64, 0, 0]], &[5; 2 * BLOCK], &[], 2 * BLOCK as i64);
    let length = 2 * BLOCK as u64;
    let ops = [
        bsdiff(&patch, &[(0, 1), (HOLE, 1)], length, &[(HOLE, 1), (2, 1)], length),
        Op { dst: vec![(HOLE, 1), (1, 1)], ..Op::replace(&blocks(&[7, 2]), 0, 0) },
    ];
    let payload = Builder::partition(&ops, Some(&old), &new).unsigned();
    let (image, _) = apply_to(&payload, Some(&old), old.len()).unwrap();
    assert!(image == new);
}

#[test]
fn a_delta_of_the_kernel() {
    use std::io::Cursor;
    use wheeltap_formats::payload::{Slot, apply};

    let image = blocks(&[1]);
    let (from, to) = (OLD.len() as u64, NEW.len() as u64);
    let op = bsdiff(PATCH, &[(0, 3)], from, &[(0, 2)], to);
    let payload = Builder::partition(&[Op::replace(&image, 0, 1)], None, &image)
        .procedure(0, &[op], Some(OLD), NEW)
        .unsigned();
    let (mut partition, mut kernel) = (Cursor::new(vec![]), Cursor::new(vec![]));
    let mut slots = [
        Slot { part: Part::Partition, target: &mut partition, old: None },
        Slot { part: Part::Kernel, target: &mut kernel, old: Some(&mut &*OLD) },
    ];
    apply(&*payload, None, &mut slots).unwrap();
    // The old kernel was longer; cutting it is up to the caller, as documented.
    assert!(kernel.get_ref()[..NEW.len()] == *NEW);
}

#[test_case(None, "the payload is a delta: it needs the old partition, and none was given"; "none")]
#[test_case(
    Some(&blocks(&[9])),
    "the old partition is not the one that this delta starts from: it has 4096 bytes with SHA-256 \
     8027abbcb17ff5a4c6bf2a5a8761dbd29e465336b0bfbf9bcd77e0d8a622f2ff, and must have 4096 bytes";
    "another"
)]
#[test_case(Some(&[0; 4000]), "it has 4000 bytes with SHA-256 "; "too short")]
fn the_wrong_old_image(old: Option<&[u8]>, message: &str) {
    let ops = [Op::copy(&[(0, 1)], &[(0, 1)])];
    let payload = Builder::partition(&ops, Some(&blocks(&[1])), &blocks(&[1])).unsigned();
    let error = apply_to(&payload, old, BLOCK).unwrap_err().to_string();
    assert!(error.contains(message), "{error}");
}

// The old file is 8192 bytes of ones, the new one should have 4096 bytes.
#[test_case(b"", "its data is not a patch of bsdiff (BSDIFF40)"; "nothing but a magic")]
#[test_case(&PATCH[..31], "its data is not a patch of bsdiff (BSDIFF40)"; "half a header")]
#[test_case(&PATCH[..60], "the patch is shorter than its header says"; "cut in the control data")]
#[test_case(PATCH, "the patch makes 8100 bytes, and 4096 are announced"; "another size")]
#[test_case(&patch(&[[-1, 0, 0]], b"", b"", 4096), "the patch makes more data than its header says"; "negative add")]
#[test_case(&patch(&[[0, -1, 0]], b"", b"", 4096), "the patch makes more data than its header says"; "negative take")]
#[test_case(&patch(&[[4097, 0, 0]], &[0; 4097], b"", 4096), "the patch makes more data than its header says"; "too much")]
#[test_case(&patch(&[[4096, 0, 0]], &[0; 9], b"", 4096), "the patch is corrupt: "; "too little difference")]
#[test_case(&patch(&[[0, 4096, 0]], b"", &[0; 9], 4096), "the patch is corrupt: "; "too little extra")]
#[test_case(&patch(&[[1, 0, 0]], &[0], b"", 4096), "the patch is corrupt: "; "too little control")]
#[test_case(&patch(&[[1, 0, i64::MAX]], &[0; 2], b"", 4096), "the patch points outside of any file"; "far ahead")]
#[test_case(&patch(&[[1, 0, -i64::MAX]], &[0; 2], b"", 4096), "the patch points outside of any file"; "far back")]
#[test_case(&patch(&vec![[0; 3]; 5000], b"", b"", 4096), "the patch goes round in circles"; "no progress")]
#[test_case(&[b"BSDIFF40", &[255; 24][..]].concat(), "the patch has a negative length"; "negative length")]
fn broken_patches(patch: &[u8], message: &str) {
    let (old, new) = (blocks(&[1, 1]), blocks(&[1, 2]));
    let patch = if patch.is_empty() { b"BSDIFF40" } else { patch };
    let ops = [bsdiff(patch, &[(0, 2)], 8192, &[(1, 1)], 4096)];
    let payload = Builder::partition(&ops, Some(&old), &new).unsigned();
    let error = apply_to(&payload, Some(&old), old.len()).unwrap_err().to_string();
    let expected = format!("operation 1 of the partition cannot be carried out: {message}");
    assert!(error.starts_with(&expected), "{error}");
}

#[test]
fn a_patch_that_reads_outside_the_old_file() {
    // Before the start and behind the end of the old file there are zeros, as in bspatch itself.
    let control = [[0, 0, -2], [4, 0, 4090], [4088, 0, 0]];
    let patch = patch(&control, &[1; 4092], b"", 4092);
    let (old, mut new) = (blocks(&[6]), vec![0; BLOCK]);
    new[..4].copy_from_slice(&[1, 1, 7, 7]);
    new[4..8].copy_from_slice(&[7; 4]);
    new[8..4092].fill(1);
    let ops = [bsdiff(&patch, &[(0, 1)], 4096, &[(0, 1)], 4092)];
    let payload = Builder::partition(&ops, Some(&old), &new).unsigned();
    let (image, _) = apply_to(&payload, Some(&old), BLOCK).unwrap();
    assert!(image == new);
}
