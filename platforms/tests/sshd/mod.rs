//! An OpenSSH server for tests, on loopback.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command as Process, Stdio},
    time::Duration,
};

use tempfile::TempDir;
use wheeltap_platforms::{
    Interrupt, poll_until,
    ssh::{Connector, RunKey},
};

/// Nothing here takes a second on an idle machine; this only keeps a defect from hanging the test.
pub(crate) const GUARD: Duration = Duration::from_secs(60);

const SSHD: &str = "/usr/sbin/sshd";

/// An sshd of our own, run as the current user.
pub(crate) struct Server {
    pub(crate) dir: TempDir,
    pub(crate) key: RunKey,
    pub(crate) address: SocketAddr,
    pub(crate) process: Child,
}

impl Server {
    /// Starts one with these lines of sshd_config(5), which come before all others and so win. Nothing if this host has no
    /// sshd.
    pub(crate) async fn start_with(config: &str) -> Option<Self> {
        if !Path::new(SSHD).exists() {
            println!("skipped: {SSHD} is absent (package openssh-server)");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let key = RunKey::generate().unwrap();
        authorize(dir.path(), key.public_line());
        new_host_key(dir.path());
        std::fs::write(dir.path().join("extra"), config).unwrap();
        if user() == "root" {
            // sshd's directory for privilege separation, which only root needs and only root can make.
            std::fs::create_dir_all("/run/sshd").unwrap();
        }
        // sshd can't be told to choose a port, so a free one may be taken by somebody else in between.
        for _ in 0..20 {
            let address = free_address();
            if let Some(process) = spawn_sshd(dir.path(), address).await {
                return Some(Self { dir, key, address, process });
            }
        }
        panic!(
            "sshd does not start:\n{}",
            std::fs::read_to_string(dir.path().join("log")).unwrap()
        );
    }

    pub(crate) fn connector(&self) -> Connector {
        Connector::new(self.address, user(), self.key.private())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn user() -> String {
    let output = Process::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

/// Lets one key log in. The login shell finds another home, so that no start-up file of the user's takes part in the test.
pub(crate) fn authorize(dir: &Path, public: &str) {
    let line = format!("environment=\"HOME={}\" {public}", dir.display());
    std::fs::write(dir.join("authorized_keys"), line).unwrap();
}

pub(crate) fn new_host_key(dir: &Path) {
    let path = dir.join("host_key");
    let _ = std::fs::remove_file(&path);
    RunKey::generate().unwrap().write_private(&path).unwrap();
}

/// Starts sshd, and waits until it answers. Nothing if it ends instead, because the port is taken.
pub(crate) async fn spawn_sshd(dir: &Path, address: SocketAddr) -> Option<Child> {
    let (path, port) = (dir.display(), address.port());
    let config = format!(
        "Include {path}/extra\nListenAddress 127.0.0.1\nPort {port}\nHostKey {path}/host_key\nPidFile {path}/pid\n\
         AuthorizedKeysFile {path}/authorized_keys\nUsePAM no\nStrictModes no\nPermitUserEnvironment yes\n\
         PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n\
         MaxStartups 100\nLogLevel VERBOSE\n"
    );
    std::fs::write(dir.join("config"), config).unwrap();
    let log = std::fs::File::create(dir.join("log")).unwrap();
    let mut process = Process::new(SSHD)
        .args(["-D", "-e", "-f"])
        .arg(dir.join("config"))
        .stdin(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    let what = "sshd to listen";
    poll_until(what, GUARD, Duration::from_millis(10), &Interrupt::never(), || {
        // The log, not the port: another server may have that.
        let log = std::fs::read_to_string(dir.join("log")).unwrap();
        let ended = process.try_wait().unwrap().is_some();
        let listens = log.contains("Server listening");
        async move { if ended || listens { Ok(!ended) } else { Err(log) } }
    })
    .await
    .unwrap()
    .then_some(process)
}

/// Bytes of every value, in no simple order.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(length)
    .collect()
}

/// A server, or the end of a test on a host that has none.
macro_rules! server {
    () => {
        server!("")
    };
    ($config:expr) => {
        match $crate::sshd::Server::start_with($config).await {
            Some(server) => server,
            None => return,
        }
    };
}
