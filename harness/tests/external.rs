//! `--host`: a machine that exists, here an OpenSSH server on loopback. What needs a console, power control or a fresh boot is
//! skipped with that reason; the rest runs.

#![expect(clippy::unwrap_used, reason = "a test says what it expected by panicking")]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use sshd::Server;

mod sshd;

fn run(directory: &Path, port: u16, args: &[&str]) -> Output {
    let user = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
    Command::new(env!("CARGO_BIN_EXE_wheeltap"))
        .args(["run", "--profile", "reference", "--identity", "user"])
        .args(["--host", &format!("{}@127.0.0.1:{port}", user.trim())])
        .args(args)
        .current_dir(directory)
        .env("WHEELTAP_HISTORY", directory.join("history.sqlite"))
        .output()
        .unwrap()
}

#[test]
fn what_can_run_runs_and_the_rest_is_skipped_with_its_reason() {
    let directory = tempfile::tempdir().unwrap();
    let Some(server) = Server::start(directory.path(), "PasswordAuthentication no") else { return };
    let output = run(
        directory.path(),
        server.port,
        &["security.keys-only", "reboot.reset", "ignition.files"],
    );
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{stdout}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(stdout.contains("PASS"), "{stdout}");
    let junit = fs::read_to_string(directory.path().join("wheeltap-out/latest/junit.xml")).unwrap();
    assert!(
        junit.contains("needs a fresh boot with a config, which this platform does not have"),
        "{junit}"
    );
    assert_eq!(junit.matches("<skipped").count(), 2, "{junit}");
}

#[test]
fn a_fault_of_the_machine_is_seen() {
    let directory = tempfile::tempdir().unwrap();
    let Some(server) = Server::start(directory.path(), "PasswordAuthentication yes") else {
        return;
    };
    let output = run(directory.path(), server.port, &["security.keys-only"]);
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{stdout}");
    assert!(stdout.contains("sshd offers publickey, password"), "{stdout}");
}
