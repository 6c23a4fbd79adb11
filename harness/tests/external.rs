//! `--host`: a machine that exists, here an OpenSSH server on loopback. What needs a console, power control or a fresh boot is
//! skipped with that reason; the rest runs.

#![expect(clippy::unwrap_used, reason = "a test says what it expected by panicking")]

use std::{
    fs,
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

const SSHD: &str = "/usr/sbin/sshd";

/// No test waits this long unless something is broken.
const GUARD: Duration = Duration::from_secs(30);

struct Server {
    child: Child,
    port: u16,
}

impl Server {
    /// A server for the current user, with keys of its own; `None`, with the reason printed, where there is no sshd.
    fn start(directory: &Path, extra: &str) -> Option<Self> {
        if !Path::new(SSHD).exists() {
            eprintln!("skipped: {SSHD} is not installed (apt-get install openssh-server)");
            return None;
        }
        // sshd can't choose a port itself, so one is chosen here and may be taken by somebody else in between.
        let port =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let path = |name: &str| directory.join(name).display().to_string();
        for name in ["host", "user"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f", &path(name)])
                .status()
                .unwrap();
            assert!(made.success());
        }
        fs::copy(path("user.pub"), path("authorized")).unwrap();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\n\
             StrictModes no\nUsePAM no\nKbdInteractiveAuthentication no\n{extra}\n",
            path("host"),
            path("authorized")
        );
        fs::write(path("config"), config).unwrap();
        if rustix::process::getuid().is_root() {
            // sshd refuses to start as root without its privilege separation directory.
            fs::create_dir_all("/run/sshd").unwrap();
            fs::set_permissions("/run/sshd", fs::Permissions::from_mode(0o755)).unwrap();
        }
        let child = Command::new(SSHD)
            .args(["-D", "-e", "-f", &path("config")])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let start = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(start.elapsed() < GUARD, "sshd does not listen");
            std::thread::yield_now();
        }
        Some(Self { child, port })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

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
