//! CrAU payloads through the public API: round trips, deltas, hostile input, keys.

#![expect(clippy::unwrap_used, reason = "a test says what it expected by panicking")]

mod builder;
mod delta;
mod fuzz;
mod hostile;
mod keys;
mod round_trip;

use std::io::{Cursor, Read};

use wheeltap_formats::payload::{
    Content, Created, Part, PayloadError, PrivateKey, PublicKey, Slot, Verification, apply, create,
};

fn private_key() -> PrivateKey {
    PrivateKey::from_pem(builder::KEY).unwrap()
}

fn public_key() -> PublicKey {
    private_key().public_key()
}

/// Makes a payload of these images.
fn make(
    partition: &[u8],
    kernel: Option<&[u8]>,
    keys: &[PrivateKey],
) -> Result<(Vec<u8>, Created), PayloadError> {
    let (mut partition, mut kernel) = (partition, kernel);
    let content = Content {
        partition: &mut partition,
        kernel: kernel.as_mut().map(|kernel| kernel as &mut dyn Read),
    };
    let mut payload = Vec::new();
    let created = create(content, keys, Cursor::new(Vec::new()), &mut payload)?;
    Ok((payload, created))
}

/// Applies a payload to a partition of `size` bytes, which holds rubbish before.
fn apply_to(
    payload: &[u8],
    old: Option<&[u8]>,
    size: usize,
) -> Result<(Vec<u8>, Verification), PayloadError> {
    let mut target = Cursor::new(vec![0xee; size]);
    let mut old = old;
    let old = old.as_mut().map(|old| old as &mut dyn Read);
    let mut slots = [Slot { part: Part::Partition, target: &mut target, old }];
    let verification = apply(payload, None, &mut slots)?;
    Ok((target.into_inner(), verification))
}
