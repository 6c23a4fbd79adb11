//! Starting, waiting and stopping; and what can't be served.

use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use wheeltap_formats::omaha::EventType;
use wheeltap_platforms::{Interrupt, Interrupter, Interruption, poll_until};
use wheeltap_scenarios::updates::{Misbehaviour, Release, ReportedEvent, Served, UpdateServer};

use crate::client::{
    Files, GUARD, connect, content, download_started, get, post, read_to_end, report, request_raw,
    serve, start,
};

async fn refused_payload(path: &std::path::Path) -> String {
    Release::load(path).await.unwrap_err().to_string()
}

#[tokio::test]
async fn what_is_no_payload_is_named() {
    let files = Files::new();
    let missing = files.path("missing.gz");
    let expected = format!("there is no payload {}", missing.display());
    assert_eq!(refused_payload(&missing).await, expected);
    let directory = files.path("");
    assert!(refused_payload(&directory).await.contains("is not a file"));
    assert!(refused_payload("/dev/null".as_ref()).await.contains("is not a file"));
    assert!(refused_payload(&files.add("empty.gz", 0)).await.contains("is empty"));
    assert!(refused_payload(&files.add("a b.gz", 1)).await.contains("rename it"));
    assert!(refused_payload(&files.add("ü.gz", 1)).await.contains("rename it"));
    let below_a_file = files.add("update.gz", 1).join("update.gz");
    assert!(refused_payload(&below_a_file).await.contains("can't be read: Not a directory"));
}

#[tokio::test]
async fn two_files_of_one_name_are_refused_unless_they_are_the_same() {
    let (here, there) = (Files::new(), Files::new());
    let release =
        async |files: &Files, size| Release::load(&files.add("update.gz", size)).await.unwrap();
    let server = start(vec![release(&here, 10).await, release(&there, 10).await]).await;
    let twins = vec![release(&here, 10).await, release(&there, 11).await];
    let error = server.offer(twins).unwrap_err().to_string();
    assert!(error.contains("have the same name and different contents; rename one"), "{error}");
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap();
    let error = UpdateServer::start(address, Vec::new()).await.unwrap_err().to_string();
    let expected = "is in use by another program; give another port, or port 0 for any free one";
    assert_eq!(error, format!("{address} {expected}"));
    let first = start(Vec::new()).await;
    let error = UpdateServer::start(first.address(), Vec::new()).await.unwrap_err();
    assert!(error.to_string().contains("is in use"), "{error}");
}

#[tokio::test]
async fn an_address_of_another_host_is_named() {
    let address: SocketAddr = "192.0.2.1:0".parse().unwrap();
    let error = UpdateServer::start(address, Vec::new()).await.unwrap_err().to_string();
    let expected = "this host has no address 192.0.2.1; give one of its own, such as 127.0.0.1";
    assert_eq!(error, expected);
}

#[tokio::test]
async fn a_dropped_server_leaves_nothing() {
    let files = Files::new();
    let server = serve(&files, 32 << 20).await;
    let address = server.address();
    let mut stream = request_raw(&server, "update.gz").await;
    drop(server);
    // The server's tasks end when the runtime comes to them.
    let gone = async || match connect(address) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
        other => Err(format!("{other:?}")),
    };
    let never = Interrupt::never();
    poll_until("the end", GUARD, Duration::from_millis(1), &never, gone).await.unwrap();
    let end = std::io::Read::read_to_end(&mut stream, &mut Vec::new()).unwrap_err();
    assert_eq!(end.kind(), ErrorKind::ConnectionReset);
    TcpListener::bind(address).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_answers_in_progress_end() {
    let files = Files::new();
    let server = serve(&files, 100_000).await;
    server.misbehave(Misbehaviour::Slow { bytes_per_second: 400_000 }).await;
    let reading = tokio::spawn({
        let stream = request_raw(&server, "update.gz").await;
        read_to_end(stream)
    });
    let some = |it: &Served| it.sent() > 0;
    server.wait_for_request("the download", GUARD, &Interrupt::never(), some).await.unwrap();
    let served = server.stop().await;
    let (body, end) = reading.await.unwrap();
    end.unwrap();
    assert!(body == content(100_000), "{} bytes", body.len());
    assert_eq!(served[0].sent(), 100_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_a_stalled_client() {
    let files = Files::new();
    let server = serve(&files, 100_000).await;
    server.misbehave(Misbehaviour::StallAfter { bytes: 10 }).await;
    let stream = request_raw(&server, "update.gz").await;
    let reading = tokio::spawn(read_to_end(stream));
    let some = |it: &Served| it.sent() > 0;
    server.wait_for_request("the download", GUARD, &Interrupt::never(), some).await.unwrap();
    server.stop().await;
    assert_eq!(reading.await.unwrap().1.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn an_event_can_be_awaited() {
    let server = start(Vec::new()).await;
    let never = Interrupt::never();
    let started = |it: &ReportedEvent| it.event.event_type == EventType::UpdateDownloadStarted;
    let reported = async {
        post(&server, "<request protocol=\"3.0\"/>").await;
        post(&server, report(download_started()).to_xml()).await;
    };
    let (event, ()) =
        tokio::join!(server.wait_for_event("the download", GUARD, &never, started), reported);
    assert_eq!(event.unwrap().index, 0);
    // One that came already is found at once.
    server.wait_for_event("the download", Duration::ZERO, &never, started).await.unwrap();

    let limit = Duration::from_millis(10);
    let second = server.wait_for_event("a rollback", limit, &never, |it| it.index == 1).await;
    let error = second.unwrap_err().to_string();
    let expected = "timed out after 0 s waiting for a rollback; \
                    last seen: event update download started: success";
    assert_eq!(error, expected);

    let interrupter = Interrupter::new();
    interrupter.raise(Interruption::Cancelled);
    let cancelled = interrupter.listen();
    let waiting = server.wait_for_event("a rollback", GUARD, &cancelled, |_| false);
    assert!(waiting.await.unwrap_err().to_string().contains("cancelled"));
}

#[tokio::test]
async fn what_is_no_http_does_not_disturb_the_others() {
    let server = start(Vec::new()).await;
    let mut stream = connect(server.address()).unwrap();
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    // The server may hang up in the middle of it.
    let _ = std::io::Write::write_all(&mut stream, &bytes);
    let _silent = connect(server.address()).unwrap();
    post(&server, report(download_started()).to_xml()).await.omaha();
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn ipv6() {
    let Ok(server) = UpdateServer::start("[::1]:0".parse().unwrap(), Vec::new()).await else {
        return; // The host has no IPv6.
    };
    assert_eq!(get(&server, "update.gz", "").await.status, 404);
}
