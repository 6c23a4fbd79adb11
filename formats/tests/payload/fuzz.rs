//! Arbitrary and mutated payloads: errors, never panics, and never more memory than there is data.

use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;
use wheeltap_formats::payload::{PayloadError, inspect, verify};

use crate::apply_to;
use crate::builder::{BLOCK, Builder, Message, Op, blocks, noise};
use crate::delta::{bsdiff, patch};
use crate::{make, private_key, public_key};

/// A delta with all types of operations, its old image and its new one.
static DELTA: LazyLock<(Vec<u8>, Vec<u8>)> = LazyLock::new(|| {
    let patch = patch(&[[100, 50, -20], [46, 4, 0]], &noise(146, 1), &noise(54, 2), 200);
    let ops = [
        Op::copy(&[(0, 1), (2, 1)], &[(1, 2)]),
        bsdiff(&patch, &[(0, 1)], 300, &[(3, 1)], 200),
        Op::replace(&noise(300, 3), 0, 1),
        Op::replace_bz(&noise(BLOCK, 4), 2, 1),
    ];
    let old = blocks(&[1, 2, 3, 4]);
    // The result is of no interest: mutants do not get that far.
    (Builder::partition(&ops, Some(&old), &old).unsigned(), old)
});

static FULL: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let image = [blocks(&[1, 2]), noise(BLOCK, 1)].concat();
    make(&image, Some(&noise(600, 2)), &[private_key()]).unwrap().0
});

fn all(payload: &[u8]) -> Result<(), PayloadError> {
    let old = &DELTA.1;
    let inspected = inspect(payload);
    let verified = verify(payload, Some(&public_key()));
    let applied = apply_to(payload, Some(old), old.len());
    inspected.and(verified.map(|_| ())).and(applied.map(|_| ()))
}

/// Puts bytes in the place of others.
fn mutate(payload: &[u8], at: prop::sample::Index, length: usize, with: &[u8]) -> Vec<u8> {
    let at = at.index(payload.len());
    let end = (at + length).min(payload.len());
    [&payload[..at], with, &payload[end..]].concat()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes(bytes in vec(any::<u8>(), 0..300)) {
        prop_assert!(all(&bytes).is_err());
    }

    #[test]
    fn arbitrary_manifests(bytes in vec(any::<u8>(), 1..300)) {
        let payload = Builder { manifest: Message(bytes), data: vec![] }.unsigned();
        prop_assert!(all(&payload).is_err());
    }

    #[test]
    fn arbitrary_operations(
        kind in 0_u64..5,
        data in vec(any::<u8>(), 0..40),
        src in vec((0_u64..6, 0_u64..4), 0..3),
        dst in vec((0_u64..6, 0_u64..4), 0..3),
        src_length in proptest::option::of(0_u64..9000),
        dst_length in proptest::option::of(0_u64..9000),
    ) {
        let op = Op { kind, data, src, src_length, dst, dst_length, ..Op::default() };
        let old = &DELTA.1;
        let _ = all(&Builder::partition(&[op], Some(old), old).unsigned());
    }

    #[test]
    fn arbitrary_patches(
        control in vec((-40_i64..300, -40_i64..300, any::<i64>()).prop_map(<[i64; 3]>::from), 0..4),
        noise in vec(any::<u8>(), 300),
    ) {
        let patch = patch(&control, &noise, &noise, 200);
        let op = bsdiff(&patch, &[(0, 1)], 300, &[(3, 1)], 200);
        let old = &DELTA.1;
        let _ = all(&Builder::partition(&[op], Some(old), old).unsigned());
    }

    #[test]
    fn mutated_deltas(at: prop::sample::Index, length in 0_usize..9, with in vec(any::<u8>(), 0..9)) {
        prop_assert!(all(&mutate(&DELTA.0, at, length, &with)).is_err());
    }

    #[test]
    fn mutated_full_updates(
        at: prop::sample::Index,
        length in 0_usize..9,
        with in vec(any::<u8>(), 0..9),
    ) {
        let mutant = mutate(&FULL, at, length, &with);
        prop_assert!(mutant == *FULL || all(&mutant).is_err());
    }
}
