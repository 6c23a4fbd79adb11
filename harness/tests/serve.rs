//! `wheeltap serve` as its users meet it.

#![expect(clippy::unwrap_used, reason = "a test says what it expected by panicking")]

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, ChildStdout, Command, Output, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

const CHECK: &str = r#"<request protocol="3.0"><app appid="{a}" version="3999.0.0" track="stable" machineid="m"><updatecheck/></app></request>"#;
const EVENT: &str = r#"<request protocol="3.0"><app appid="{a}" version="3999.0.0" machineid="m"><event eventtype="3" eventresult="0" errorcode="44"/></app></request>"#;

fn serve(directory: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wheeltap"));
    command
        .args(["serve", "updates"])
        .args(args)
        .current_dir(directory)
        .env("NO_COLOR", "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

struct Server {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Server {
    fn start(directory: &Path, args: &[&str]) -> Self {
        fs::write(directory.join("update.gz"), "payload").unwrap();
        let mut child = serve(directory, args).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdout }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line
    }

    fn end(mut self, signal: Signal) -> (Option<i32>, String) {
        kill_process(Pid::from_raw(self.child.id().cast_signed()).unwrap(), signal).unwrap();
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }
}

/// The authority in the first URL of a text.
fn authority(text: &str) -> String {
    let start = text.find("http://").unwrap() + "http://".len();
    text[start..].split('/').next().unwrap().to_owned()
}

fn exchange(authority: &str, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(authority).unwrap();
    write!(
        stream,
        "{head} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn every_request_is_a_line_and_ctrl_c_ends_with_a_summary() {
    let directory = tempfile::tempdir().unwrap();
    let mut server =
        Server::start(directory.path(), &["--payload", "update.gz", "--version", "4000.1.0"]);
    let first = server.line();
    assert!(first.ends_with("/v1/update  offers version 4000.1.0; Ctrl-C ends it\n"), "{first}");
    let authority = authority(&first);
    let answer = exchange(&authority, "POST /v1/update", CHECK);
    assert!(answer.contains(r#"<manifest version="4000.1.0">"#), "{answer}");
    assert!(exchange(&authority, "GET /packages/update.gz", "").ends_with("payload"));
    exchange(&authority, "POST /v1/update/", EVENT);
    let lines = [server.line(), server.line(), server.line()].concat();
    let (code, rest) = server.end(Signal::INT);
    insta::assert_snapshot!(lines + &rest);
    assert_eq!(code, Some(0));
}

#[test]
fn json_is_one_object_per_line() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Server::start(
        directory.path(),
        &["--payload", "update.gz", "--group", "beta", "lts", "--json"],
    );
    let first = server.line();
    let listening: serde_json::Value = serde_json::from_str(&first).unwrap();
    assert_eq!(listening["groups"], serde_json::json!(["beta", "lts"]));
    exchange(&authority(&first), "POST /v1/update", CHECK);
    let request: serde_json::Value = serde_json::from_str(&server.line()).unwrap();
    assert_eq!(request["update"]["offered"], serde_json::Value::Null);
    let (code, rest) = server.end(Signal::TERM);
    let summary: serde_json::Value = serde_json::from_str(&rest).unwrap();
    assert_eq!((code, &summary["summary"]["checks"]), (Some(0), &1.into()));
}

#[test]
fn it_speaks_https_with_a_certificate() {
    let directory = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    fs::write(directory.path().join("cert.pem"), made.cert.pem()).unwrap();
    fs::write(directory.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let tls = ["--payload", "update.gz", "--tls-cert", "cert.pem", "--tls-key", "key.pem"];
    let mut server = Server::start(directory.path(), &tls);
    let first = server.line();
    let url = first.strip_prefix("SERVER=https://").unwrap();
    // A client that doesn't speak TLS gets no answer, and a line.
    let mut stream = TcpStream::connect(url.split('/').next().unwrap()).unwrap();
    stream.write_all(b"GET /packages/update.gz HTTP/1.1\r\n\r\n").unwrap();
    let line = server.line();
    assert!(line.starts_with("refused   TLS handshake: the client doesn't speak TLS"), "{line}");
    assert_eq!(server.end(Signal::INT).0, Some(0));
}

fn refused(args: &[&str]) -> (Option<i32>, String) {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("update.gz"), "payload").unwrap();
    fs::write(directory.path().join("empty.gz"), "").unwrap();
    let Output { status, stderr, .. } = serve(directory.path(), args).output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    let words = stderr.split_whitespace().filter(|word| *word != "│");
    (status.code(), words.collect::<Vec<_>>().join(" "))
}

#[test]
fn bad_input_gets_a_sentence_and_the_right_exit_code() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    let payload = ["--payload", "update.gz"];
    let with = |args: &[&'static str]| [&payload[..], args].concat();
    for (args, code, message) in [
        (vec!["--payload", "missing.gz"], 2, "there is no payload missing.gz"),
        (vec!["--payload", "."], 2, ". is not a file"),
        (vec!["--payload", "empty.gz"], 2, "empty.gz is empty"),
        (vec!["--payload", "update.gz", "missing.gz"], 2, "there is no payload missing.gz"),
        (vec![], 2, "--payload <FILE|URL>"),
        (with(&["--version", "stable"]), 2, "\"stable\" is not a version"),
        (with(&["--listen", "192.0.2.1:0"]), 2, "this host has no address 192.0.2.1"),
        (with(&["--tls-cert", "cert.pem"]), 2, "--tls-key <FILE>"),
        (
            with(&["--tls-cert", "update.gz", "--tls-key", "update.gz"]),
            2,
            "update.gz holds no certificate in PEM",
        ),
        (with(&["--listen", "localhost"]), 2, "--listen <ADDRESS:PORT>"),
        ([&payload[..], &["--listen", &taken]].concat(), 3, "is in use by another program"),
    ] {
        let (status, stderr) = refused(&args);
        assert_eq!(status, Some(code), "{args:?}: {stderr}");
        assert!(stderr.contains(message), "{args:?}: {stderr}");
    }
}
