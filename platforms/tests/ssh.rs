//! The SSH transport against a real OpenSSH server on loopback.

#![expect(clippy::unwrap_used, reason = "a helper that fails must fail its test")]

#[macro_use]
mod sshd;

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::PathBuf,
    process::Command as Process,
    time::Duration,
};

use sshd::{GUARD, Server, authorize, free_address, new_host_key, noise, spawn_sshd, user};
use wheeltap_platforms::{
    Class, Interrupt, Interrupter, Interruption, WaitError, poll_until,
    ssh::{Command, Connection, Connector, ExitStatus, RunKey, SshError, SshLog, UserKey, quote},
};

impl Server {
    async fn restart(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        let (dir, address) = (self.dir.path().to_owned(), self.address);
        self.process =
            poll_until("sshd", GUARD, Duration::from_millis(50), &Interrupt::never(), || async {
                spawn_sshd(&dir, address).await.ok_or("it does not start")
            })
            .await
            .unwrap();
    }

    /// A command that runs until this server is gone, and so outlives no test.
    fn forever(&self) -> String {
        format!("tail --pid={} -f /dev/null", self.process.id())
    }

    async fn connect(&self) -> Connection {
        self.connector().connect(GUARD, &Interrupt::never()).await.unwrap()
    }
}

fn sh(line: &str) -> Command {
    Command::new(line, GUARD)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_tells_how_it_ended_and_what_it_wrote() {
    let server = server!();
    let connection = server.connect().await;
    let output = connection.exec(sh("echo out; echo err >&2; exit 7")).await.unwrap();
    assert_eq!(output.status, ExitStatus::Code(7));
    assert_eq!((output.stdout_text(), output.stderr_text()), ("out\n".into(), "err\n".into()));
    assert!(!output.truncated());

    let output = connection.exec(sh("kill -KILL $$")).await.unwrap();
    assert_eq!(output.status, ExitStatus::Signal("KILL".into()));

    // The status is awaited even if the command has closed its output long before.
    let output = connection.exec(sh("exec >&- 2>&-; sleep 0.3; exit 3")).await.unwrap();
    assert_eq!(output.status, ExitStatus::Code(3));

    // Without input, standard input is at its end at once.
    let output = connection.exec(sh("cat")).await.unwrap();
    assert_eq!((output.status, output.stdout), (ExitStatus::Code(0), vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_commands_share_a_connection() {
    let server = server!();
    let connection = server.connect().await;
    for i in 0..200 {
        let output = connection.exec(sh(&format!("echo {i}"))).await.unwrap();
        assert_eq!(output.stdout_text(), format!("{i}\n"));
    }
    let log = std::fs::read_to_string(server.dir.path().join("log")).unwrap();
    assert_eq!(log.matches("Accepted publickey").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_go_both_ways_unchanged() {
    let server = server!();
    let connection = server.connect().await;
    let bytes = noise(5 * 1024 * 1024);
    let echo = sh("cat").with_stdin(bytes.clone()).with_limit(bytes.len());
    assert!(connection.exec(echo).await.unwrap().stdout == bytes);

    // A command that doesn't read its input can't make us hang.
    let output =
        connection.exec(sh("head -c 1 >&2; exit 4").with_stdin(bytes.clone())).await.unwrap();
    assert_eq!((output.status, output.stderr), (ExitStatus::Code(4), bytes[..1].to_vec()));

    let path = server.dir.path().join("it's a $file");
    let path = path.to_str().unwrap();
    connection.upload(path, bytes.clone(), 0o640, false).await.unwrap();
    assert!(connection.download(path, false).await.unwrap() == bytes);
    let output = connection.exec(sh(&format!("stat -c %a {}", quote(path)))).await.unwrap();
    assert_eq!(output.stdout_text(), "640\n");
    connection.upload(path, "", 0o600, false).await.unwrap();
    assert_eq!(connection.download(path, false).await.unwrap(), b"");
    let left: Vec<_> = server
        .dir
        .path()
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("it's"))
        .collect();
    assert_eq!(left, ["it's a $file"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_that_fails_says_why() {
    let server = server!();
    let connection = server.connect().await;
    let error = connection.upload("/nowhere/file", "x", 0o644, false).await.unwrap_err();
    assert!(
        error.to_string().starts_with("can't write /nowhere/file on the guest: exit status 1"),
        "{error}"
    );
    assert!(error.to_string().contains("No such file or directory"), "{error}");
    let error = connection.download("/nowhere", false).await.unwrap_err();
    assert!(error.to_string().contains("can't read /nowhere on the guest"), "{error}");
    assert_eq!(error.class(), Class::Test);
}

#[tokio::test(flavor = "multi_thread")]
async fn output_beyond_the_limit_is_dropped_and_counted() {
    let server = server!();
    let connection = server.connect().await;
    let command = sh("head -c 3000000 /dev/zero; head -c 70 /dev/zero >&2").with_limit(1000);
    let output = connection.exec(command).await.unwrap();
    assert_eq!((output.stdout.len(), output.stderr.len()), (1000, 70));
    assert_eq!(output.dropped, 2_999_000);
    assert!(output.truncated());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_ends_the_command_but_not_the_connection() {
    let server = server!();
    let connection = server.connect().await;
    let command = Command::new(
        format!("echo working; exec {}", server.forever()),
        Duration::from_millis(500),
    );
    let error = connection.exec(command).await.unwrap_err();
    let SshError::Wait(WaitError::TimedOut { what, last, .. }) = &error else {
        panic!("{error}");
    };
    assert!(what.starts_with("`echo working; exec tail") && what.ends_with("` to end"), "{what}");
    assert_eq!(last.as_deref(), Some("working"));

    // Nor can a command that never stops writing outlive its deadline.
    let command = Command::new("cat /dev/zero", Duration::from_millis(500)).with_limit(10);
    let error = connection.exec(command).await.unwrap_err();
    assert!(matches!(error, SshError::Wait(WaitError::TimedOut { .. })), "{error}");

    let output = connection.exec(sh("echo still here")).await.unwrap();
    assert_eq!(output.stdout_text(), "still here\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interruption_ends_a_command_at_once() {
    let server = server!();
    let interrupter = Interrupter::new();
    let connection = server.connector().connect(GUARD, &interrupter.listen()).await.unwrap();
    let command = sh(&server.forever());
    let running = tokio::spawn(async move { connection.exec(command).await });
    let why = Interruption::FatalLine { headline: "kernel panic: no init".into() };
    interrupter.raise(why.clone());
    let error = running.await.unwrap().unwrap_err();
    let SshError::Wait(wait) = &error else { panic!("{error}") };
    assert_eq!(wait.interruption(), Some(&why));
    assert_eq!(error.class(), Class::Product);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_loses_the_command() {
    let server = server!();
    let connection = server.connect().await;
    // The parent of the shell is the sshd that serves this connection.
    let error =
        connection.exec(sh(&format!("kill -KILL $PPID; {}", server.forever()))).await.unwrap_err();
    assert!(error.is_lost(), "{error}");
    assert_eq!(error.class(), Class::Product);
    let error = connection.exec(sh("true")).await.unwrap_err();
    assert!(error.to_string().contains("it was lost earlier"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_port_ends_at_the_deadline() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let key = RunKey::generate().unwrap();
    let connector = Connector::new(listener.local_addr().unwrap(), "core", key.private());
    let limit = Duration::from_millis(1500);
    let error = connector.connect(limit, &Interrupt::never()).await.unwrap_err();
    assert!(matches!(error, SshError::Unreachable { .. } | SshError::Wait(_)), "{error}");
    let error = connector.wait_until_reachable(limit, &Interrupt::never()).await.unwrap_err();
    assert!(
        error.to_string().starts_with("timed out after 1 s waiting for SSH to core@127.0.0.1:")
    );
    assert!(
        error.to_string().contains("last seen: the server does not answer (2 attempts)"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_falls_silent_during_the_login_does_not_outlive_the_deadline() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let key = RunKey::generate().unwrap();
    let connector = Connector::new(listener.local_addr().unwrap(), "core", key.private());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"SSH-2.0-silent\r\n").unwrap();
        // Until the client hangs up.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let limit = Duration::from_millis(500);
    let error = connector.connect(limit, &Interrupt::never()).await.unwrap_err();
    assert!(matches!(error, SshError::Wait(WaitError::TimedOut { .. })), "{error}");
    server.join().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_port_is_unreachable() {
    let key = RunKey::generate().unwrap();
    let connector = Connector::new(free_address(), "core", key.private());
    let error = connector.connect(GUARD, &Interrupt::never()).await.unwrap_err();
    assert!(error.to_string().contains("Connection refused"), "{error}");
    let limit = Duration::from_millis(500);
    let error = connector.wait_until_reachable(limit, &Interrupt::never()).await.unwrap_err();
    assert!(error.to_string().contains("last seen: Connection refused"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_late_is_reached() {
    let mut server = server!();
    server.process.kill().unwrap();
    server.process.wait().unwrap();
    let connector = server.connector();
    let waiting =
        tokio::spawn(
            async move { connector.wait_until_reachable(GUARD, &Interrupt::never()).await },
        );
    tokio::time::sleep(Duration::from_millis(500)).await;
    server.restart().await;
    let connection = waiting.await.unwrap().unwrap();
    assert!(connection.exec(sh("true")).await.unwrap().status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_final_after_some_rejections() {
    let server = server!();
    let stranger = RunKey::generate().unwrap();
    let connector = Connector::new(server.address, user(), stranger.private());
    // A quarter of the limit must pass with nothing but rejections.
    let limit = Duration::from_secs(8);
    let error = connector.wait_until_reachable(limit, &Interrupt::never()).await.unwrap_err();
    assert!(matches!(error, SshError::AuthRejected { attempts: 2.., .. }), "{error}");
    assert_eq!(error.class(), Class::Product);
    assert!(error.to_string().contains("refuses our SSH key for user"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_key_is_pinned_across_connections() {
    let mut server = server!();
    let connector = server.connector();
    connector.connect(GUARD, &Interrupt::never()).await.unwrap();
    let pinned = connector.pin().current().unwrap();
    server.restart().await;
    connector.connect(GUARD, &Interrupt::never()).await.unwrap();
    assert_eq!(connector.pin().current(), Some(pinned));

    new_host_key(server.dir.path());
    server.restart().await;
    let error = connector.wait_until_reachable(GUARD, &Interrupt::never()).await.unwrap_err();
    let SshError::HostKeyChanged { found, .. } = &error else { panic!("{error}") };
    assert!(error.to_string().contains(&pinned.to_string()), "{error}");
    assert!(error.to_string().contains(&found.to_string()), "{error}");
    assert_eq!(connector.pin().current(), Some(pinned));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_delivers_lines_until_the_command_ends() {
    let server = server!();
    let line = "seq 1 5000; printf rest; exit 9";
    let connector = server.connector();
    let mut follower = connector.follow(line, GUARD, &Interrupt::never()).await.unwrap();
    for i in 1..=5000 {
        assert_eq!(follower.next_line().await.unwrap(), Some(i.to_string().into_bytes()));
    }
    assert_eq!(follower.next_line().await.unwrap().as_deref(), Some(&b"rest"[..]));
    assert_eq!(follower.status(), None);
    assert_eq!(follower.next_line().await.unwrap(), None);
    assert_eq!(follower.status(), Some(&ExitStatus::Code(9)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_stops_when_it_is_dropped_or_its_server_dies() {
    let server = server!();
    let connector = server.connector();
    let mut follower = connector
        .follow(format!("echo $PPID; exec {}", server.forever()), GUARD, &Interrupt::never())
        .await
        .unwrap();
    let sshd = String::from_utf8(follower.next_line().await.unwrap().unwrap()).unwrap();
    drop(follower);
    let gone = || {
        let alive = PathBuf::from(format!("/proc/{sshd}")).exists();
        async move { if alive { Err("it lives") } else { Ok(()) } }
    };
    poll_until("sshd to end", GUARD, Duration::from_millis(20), &Interrupt::never(), gone)
        .await
        .unwrap();

    // One that nobody reads, with more output than there is room for.
    let follower = connector.follow("yes", GUARD, &Interrupt::never()).await.unwrap();
    drop(follower);

    let mut follower = connector
        .follow(
            format!("echo ready; kill -KILL $PPID; {}", server.forever()),
            GUARD,
            &Interrupt::never(),
        )
        .await
        .unwrap();
    // What was sent just before the end may or may not have arrived.
    let error = loop {
        match follower.next_line().await {
            Ok(Some(line)) => assert_eq!(line, b"ready"),
            Ok(None) => panic!("the command did not end"),
            Err(error) => break error,
        }
    };
    assert!(error.is_lost(), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_work_side_by_side() {
    let server = server!();
    let connector = server.connector();
    let mut tasks = tokio::task::JoinSet::new();
    for i in 0..8 {
        let connector = connector.clone();
        tasks.spawn(async move {
            let connection = connector.connect(GUARD, &Interrupt::never()).await.unwrap();
            for j in 0..10 {
                let output = connection.exec(sh(&format!("echo {i} {j}"))).await.unwrap();
                assert_eq!(output.stdout_text(), format!("{i} {j}\n"));
            }
        });
    }
    while let Some(result) = tasks.join_next().await {
        result.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_in_the_log() {
    let server = server!();
    let path = server.dir.path().join("ssh.log");
    let connector = server.connector().with_log(SshLog::open(&path).unwrap());
    let connection = connector.connect(GUARD, &Interrupt::never()).await.unwrap();
    connection.exec(sh("cat; echo oops >&2; exit 1").with_stdin("in\n")).await.unwrap();
    let log = std::fs::read_to_string(path).unwrap();
    let marked: Vec<_> = log.lines().map(|line| line.split_once(' ').unwrap().1).collect();
    assert!(marked[0].ends_with(" answers"), "{log}");
    assert!(marked[1].contains("connected to SSH to"), "{log}");
    assert_eq!(marked[2], "#1 $ cat; echo oops >&2; exit 1  (3 bytes of input)");
    assert_eq!(marked[3..5], ["#1 | in", "#1 ! oops"]);
    assert!(marked[5].starts_with("#1 = exit status 1 after 0."), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_users_own_key_of_any_kind_logs_in() {
    let server = server!();
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let path = server.dir.path().join(kind);
        let made = Process::new("ssh-keygen")
            .args(["-q", "-N", "", "-t", kind, "-f"])
            .arg(&path)
            .status()
            .unwrap();
        assert!(made.success());
        authorize(server.dir.path(), &std::fs::read_to_string(path.with_extension("pub")).unwrap());
        let key = UserKey::load(&path).unwrap().private();
        let connector = Connector::new(server.address, user(), key);
        connector.connect(GUARD, &Interrupt::never()).await.unwrap();
    }

    let path = server.dir.path().join("secret");
    let made = Process::new("ssh-keygen")
        .args(["-q", "-N", "secret", "-t", "ed25519", "-f"])
        .arg(&path)
        .status()
        .unwrap();
    assert!(made.success());
    let error = UserKey::load(&path).unwrap_err();
    assert!(error.to_string().contains("it has a passphrase"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_protocol_is_unreachable() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _): (TcpStream, _) = listener.accept().unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
    });
    let key = RunKey::generate().unwrap();
    let connector = Connector::new(address, "core", key.private());
    let error = connector.connect(GUARD, &Interrupt::never()).await.unwrap_err();
    assert!(matches!(error, SshError::Unreachable { .. }), "{error}");
    server.join().unwrap();
}
