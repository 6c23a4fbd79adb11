//! Files that are no keys, and fingerprints of other keys.

use std::fs;

use tempfile::TempDir;
use test_case::test_case;

use super::gpg::Gpg;
use super::*;

/// What is said of a file, without its directory.
fn refusal(bytes: &[u8], fingerprint: &str) -> String {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("key.asc");
    fs::write(&path, bytes).unwrap();
    let message = TrustedKey::load(&path, fingerprint).unwrap_err().to_string();
    message.replace(&format!("{}/", directory.path().display()), "")
}

const PRINT: &str = "F88CFEDEFF29A5B4D9523864E25D9AED0593B34A";

#[test_case(b"", "it is empty"; "empty")]
#[test_case(b"hello", "it is something else"; "text")]
#[test_case(b"ssh-ed25519 AAAA me", "it is an SSH key"; "ssh")]
#[test_case(b"-----BEGIN OPENSSH PRIVATE KEY-----\n", "it is an SSH key"; "secret ssh")]
#[test_case(b"-----BEGIN PUBLIC KEY-----\nMIIB", "it is a PEM file, such as a certificate"; "pem")]
#[test_case(b"untrusted comment: minisign public key\nRWQ", "it is one of minisign or signify"; "minisign")]
#[test_case(b"<!DOCTYPE html>", "it is a web page"; "html")]
#[test_case(b"-----BEGIN PGP SIGNATURE-----\n\n-----END PGP SIGNATURE-----", "it is an OpenPGP signature"; "signature")]
#[test_case(b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n", "holds a secret key: give the public one"; "secret")]
#[test_case(b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQ", "is damaged: its end is missing"; "cut off")]
#[test_case(b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n*!\n-----END PGP PUBLIC KEY BLOCK-----\n", "armor is broken"; "armor")]
fn no_keys(bytes: &[u8], expected: &str) {
    let message = refusal(bytes, PRINT);
    assert!(message.contains(expected), "{message}");
}

#[test]
fn no_files() {
    let directory = TempDir::new().unwrap();
    let error = TrustedKey::load(directory.path(), PRINT).unwrap_err();
    assert!(matches!(error, KeyError::NotAFile { .. }), "{error}");
    let error = TrustedKey::load(&directory.path().join("none"), PRINT).unwrap_err().to_string();
    assert!(error.ends_with("(os error 2); give the path of a public OpenPGP key"), "{error}");
    let message = refusal(&vec![b'x'; (1 << 20) + 1], PRINT);
    assert!(message.contains("is larger than 1 MiB"), "{message}");
}

#[test_case("", "it is empty"; "empty")]
#[test_case("0593B34A", "it is a short key id, and others can make keys with the same"; "short")]
#[test_case("0xE25D9AED0593B34A", "it is a short key id, and others can make keys with the same"; "long")]
#[test_case("F88CFEDEFF29A5B4D9523864E25D9AED0593B34", "it does not have 40 or 64 digits"; "39 digits")]
#[test_case("G88CFEDEFF29A5B4D9523864E25D9AED0593B34A", "it has other characters than hex digits"; "letters")]
fn no_fingerprints(given: &str, expected: &str) {
    let message = refusal(b"never read", given);
    let hint = "`gpg --show-keys FILE` shows the fingerprint of a key";
    assert_eq!(message, format!("{given:?} is no fingerprint: {expected}; {hint}"));
}

#[test]
fn keys_in_files() {
    let Some(gpg) = Gpg::new() else { return };
    let [a, b] = ["A", "B"].map(|name| {
        gpg.key(
            "20200101T000000",
            &format!("{name} <{name}@example.com>"),
            "ed25519",
            "sign",
            "never",
        )
    });
    let armored = |key: &str| gpg.run("20200101T000000", &["--armor", "--export", key]);
    let file = gpg.path("both.asc");
    fs::write(&file, [armored(&a), b"and a comment\n".to_vec(), armored(&b)].concat()).unwrap();
    for print in [&a, &b] {
        assert_eq!(TrustedKey::load(&file, print).unwrap().fingerprint(), *print);
    }
    fs::write(&file, [gpg.export(&a), gpg.export(&b)].concat()).unwrap();
    let spaced = b.as_bytes().chunks(4).map(|four| String::from_utf8_lossy(four).to_lowercase());
    let spaced = format!("0x{}", spaced.collect::<Vec<_>>().join(" "));
    let key = TrustedKey::load(&file, &spaced).unwrap();
    assert_eq!(key.user_id().as_deref(), Some("B <B@example.com>"));

    let message = refusal(&fs::read(&file).unwrap(), PRINT);
    let message = message.replace(&a, "A").replace(&b, "B");
    insta::assert_snapshot!(message, @"key.asc does not hold the key F88CFEDEFF29A5B4D9523864E25D9AED0593B34A, but A and B: give the file of that key, or trust this one by its fingerprint");
    let cut = &gpg.export(&a)[..100];
    assert!(refusal(cut, &a).contains("is damaged: it is cut off"), "{}", refusal(cut, &a));
    let secret = gpg.run("20200101T000000", &["--export-secret-keys", &a]);
    assert!(refusal(&secret, &a).contains("holds a secret key"));
    let secret = gpg.run("20200101T000000", &["--armor", "--export-secret-keys", &a]);
    assert!(refusal(&secret, &a).contains("holds a secret key"));
    let signature = gpg.sign("20200101T000000", &a, DATA, &[]);
    assert!(refusal(&signature, &a).contains("a file without any public key"));
}
