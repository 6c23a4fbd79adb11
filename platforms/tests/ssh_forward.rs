//! Ports that a real OpenSSH server forwards to the host. The guest's programs are played by this process: the guest's
//! 127.0.0.1 is the host's, for the server runs here.

#![expect(clippy::unwrap_used, reason = "a helper that fails must fail its test")]

#[macro_use]
mod sshd;

use std::{
    collections::HashMap,
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    thread::{JoinHandle, spawn},
    time::{Duration, Instant},
};

use sshd::{GUARD, Server, free_address, noise};
use wheeltap_platforms::{
    Class, Interrupt, poll_until,
    ssh::{Command, Forward, SshError, SshLog},
};

/// The size of a large transfer. It is neither a multiple of a packet nor of a window.
const LARGE: usize = 64 * 1024 * 1024 + 12_345;

/// Listens on the host, and gives each connection to `serve` on a thread of its own. The threads end with the process.
fn serve(serve: impl Fn(TcpStream) + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    spawn(move || {
        for stream in listener.incoming() {
            let (stream, serve) = (stream.unwrap(), serve.clone());
            spawn(move || serve(stream));
        }
    });
    address
}

/// Sends everything back, and closes when the client has closed its half.
fn echo(mut stream: TcpStream) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
}

async fn forward(server: &Server, local: SocketAddr) -> Forward {
    server.connector().forward(0, local, GUARD, &Interrupt::never()).await.unwrap()
}

/// What a program on the guest does.
fn dial(forward: &Forward) -> TcpStream {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, forward.remote_port())).unwrap();
    stream.set_read_timeout(Some(GUARD)).unwrap();
    stream.set_write_timeout(Some(GUARD)).unwrap();
    stream
}

/// Runs what blocks without blocking the runtime.
async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

fn large() -> Vec<u8> {
    // A prime length, so that no two packets are alike.
    let block = noise(1_000_003);
    block.iter().copied().cycle().take(LARGE).collect()
}

/// Sends on a thread of its own, and then closes that half.
fn send(stream: &TcpStream, bytes: Vec<u8>) -> JoinHandle<()> {
    let mut stream = stream.try_clone().unwrap();
    spawn(move || {
        stream.write_all(&bytes).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
    })
}

fn receive(mut stream: &TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    bytes
}

/// The processes that serve connections.
fn sessions(server: &Server) -> Vec<String> {
    let parent = server.process.id().to_string();
    let of_server = |stat: &str| {
        // After the name, which is in parentheses: the state, and the parent.
        stat.rsplit_once(')').is_some_and(|(_, rest)| rest.split(' ').nth(2) == Some(&parent))
    };
    std::fs::read_dir("/proc")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            std::fs::read_to_string(path.join("stat")).is_ok_and(|stat| of_server(&stat))
        })
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect()
}

fn kill(pids: &[String]) {
    assert!(!pids.is_empty());
    let killed = std::process::Command::new("kill").arg("-KILL").args(pids).status().unwrap();
    assert!(killed.success());
}

async fn closed_port(port: u16) {
    let probe = || async move {
        match TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
            Ok(_) => Err("somebody listens"),
            Err(_) => Ok(()),
        }
    };
    poll_until("the port to close", GUARD, Duration::from_millis(20), &Interrupt::never(), probe)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_on_the_guest_reaches_a_server_on_the_host() {
    let server = server!();
    let log = server.dir.path().join("ssh.log");
    let connector = server.connector().with_log(SshLog::open(&log).unwrap());
    let port = free_address().port();
    let local = serve(echo);
    let forward = connector.forward(port, local, GUARD, &Interrupt::never()).await.unwrap();
    assert_eq!((forward.remote_port(), forward.local()), (port, local));
    let forward = run(move || {
        let mut stream = dial(&forward);
        for round in 0..100 {
            let line = format!("round {round}\n");
            stream.write_all(line.as_bytes()).unwrap();
            let mut answer = vec![0; line.len()];
            stream.read_exact(&mut answer).unwrap();
            assert_eq!(answer, line.as_bytes());
        }
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(receive(&stream), b"");
        forward
    })
    .await;

    // And by a program that really runs there.
    let script = format!("exec 3<>/dev/tcp/127.0.0.1/{port}; echo hello >&3; head -n 1 <&3");
    let connection = connector.connect(GUARD, &Interrupt::never()).await.unwrap();
    let line = format!("bash -c '{script}'");
    let output = connection.exec(Command::new(line, GUARD)).await.unwrap();
    assert_eq!(output.stdout_text(), "hello\n");

    drop(forward);
    closed_port(port).await;
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains(&format!("-- port {port} of the guest leads to {local}")), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn large_transfers_arrive_unchanged() {
    // New keys in the middle of them, as a real transfer has them every GiB.
    for config in ["", "RekeyLimit 8M\n"] {
        let server = server!(config);
        let download = large();
        let served = download.clone();
        let forward =
            forward(&server, serve(move |stream| drop(send(&stream, served.clone())))).await;
        assert!(run(move || receive(&dial(&forward))).await == download);

        let (local, bytes) = (serve(echo), large());
        let forward = self::forward(&server, local).await;
        let echoed = run(move || {
            let stream = dial(&forward);
            let sender = send(&stream, bytes);
            let echoed = receive(&stream);
            sender.join().unwrap();
            echoed
        });
        assert!(echoed.await == download);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_carried_side_by_side() {
    // So small that new connections and new keys come in the middle of everything.
    let server = server!("RekeyLimit 1M\n");
    let forward = forward(&server, serve(echo)).await;
    run(move || {
        for _ in 0..5 {
            let threads: Vec<_> = (0..20)
                .map(|number| {
                    let stream = dial(&forward);
                    spawn(move || {
                        let mut bytes = noise(500_000 + number * 1000);
                        bytes.rotate_left(number);
                        let sender = send(&stream, bytes.clone());
                        assert!(receive(&stream) == bytes, "connection {number}");
                        sender.join().unwrap();
                    })
                })
                .collect();
            for thread in threads {
                thread.join().unwrap();
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_half_is_closed_on_its_own() {
    let server = server!();
    // The guest ends first: the whole request must be there before it is answered.
    let after_all = serve(|mut stream| {
        let request = receive(&stream);
        stream.write_all(format!("{} bytes", request.len()).as_bytes()).unwrap();
    });
    let forward = forward(&server, after_all).await;
    run(move || {
        let mut stream = dial(&forward);
        stream.write_all(b"request").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(receive(&stream), b"7 bytes");
    })
    .await;

    // The server ends first, and goes on listening.
    let (sender, requests) = std::sync::mpsc::channel();
    let before_all = serve(move |mut stream| {
        stream.write_all(b"greeting").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        sender.send(receive(&stream)).unwrap();
    });
    let forward = self::forward(&server, before_all).await;
    run(move || {
        let mut stream = dial(&forward);
        assert_eq!(receive(&stream), b"greeting");
        stream.write_all(b"late request").unwrap();
        drop(stream);
        assert_eq!(requests.recv_timeout(GUARD).unwrap(), b"late request");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_closes_the_connection() {
    let server = server!();
    let local = free_address();
    let forward = forward(&server, local).await;
    run(move || {
        for _ in 0..3 {
            // A close or a reset, whichever the guest's kernel makes of it.
            let read = dial(&forward).read(&mut [0]);
            assert!(!matches!(read, Ok(1..)), "{read:?}");
            let timeout = |error: &std::io::Error| error.kind() == std::io::ErrorKind::WouldBlock;
            assert!(!read.is_err_and(|error| timeout(&error)));
        }
        // It is asked anew each time.
        let listener = TcpListener::bind(local).unwrap();
        let mut stream = dial(&forward);
        listener.accept().unwrap().0.write_all(b"here now").unwrap();
        let mut answer = [0; 8];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"here now");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_holds_up_its_sender_and_nobody_else() {
    let server = server!();
    let bytes = large();
    let (sender, sent) = std::sync::mpsc::channel();
    let served = bytes.clone();
    let local = serve(move |mut stream| {
        let mut kind = [0];
        stream.read_exact(&mut kind).unwrap();
        if kind == *b"e" {
            return echo(stream);
        }
        stream.write_all(&served).unwrap();
        sender.send(()).unwrap();
    });
    let forward = forward(&server, local).await;
    run(move || {
        let mut slow = dial(&forward);
        slow.write_all(b"s").unwrap();
        let mut first = [0; 1000];
        slow.read_exact(&mut first).unwrap();
        for _ in 0..20 {
            let mut stream = dial(&forward);
            stream.write_all(b"e").unwrap();
            let sender = send(&stream, bytes[..300_000].to_vec());
            assert!(receive(&stream) == bytes[..300_000]);
            sender.join().unwrap();
        }
        // What is between the two is bounded, so the sender can't have finished.
        assert!(sent.try_recv().is_err());
        assert!(first == bytes[..1000] && receive(&slow) == bytes[1000..]);
        sent.recv_timeout(GUARD).unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_hangs_up_in_the_middle_is_noticed_by_the_other() {
    let server = server!();
    // The guest hangs up while the server sends without end.
    let (sender, ended) = std::sync::mpsc::channel();
    let endless = serve(move |mut stream| {
        while stream.write_all(&[7; 10_000]).is_ok() {}
        sender.send(()).unwrap();
    });
    let forward = forward(&server, endless).await;
    let forward = run(move || {
        for _ in 0..10 {
            dial(&forward).read_exact(&mut [0; 100_000]).unwrap();
            ended.recv_timeout(GUARD).unwrap();
        }
        forward
    })
    .await;
    drop(forward);

    // The server answers and hangs up while the guest sends without end.
    let rude = serve(|mut stream| {
        stream.read_exact(&mut [0; 100_000]).unwrap();
        stream.write_all(b"enough").unwrap();
    });
    let forward = self::forward(&server, rude).await;
    run(move || {
        for _ in 0..10 {
            let mut stream = dial(&forward);
            while stream.write_all(&[7; 10_000]).is_ok() {}
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_may_say_no() {
    let server = server!("AllowTcpForwarding no\n");
    let connector = server.connector();
    let error = connector.forward(0, free_address(), GUARD, &Interrupt::never()).await.unwrap_err();
    assert!(matches!(error, SshError::ForwardRefused { port: 0, .. }), "{error}");
    assert!(error.to_string().contains("`AllowTcpForwarding yes`"), "{error}");
    assert_eq!(error.class(), Class::Test);

    let server = server!("AllowTcpForwarding yes\n");
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let connector = server.connector();
    let error =
        connector.forward(port, free_address(), GUARD, &Interrupt::never()).await.unwrap_err();
    assert!(error.to_string().contains(&format!("port {port} of the guest")), "{error}");
    assert!(error.to_string().contains("nothing else listens on that port"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_it_ends_everything() {
    let server = server!();
    let endless = serve(|mut stream| while stream.write_all(&[7; 10_000]).is_ok() {});
    let forward = forward(&server, endless).await;
    let port = forward.remote_port();
    // One connection is stuck, and one is in full flow.
    let (stuck, mut busy) = (dial(&forward), dial(&forward));
    let flow = spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(1..) = busy.read(&mut buffer) {}
    });
    drop(forward);
    run(move || {
        flow.join().unwrap();
        // Its rest, and then the end.
        let _ = (&stuck).read_to_end(&mut Vec::new());
    })
    .await;
    closed_port(port).await;
    let gone = || async { if sessions(&server).is_empty() { Ok(()) } else { Err("it lives") } };
    poll_until("sshd to end", GUARD, Duration::from_millis(20), &Interrupt::never(), gone)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_is_told() {
    let server = server!();
    let forward = forward(&server, serve(echo)).await;
    let mut stream = dial(&forward);
    stream.write_all(b"x").unwrap();
    stream.read_exact(&mut [0]).unwrap();
    kill(&sessions(&server));
    for _ in 0..2 {
        let error = tokio::time::timeout(GUARD, forward.closed()).await.unwrap();
        assert!(error.is_lost(), "{error}");
        assert!(error.to_string().contains("the server closed the connection"), "{error}");
        assert_eq!(error.class(), Class::Product);
    }
    let _ = run(move || stream.read(&mut [0])).await;
}

/// For `cargo test … -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement, which no test can judge"]
async fn measure() {
    let server = server!();
    let bytes = vec![7; 512 * 1024 * 1024];
    let served = bytes.clone();
    let forward = forward(&server, serve(move |stream| drop(send(&stream, served.clone())))).await;
    let start = Instant::now();
    let forward = run(move || {
        let mut stream = dial(&forward);
        let mut buffer = vec![0; 256 * 1024];
        while let Ok(1..) = stream.read(&mut buffer) {}
        forward
    })
    .await;
    let rate = |start: Instant| bytes.len() as f64 / 1e6 / start.elapsed().as_secs_f64();
    println!("host to guest: {:.0} MB/s", rate(start));
    drop(forward);

    let sink = serve(|mut stream| {
        let mut buffer = vec![0; 256 * 1024];
        while let Ok(1..) = stream.read(&mut buffer) {}
    });
    let forward = self::forward(&server, sink).await;
    let (start, sent) = (Instant::now(), bytes.clone());
    let forward = run(move || {
        let stream = dial(&forward);
        send(&stream, sent).join().unwrap();
        receive(&stream);
        forward
    })
    .await;
    println!("guest to host: {:.0} MB/s", rate(start));

    let _idle: Vec<_> = (0..20).map(|_| dial(&forward)).collect();
    // Of each thread that is there; others of the runtime may end meanwhile.
    let work = || -> HashMap<_, u64> {
        let switches = |task: std::fs::DirEntry| {
            let status = std::fs::read_to_string(task.path().join("status")).unwrap();
            let line = status.lines().find(|line| line.starts_with("voluntary_ctxt")).unwrap();
            (task.file_name(), line.split_whitespace().nth(1).unwrap().parse().unwrap())
        };
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        tasks.map(|task| switches(task.unwrap())).collect()
    };
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = work();
    tokio::time::sleep(Duration::from_secs(25)).await;
    let after = work();
    let count: u64 = after.iter().filter_map(|(task, count)| Some(count - before.get(task)?)).sum();
    println!(
        "idle, with 20 open connections: {count} wake-ups in 25 s, in {} threads",
        after.len()
    );
}
