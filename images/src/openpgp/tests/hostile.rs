//! Bytes that somebody chose, or that were damaged on the way.

use proptest::prelude::*;

use super::gpg::Gpg;
use super::*;

const TIME: &str = "20200101T000000";

fn signed(gpg: &Gpg, kind: &str) -> (TrustedKey, Vec<u8>) {
    let print = gpg.key(TIME, "Key <k@example.com>", kind, "sign", "never");
    (trust(&gpg.export(&print), &print), gpg.sign(TIME, &print, DATA, &[]))
}

#[test]
fn every_damage_is_seen() {
    let Some(gpg) = Gpg::new() else { return };
    let (key, signature) = signed(&gpg, "ed25519");
    check(&key, &signature, DATA).unwrap();
    for (at, bit) in (0..DATA.len()).map(|at| (at, 1 << (at % 8))) {
        let mut data = DATA.to_vec();
        data[at] ^= bit;
        let error = check(&key, &signature, &data).unwrap_err();
        assert!(matches!(error, SignatureError::Bad { .. }), "byte {at}: {error}");
    }
    // Behind the header: version, type, algorithms, and what is signed along with the data.
    let hashed = 2 + 6 + usize::from(u16::from_be_bytes([signature[6], signature[7]]));
    // Then what isn't signed, up to the begin of the hash and the numbers.
    let unhashed = 2 + usize::from(u16::from_be_bytes([signature[hashed], signature[hashed + 1]]));
    for at in (0..hashed).chain(hashed + unhashed..signature.len()) {
        let mut damaged = signature.clone();
        damaged[at] ^= 0x80 >> (at % 8);
        // The length of a number is written in bits, and some are as good as others.
        let numbers = hashed + unhashed + 2;
        if [numbers, numbers + 1, numbers + 34, numbers + 35].contains(&at) {
            continue;
        }
        let error = check(&key, &damaged, DATA).unwrap_err();
        assert_ne!(error, SignatureError::Empty, "byte {at}");
    }
}

#[test]
fn cut_off() {
    let Some(gpg) = Gpg::new() else { return };
    let (key, signature) = signed(&gpg, "rsa2048");
    assert_eq!(check(&key, b"", DATA).unwrap_err(), SignatureError::Empty);
    assert_eq!(check(&key, b" \n", DATA).unwrap_err(), SignatureError::Empty);
    for length in 1..signature.len() {
        let error = check(&key, &signature[..length], DATA).unwrap_err();
        let expected =
            matches!(error, SignatureError::Damaged { .. } | SignatureError::NotASignature { .. });
        assert!(expected, "{length} bytes: {error}");
    }
    let armored = b"-----BEGIN PGP SIGNATURE-----\n\niHUEABYKAB0WIQ";
    let problem = "its end is missing".to_owned();
    assert_eq!(check(&key, armored, DATA).unwrap_err(), SignatureError::Damaged { problem });
    let large = [&signature[..], &vec![0; MAX_SIGNATURE]].concat();
    assert_eq!(check(&key, &large, DATA).unwrap_err(), SignatureError::TooLarge);
    let many = signature.repeat(17);
    assert!(matches!(check(&key, &many, DATA), Err(SignatureError::Damaged { .. })));
    let what = "a web page";
    let error = check(&key, b"<html>404</html>", DATA).unwrap_err();
    assert_eq!(error, SignatureError::NotASignature { what });
    let error = check(&key, &gpg.export("k@example.com"), DATA).unwrap_err();
    assert_eq!(error, SignatureError::NotASignature { what: "an OpenPGP key" });
}

#[test]
fn arbitrary_bytes_never_verify() {
    let Some(gpg) = Gpg::new() else { return };
    let (key, signature) = signed(&gpg, "ed25519");
    let arbitrary = prop::collection::vec(any::<u8>(), 0..300);
    // Of what begins like a packet more is looked at.
    let packet = (0x80u8.., arbitrary.clone()).prop_map(|(tag, mut bytes)| {
        bytes.insert(0, tag);
        bytes
    });
    let patched = (0..signature.len(), arbitrary.clone()).prop_map(|(at, bytes)| {
        let mut patched = signature[..at].to_vec();
        patched.extend(bytes);
        patched
    });
    let armored = arbitrary.clone().prop_map(|bytes| {
        let [begin, end] = ["BEGIN", "END"].map(|word| format!("-----{word} PGP SIGNATURE-----\n"));
        [begin.as_bytes(), b"\n", &bytes, b"\n", end.as_bytes()].concat()
    });
    let any = prop_oneof![arbitrary, packet, patched, armored];
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 500,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let tested = runner.run(&any, |bytes| {
        prop_assert!(check(&key, &bytes, b"data that nobody signed").is_err());
        let print = "0".repeat(40);
        prop_assert!(TrustedKey::from_bytes(Path::new("key"), &bytes, &print).is_err());
        Ok(())
    });
    tested.unwrap();
}
