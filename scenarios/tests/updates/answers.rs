//! Update checks and reports.

use test_case::test_case;
use wheeltap_formats::omaha::{
    AppRequest, ErrorCode, Event, EventResult, EventType, Request, UpdateStatus,
};
use wheeltap_scenarios::updates::{Asked, Release, UpdateServer};

use crate::client::{
    Files, agent, check, download_started, get, head, post, post_as, report, serve, start,
};

/// The version that a check is answered with, or the status of the answer.
async fn offered(server: &UpdateServer, request: &Request) -> String {
    let response = post(server, request.to_xml()).await.omaha();
    let check = response.apps[0].update_check.clone().unwrap();
    match check.status {
        UpdateStatus::Ok => check.manifests[0].version.clone().unwrap(),
        status => status.to_string(),
    }
}

async fn release(files: &Files, version: &str) -> Release {
    let payload = files.add_bytes(&format!("{version}.gz"), version.as_bytes());
    Release::load(&payload).await.unwrap().with_version(version.parse().unwrap())
}

#[tokio::test]
async fn an_update_is_described_as_the_protocol_has_it() {
    let files = Files::new();
    let release = Release::load(&files.add_bytes("flatcar_production_update.gz", b"payload"))
        .await
        .unwrap()
        .with_extension(&files.add_bytes("oem-qemu.gz", b"extension"))
        .await
        .unwrap()
        .with_version("4000.1.0".parse().unwrap());
    let server = start(vec![release]).await;
    let reply = post(&server, check("3999.0.0", "stable", "").to_xml()).await;
    assert_eq!(reply.header("content-type"), "text/xml; charset=utf-8");
    // The digests are those that sha1sum, sha256sum and base64 print.
    insta::assert_snapshot!(reply.text().replace(&server.address().to_string(), "ADDRESS"));
}

#[test_case(Some("amd64-usr") => "4000.1.0"; "its own board")]
#[test_case(None => "4000.1.0"; "a client that names none")]
#[test_case(Some("arm64-usr") => "noupdate"; "another board")]
#[tokio::test]
async fn a_payload_for_a_board_goes_to_that_board(board: Option<&str>) -> String {
    let files = Files::new();
    let server = start(vec![release(&files, "4000.1.0").await.for_board("amd64-usr")]).await;
    let mut request = check("3999.0.0", "stable", "");
    request.apps[0].board = board.map(str::to_owned);
    offered(&server, &request).await
}

#[test_case("3999.0.0", "" => "4000.1.0"; "an older version")]
#[test_case("4000.1.0", "" => "noupdate"; "the same version")]
#[test_case("4000.01", "" => "noupdate"; "the same version in other digits")]
#[test_case("4001.0.0", "" => "4000.1.0"; "a newer version, to which the target is a way back")]
#[test_case("0.0.0.0", "" => "4000.1.0"; "no version")]
#[test_case("developer build", "" => "4000.1.0"; "a version that is none")]
#[test_case("3999.0.0", "4000." => "4000.1.0"; "a pin that fits")]
#[test_case("3999.0.0", "3999." => "noupdate"; "a pin that does not fit")]
#[tokio::test]
async fn who_runs_the_target_gets_no_update(version: &str, pin: &str) -> String {
    let files = Files::new();
    let server = serve(&files, 10).await;
    offered(&server, &check(version, "stable", pin)).await
}

#[tokio::test]
async fn groups_and_pins_choose_among_releases_and_the_highest_wins() {
    let files = Files::new();
    let server = start(vec![
        release(&files, "4000.10.0").await.for_group("stable").for_group("lts"),
        release(&files, "4000.9.0").await.for_group("stable"),
        release(&files, "4100.0.0").await.for_group("beta"),
    ])
    .await;
    let mut table = Vec::new();
    for group in ["stable", "lts", "beta", "alpha"] {
        for pin in ["", "4000.9.", "4100."] {
            let offered = offered(&server, &check("3999.0.0", group, pin)).await;
            table.push(format!("{group:6} {pin:7} {offered}"));
        }
    }
    insta::assert_snapshot!(table.join("\n"));
    // Between channels the way leads down, too.
    assert_eq!(offered(&server, &check("4100.0.0", "stable", "")).await, "4000.10.0");
}

#[tokio::test]
async fn a_release_without_a_version_is_offered_always_but_to_nobody_with_a_pin() {
    let files = Files::new();
    let server = start(vec![Release::load(&files.add("update.gz", 10)).await.unwrap()]).await;
    assert_eq!(offered(&server, &check("4000.1.0", "stable", "")).await, "");
    assert_eq!(offered(&server, &check("4000.1.0", "stable", "4000.")).await, "noupdate");
}

#[tokio::test]
async fn another_offer_takes_the_place_of_the_first() {
    let files = Files::new();
    let server = start(Vec::new()).await;
    assert_eq!(offered(&server, &check("4000.1.0", "stable", "")).await, "noupdate");
    server.offer(vec![release(&files, "4000.2.0").await]).unwrap();
    assert_eq!(offered(&server, &check("4000.1.0", "stable", "")).await, "4000.2.0");
    server.offer(vec![release(&files, "4000.1.0").await]).unwrap();
    assert_eq!(offered(&server, &check("4000.2.0", "stable", "")).await, "4000.1.0");
}

#[tokio::test]
async fn the_codebase_is_where_the_client_sees_the_server() {
    let files = Files::new();
    let server = serve(&files, 10).await;
    let (url, xml) = (server.url() + "/", check("1.0.0", "stable", "").to_xml());
    let tunnelled = tokio::task::spawn_blocking(move || {
        let request = agent().post(url).content_type("text/xml").header("Host", "localhost:9999");
        request.send(xml).unwrap().body_mut().read_to_string().unwrap()
    });
    let response = tunnelled.await.unwrap();
    assert!(response.contains(r#"codebase="http://localhost:9999/packages/""#), "{response}");
}

#[tokio::test]
async fn another_version_of_the_protocol_gets_no_update() {
    let server = start(Vec::new()).await;
    let request = Request { protocol: "2.0".to_owned(), ..check("1.0.0", "stable", "") };
    assert_eq!(offered(&server, &request).await, "error-unsupportedProtocol");
}

#[tokio::test]
async fn every_event_is_kept_and_answered() {
    let server = start(Vec::new()).await;
    let rollback = Event {
        error_code: Some(ErrorCode::ROLLBACK),
        previous_version: Some("4000.1.0".to_owned()),
        ..Event::new(EventType::UpdateComplete, EventResult::Error)
    };
    let mut both = report(download_started());
    both.apps[0].events.push(rollback.clone());
    both.apps.push(AppRequest { id: "another".to_owned(), ..AppRequest::default() });
    let response = post(&server, both.to_xml()).await.omaha();
    assert_eq!(response.apps[0].events.len(), 2);
    assert_eq!(response.apps[1].id, "another");
    post(&server, report(rollback.clone()).to_xml()).await.omaha();

    let events = server.events();
    assert_eq!(events.iter().map(|event| event.index).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(events[0].event, download_started());
    assert_eq!(events[1].event, rollback);
    assert_eq!(events[2].event.error_code, Some(ErrorCode::ROLLBACK));
    assert_eq!(events[2].machine_id.as_deref(), Some("{0123456789abcdef}"));
    assert_eq!(events[2].version.as_deref(), Some("3999.0.0"));
}

#[tokio::test]
async fn what_was_served_can_be_read_as_text_and_json() {
    let files = Files::new();
    let server = serve(&files, 10).await;
    post(&server, check("3999.0.0", "stable", "4000.").to_xml()).await;
    post(&server, check("4000.1.0", "sta\u{85}ble", "").to_xml()).await;
    post(&server, report(download_started()).to_xml()).await;
    get(&server, "update.gz", "bytes=4-").await;
    head(&server, "update.gz").await;
    post(&server, "<request/>").await;
    let served = server.stop().await;
    let lines: String = served.iter().map(|served| format!("{served}\n")).collect();
    insta::assert_snapshot!("text", lines);
    let json: Vec<_> = served
        .iter()
        .map(|served| {
            let mut json = served.to_json();
            json["time"] = "TIME".into();
            serde_json::to_string_pretty(&json).unwrap()
        })
        .collect();
    insta::assert_snapshot!("json", json.join("\n"));
}

#[test_case(b"" ; "nothing")]
#[test_case(b"hello" ; "no XML")]
#[test_case(b"\x00\xff\xfe\x80" ; "bytes")]
#[test_case(b"<request protocol=\"3.0\"><app appid=" ; "cut off")]
#[test_case(b"<response protocol=\"3.0\"/>" ; "a response")]
#[test_case(b"<request protocol=\"3.0\"><app/></request>" ; "no application id")]
#[test_case(b"<request protocol=\"3.0\"><app appid=\"a\"><event eventtype=\"x\"/></app></request>" ; "a wrong type")]
#[test_case(b"<!DOCTYPE a [<!ENTITY b \"c\"><!ENTITY d \"&b;&b;\">]><request protocol=\"&d;\"/>" ; "an entity bomb")]
#[test_case(b"<?xml version=\"1.0\" encoding=\"UTF-16\"?><request protocol=\"3.0\"/>" ; "another encoding")]
#[tokio::test]
async fn hostile_bodies_are_refused(body: &[u8]) {
    let server = start(Vec::new()).await;
    let reply = post(&server, body).await;
    assert_eq!(reply.status, 400);
    assert!(reply.text().starts_with("the body is no Omaha request: "), "{}", reply.text());
    assert!(!reply.text().contains("<response "), "{}", reply.text());
    assert!(matches!(server.requests()[0].asked, Asked::Refused { .. }));
    // It goes on as if nothing had been.
    assert_eq!(offered(&server, &check("1.0.0", "stable", "")).await, "noupdate");
}

#[tokio::test]
async fn deep_and_long_bodies_are_refused() {
    let server = start(Vec::new()).await;
    assert_eq!(post(&server, "<a>".repeat(100_000)).await.status, 400);
    let mebibyte = 1 << 20;
    assert_eq!(post(&server, vec![b' '; mebibyte]).await.status, 400);
    let reply = post(&server, vec![b' '; mebibyte + 1]).await;
    assert_eq!((reply.status, reply.broken.is_none()), (413, true));
    assert_eq!(post(&server, vec![b' '; 20 * mebibyte]).await.status, 413);
}

#[test_case("text/xml" => 200)]
#[test_case("Text/XML; charset=UTF-8" => 200; "with parameters")]
#[test_case("application/json" => 415)]
#[test_case("text/xml-external-parsed-entity" => 415)]
#[tokio::test]
async fn content_types(content_type: &'static str) -> u16 {
    let server = start(Vec::new()).await;
    post_as(&server, content_type, check("1.0.0", "stable", "").to_xml()).await.status
}

#[tokio::test]
async fn a_server_is_nothing_but_an_update_server() {
    let files = Files::new();
    let server = serve(&files, 10).await;
    let (update, base) = (server.url(), format!("http://{}", server.address()));
    let statuses = tokio::task::spawn_blocking(move || {
        let agent = agent();
        let get = |url: String| agent.get(url).call().unwrap().status().as_u16();
        [
            get(update),
            get(format!("{base}/")),
            get(format!("{base}/packages/")),
            get(format!("{base}/packages/other.gz")),
            get(format!("{base}/packages/..%2f..%2fetc%2fpasswd")),
            agent.post(format!("{base}/packages/update.gz")).send("").unwrap().status().as_u16(),
        ]
    });
    assert_eq!(statuses.await.unwrap(), [405, 404, 404, 404, 404, 405]);
    assert_eq!(server.requests().len(), 6, "what is refused is kept, too");
}
