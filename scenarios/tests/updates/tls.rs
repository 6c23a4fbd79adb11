//! The server over HTTPS. The client is curl: OpenSSL, as real update clients have it.

use std::{
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use wheeltap_platforms::Interrupt;
use wheeltap_scenarios::updates::{
    Asked, Authority, Misbehaviour, Release, Served, TlsIdentity, UpdateServer,
};

use crate::client::{Files, GUARD, check, content};

const SIZE: usize = 300_000;

/// curl's exit status when it doesn't trust the server.
const UNTRUSTED: i32 = 60;

struct Site {
    files: Files,
    authority: Authority,
    server: UpdateServer,
}

async fn site(identity: impl FnOnce(&Authority) -> TlsIdentity) -> Site {
    let (files, authority) = (Files::new(), Authority::new().unwrap());
    let release = Release::load(&files.add("update.gz", SIZE)).await.unwrap();
    files.add_bytes("ca.pem", authority.ca_pem().as_bytes());
    let identity = identity(&authority);
    let server = UpdateServer::start_tls(UpdateServer::LOOPBACK, vec![release], &identity).await;
    Site { files, authority, server: server.unwrap() }
}

fn good(authority: &Authority) -> TlsIdentity {
    authority.identity(&Authority::GUEST_NAMES).unwrap()
}

/// curl with these arguments, or the end of a test on a host that has none.
macro_rules! curl {
    ($($arg:expr),+) => {
        match curl(vec![$($arg.into()),+]).await {
            Some(output) => output,
            None => return,
        }
    };
}

async fn curl(args: Vec<String>) -> Option<Output> {
    let mut command = Command::new("curl");
    command.args(["-q", "-sS", "--noproxy", "*", "--max-time", "60"]).args(args);
    match tokio::task::spawn_blocking(move || command.output()).await.unwrap() {
        Ok(output) => Some(output),
        Err(error) => {
            println!("skipped: curl can't be run ({error})");
            None
        }
    }
}

impl Site {
    fn ca(&self) -> String {
        self.files.path("ca.pem").display().to_string()
    }

    fn package(&self) -> String {
        self.server.url().replace("/v1/update", "/packages/update.gz")
    }

    /// Why the first handshake that failed did.
    async fn refusal(&self) -> String {
        let refused = |it: &Served| matches!(it.asked, Asked::Refused { .. });
        let never = Interrupt::never();
        let served = self.server.wait_for_request("a refusal", GUARD, &never, refused).await;
        served.unwrap().to_string()
    }
}

#[tokio::test]
async fn whoever_trusts_the_authority_gets_answers_and_packages() {
    let site = site(good).await;
    assert!(site.server.url().starts_with("https://127.0.0.1:"), "{}", site.server.url());
    let request = check("3999.0.0", "stable", "").to_xml();
    let output = curl!(
        "--cacert",
        site.ca(),
        "-H",
        "Content-Type: text/xml",
        "--data-binary",
        request,
        site.server.url()
    );
    let answer = String::from_utf8_lossy(&output.stdout);
    let codebase = format!("codebase=\"https://{}/packages/\"", site.server.address());
    assert!(answer.contains(&codebase), "{answer}");
    for version in ["--tls-max=1.2", "--tlsv1.3"] {
        let args: Vec<_> = version.split('=').map(str::to_owned).collect();
        let args = [args, vec!["--cacert".into(), site.ca(), site.package()]].concat();
        let output = curl(args).await.unwrap();
        assert!(output.stdout == content(SIZE), "{output:?}");
    }
}

#[tokio::test]
async fn a_client_that_does_not_trust_the_authority_is_in_the_log_and_hurts_nobody() {
    let site = site(good).await;
    let stranger = Authority::new().unwrap();
    let strangers = site.files.add_bytes("stranger.pem", stranger.ca_pem().as_bytes());
    let output = curl!("--cacert", strangers.display().to_string(), site.package());
    assert_eq!(output.status.code(), Some(UNTRUSTED), "{output:?}");
    let expected = "refused   TLS handshake: the client ended it: UnknownCA  [no answer]";
    assert_eq!(site.refusal().await, expected);
    let output = curl!("--cacert", site.ca(), site.package());
    assert!(output.stdout == content(SIZE), "{output:?}");
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let names = Authority::GUEST_NAMES;
    let site = site(|authority| authority.expired_identity(&names).unwrap()).await;
    let output = curl!("--cacert", site.ca(), site.package());
    assert_eq!(output.status.code(), Some(UNTRUSTED), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("expired"), "{output:?}");
    assert!(site.refusal().await.contains("CertificateExpired"));
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused() {
    let site = site(|authority| authority.identity(&["update.example.com"]).unwrap()).await;
    let output = curl!("--cacert", site.ca(), site.package());
    assert_eq!(output.status.code(), Some(UNTRUSTED), "{output:?}");
    assert!(site.server.requests().iter().all(|it| !it.is_download()));
    assert!(site.authority.identity(&["ü"]).unwrap_err().to_string().contains("a certificate"));
}

#[tokio::test]
async fn plain_http_is_told_what_is_wrong() {
    let site = site(good).await;
    let plain = site.package().replace("https:", "http:");
    let output = curl!(plain);
    assert!(!output.status.success(), "{output:?}");
    let refusal = site.refusal().await;
    assert!(refusal.contains("doesn't speak TLS; its URL has to begin with https://"), "{refusal}");
    drop(TcpStream::connect(site.server.address()).unwrap());
    let output = curl!("--cacert", site.ca(), site.package());
    assert!(output.stdout == content(SIZE), "{output:?}");
}

#[tokio::test]
async fn it_misbehaves_over_tls_too() {
    let site = site(good).await;
    let mut flipped = content(SIZE);
    flipped[123_456] ^= 1;
    let cases = [
        (Misbehaviour::Corrupt { offset: 123_456 }, &flipped[..], true),
        (Misbehaviour::ResetAfter { bytes: 100_000 }, &flipped[..0], false),
        (Misbehaviour::Truncated { bytes: 100_000 }, &flipped[..100_000], false),
        (Misbehaviour::HttpStatus { status: 500 }, &b"the update server was told"[..], true),
    ];
    for (misbehaviour, expected, success) in cases {
        site.server.misbehave(misbehaviour.clone()).await;
        let output = curl!("--cacert", site.ca(), site.package());
        assert_eq!(output.status.success(), success, "{misbehaviour:?}: {:?}", output.status);
        assert!(output.stdout.starts_with(expected), "{misbehaviour:?}");
        assert!(success || output.stdout.len() <= 100_000, "{misbehaviour:?}");
        site.server.behave().await.unwrap();
    }
    site.server.misbehave(Misbehaviour::Down).await;
    assert!(!curl!("--cacert", site.ca(), site.package()).status.success());
    site.server.behave().await.unwrap();
    assert!(curl!("--cacert", site.ca(), site.package()).stdout == content(SIZE));
}

/// A certificate for this host that signs itself, and its key, in files.
fn pair(files: &Files, name: &str) -> (PathBuf, PathBuf) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = made.signing_key.serialize_pem();
    (
        files.add_bytes(&format!("{name}.pem"), made.cert.pem().as_bytes()),
        files.add_bytes(&format!("{name}.key"), key.as_bytes()),
    )
}

#[tokio::test]
async fn an_identity_can_come_from_files() {
    let files = Files::new();
    let (certificate, key) = pair(&files, "one");
    let identity = TlsIdentity::load(&certificate, &key).unwrap();
    let server = UpdateServer::start_tls(UpdateServer::LOOPBACK, Vec::new(), &identity).await;
    let url = server.unwrap().url();
    assert!(url.starts_with("https://"), "{url}");
}

#[test]
fn files_that_are_no_identity_are_named() {
    let files = Files::new();
    let (certificate, key) = pair(&files, "one");
    let (_, other) = pair(&files, "other");
    let error =
        |one: &Path, other: &Path| TlsIdentity::load(one, other).map(drop).unwrap_err().to_string();
    let missing = files.path("missing.pem");
    assert!(error(&missing, &key).contains("missing.pem can't be read: No such file"));
    assert!(error(&key, &key).contains("one.key holds no certificate in PEM"));
    assert!(error(&certificate, &certificate).contains("one.pem holds no private key in PEM"));
    let mismatch = error(&certificate, &other);
    assert!(mismatch.contains("can't use this certificate with this key"), "{mismatch}");
}
