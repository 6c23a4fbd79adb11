//! `wheeltap serve updates` in front of a payload on a release server, good and bad.

#![expect(clippy::unwrap_used, reason = "a test says what it expected by panicking")]

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
};

use rustix::process::{Pid, Signal, kill_process};
use test_case::test_case;

const PAYLOAD: &str = "CrAU payload";
/// `printf 'CrAU payload' | sha256sum`
const DIGEST: &str = "59f4719a7f4fadf755124d2d8fcb3773c3087eec42dd5981a3df1925f2a2cb69";

/// A release server: directories of different merit, each with Flatcar's layout. Gives its authority, and the paths that it
/// is asked for.
fn release_server() -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let authority = listener.local_addr().unwrap().to_string();
    let (sender, asked) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let sender = sender.clone();
            thread::spawn(move || {
                answer(stream.unwrap(), |path| drop(sender.send(path.to_owned())));
            });
        }
    });
    (authority, asked)
}

fn answer(mut stream: TcpStream, note: impl Fn(&str)) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
    let Some(request) = lines.next() else { return };
    lines.find(String::is_empty);
    let path = request.split(' ').nth(1).unwrap();
    let (merit, rest) = path[1..].split_once('/').unwrap();
    let is_digest = rest.ends_with(".sha256");
    assert_eq!(rest.trim_end_matches(".sha256"), "amd64-usr/4593.2.3/flatcar_production_update.gz");
    let respond = |status: u16, body: &str| {
        let length = body.len();
        format!(
            "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        )
    };
    let sha256sum = format!("{DIGEST}  flatcar_production_update.gz\n");
    let response = match (merit, is_digest) {
        ("good" | "short" | "endless", true) => respond(200, &sha256sum),
        ("corrupt", true) => respond(200, &sha256sum.replacen('d', "e", 1)),
        ("portal", true) => respond(200, "<html>Log in first</html>"),
        ("broken", true) => respond(500, ""),
        (_, true) => respond(404, ""),
        ("missing", false) => respond(404, ""),
        ("sick", false) => respond(503, ""),
        ("short", false) => respond(200, PAYLOAD).replace("load", ""),
        ("endless", false) => respond(200, PAYLOAD).replace("Length: 12", "Length: 13"),
        (_, false) => respond(200, PAYLOAD),
    };
    stream.write_all(response.as_bytes()).unwrap();
    note(path);
    if merit == "endless" && !is_digest {
        // Held open until the client gives up.
        let _ = stream.read(&mut [0]);
    }
}

fn url(authority: &str, merit: &str) -> String {
    format!("http://{authority}/{merit}/amd64-usr/4593.2.3/flatcar_production_update.gz")
}

fn serve(directory: &Path, args: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_wheeltap"))
        .args(["serve", "updates", "--payload"])
        .args(args)
        .current_dir(directory)
        .env("WHEELTAP_CACHE", directory.join("cache"))
        .env("NO_PROXY", "127.0.0.1")
        .env("NO_COLOR", "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn interrupt(child: &Child) {
    kill_process(Pid::from_raw(child.id().cast_signed()).unwrap(), Signal::INT).unwrap();
}

/// The first line of a server, which is then ended.
fn first_line(mut child: Child) -> String {
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{line}{}", said(&output));
    line
}

/// Standard error as one line, so that a message is found however it is wrapped.
fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).replace('│', " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The files in the cache, below directories with names that nobody can know.
fn cached(directory: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for part in ["downloads", "work"] {
        for entry in fs::read_dir(directory.join("cache").join(part)).into_iter().flatten() {
            for file in fs::read_dir(entry.unwrap().path()).unwrap() {
                names.push(format!("{part}/{}", file.unwrap().file_name().to_string_lossy()));
            }
        }
    }
    names.sort();
    names
}

#[test]
fn a_published_payload_is_fetched_once_and_served_with_its_version() {
    let directory = tempfile::tempdir().unwrap();
    let (authority, asked) = release_server();
    let good = url(&authority, "good");
    for _ in 0..2 {
        let line = first_line(serve(directory.path(), &[&good]));
        assert!(line.ends_with("offers version 4593.2.3; Ctrl-C ends it\n"), "{line}");
    }
    let asked: Vec<_> = asked.try_iter().map(|path| path.ends_with(".sha256")).collect();
    assert_eq!(asked, [true, false, true], "the second time, only for the digest");
    assert_eq!(
        cached(directory.path()),
        ["downloads/flatcar_production_update.gz", "downloads/flatcar_production_update.gz.sha256"]
    );
}

#[test]
fn without_a_digest_it_is_fetched_each_time() {
    let directory = tempfile::tempdir().unwrap();
    let (authority, asked) = release_server();
    let plain = url(&authority, "plain");
    for _ in 0..2 {
        let line = first_line(serve(directory.path(), &[&plain, "--version", "4593.2.4"]));
        assert!(line.contains("offers version 4593.2.4;"), "{line}");
    }
    assert_eq!(asked.try_iter().filter(|path| !path.ends_with(".sha256")).count(), 2);
    assert_eq!(cached(directory.path()), ["downloads/flatcar_production_update.gz"]);
}

#[test_case("corrupt", "is corrupt: its SHA-256 is 59f4"; "wrong digest")]
#[test_case("missing", "the server answers with HTTP status 404; is there such a version?"; "no such payload")]
#[test_case("sick", "the server answers with HTTP status 503"; "out of order")]
#[test_case("broken", ".gz.sha256 failed: the server answers with HTTP status 500"; "digest out of order")]
#[test_case("portal", ".gz.sha256 holds no SHA-256 digest"; "another page in place of the digest")]
#[test_case("short", "the connection was closed before everything had come"; "short body")]
fn failures_of_the_server(merit: &str, message: &str) {
    let directory = tempfile::tempdir().unwrap();
    let (authority, _asked) = release_server();
    let output = serve(directory.path(), &[&url(&authority, merit)]).wait_with_output().unwrap();
    assert!(said(&output).contains(message), "{}", said(&output));
    assert_eq!((output.status.code(), output.stdout.len()), (Some(3), 0));
    assert!(cached(directory.path()).is_empty(), "nothing was left");
}

#[test]
fn a_server_that_is_not_there_is_infrastructure() {
    let directory = tempfile::tempdir().unwrap();
    let authority = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let output = serve(directory.path(), &[&url(&authority, "good")]).wait_with_output().unwrap();
    assert!(said(&output).contains("Connection refused"), "{}", said(&output));
    assert_eq!(output.status.code(), Some(3));
}

#[test_case("ftp://host/update.gz", "it does not begin with http:// or https://"; "another protocol")]
#[test_case("http://host/", "it names no file"; "no file")]
fn bad_addresses(url: &str, message: &str) {
    let directory = tempfile::tempdir().unwrap();
    let output = serve(directory.path(), &[url]).wait_with_output().unwrap();
    assert!(said(&output).contains(message), "{}", said(&output));
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn ctrl_c_in_the_middle_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (authority, asked) = release_server();
    let child = serve(directory.path(), &[&url(&authority, "endless")]);
    // The second request is the one whose answer never ends.
    assert!(asked.iter().take(2).any(|path| !path.ends_with(".sha256")));
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert!(said(&output).contains("the download was cancelled"), "{}", said(&output));
    assert_eq!(output.status.code(), Some(130));
    assert!(cached(directory.path()).is_empty(), "nothing was left");
}
