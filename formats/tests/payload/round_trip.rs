//! What is made can be verified, listed and applied.

use std::io::Cursor;
use std::process::Command;

use sha2::{Digest as _, Sha256};
use test_case::test_case;
use wheeltap_formats::payload::{
    Part, PrivateKey, ResultCheck, Slot, apply, inspect, resign, verify,
};

use crate::builder::{BLOCK, blocks, noise};
use crate::{make, private_key, public_key};

const MIB: usize = 1 << 20;

#[test_case(&blocks(&[1]), None; "one block")]
#[test_case(&[blocks(&[0; 700]), noise(2 * MIB, 1), blocks(&[7])].concat(), None; "many chunks")]
#[test_case(&noise(MIB, 2), Some(&noise(5000, 3)); "a kernel that ends within a block")]
#[test_case(&noise(MIB + BLOCK, 4), Some(&[0; 2 * MIB]); "a kernel of whole chunks")]
#[test_case(&blocks(&[9; 3]), Some(b"k"); "a kernel of one byte")]
fn create_verify_apply(partition: &[u8], kernel: Option<&[u8]>) {
    let (payload, created) = make(partition, kernel, &[private_key()]).unwrap();
    assert_eq!(created.size, payload.len() as u64);
    assert_eq!(created.sha256.0, *Sha256::digest(&payload));

    let verification = verify(&*payload, Some(&public_key())).unwrap();
    assert_eq!(verification.result, ResultCheck::Matches);
    assert_eq!(verification.summary, created.summary);
    assert_eq!((verification.size, verification.sha256), (created.size, created.sha256));
    assert_eq!(inspect(&*payload).unwrap(), created.summary);

    // The partition is larger than the image, and what is behind the image stays.
    let mut target = Cursor::new(vec![0xee; partition.len() + BLOCK]);
    let mut kernel_file = Cursor::new(Vec::new());
    let mut slots = [
        Slot { part: Part::Partition, target: &mut target, old: None },
        Slot { part: Part::Kernel, target: &mut kernel_file, old: None },
    ];
    apply(&*payload, Some(&public_key()), &mut slots).unwrap();
    let (image, behind) = target.get_ref().split_at(partition.len());
    assert!(image == partition);
    assert_eq!(behind, [0xee; BLOCK]);
    assert!(kernel_file.get_ref() == kernel.unwrap_or_default());
}

#[test]
fn a_kernel_without_a_slot_is_skipped() {
    let (payload, _) = make(&blocks(&[1]), Some(b"kernel"), &[private_key()]).unwrap();
    let (image, verification) = crate::apply_to(&payload, None, BLOCK).unwrap();
    assert!(image == blocks(&[1]));
    assert_eq!(verification.summary.parts.len(), 2);
}

#[test]
fn a_payload_made_by_other_programs() {
    let payload: &[u8] = include_bytes!("fixtures/protoc-openssl.payload");
    let verification = verify(payload, Some(&public_key())).unwrap();
    assert_eq!(verification.result, ResultCheck::Matches);
    insta::assert_snapshot!("other_programs", verification.summary);
    let mut image = vec![0; MIB];
    image.extend(b"wheeltap\n".repeat(900));
    image.resize(image.len().next_multiple_of(BLOCK), 0);
    assert!(crate::apply_to(payload, None, image.len()).unwrap().0 == image);
}

#[test]
fn making_is_deterministic() {
    let image = noise(3 * MIB, 5);
    let (one, _) = make(&image, Some(b"kernel"), &[private_key()]).unwrap();
    let (two, _) = make(&image, Some(b"kernel"), &[private_key()]).unwrap();
    assert!(one == two);
}

#[test]
fn the_summary_as_text_and_json() {
    let image = [blocks(&[0; 300]), noise(MIB, 6)].concat();
    let (payload, created) = make(&image, Some(&noise(70_000, 7)), &[private_key()]).unwrap();
    insta::assert_snapshot!("summary", created.summary);
    insta::assert_snapshot!(
        "summary_json",
        serde_json::to_string_pretty(&created.summary).unwrap()
    );
    // The format, to the byte: a change here is a change of what update_engine gets to read.
    let metadata = &payload[..created.summary.metadata_size as usize];
    insta::assert_snapshot!("metadata", hex::encode(metadata));
}

#[test_case(&[], None, "the partition cannot be put into a payload: it is empty"; "no partition")]
#[test_case(
    &[1; 5000], None,
    "the partition cannot be put into a payload: it has 5000 bytes, which is not a multiple of 4096";
    "half a block"
)]
#[test_case(&[1; 4096], Some(b""), "the kernel cannot be put into a payload: it is empty"; "no kernel")]
fn images_that_cannot_be_packed(partition: &[u8], kernel: Option<&[u8]>, message: &str) {
    let error = make(partition, kernel, &[private_key()]).unwrap_err();
    assert_eq!(error.to_string(), message);
}

#[test]
fn the_signature_is_one_that_openssl_accepts() {
    // The message that holds a signature of RSA-2048: 8 bytes around 256.
    const MESSAGE: usize = 264;
    let (payload, _) = make(&blocks(&[1; 3]), Some(b"kernel"), &[private_key()]).unwrap();
    let (signed, message) = payload.split_at(payload.len() - MESSAGE);
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = directory.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let output = Command::new("openssl")
        .args(["dgst", "-sha256", "-verify"])
        .arg(file("key.pub.pem", include_bytes!("fixtures/test-key.pub.pem")))
        .arg("-signature")
        .arg(file("signature", &message[8..]))
        .arg(file("signed", signed))
        .output();
    match output {
        Err(error) => eprintln!("skipped: openssl does not run: {error}"),
        Ok(output) => assert_eq!(String::from_utf8_lossy(&output.stdout), "Verified OK\n"),
    }
}

#[test]
fn signing_anew_changes_the_signatures_and_nothing_else() {
    let image = noise(3 * MIB, 8);
    let (signed, created) = make(&image, Some(b"kernel"), &[private_key()]).unwrap();
    let resigned = |payload: &[u8], keys: &[PrivateKey]| {
        let mut out = Vec::new();
        resign(payload, keys, &mut out).unwrap();
        out
    };
    let unsigned = resigned(&signed, &[]);
    assert_eq!(unsigned, make(&image, Some(b"kernel"), &[]).unwrap().0);
    assert!(verify(&*unsigned, Some(&public_key())).is_err());
    assert_eq!(resigned(&unsigned, &[private_key()]), signed);
    assert_eq!(resigned(&signed, &[private_key()]), signed);
    assert_eq!(inspect(&*signed).unwrap(), created.summary);
}
