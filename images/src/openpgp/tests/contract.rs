//! What GnuPG signs, and what of it counts.

use test_case::test_case;

use super::gpg::Gpg;
use super::*;

const YEAR_2020: &str = "20200101T000000";
const YEAR_2022: &str = "20220101T000000";
const YEAR_2026: &str = "20260101T000000";

#[test_case("rsa2048"; "rsa")]
#[test_case("ed25519"; "eddsa")]
#[test_case("nistp256"; "ecdsa 256")]
#[test_case("nistp384"; "ecdsa 384")]
#[test_case("nistp521"; "ecdsa 521")]
fn a_primary_key_that_signs_itself(kind: &str) {
    let Some(gpg) = Gpg::new() else { return };
    let print = gpg.key(YEAR_2020, "Fedora <f@example.com>", kind, "cert,sign", "never");
    let key = trust(&gpg.export(&print), &print);
    for armor in [&[][..], &["--armor"]] {
        let signature = gpg.sign(YEAR_2026, &print, DATA, armor);
        let signed = check(&key, &signature, DATA).unwrap();
        assert_eq!(signed.fingerprint, print);
        assert_eq!(signed.user_id.as_deref(), Some("Fedora <f@example.com>"));
        assert_eq!(signed.made.to_string(), "2026-01-01T00:00:00Z");
        assert_eq!(signed.expired_since, None);
        let other = check(&key, &signature, b"something else").unwrap_err();
        assert_eq!(other, SignatureError::Bad { key: print.clone() });
    }
}

/// A primary key that only certifies, with a subkey for each year.
fn flatcar(gpg: &Gpg) -> (String, String, String) {
    let print = gpg.key(YEAR_2020, "Buildbot <b@example.com>", "ed25519", "cert", "never");
    let old = gpg.subkey(YEAR_2020, &print, "rsa2048", "sign", "20210101T000000");
    let new = gpg.subkey(YEAR_2022, &print, "ed25519", "sign", "20280101T000000");
    (print, old, new)
}

#[test]
fn a_subkey_that_has_expired_since() {
    let Some(gpg) = Gpg::new() else { return };
    let (print, old, new) = flatcar(&gpg);
    let key = trust(&gpg.export(&print), &print);
    assert_eq!(key.fingerprint(), print);
    let signed = check(&key, &gpg.sign("20200601T000000", &old, DATA, &[]), DATA).unwrap();
    assert_eq!(signed.fingerprint, old);
    assert_eq!(signed.expired_since.unwrap().to_string(), "2021-01-01T00:00:00Z");
    let signed = check(&key, &gpg.sign(YEAR_2026, &new, DATA, &[]), DATA).unwrap();
    assert_eq!((signed.fingerprint, signed.expired_since), (new, None));
}

#[test]
fn several_signatures() {
    let Some(gpg) = Gpg::new() else { return };
    let (print, old, new) = flatcar(&gpg);
    let other = gpg.key(YEAR_2020, "Other <o@example.com>", "ed25519", "sign", "never");
    let key = trust(&gpg.export(&print), &print);
    let by_other = gpg.sign(YEAR_2026, &other, DATA, &[]);
    let damaged = gpg.sign("20200601T000000", &old, b"other data", &[]);
    let good = gpg.sign(YEAR_2026, &new, DATA, &[]);
    let all = [&by_other[..], &damaged, &good].concat();
    assert_eq!(check(&key, &all, DATA).unwrap().fingerprint, new);
    let error = check(&key, &[&by_other[..], &damaged].concat(), DATA).unwrap_err();
    assert_eq!(error, SignatureError::Bad { key: old });
    let error = check(&key, &by_other, DATA).unwrap_err();
    assert_eq!(error, SignatureError::OtherKey { trusted: print, signers: vec![other] });
}

#[test]
fn a_key_that_had_expired() {
    let Some(gpg) = Gpg::new() else { return };
    let print = gpg.key(YEAR_2020, "Old <o@example.com>", "ed25519", "cert,sign", "never");
    let signature = gpg.sign(YEAR_2022, &print, DATA, &[]);
    let key = trust(&gpg.export(&print), &print);
    check(&key, &signature, DATA).unwrap();
    // GnuPG doesn't sign with an expired key, but a key can be made to expire later.
    gpg.run("20200102T000000", &["--quick-set-expire", &print, "20210101T000000"]);
    let key = trust(&gpg.export(&print), &print);
    let error = check(&key, &signature, DATA).unwrap_err();
    assert!(matches!(&error, SignatureError::Expired { .. }), "{error}");
    insta::assert_snapshot!(error.to_string().replace(&print, "KEY"), @"the signature was made at 2022-01-01T00:00:00Z by KEY, which had expired at 2021-01-01T00:00:00Z; if the key was extended, get the new public key");
}

#[test]
fn a_subkey_of_a_primary_key_that_had_expired() {
    let Some(gpg) = Gpg::new() else { return };
    let (print, _, new) = flatcar(&gpg);
    let signature = gpg.sign(YEAR_2026, &new, DATA, &[]);
    gpg.run(YEAR_2022, &["--quick-set-expire", &print, "20230101T000000"]);
    let error = check(&trust(&gpg.export(&print), &print), &signature, DATA).unwrap_err();
    assert!(matches!(&error, SignatureError::Expired { key, .. } if *key == print), "{error}");
}

#[test]
fn a_key_that_is_younger_than_its_signature() {
    let Some(gpg) = Gpg::new() else { return };
    let print = gpg.key(YEAR_2022, "New <n@example.com>", "ed25519", "sign", "never");
    let signature = gpg.sign(YEAR_2020, &print, DATA, &["--ignore-time-conflict"]);
    let error = check(&trust(&gpg.export(&print), &print), &signature, DATA).unwrap_err();
    assert!(matches!(&error, SignatureError::BeforeKey { .. }), "{error}");
}

#[test]
fn a_signature_of_the_future() {
    let Some(gpg) = Gpg::new() else { return };
    let print = gpg.key(YEAR_2020, "Key <k@example.com>", "ed25519", "sign", "never");
    let key = trust(&gpg.export(&print), &print);
    let soon = gpg.sign("20260601T230000", &print, DATA, &[]);
    check(&key, &soon, DATA).unwrap();
    let error = check(&key, &gpg.sign("20260602T010000", &print, DATA, &[]), DATA).unwrap_err();
    assert!(matches!(&error, SignatureError::Future { .. }), "{error}");
}

#[test]
fn a_signature_that_has_ended() {
    let Some(gpg) = Gpg::new() else { return };
    let print = gpg.key(YEAR_2020, "Key <k@example.com>", "ed25519", "sign", "never");
    let ends = ["--default-sig-expire", "20230101T000000"];
    let signature = gpg.sign(YEAR_2022, &print, DATA, &ends);
    let error = check(&trust(&gpg.export(&print), &print), &signature, DATA).unwrap_err();
    assert!(matches!(&error, SignatureError::Ended { .. }), "{error}");
}

#[test]
fn a_key_that_is_revoked() {
    let Some(gpg) = Gpg::new() else { return };
    let (print, _, new) = flatcar(&gpg);
    let signature = gpg.sign(YEAR_2026, &new, DATA, &[]);
    check(&trust(&gpg.export(&print), &print), &signature, DATA).unwrap();
    // GnuPG writes a revocation with each key, and breaks its armor so that nobody imports it by mistake.
    let name = format!("openpgp-revocs.d/{print}.rev");
    let text = std::fs::read_to_string(gpg.path(&name)).unwrap();
    let revocation = gpg.path("revocation");
    std::fs::write(&revocation, text.replace(":-----BEGIN", "-----BEGIN")).unwrap();
    gpg.run(YEAR_2026, &["--import", revocation.to_str().unwrap()]);
    let error = check(&trust(&gpg.export(&print), &print), &signature, DATA).unwrap_err();
    assert!(matches!(&error, SignatureError::Revoked { key, .. } if *key == print), "{error}");
}

#[test]
fn a_subkey_that_is_revoked() {
    let Some(gpg) = Gpg::new() else { return };
    let (print, old, new) = flatcar(&gpg);
    let [by_old, by_new] = [("20200601T000000", &old), (YEAR_2026, &new)]
        .map(|(time, key)| gpg.sign(time, key, DATA, &[]));
    // The second subkey; "is no longer used".
    let answers = gpg.path("answers");
    std::fs::write(&answers, "key 2\nrevkey\ny\n3\n\ny\nsave\n").unwrap();
    let from = format!("{}", answers.display());
    gpg.run(YEAR_2026, &["--no-batch", "--command-file", &from, "--edit-key", &print]);
    let key = trust(&gpg.export(&print), &print);
    let error = check(&key, &by_new, DATA).unwrap_err();
    let reason = "it is no longer used".to_owned();
    assert_eq!(error, SignatureError::Revoked { key: new, reason });
    check(&key, &by_old, DATA).unwrap();
}

#[test_case("SHA1")]
#[test_case("RIPEMD160")]
fn weak_hashes(hash: &str) {
    let Some(gpg) = Gpg::new() else { return };
    let print = gpg.key(YEAR_2020, "Key <k@example.com>", "rsa2048", "sign", "never");
    let signature = gpg.sign(YEAR_2022, &print, DATA, &["--digest-algo", hash]);
    let error = check(&trust(&gpg.export(&print), &print), &signature, DATA).unwrap_err();
    assert_eq!(error, SignatureError::WeakHash { key: print, hash: hash.to_owned() });
}

#[test]
fn a_key_that_nothing_but_sha1_vouches_for() {
    let Some(gpg) = Gpg::new() else { return };
    let weak = [
        "--cert-digest-algo",
        "SHA1",
        "--quick-generate-key",
        "Key <k@example.com>",
        "rsa2048",
        "sign",
        "never",
    ];
    gpg.run(YEAR_2020, &weak);
    let bytes = gpg.export("k@example.com");
    let print = match TrustedKey::from_bytes(Path::new("key.asc"), &bytes, &"0".repeat(40)) {
        Err(KeyError::NotInFile { mut found, .. }) => found.remove(0),
        other => panic!("{other:?}"),
    };
    let signature = gpg.sign(YEAR_2022, &print, DATA, &[]);
    let error = check(&trust(&bytes, &print), &signature, DATA).unwrap_err();
    assert!(matches!(&error, SignatureError::Unbound { key, .. } if *key == print), "{error}");
}

#[test]
fn a_signature_of_a_text() {
    let Some(gpg) = Gpg::new() else { return };
    let print = gpg.key(YEAR_2020, "Key <k@example.com>", "ed25519", "sign", "never");
    let key = trust(&gpg.export(&print), &print);
    let error = check(&key, &gpg.sign(YEAR_2022, &print, DATA, &["--textmode"]), DATA).unwrap_err();
    assert!(matches!(&error, SignatureError::NotBinary { .. }), "{error}");
    let clear = gpg.sign(YEAR_2022, &print, DATA, &["--clear-sign"]);
    let what = "a text with its signature in it";
    assert_eq!(check(&key, &clear, DATA).unwrap_err(), SignatureError::NotASignature { what });
    let inline = gpg.path("inline");
    let data = gpg.path("data");
    let [inline, data] = [&inline, &data].map(|path| path.to_str().unwrap());
    gpg.run(YEAR_2022, &["--local-user", &print, "--output", inline, "--sign", data]);
    let error = check(&key, &std::fs::read(inline).unwrap(), DATA).unwrap_err();
    assert_eq!(error, SignatureError::NotASignature { what: "an OpenPGP message" });
}

#[test]
fn a_primary_key_that_may_not_sign() {
    let Some(gpg) = Gpg::new() else { return };
    // GnuPG refuses to sign with it, so it makes a key that may and is then told otherwise.
    let print = gpg.key(YEAR_2020, "Key <k@example.com>", "rsa2048", "cert,sign", "never");
    let signature = gpg.sign(YEAR_2022, &print, DATA, &[]);
    check(&trust(&gpg.export(&print), &print), &signature, DATA).unwrap();
    let answers = gpg.path("answers");
    std::fs::write(&answers, "change-usage\ns\nq\nsave\n").unwrap();
    let from = format!("{}", answers.display());
    gpg.run(YEAR_2022, &["--no-batch", "--command-file", &from, "--edit-key", &print]);
    let error = check(&trust(&gpg.export(&print), &print), &signature, DATA).unwrap_err();
    assert_eq!(error, SignatureError::NotForSigning { key: print });
}

#[test]
fn a_subkey_that_may_not_sign() {
    let Some(gpg) = Gpg::new() else { return };
    let (print, old, _) = flatcar(&gpg);
    let signature = gpg.sign("20200601T000000", &old, DATA, &[]);
    let answers = gpg.path("answers");
    std::fs::write(&answers, "key 1\nchange-usage\ns\na\nq\nsave\n").unwrap();
    let from = format!("{}", answers.display());
    gpg.run("20200701T000000", &["--no-batch", "--command-file", &from, "--edit-key", &print]);
    let error = check(&trust(&gpg.export(&print), &print), &signature, DATA).unwrap_err();
    assert_eq!(error, SignatureError::NotForSigning { key: old });
}

#[test]
fn a_subkey_that_belongs_to_another_key() {
    let Some(gpg) = Gpg::new() else { return };
    let (print, _, _) = flatcar(&gpg);
    let other = gpg.key(YEAR_2020, "Other <o@example.com>", "ed25519", "cert", "never");
    let stray = gpg.subkey(YEAR_2020, &other, "ed25519", "sign", "never");
    let signature = gpg.sign(YEAR_2022, &stray, DATA, &[]);
    let mut key = trust(&gpg.export(&print), &print);
    key.certificate
        .public_subkeys
        .clone_from(&trust(&gpg.export(&other), &other).certificate.public_subkeys);
    let error = check(&key, &signature, DATA).unwrap_err();
    insta::assert_snapshot!(error.to_string().replace(&stray, "KEY"), @"the signature is by KEY, which the key file does not bind to the trusted key: no signature of the primary key says so that is valid today");
}

#[test]
fn a_subkey_that_has_not_signed_in_turn() {
    let Some(gpg) = Gpg::new() else { return };
    let (print, old, _) = flatcar(&gpg);
    let signature = gpg.sign("20200601T000000", &old, DATA, &[]);
    let mut key = trust(&gpg.export(&print), &print);
    for binding in &mut key.certificate.public_subkeys[0].signatures {
        // GnuPG puts it where anybody can take it out.
        let unhashed = &binding.config().unwrap().unhashed_subpackets;
        let embedded = |part: &pgp::packet::Subpacket| {
            matches!(part.data, pgp::packet::SubpacketData::EmbeddedSignature(_))
        };
        let at = unhashed.iter().position(embedded).unwrap();
        binding.unhashed_subpacket_remove(at).unwrap();
    }
    let error = check(&key, &signature, DATA).unwrap_err();
    insta::assert_snapshot!(error.to_string().replace(&old, "KEY"), @"the signature is by KEY, which the key file does not bind to the trusted key: it has not signed the primary key in turn");
}
