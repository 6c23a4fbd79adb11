//! Properties: what is written is read back the same, and no bytes make the readers panic.

use proptest::array::{uniform3, uniform5, uniform15};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::messages::{CHECK, FULL_OFFER, OFFER, OLD_CHECK, SCRIPT_OFFER};
use crate::omaha::writer::is_xml_char;
use crate::omaha::{
    AckStatus, Action, ActionEvent, AppRequest, AppResponse, AppStatus, ErrorCode, Event,
    EventResult, EventType, InstallSource, Manifest, Os, Package, Ping, Request, Response,
    UpdateCheckRequest, UpdateCheckResponse, UpdateStatus,
};

/// Text that XML can say, with many of the characters that need care.
fn text() -> impl Strategy<Value = String> {
    let special = select("<>&\"'\t\n\r ;#=/?![]-".chars().collect::<Vec<_>>());
    let any = any::<char>().prop_filter("not in XML", |char| is_xml_char(*char));
    vec(prop_oneof![special, any], 0..8).prop_map(String::from_iter)
}

/// A word that a message may hold: a known one, or any text.
fn word(known: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop_oneof![select(known).prop_map(str::to_owned), text()]
}

fn number() -> impl Strategy<Value = i32> {
    prop_oneof![0..110, any::<i32>()]
}

fn event() -> impl Strategy<Value = Event> {
    (number(), number(), of(any::<u32>()), of(text()), of(text())).prop_map(
        |(event_type, result, error_code, previous_version, next_version)| Event {
            event_type: EventType::from(event_type),
            result: EventResult::from(result),
            error_code: error_code.map(ErrorCode),
            previous_version,
            next_version,
        },
    )
}

prop_compose! {
    fn ping()(
        active in of(any::<bool>()),
        days_since_active in of(any::<i32>()),
        days_since_ping in of(any::<i32>()),
    ) -> Ping {
        Ping { active, days_since_active, days_since_ping }
    }
}

prop_compose! {
    fn app_request()(
        id in text(),
        texts in uniform15(of(text())),
        (delta_okay, multi_manifest_ok) in any::<(Option<bool>, Option<bool>)>(),
        ping in of(ping()),
        update_check in of(of(text())),
        events in vec(event(), 0..3),
    ) -> AppRequest {
        let [
            version, next_version, track, from_track, boot_id, oem, oem_version, aleph_version,
            machine_id, machine_alias, lang, board, hardware_class, client, install_age,
        ] = texts;
        let update_check =
            update_check.map(|prefix| UpdateCheckRequest { target_version_prefix: prefix });
        AppRequest {
            id, version, next_version, track, from_track, boot_id, oem, oem_version, aleph_version,
            machine_id, machine_alias, lang, board, hardware_class, delta_okay, multi_manifest_ok,
            client, install_age, ping, update_check, events,
        }
    }
}

prop_compose! {
    fn request()(
        protocol in text(),
        texts in uniform5(of(text())),
        test_source in of(text()),
        source in of(word(&["ondemandupdate", "scheduler"])),
        is_machine in of(any::<bool>()),
        os in of((of(text()), of(text()), of(text()), of(text()))),
        apps in vec(app_request(), 0..3),
    ) -> Request {
        let [version, updater_version, request_id, session_id, user_id] = texts;
        let os = os.map(|(version, platform, service_pack, arch)| Os {
            version, platform, service_pack, arch,
        });
        let install_source = source.as_deref().map(InstallSource::from);
        Request {
            protocol, version, updater_version, install_source, is_machine, request_id,
            session_id, user_id, test_source, os, apps,
        }
    }
}

prop_compose! {
    fn package()(
        name in text(),
        sha1 in of(text()),
        sha256 in of(text()),
        size in any::<u64>(),
        required in of(any::<bool>()),
    ) -> Package {
        Package { name, sha1, sha256, size, required }
    }
}

prop_compose! {
    fn action()(
        event in word(&["postinstall", "install", "update"]),
        [display_version, sha256, metadata_size] in uniform3(of(text())),
        [metadata_signature_rsa, deadline, more_info] in uniform3(of(text())),
        [needs_admin, is_delta_payload, prompt] in uniform3(of(any::<bool>())),
        disable_payload_backoff in of(any::<bool>()),
        max_failure_count_per_url in of(any::<u32>()),
    ) -> Action {
        Action {
            event: ActionEvent::from(&*event), display_version, sha256, needs_admin,
            is_delta_payload, disable_payload_backoff, max_failure_count_per_url,
            metadata_signature_rsa, metadata_size, deadline, more_info, prompt,
        }
    }
}

prop_compose! {
    fn manifest()(
        version in of(text()),
        floor_reason in of(text()),
        (is_floor, is_target) in any::<(Option<bool>, Option<bool>)>(),
        packages in vec(package(), 0..3),
        actions in vec(action(), 0..3),
    ) -> Manifest {
        Manifest { version, is_floor, floor_reason, is_target, packages, actions }
    }
}

prop_compose! {
    fn update_check()(
        status in word(&["ok", "noupdate", "error-osnotsupported", "error-internal"]),
        poll_interval in of(any::<u32>()),
        urls in vec(text(), 0..3),
        manifests in vec(manifest(), 0..3),
    ) -> UpdateCheckResponse {
        UpdateCheckResponse { status: UpdateStatus::from(&*status), poll_interval, urls, manifests }
    }
}

prop_compose! {
    fn app_response()(
        id in text(),
        status in word(&["ok", "restricted", "error-unknownApplication"]),
        ping in of(word(&["ok"])),
        update_check in of(update_check()),
        events in vec(word(&["ok"]), 0..3),
    ) -> AppResponse {
        AppResponse {
            id,
            status: AppStatus::from(&*status),
            ping: ping.as_deref().map(AckStatus::from),
            update_check,
            events: events.iter().map(|status| AckStatus::from(&**status)).collect(),
        }
    }
}

prop_compose! {
    fn response()(
        protocol in text(),
        server in of(text()),
        elapsed_seconds in of(any::<u64>()),
        apps in vec(app_response(), 0..3),
    ) -> Response {
        Response { protocol, server, elapsed_seconds, apps }
    }
}

/// One thing that a bad network, a bad program or an attacker does to a message.
#[derive(Debug, Clone)]
enum Harm {
    Set(Index, u8),
    Cut(Index, Index),
    Copy(Index, Index, Index),
    Insert(Index, &'static str),
}

fn harm() -> impl Strategy<Value = Harm> {
    let snippets: &'static [&'static str] = &[
        "<",
        ">",
        "/>",
        "</app>",
        "\"",
        "'",
        "&",
        "&#",
        "&#0;",
        "&#x10FFFF;",
        "&lt;",
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        "<?",
        "?>",
        "<?xml version=\"1.0\"?>",
        "<!DOCTYPE x [",
        "<app appid=\"x\">",
        " size=\"1\"",
        "=",
        "\u{0}",
        "\u{feff}",
        " ",
        "xmlns:a=\"b\"",
    ];
    let index = any::<Index>;
    prop_oneof![
        (index(), any::<u8>()).prop_map(|(at, byte)| Harm::Set(at, byte)),
        (index(), index()).prop_map(|(from, to)| Harm::Cut(from, to)),
        (index(), index(), index()).prop_map(|(from, to, at)| Harm::Copy(from, to, at)),
        (index(), select(snippets)).prop_map(|(at, snippet)| Harm::Insert(at, snippet)),
    ]
}

fn inflict(message: &str, harms: &[Harm]) -> Vec<u8> {
    let mut bytes = message.as_bytes().to_vec();
    for harm in harms {
        let place = |index: &Index| index.index(bytes.len() + 1);
        let range = |from, to| place(from).min(place(to))..place(from).max(place(to));
        match harm {
            Harm::Set(at, byte) => {
                let at = place(at);
                bytes.splice(at..(at + 1).min(bytes.len()), [*byte]);
            }
            Harm::Cut(from, to) => drop(bytes.drain(range(from, to))),
            Harm::Copy(from, to, at) => {
                let (copy, at) = (bytes[range(from, to)].to_vec(), place(at));
                bytes.splice(at..at, copy);
            }
            Harm::Insert(at, snippet) => {
                let at = place(at);
                bytes.splice(at..at, snippet.bytes());
            }
        }
    }
    bytes
}

/// Whatever is read at all is written such that it is read again as the same.
fn read_twice(bytes: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(read) = Request::parse(bytes) {
        prop_assert_eq!(Request::parse(read.to_xml().as_bytes()), Ok(read));
    }
    if let Ok(read) = Response::parse(bytes) {
        prop_assert_eq!(Response::parse(read.to_xml().as_bytes()), Ok(read));
    }
    Ok(())
}

proptest! {
    #[test]
    fn a_request_survives_writing_and_reading(request in request()) {
        prop_assert_eq!(Request::parse(request.to_xml().as_bytes()), Ok(request));
    }

    #[test]
    fn a_response_survives_writing_and_reading(response in response()) {
        prop_assert_eq!(Response::parse(response.to_xml().as_bytes()), Ok(response));
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in vec(any::<u8>(), 0..512)) {
        read_twice(&bytes)?;
    }

    #[test]
    fn arbitrary_markup_does_no_harm(
        inside in r#"(<(app|os|event|updatecheck|x)( (appid|eventtype|status|y)=("[^"]{0,4}"|'&#?[a-z0-9]{1,4};'))*/?>|</(app|os|x)>|<!--|-->|<!\[CDATA\[|\]\]>|<\?|\?>|.){0,12}"#,
    ) {
        read_twice(format!("<request protocol=\"3.0\">{inside}</request>").as_bytes())?;
        read_twice(format!("<response protocol=\"3.0\">{inside}</response>").as_bytes())?;
    }

    #[test]
    fn harmed_messages_do_no_harm(
        message in select(&[CHECK, OLD_CHECK, OFFER, SCRIPT_OFFER, FULL_OFFER][..]),
        harms in vec(harm(), 1..5),
    ) {
        read_twice(&inflict(message, &harms))?;
    }
}
