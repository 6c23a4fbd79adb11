//! Every way in which the server can be told to fail.

use std::{
    io::{ErrorKind, Read as _},
    time::Duration,
};

use wheeltap_formats::omaha::Package;
use wheeltap_platforms::Interrupt;
use wheeltap_scenarios::updates::{Misbehaviour, Scope, Served, UpdateServer};

use crate::client::{
    Files, GUARD, agent, check, connect, content, download_started, get, get_raw, package_url,
    post, read_until_silent, report, request_raw, serve,
};

const SIZE: usize = 300_000;

/// Larger than all buffers between server and client.
const BIG: usize = 32 << 20;

fn wants_update() -> String {
    check("3999.0.0", "stable", "").to_xml()
}

async fn package(server: &UpdateServer) -> (Package, String) {
    let check = post(server, wants_update()).await.omaha().apps.remove(0).update_check.unwrap();
    let manifest = &check.manifests[0];
    (manifest.packages[0].clone(), manifest.postinstall().unwrap().sha256.clone().unwrap())
}

#[tokio::test]
async fn down_is_gone_and_comes_back_on_the_same_port() {
    let files = Files::new();
    let server = serve(&files, BIG).await;
    let address = server.address();
    let mut stream = request_raw(&server, "update.gz").await;
    let some = |it: &Served| it.sent() > 0;
    server.wait_for_request("the download", GUARD, &Interrupt::never(), some).await.unwrap();

    server.misbehave(Misbehaviour::Down).await;
    let end = tokio::task::spawn_blocking(move || stream.read_to_end(&mut Vec::new()).unwrap_err());
    assert_eq!(end.await.unwrap().kind(), ErrorKind::ConnectionReset);
    for _ in 0..3 {
        assert_eq!(connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    }
    server.misbehave(Misbehaviour::Down).await;

    server.behave().await.unwrap();
    assert_eq!(server.address(), address);
    post(&server, wants_update()).await.omaha();
    server.misbehave(Misbehaviour::Down).await;
    server.behave().await.unwrap();
    server.behave().await.unwrap();
    post(&server, wants_update()).await.omaha();
    assert_eq!(server.requests().len(), 3, "what was served before is still known");
}

#[tokio::test]
async fn a_port_stays_taken_while_the_server_is_down() {
    let files = Files::new();
    let server = serve(&files, SIZE).await;
    server.misbehave(Misbehaviour::Down).await;
    let taken = tokio::net::TcpSocket::new_v4().unwrap().bind(server.address());
    assert_eq!(taken.unwrap_err().kind(), ErrorKind::AddrInUse);
}

#[tokio::test]
async fn a_reset_comes_after_the_bytes_before_it() {
    let files = Files::new();
    let server = serve(&files, SIZE).await;
    server.misbehave(Misbehaviour::ResetAfter { bytes: 100_001 }).await;
    let (body, end) = get_raw(&server, "update.gz").await;
    assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert!(content(SIZE).starts_with(&body) && body.len() <= 100_001, "{} bytes", body.len());
    assert_eq!(server.requests()[0].sent(), 100_001);
}

#[tokio::test]
async fn a_truncated_body_ends_in_good_order_after_exactly_its_bytes() {
    let files = Files::new();
    let server = serve(&files, SIZE).await;
    for bytes in [0, 1, 65_536, 100_001] {
        server.misbehave(Misbehaviour::Truncated { bytes }.times(1)).await;
        let (body, end) = get_raw(&server, "update.gz").await;
        end.unwrap();
        assert!(body == content(SIZE)[..usize::try_from(bytes).unwrap()], "{} bytes", body.len());
    }
    server.misbehave(Misbehaviour::Truncated { bytes: SIZE as u64 }).await;
    let (body, end) = get_raw(&server, "update.gz").await;
    end.unwrap();
    assert!(body == content(SIZE), "a body of just that length is complete");
}

#[tokio::test]
async fn a_stalled_body_stops_and_the_connection_stays() {
    let files = Files::new();
    let server = serve(&files, SIZE).await;
    server.misbehave(Misbehaviour::StallAfter { bytes: 70_000 }).await;
    let stream = request_raw(&server, "update.gz").await;
    let (body, end) = read_until_silent(stream).await;
    assert!(body == content(SIZE)[..70_000], "{} bytes", body.len());
    assert_eq!(end, ErrorKind::WouldBlock);
}

#[tokio::test]
async fn a_slow_body_trickles_and_arrives() {
    let files = Files::new();
    let server = serve(&files, 10_000).await;
    server.misbehave(Misbehaviour::Slow { bytes_per_second: 100_000 }.times(1)).await;
    assert!(get(&server, "update.gz", "").await.body == content(10_000));

    // At this pace the rest takes hours, so that a fast server can't be mistaken for a slow one.
    server.misbehave(Misbehaviour::Slow { bytes_per_second: 1 }).await;
    let mut stream = request_raw(&server, "update.gz").await;
    let one = |it: &Served| it.is_download() && it.sent() == 1;
    server.wait_for_request("one byte", GUARD, &Interrupt::never(), one).await.unwrap();
    assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
    assert!(server.requests()[1].sent() < 100);
}

#[tokio::test]
async fn a_manifest_can_lie_about_the_size() {
    let files = Files::new();
    let server = serve(&files, SIZE).await;
    let (honest, action) = package(&server).await;
    server.misbehave(Misbehaviour::WrongSize).await;
    let (wrong, same_action) = package(&server).await;
    assert_eq!((honest.size, wrong.size), (300_000, 300_001));
    assert_eq!((wrong.sha256, same_action), (honest.sha256, action));
}

#[tokio::test]
async fn a_manifest_can_lie_about_digests() {
    let files = Files::new();
    let server = serve(&files, SIZE).await;
    let (honest, action) = package(&server).await;
    server.misbehave(Misbehaviour::WrongHash).await;
    let (wrong, wrong_action) = package(&server).await;
    assert_eq!(honest.size, wrong.size);
    assert_ne!(honest.sha1, wrong.sha1);
    assert_ne!(honest.sha256, wrong.sha256);
    assert_ne!(action, wrong_action);
    assert!(get(&server, "update.gz", "").await.body == content(SIZE), "the file is as ever");
    server.behave().await.unwrap();
    assert_eq!(package(&server).await, (honest, action));
}

#[tokio::test]
async fn a_corrupted_package_has_one_wrong_bit_wherever_a_client_starts() {
    let files = Files::new();
    let server = serve(&files, SIZE).await;
    server.misbehave(Misbehaviour::Corrupt { offset: 123_456 }).await;
    let mut expected = content(SIZE);
    expected[123_456] ^= 1;
    assert!(get(&server, "update.gz", "").await.body == expected);
    assert!(get(&server, "update.gz", "bytes=123456-").await.body == expected[123_456..]);
    assert!(get(&server, "update.gz", "bytes=123457-").await.body == expected[123_457..]);
}

#[tokio::test]
async fn without_ranges_a_part_is_answered_with_everything() {
    let files = Files::new();
    let server = serve(&files, SIZE).await;
    server.misbehave(Misbehaviour::NoRanges).await;
    let reply = get(&server, "update.gz", "bytes=1000-").await;
    assert_eq!((reply.status, reply.body == content(SIZE)), (200, true));
}

#[tokio::test]
async fn http_errors_show_where_and_as_often_as_was_said() {
    let files = Files::new();
    let server = serve(&files, SIZE).await;
    server.misbehave(Misbehaviour::HttpStatus { status: 503 }.on(Scope::Checks).times(2)).await;
    let started = report(download_started()).to_xml();
    assert_eq!(get(&server, "update.gz", "").await.status, 200);
    assert_eq!(post(&server, started.clone()).await.status, 200);
    assert_eq!(post(&server, wants_update()).await.status, 503);
    assert_eq!(post(&server, wants_update()).await.status, 503);
    assert_eq!(post(&server, wants_update()).await.status, 200);

    server.misbehave(Misbehaviour::HttpStatus { status: 500 }).await;
    assert_eq!(get(&server, "update.gz", "").await.status, 500);
    assert_eq!(post(&server, wants_update()).await.status, 500);
    assert_eq!(post(&server, started).await.status, 500);
    assert_eq!(server.events().len(), 2, "an event counts even if its answer is an error");
    let met = &server.requests()[2].misbehaviours;
    assert_eq!(met, &[Misbehaviour::HttpStatus { status: 503 }]);
}

#[tokio::test]
async fn garbage_looks_like_an_answer_and_is_none() {
    let files = Files::new();
    let server = serve(&files, SIZE).await;
    server.misbehave(Misbehaviour::GarbageXml).await;
    let reply = post(&server, wants_update()).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, "text/xml; charset=utf-8"));
    wheeltap_formats::omaha::Response::parse(&reply.body).unwrap_err();
    post(&server, report(download_started()).to_xml()).await.omaha();
}

#[tokio::test]
async fn a_redirect_leads_elsewhere() {
    let files = Files::new();
    let (here, there) = (serve(&files, SIZE).await, serve(&files, SIZE).await);
    let to = package_url(&there, "update.gz");
    here.misbehave(Misbehaviour::Redirect { to: to.clone() }.on(Scope::Downloads)).await;
    let reply = get(&here, "update.gz", "").await;
    assert_eq!((reply.status, reply.header("location")), (302, to.as_str()));
    let url = package_url(&here, "update.gz");
    let follow = move || {
        let request = agent().get(url).config().max_redirects(5).build();
        request.call().unwrap().body_mut().read_to_vec().unwrap()
    };
    assert!(tokio::task::spawn_blocking(follow).await.unwrap() == content(SIZE));
    assert_eq!(there.requests().len(), 1);
}

#[tokio::test]
async fn misbehaviours_add_up() {
    let files = Files::new();
    let server = serve(&files, SIZE).await;
    server.misbehave(Misbehaviour::Slow { bytes_per_second: 1_000_000 }).await;
    server.misbehave(Misbehaviour::Corrupt { offset: 1 }).await;
    server.misbehave(Misbehaviour::Truncated { bytes: 3 }).await;
    let (body, end) = get_raw(&server, "update.gz").await;
    end.unwrap();
    assert_eq!(body, [content(3)[0], content(3)[1] ^ 1, content(3)[2]]);
}

#[tokio::test]
async fn answers_to_checks_can_be_cut_too() {
    let files = Files::new();
    let server = serve(&files, SIZE).await;
    server.misbehave(Misbehaviour::Truncated { bytes: 40 }.on(Scope::Checks)).await;
    let reply = post(&server, wants_update()).await;
    assert!(reply.broken.is_some());
    assert_eq!(reply.body.len(), 40);
}

#[tokio::test]
async fn a_trouble_does_not_touch_what_began_before_it() {
    let files = Files::new();
    let server = serve(&files, BIG).await;
    let mut stream = request_raw(&server, "update.gz").await;
    let some = |it: &Served| it.sent() > 0;
    server.wait_for_request("the download", GUARD, &Interrupt::never(), some).await.unwrap();
    server.misbehave(Misbehaviour::ResetAfter { bytes: 1 }).await;
    let mut received = Vec::new();
    let read = tokio::task::spawn_blocking(move || {
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.read_to_end(&mut received)
    });
    assert!(read.await.unwrap().unwrap() > BIG);
}
