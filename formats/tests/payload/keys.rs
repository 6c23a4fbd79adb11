//! Keys and signatures.

use test_case::test_case;
use wheeltap_formats::payload::{PrivateKey, PublicKey, verify};

use crate::builder::{Builder, KEY, OTHER_KEY, Op, blocks};
use crate::{make, private_key, public_key};

const PUBLIC: &str = include_str!("fixtures/test-key.pub.pem");
const PKCS1: &str = include_str!("fixtures/test-key-pkcs1.pem");
const PKCS1_PUBLIC: &str = include_str!("fixtures/test-key-pkcs1.pub.pem");
const EC: &str = include_str!("fixtures/ec-test-key.pem");
const EC_PUBLIC: &str = include_str!("fixtures/ec-test-key.pub.pem");
const SHORT: &str = include_str!("fixtures/short-test-key.pem");
const ENCRYPTED: &str = include_str!("fixtures/encrypted-test-key.pem");

#[test]
fn both_forms_of_a_key_sign_the_same() {
    let (one, _) = make(&blocks(&[1]), None, &[PrivateKey::from_pem(KEY).unwrap()]).unwrap();
    let (two, _) = make(&blocks(&[1]), None, &[PrivateKey::from_pem(PKCS1).unwrap()]).unwrap();
    assert!(one == two);
    verify(&*one, Some(&PublicKey::from_pem(PUBLIC).unwrap())).unwrap();
}

#[test]
fn the_last_of_several_keys_is_the_one_for_flatcar() {
    let keys = [private_key(), PrivateKey::from_pem(OTHER_KEY).unwrap()];
    let (payload, created) = make(&blocks(&[1]), None, &keys).unwrap();
    let versions: Vec<_> = created.summary.signatures.iter().map(|one| one.version).collect();
    assert_eq!(versions, [1, 2]);
    verify(&*payload, Some(&keys[1].public_key())).unwrap();
    let error = verify(&*payload, Some(&keys[0].public_key())).unwrap_err();
    assert!(error.to_string().ends_with("; one of version 1 would fit"), "{error}");
}

#[test_case(&[(2, KEY)], None; "the right key")]
#[test_case(&[(1, OTHER_KEY), (2, KEY)], None; "an older key first")]
#[test_case(&[(2, KEY), (2, OTHER_KEY)], None; "another key later")]
#[test_case(
    &[(2, OTHER_KEY)],
    Some("the payload's signature is wrong for this key: it was signed with another key, or changed after it was signed");
    "another key"
)]
#[test_case(
    &[(2, OTHER_KEY), (2, KEY)],
    Some("the payload's first signature of version 2, the only one that Flatcar's update_engine looks at, is wrong for this key; one of version 2 would fit");
    "the right key too late"
)]
#[test_case(
    &[(1, KEY), (3, OTHER_KEY)],
    Some("the payload has signatures of version 1, 3 only; Flatcar's update_engine needs one of version 2");
    "other clients only"
)]
#[test_case(&[], Some("the payload is not signed; update_engine refuses it"); "no key")]
fn signatures(keys: &[(u64, &str)], message: Option<&str>) {
    let builder = Builder::partition(&[Op::replace(&blocks(&[1]), 0, 1)], None, &blocks(&[1]));
    let payload = if keys.is_empty() { builder.unsigned() } else { builder.signed(keys) };
    let result = verify(&*payload, Some(&public_key()));
    assert_eq!(result.err().map(|error| error.to_string()).as_deref(), message);
    verify(&*payload, None).unwrap();
}

#[test]
fn an_unsigned_payload_can_be_made() {
    let (payload, created) = make(&blocks(&[1]), Some(b"kernel"), &[]).unwrap();
    assert!(created.summary.signatures.is_empty());
    let error = verify(&*payload, Some(&public_key())).unwrap_err();
    assert_eq!(error.to_string(), "the payload is not signed; update_engine refuses it");
}

#[test_case("", "this is not a PEM key: it has no line \"-----BEGIN PUBLIC KEY-----\""; "empty")]
#[test_case("ssh-rsa AAAA", "this is not a PEM key: it has no line \"-----BEGIN PUBLIC KEY-----\""; "ssh")]
#[test_case(KEY, "the key file holds \"PRIVATE KEY\", where \"PUBLIC KEY\" is needed: write it with openssl rsa -in KEY -pubout"; "private")]
#[test_case(PKCS1, "the key file holds \"RSA PRIVATE KEY\", where \"PUBLIC KEY\" is needed: write it with openssl rsa -in KEY -pubout"; "private, old form")]
#[test_case(PKCS1_PUBLIC, "the key file holds \"RSA PUBLIC KEY\", where \"PUBLIC KEY\" is needed: convert it with openssl rsa -RSAPublicKey_in -in KEY -pubout"; "old form")]
#[test_case(EC_PUBLIC, "the PUBLIC KEY is not a usable RSA key: "; "elliptic curve")]
#[test_case("-----BEGIN PUBLIC KEY-----\n!\n-----END PUBLIC KEY-----\n", "the PUBLIC KEY is not a usable RSA key: "; "rubbish")]
fn public_keys_that_are_refused(pem: &str, message: &str) {
    let error = PublicKey::from_pem(pem).unwrap_err().to_string();
    assert!(error.starts_with(message), "{error}");
}

#[test_case("hello", "this is not a PEM key: it has no line \"-----BEGIN PRIVATE KEY-----\""; "text")]
#[test_case(PUBLIC, "the key file holds \"PUBLIC KEY\", where \"PRIVATE KEY\" is needed: payloads are signed with the other half of the pair"; "public")]
#[test_case(EC, "the PRIVATE KEY is not a usable RSA key: "; "elliptic curve")]
#[test_case(SHORT, "the RSA key has 1024 bits; it must have between 2048 and 4096, and Flatcar uses 2048"; "short")]
#[test_case(ENCRYPTED, "the key file holds \"ENCRYPTED PRIVATE KEY\", where \"PRIVATE KEY\" is needed: write it without a password with openssl pkcs8 -topk8 -nocrypt -in KEY"; "encrypted")]
#[test_case(&PKCS1[..400], "the RSA PRIVATE KEY is not a usable RSA key: "; "cut short")]
fn private_keys_that_are_refused(pem: &str, message: &str) {
    let error = PrivateKey::from_pem(pem).err().unwrap().to_string();
    assert!(error.starts_with(message), "{error}");
}
