//! A large payload is streamed: the memory that it takes does not grow with it.
//!
//! In a process of its own, since it measures the memory of the process.

#![expect(clippy::unwrap_used, reason = "a test says what it expected by panicking")]

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
};

use wheeltap_scenarios::updates::{Release, UpdateServer};

const SIZE: u64 = 256 << 20;

/// The most memory that the process has had, in bytes.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

fn download(address: SocketAddr) -> u64 {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = "GET /packages/update.gz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut piece = vec![0; 1 << 20];
    let mut received = 0;
    loop {
        match stream.read(&mut piece).unwrap() {
            0 => return received,
            read => received += read as u64,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn four_downloads_of_256_mib_take_little_memory() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("update.gz");
    File::create(&path).unwrap().set_len(SIZE).unwrap();
    let before = peak();
    let release = Release::load(&path).await.unwrap();
    let server = UpdateServer::start(UpdateServer::LOOPBACK, vec![release]).await.unwrap();
    let address = server.address();
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..4 {
        clients.spawn_blocking(move || download(address));
    }
    while let Some(received) = clients.join_next().await {
        assert!(received.unwrap() > SIZE);
    }
    let grown = (peak() - before) >> 20;
    assert!(grown < 32, "{grown} MiB");
}
