//! Statements that are signed here are verified by OpenSSL, and the other way round; keys are those that it makes.

#![expect(clippy::unwrap_used, reason = "a test says what it expected by panicking")]

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::{ProptestConfig, any, prop, prop_assert, proptest};
use tempfile::TempDir;
use test_case::test_case;
use wheeltap_attestation::{
    Envelope, EnvelopeError, KeyError, PREDICATE_TYPE, PublicKey, Resource, SigningKey, Statement,
    StatementError, Subject, TestResult, Tested, VerifyError, pae,
};

/// The example of RFC 8410, section 10.3.
const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\n\
    MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";

fn statement() -> Statement {
    let tested = Tested {
        result: TestResult::Warned,
        configuration: vec![Resource::new("plan.json", &"ab".repeat(32)).with("verdict", "GO")],
        passed_tests: vec!["qemu/b".into(), "qemu/a".into(), "qemu/a".into()],
        warned_tests: vec!["qemu/flaky".into()],
        failed_tests: Vec::new(),
    };
    Statement::new(vec![Subject::new("flatcar:stable", &"5e".repeat(32))], tested)
}

fn openssl(directory: &Path, args: &[&str]) -> bool {
    let output = Command::new("openssl").args(args).current_dir(directory).output().unwrap();
    output.status.success()
}

/// A directory with a key of each kind that somebody may give us.
fn keys() -> TempDir {
    let dir = TempDir::new().unwrap();
    let make = |args: &[&str]| assert!(openssl(dir.path(), args), "{args:?}");
    make(&["genpkey", "-algorithm", "ed25519", "-out", "ed25519"]);
    make(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "p256"]);
    make(&["ecparam", "-name", "prime256v1", "-genkey", "-out", "sec1"]);
    make(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384", "-out", "p384"]);
    make(&["genpkey", "-algorithm", "RSA", "-out", "rsa"]);
    make(&["pkey", "-in", "p256", "-aes256", "-passout", "pass:x", "-out", "encrypted"]);
    make(&["ec", "-in", "p256", "-aes256", "-passout", "pass:x", "-out", "sec1-encrypted"]);
    for key in ["ed25519", "p256", "sec1", "p384", "rsa"] {
        make(&["pkey", "-in", key, "-pubout", "-out", &format!("{key}.pub")]);
    }
    for entry in fs::read_dir(dir.path()).unwrap() {
        fs::set_permissions(entry.unwrap().path(), Permissions::from_mode(0o600)).unwrap();
    }
    let cut = fs::read_to_string(dir.path().join("ed25519")).unwrap();
    fs::write(dir.path().join("cut"), &cut[..60]).unwrap();
    fs::write(dir.path().join("damaged"), cut.replace("MC4C", "AAAA")).unwrap();
    fs::write(dir.path().join("text"), "ssh-ed25519 AAAA user@host\n").unwrap();
    dir
}

#[test]
fn each_key_signs_and_openssl_agrees() {
    let dir = keys();
    for name in ["ed25519", "p256", "sec1"] {
        let key = SigningKey::load(&dir.path().join(name)).unwrap();
        let public = PublicKey::load(&dir.path().join(format!("{name}.pub"))).unwrap();
        assert_eq!(key.public().id(), public.id());
        let payload = statement().bytes();
        let envelope = Envelope::sign(&payload, &[key]);
        assert_eq!(envelope.verify(std::slice::from_ref(&public)).unwrap(), payload, "{name}");

        let (message, signature) = ("message", "signature");
        let sig = STANDARD.decode(&envelope.signatures[0].sig).unwrap();
        fs::write(dir.path().join(signature), &sig).unwrap();
        let verified = |bytes: &[u8]| {
            fs::write(dir.path().join(message), bytes).unwrap();
            let key = format!("{name}.pub");
            let common = ["-sigfile", signature, "-in", message];
            match name {
                "ed25519" => openssl(
                    dir.path(),
                    &[&["pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", &key], &common[..]]
                        .concat(),
                ),
                _ => openssl(
                    dir.path(),
                    &["dgst", "-sha256", "-verify", &key, "-signature", signature, message],
                ),
            }
        };
        let encoded = pae("application/vnd.in-toto+json", &payload);
        assert!(verified(&encoded), "{name}");
        assert!(!verified(&[&encoded[..], b" "].concat()), "{name}: it says yes to anything");

        // And what OpenSSL signs is verified here.
        fs::write(dir.path().join(message), &encoded).unwrap();
        let out = ["-out", "theirs"];
        let done = match name {
            "ed25519" => {
                let args = ["pkeyutl", "-sign", "-rawin", "-inkey", name, "-in", message];
                openssl(dir.path(), &[&args[..], &out].concat())
            }
            _ => {
                openssl(dir.path(), &["dgst", "-sha256", "-sign", name, "-out", "theirs", message])
            }
        };
        assert!(done, "{name}");
        let theirs = fs::read(dir.path().join("theirs")).unwrap();
        assert!(public.verify(&encoded, &theirs), "{name}");
        assert!(!public.verify(&payload, &theirs), "{name}: without the payload's type");
    }
}

#[test]
fn a_key_that_cannot_be_used_is_called_by_its_name() {
    let dir = keys();
    let mut said = String::new();
    let names = [
        "rsa",
        "p384",
        "encrypted",
        "sec1-encrypted",
        "ed25519.pub",
        "cut",
        "damaged",
        "text",
        "missing",
    ];
    for name in names {
        let error = SigningKey::load(&dir.path().join(name)).unwrap_err();
        writeln!(said, "{name}: {error}").unwrap();
    }
    said.push_str("# to verify with\n");
    for name in ["ed25519", "sec1", "encrypted", "rsa.pub", "p384.pub", "text"] {
        let error = PublicKey::load(&dir.path().join(name)).unwrap_err();
        writeln!(said, "{name}: {error}").unwrap();
    }
    insta::assert_snapshot!(said.replace(dir.path().to_str().unwrap(), "/DIR"));
}

#[test_case(0o640; "the group reads it")]
#[test_case(0o604; "everybody reads it")]
fn a_private_key_is_private(mode: u32) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("key");
    fs::write(&path, PRIVATE).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    let error = SigningKey::load(&path).unwrap_err();
    assert!(matches!(error, KeyError::Permissions { .. }), "{error}");
    assert!(error.to_string().contains("run `chmod 600 "), "{error}");
    fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
    SigningKey::load(&path).unwrap();
}

#[test]
fn the_same_statement_has_the_same_bytes() {
    let key = SigningKey::parse(PRIVATE).unwrap();
    let envelope = Envelope::sign(&statement().bytes(), &[key]);
    let payload = String::from_utf8(envelope.payload().unwrap()).unwrap();
    insta::assert_snapshot!(format!("{}\n{payload}", envelope.line()));
}

/// DSSE's own example, protocol.md.
#[test]
fn what_is_signed_is_as_dsse_says() {
    let encoded = pae("http://example.com/HelloWorld", b"hello world");
    assert_eq!(encoded, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
}

fn signed() -> Envelope {
    Envelope::sign(&statement().bytes(), &[SigningKey::parse(PRIVATE).unwrap()])
}

fn altered(change: impl Fn(&mut serde_json::Value)) -> Result<Vec<u8>, VerifyError> {
    let mut json: serde_json::Value = serde_json::from_str(&signed().line()).unwrap();
    change(&mut json);
    let envelopes = Envelope::parse(json.to_string().as_bytes()).unwrap();
    envelopes[0].verify(&[PublicKey::parse(PUBLIC).unwrap()])
}

#[test]
fn what_is_wrong_with_an_envelope_is_said() {
    assert!(altered(|_| {}).is_ok());
    let payload = STANDARD.encode(br#"{"_type":"x"}"#);
    let error = altered(|json| json["payload"] = payload.clone().into()).unwrap_err();
    assert!(matches!(error, VerifyError::Altered { .. }), "{error}");
    let error = altered(|json| json["payloadType"] = "text/plain".into()).unwrap_err();
    assert!(matches!(error, VerifyError::OtherPayload { .. }), "{error}");
    let error = altered(|json| json["signatures"] = serde_json::json!([])).unwrap_err();
    assert_eq!(error, VerifyError::NoSignature);
    // The hint says what it likes.
    assert!(altered(|json| json["signatures"][0]["keyid"] = "another".into()).is_ok());
    let error = altered(|json| {
        json["signatures"][0]["keyid"] = "another".into();
        json["payload"] = payload.clone().into();
    })
    .unwrap_err();
    assert!(matches!(error, VerifyError::OtherKey { .. }), "{error}");
}

#[test]
fn each_of_several_keys_must_have_signed() {
    let dir = keys();
    let load = |name: &str| SigningKey::load(&dir.path().join(name)).unwrap();
    let both = Envelope::sign(b"{}", &[load("ed25519"), load("p256")]);
    let public = |name: &str| load(name).public();
    assert!(both.verify(&[public("ed25519"), public("p256")]).is_ok());
    assert!(both.verify(&[public("p256")]).is_ok(), "more signatures than keys do no harm");
    let error = both.verify(&[public("ed25519"), public("sec1")]).unwrap_err();
    assert!(matches!(error, VerifyError::OtherKey { .. }), "{error}");
    assert_eq!(both.verify(&[]), Err(VerifyError::NoSignature), "no key verifies nothing");
}

#[test]
fn what_is_no_envelope_is_said() {
    let error = Envelope::parse(&statement().bytes()).unwrap_err();
    assert!(matches!(error, EnvelopeError::Unsigned), "{error}");
    assert!(matches!(Envelope::parse(b" \n").unwrap_err(), EnvelopeError::Empty));
    assert!(matches!(Envelope::parse(b"{}").unwrap_err(), EnvelopeError::Json(_)));
    let two = signed().line().repeat(2);
    assert_eq!(Envelope::parse(two.as_bytes()).unwrap().len(), 2, "one in each line");
}

#[test]
fn other_statements_are_refused() {
    let with = |from: &str, to: &str| {
        let text = String::from_utf8(statement().bytes()).unwrap().replace(from, to);
        Statement::parse(text.as_bytes()).unwrap_err()
    };
    let error = with(PREDICATE_TYPE, "https://slsa.dev/provenance/v1");
    assert!(matches!(error, StatementError::OtherPredicate { .. }), "{error}");
    let error = with("Statement/v1", "Statement/v0.1");
    assert!(matches!(error, StatementError::OtherType { .. }), "{error}");
    let error = with("WARNED", "GREAT");
    assert!(matches!(error, StatementError::Json(_)), "{error}");
    let nothing = Statement { subject: Vec::new(), ..statement() };
    let error = Statement::parse(&nothing.bytes()).unwrap_err();
    assert!(matches!(error, StatementError::NoSubject), "{error}");
}

proptest! {
    // Curves are slow without optimisation.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in any::<Vec<u8>>(), text in any::<String>()) {
        let _ = Envelope::parse(&bytes);
        let _ = Statement::parse(&bytes);
        let _ = SigningKey::parse(&text);
        let _ = PublicKey::parse(&format!("-----BEGIN PUBLIC KEY-----\n{text}"));
    }

    #[test]
    fn no_byte_can_be_changed(place in any::<prop::sample::Index>(), change in 1_u8..) {
        let public = PublicKey::parse(PUBLIC).unwrap();
        let good = signed();
        let payload = good.payload().unwrap();
        let mut bytes = good.line().into_bytes();
        let place = place.index(bytes.len());
        bytes[place] ^= change;
        // Whatever can still be read and verified says what was signed.
        for envelope in Envelope::parse(&bytes).unwrap_or_default() {
            if let Ok(read) = envelope.verify(std::slice::from_ref(&public)) {
                prop_assert!(read == payload);
            }
        }
    }
}
