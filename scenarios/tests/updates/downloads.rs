//! Packages.

use test_case::test_case;
use wheeltap_formats::omaha::{Event, EventResult, EventType};
use wheeltap_scenarios::updates::{Asked, Misbehaviour, UpdateServer};

use crate::client::{Files, content, get, get_raw, head, post, report, serve};

const SIZE: usize = 300_000;

#[tokio::test]
async fn a_package_arrives_as_it_is() {
    let files = Files::new();
    let server = serve(&files, SIZE).await;
    let reply = get(&server, "update.gz", "").await;
    assert_eq!((reply.status, reply.body == content(SIZE)), (200, true));
    assert_eq!(reply.header("content-length"), "300000");
    assert_eq!(reply.header("accept-ranges"), "bytes");
    assert_eq!(server.requests()[0].sent(), 300_000);
}

#[test_case("bytes=0-0", 0, 1; "the first byte")]
#[test_case("bytes=100000-", 100_000, SIZE; "the rest")]
#[test_case("bytes=65535-65536", 65_535, 65_537; "two pieces of the file")]
#[test_case("bytes=-5", SIZE - 5, SIZE; "the end")]
#[test_case("bytes=299999-999999", SIZE - 1, SIZE; "beyond the end")]
#[tokio::test]
async fn a_part_is_a_part(range: &str, first: usize, end: usize) {
    let files = Files::new();
    let server = serve(&files, SIZE).await;
    let reply = get(&server, "update.gz", range).await;
    assert_eq!((reply.status, reply.body == content(SIZE)[first..end]), (206, true));
    assert_eq!(reply.header("content-range"), format!("bytes {first}-{}/{SIZE}", end - 1));
    let Asked::Download { range, .. } = &server.requests()[0].asked else { panic!() };
    assert_eq!(*range, first as u64..end as u64);
}

#[tokio::test]
async fn a_part_that_is_not_there() {
    let files = Files::new();
    let server = serve(&files, SIZE).await;
    let reply = get(&server, "update.gz", "bytes=300000-").await;
    assert_eq!((reply.status, reply.header("content-range")), (416, "bytes */300000"));
}

#[tokio::test]
async fn head_says_what_get_would_without_a_body() {
    let files = Files::new();
    let server = serve(&files, SIZE).await;
    let reply = head(&server, "update.gz").await;
    assert_eq!((reply.status, reply.body.len()), (200, 0));
    assert_eq!(reply.header("content-length"), "300000");
    assert_eq!(server.requests()[0].sent(), 0);
}

/// Downloads as update_engine does: from where it was cut off, until everything is there.
async fn download_in_pieces(server: &UpdateServer) -> (Vec<u8>, usize) {
    let (mut body, mut tries) = (Vec::new(), 0);
    while body.len() < SIZE {
        tries += 1;
        assert!(tries < 100, "no progress");
        let reply = get(server, "update.gz", &format!("bytes={}-", body.len())).await;
        assert_eq!(reply.status, 206);
        body.extend_from_slice(&reply.body);
    }
    (body, tries)
}

#[test_case(Misbehaviour::ResetAfter { bytes: 70_000 }; "resets")]
#[test_case(Misbehaviour::Truncated { bytes: 70_000 }; "truncated bodies")]
#[tokio::test]
async fn a_download_resumes_after(misbehaviour: Misbehaviour) {
    let files = Files::new();
    let server = serve(&files, SIZE).await;
    server.misbehave(misbehaviour.times(3)).await;
    let (body, tries) = download_in_pieces(&server).await;
    assert!(body == content(SIZE), "the pieces don't make the file");
    assert_eq!(tries, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_do_not_disturb_each_other() {
    const CLIENTS: usize = 16;
    let files = Files::new();
    let server = std::sync::Arc::new(serve(&files, SIZE).await);
    let stages = [EventType::UpdateDownloadStarted, EventType::UpdateComplete];
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..CLIENTS {
        let server = std::sync::Arc::clone(&server);
        clients.spawn(async move {
            for stage in stages {
                let mut request = report(Event::new(stage, EventResult::Success));
                request.apps[0].machine_id = Some(client.to_string());
                post(&server, request.to_xml()).await.omaha();
                let reply = get(&server, "update.gz", "").await;
                assert!(reply.body == content(SIZE));
            }
        });
    }
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    let events = server.events();
    for client in 0..CLIENTS {
        let of_client: Vec<EventType> = events
            .iter()
            .filter(|event| event.machine_id == Some(client.to_string()))
            .map(|event| event.event.event_type)
            .collect();
        assert_eq!(of_client, stages);
    }
    assert_eq!(server.requests().iter().filter(|served| served.is_download()).count(), 32);
}

#[tokio::test]
async fn a_file_that_vanished_is_said_to_have() {
    let files = Files::new();
    let server = serve(&files, SIZE).await;
    std::fs::remove_file(files.path("update.gz")).unwrap();
    let reply = get(&server, "update.gz", "").await;
    assert_eq!(reply.status, 500);
    assert!(reply.text().contains("can't be read any more"), "{}", reply.text());
}

#[tokio::test]
async fn a_file_that_shrank_breaks_the_connection_rather_than_the_content() {
    let files = Files::new();
    let server = serve(&files, SIZE).await;
    files.add("update.gz", 1000);
    let (body, end) = get_raw(&server, "update.gz").await;
    assert!(end.is_err() && body.len() <= 1000, "{} bytes, {end:?}", body.len());
}
