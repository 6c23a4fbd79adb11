use std::fmt::Write as _;
use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use test_case::test_case;

use super::{command, text};

const HASH: &str = "$6$rounds=4096$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/";

/// What goes, and what stays of it.
#[test_case("root:$6$salt$abcdefghijkl:19000:0", "root:[redacted]:19000:0"; "crypt sha512")]
#[test_case("hash $y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7 end", "hash [redacted] end"; "yescrypt")]
#[test_case("$2b$12$abcdefghijklmnopqrstuv", "[redacted]"; "bcrypt")]
#[test_case("$1$salt$abcdefgh.", "[redacted]"; "crypt md5")]
#[test_case("$5$salt$abcdefghij", "[redacted]"; "crypt sha256")]
#[test_case("$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub+b", "[redacted]"; "argon2")]
#[test_case(r"useradd -p \$6\$salt\$abcdefghijkl core", "useradd -p [redacted] core"; "escaped for a shell")]
#[test_case("core:ab1cdEfGh/jKl:19000:0:99999:7:::", "core:[redacted]:19000:0:99999:7:::"; "DES in shadow")]
#[test_case(r#""passwordHash": "abc.def""#, r#""passwordHash": "[redacted]""#; "in an Ignition config")]
#[test_case("    password_hash: abc def\n    name: core", "    password_hash: [redacted]\n    name: core"; "in a Butane config")]
#[test_case("AKIAIOSFODNN7EXAMPLE is the id", "[redacted] is the id"; "AWS access key id")]
#[test_case("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "aws_secret_access_key = [redacted]"; "AWS secret")]
#[test_case(r#"{"SecretAccessKey":"wJalrXUtnFEMI","Code":"Success"}"#, r#"{"SecretAccessKey":"[redacted]","Code":"Success"}"#; "AWS secret of the metadata service")]
#[test_case("push with ghp_16C7e42F292c6912E7710c838347Ae178B4a failed", "push with [redacted] failed"; "GitHub")]
#[test_case("github_pat_11ABCDEFG0abcdefghij_klmno", "[redacted]"; "GitHub, fine-grained")]
#[test_case("glpat-abcdefghij1234567890", "[redacted]"; "GitLab")]
#[test_case("xoxb-123456789012-abcdefABCDEF", "[redacted]"; "Slack")]
#[test_case("https://hooks.slack.com/services/T00/B00/XXXX", "https://hooks.slack.com/services/[redacted]"; "Slack hook")]
#[test_case("got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U ok", "got [redacted] ok"; "JWT")]
#[test_case("Authorization: Basic dXNlcjpwYXNz", "Authorization: [redacted]"; "basic auth")]
#[test_case(r#"{"authorization":"Bearer abc"}"#, r#"{"authorization":"[redacted]"}"#; "header in JSON")]
#[test_case("sent Bearer abcdef123456 there", "sent Bearer [redacted] there"; "bearer")]
#[test_case("cloning https://me:hunter2@host.example/x", "cloning https://me:[redacted]@host.example/x"; "URL with a password")]
#[test_case("https://0123456789abcdef0123@host/x", "https://[redacted]@host/x"; "URL with a token")]
#[test_case("mysql://root:p@ss:w0rd@db/x", "mysql://root:[redacted]@db/x"; "a password with signs in it")]
#[test_case("GET /a?X-Amz-Credential=abc%2Fus&X-Amz-Signature=0123&x=1", "GET /a?X-Amz-Credential=[redacted]&X-Amz-Signature=[redacted]&x=1"; "signed by AWS")]
#[test_case("https://a.blob.core.windows.net/c?sv=2022&sig=ab%2Bcd%3D&se=1", "https://a.blob.core.windows.net/c?sv=2022&sig=[redacted]&se=1"; "SAS")]
#[test_case("GET /?token=abc&user=me", "GET /?token=[redacted]&user=me"; "in a query")]
#[test_case("DB_PASSWORD=hunter2 ./run", "DB_PASSWORD=[redacted]"; "environment")]
#[test_case("ran DB_PASSWORD=hunter2 ./run", "ran DB_PASSWORD=[redacted] ./run"; "environment in a line")]
#[test_case("env KEY=abcdef0123456789 x", "env KEY=[redacted] x"; "a key")]
#[test_case(r#"{"a":1,"password":"hun\"ter2","b":2}"#, r#"{"a":1,"password":"[redacted]","b":2}"#; "JSON with a quote in it")]
#[test_case(r#""{\"password\":\"hunter2\",\"b\":2}""#, r#""{\"password\":\"[redacted]\",\"b\":2}""#; "JSON in JSON")]
#[test_case("  password: correct horse\n  b: 1", "  password: [redacted]\n  b: 1"; "YAML")]
#[test_case("password: |\n  hunter2\n", "password: |\n  [redacted]\n"; "YAML block")]
#[test_case("[wifi-security]\npsk=my pass phrase 1\nkey-mgmt=wpa-psk", "[wifi-security]\npsk=[redacted]\nkey-mgmt=wpa-psk"; "Wi-Fi")]
#[test_case(r#"psk="my pass phrase""#, r#"psk="[redacted]""#; "wpa_supplicant")]
#[test_case("PrivateKey = aGVsbG8gd29ybGQ=\nPublicKey = Zm9v", "PrivateKey = [redacted]\nPublicKey = Zm9v"; "WireGuard")]
#[test_case("login with token: abc123 now", "login with token: [redacted] now"; "a colon in a line")]
#[test_case("wheeltap --token abc123 run", "wheeltap --token [redacted] run"; "option")]
#[test_case("curl -fsu core:hunter2 -u a:pw1 http://x", "curl -fsu core:hunter2 -u a:[redacted] http://x"; "curl")]
#[test_case("kubeadm join --token abcdef.0123456789abcdef h:6443", "kubeadm join --token [redacted] h:6443"; "kubeadm")]
#[test_case("join abcdef.0123456789abcdef", "join [redacted]"; "kubeadm, alone")]
#[test_case("K3S x K1034c1d2e3f405162738495a6b7c8d9e0f::server:0a1b2c", "K3S x [redacted]"; "k3s")]
#[test_case(r#""keyFile":{"source":"data:,simple"}"#, r#""keyFile":{"source":"data:,[redacted]"}"#; "LUKS")]
#[test_case(r#"{"kty":"EC","d":"abcdefghijklmnopqrstuvwxyz012345","x":"abcdefghijklmnopqrstuvwxyz"}"#, r#"{"kty":"EC","d":"[redacted]","x":"abcdefghijklmnopqrstuvwxyz"}"#; "JWK")]
#[test_case("a -----BEGIN PRIVATE KEY-----\nMIIE\nabc=\n-----END PRIVATE KEY----- z", "a -----BEGIN PRIVATE KEY-----[redacted]-----END PRIVATE KEY----- z"; "PEM")]
#[test_case(r"-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\n", r"-----BEGIN RSA PRIVATE KEY-----[redacted]-----END RSA PRIVATE KEY-----\n"; "PEM in one line")]
#[test_case("-----BEGIN OPENSSH PRIVATE KEY----- b3Bl", "-----BEGIN OPENSSH PRIVATE KEY-----[redacted]"; "PEM cut off")]
#[test_case("x\n  5  MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQ\n  6  ab==\n-----END PRIVATE KEY-----", "x\n  5  [redacted]\n  6  [redacted]-----END PRIVATE KEY-----"; "PEM without its beginning")]
#[test_case("-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQ\n-----END PGP PRIVATE KEY BLOCK-----", "-----BEGIN PGP PRIVATE KEY BLOCK-----[redacted]-----END PGP PRIVATE KEY BLOCK-----"; "OpenPGP")]
#[test_case("AGE-SECRET-KEY-1QQQQ", "[redacted]"; "age")]
#[test_case("<password>hunter2</password>", "<password>[redacted]</password>"; "XML")]
#[test_case("-object secret,id=s0,data=hunter2", "-object secret,id=s0,data=[redacted]"; "QEMU")]
fn what_goes(secret: &str, expected: &str) {
    assert_eq!(text(secret), expected);
    assert_eq!(text(expected), expected, "again");
}

/// Evidence.
#[test_case("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1Y core@host"; "public key")]
#[test_case("-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA\n-----END PUBLIC KEY-----"; "public key in PEM")]
#[test_case("-----BEGIN CERTIFICATE-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA\n-----END CERTIFICATE-----"; "certificate")]
#[test_case("sha256 5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e"; "digest")]
#[test_case("verity.usrhash=5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e rootflags=rw"; "root hash of dm-verity")]
#[test_case("F88C FEDE FF29 A5B4 D952 3864 E25D 9AED 0593 B34A"; "fingerprint")]
#[test_case("host key=SHA256:uNiVztksCsDhcc0u9e8BrJfBnuPTsBfsrT7fk5nBD7s"; "fingerprint of a host key")]
#[test_case("boot_id 1b4e28ba-2fa1-11d2-883f-0016d3cca427 is the same"; "boot id")]
#[test_case("[0123456789ab] signature 0123456789ab"; "signature of a failure")]
#[test_case(r#""signature": "0123456789ab""#; "signature in JSON")]
#[test_case("Failed to read password: No such file or directory"; "prose after a colon")]
#[test_case("password: permission denied"; "prose at the beginning")]
#[test_case("PasswordAuthentication no"; "setting of sshd")]
#[test_case("core:*:19000:0:99999:7:::"; "no password in shadow")]
#[test_case(r#""passwordHash": null, "token": """#; "no value")]
#[test_case("PWD=/home/core KEY=/etc/luks.key token: /run/secrets/token"; "paths")]
#[test_case("with PASSWORD=$OTHER token=${TOKEN} key=<key>"; "variables and placeholders")]
#[test_case("the flag --token is missing"; "prose after an option")]
#[test_case("getty@tty1.service docker.containerd10.socket"; "names with dots")]
#[test_case("data:,hello%20world data:;base64,aGVsbG8="; "data URLs")]
#[test_case("http://10.0.2.2:8000/v1/update https://user@host/x"; "URLs")]
#[test_case("Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)"; "panic")]
#[test_case("bearer authentication is not supported; token expired"; "prose")]
#[test_case("mpt3sas: 12 phys; keyboard: none; monkey=banana123"; "kernel messages")]
fn what_stays(evidence: &str) {
    assert_eq!(text(evidence), evidence);
}

/// An Ignition config has files in data URLs.
#[test]
fn what_data_urls_hold() {
    let secret = format!("[auth]\nhash = {HASH}\n");
    let in_base64 = STANDARD.encode(&secret);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(secret.as_bytes()).unwrap();
    let in_gzip = STANDARD.encode(gzip.finish().unwrap());
    let percent =
        percent_encoding::utf8_percent_encode(&secret, percent_encoding::NON_ALPHANUMERIC);
    let nested = STANDARD.encode(format!(r#"{{"source":"data:;base64,{in_base64}"}}"#));
    for (head, content) in [
        ("data:;base64,", in_base64.clone()),
        ("data:text/plain;charset=utf-8;base64,", in_base64.replace('=', "%3D")),
        ("data:;base64,", in_gzip.clone()),
        ("data:,", percent.to_string()),
        ("data:;base64,", nested),
        // Cut off, as what is too long for a line.
        ("data:;base64,", in_base64[..in_base64.len() - 3].to_owned()),
        ("data:;base64,", in_gzip[..in_gzip.len() - 30].to_owned()),
    ] {
        let config =
            format!(r#"{{"contents":{{"source":"{head}{content}","compression":"gzip"}}}}"#);
        let expected = config.replace(&content, "[redacted]");
        assert_eq!(text(&config), expected, "{content}");
    }
}

#[test]
fn keys_in_base64() {
    let key = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQ\n-----END EC PRIVATE KEY-----\n";
    let certificate = key.replace("EC PRIVATE KEY", "CERTIFICATE");
    assert_eq!(text(&format!("data {}", STANDARD.encode(key))), "data [redacted]");
    let public = format!("data {}", STANDARD.encode(certificate));
    assert_eq!(text(&public), public);
}

/// A bomb costs no more than its first megabyte.
#[test]
fn a_bomb_is_not_unpacked_whole() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&vec![b' '; 8 << 20]).unwrap();
    gzip.write_all(b"\npassword=hunter2\n").unwrap();
    let url = format!("data:;base64,{}", STANDARD.encode(gzip.finish().unwrap()));
    assert_eq!(text(&url), url, "what comes after the first megabyte isn't looked at");
}

#[test]
fn command_lines() {
    let line = |words: &str| words.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let redacted = command(&line(
        "wheeltap run --token hunter --password=hunter --host core@h --update-server http://u:hunter@h/ --secret --quiet --api-key /etc/key",
    ));
    assert_eq!(
        redacted,
        line(
            "wheeltap run --token [redacted] --password=[redacted] --host core@h --update-server http://u:[redacted]@h/ --secret --quiet --api-key /etc/key"
        )
    );
}

/// A secret that no rule could guess, in the shapes in which secrets come.
fn planted() -> impl Strategy<Value = (String, String)> {
    let secret = "[A-Za-z0-9]{3}[0-9][A-Za-z0-9]{20}";
    let shape = prop_oneof![
        Just(("password=", "")),
        Just(("{\"token\":\"", "\"}")),
        Just(("\n  secret: ", "\n")),
        Just(("https://user:", "@host/")),
        Just(("$6$salt$", "")),
        Just(("-----BEGIN PRIVATE KEY-----\n", "\n-----END PRIVATE KEY-----")),
        Just(("Authorization: Bearer ", "")),
        Just(("ghp_", "")),
        Just(("glpat-", "")),
        Just((" --passphrase ", "")),
        Just(("?x=1&sig=", "&y=2")),
        Just(("data:,password%3D", "")),
    ];
    (secret, shape).prop_map(|(secret, (before, after))| {
        let text = format!("{before}{secret}{after}");
        (secret, text)
    })
}

proptest! {
    #[test]
    fn any_text_is_redacted_once(it in any::<String>()) {
        let once = text(&it).into_owned();
        prop_assert_eq!(text(&once), &*once);
    }

    /// Text in which names, signs and pieces of secrets meet by chance.
    #[test]
    fn pieces_are_redacted_once(
        pieces in proptest::collection::vec(
            prop_oneof![
                Just("password"), Just("token"), Just("key"), Just("="), Just(":"), Just(" "), Just("\n"), Just("\""),
                Just("'"), Just("\\"), Just("["), Just("]"), Just("abc123def456"), Just("--"), Just("data:;base64,"),
                Just("-----BEGIN PRIVATE KEY-----"), Just("-----END PRIVATE KEY-----"), Just("https://"), Just("@"),
                Just("$6$"), Just("eyJhbGciOiJI"), Just("."), Just("Bearer"), Just("authorization"), Just("[redacted]"),
                Just("AAAA"), Just("&sig"), Just("<"), Just(">"), Just("|"), Just("psk"), Just("keyFile"), Just("source"), Just("é"), Just("🚂"),
            ],
            0..30,
        )
    ) {
        let it = pieces.concat();
        let once = text(&it).into_owned();
        prop_assert_eq!(text(&once), &*once, "of {}", it);
    }

    #[test]
    fn what_is_planted_goes((secret, it) in planted(), before in "[ -~]{0,20}", after in "[ -~]{0,20}") {
        let mut all = String::new();
        let _ = write!(all, "{before} {it} {after}");
        prop_assert!(!text(&all).contains(&secret), "{all} became {}", text(&all));
    }
}
