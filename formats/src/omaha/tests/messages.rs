//! Messages as real clients and servers send them, with made-up values.

use insta::assert_snapshot;
use test_case::test_case;

use crate::omaha::{
    AckStatus, Action, ActionEvent, AppRequest, AppResponse, AppStatus, ErrorCode, Event,
    EventResult, EventType, InstallSource, Manifest, Os, Package, Ping, Request, Response,
    UpdateCheckRequest, UpdateCheckResponse, UpdateStatus,
};

const APP_ID: &str = "{e96281a6-d1af-4bde-9a0a-97b76e56dc57}";

/// What update_engine posts on its first check after a boot into a new version.
pub(super) const CHECK: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<request protocol="3.0" version="update_engine-0.4.10" updaterversion="update_engine-0.4.10" installsource="ondemandupdate" ismachine="1">
    <os version="Chateau" platform="CoreOS" sp="4459.2.1_x86_64"></os>
    <app appid="{e96281a6-d1af-4bde-9a0a-97b76e56dc57}" version="4459.2.1" track="stable" bootid="{7d52a1cc-7066-40f0-91c7-7cb6a871bfde}" oem="qemu" oemversion="0.0.1" alephversion="4459.2.0" machineid="8bde4c4d90834d61b41c3253212c0c37" machinealias="" lang="en-US" board="amd64-usr" hardware_class="" delta_okay="false" >
        <ping active="1"></ping>
        <updatecheck></updatecheck>
        <event eventtype="3" eventresult="2" previousversion="4459.2.0"></event>
    </app>
</request>
"#;

/// An older client, with everything that update_engine does not send today.
pub(super) const OLD_CHECK: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<request protocol="3.0" ismachine="1" requestid="{1}" sessionid="{2}" userid="{3}" testsource="ossdev" installsource="scheduler">
<os platform="Chrome OS" version="Indy" sp="x_x86_64" arch="x64"/>
<app appid="{87efface}" version="1.0.0.0" nextversion="1.0.0.1" client="abcd" installage="6" from_track="developer-build" track="dev-channel" multi_manifest_ok="true" fw_version="unknown to us">
<ping active="0" a="-1" r="3"/>
<updatecheck targetversionprefix="1."/>
<data name="unknown to us"><deeper/></data>
</app>
<app appid="oem-azure"/>
</request>"#;

/// go-omaha's TrivialServer with one package, byte for byte in its layout.
pub(super) const OFFER: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<response protocol="3.0" server="go-omaha">
	<daystart elapsed_seconds="0"></daystart>
	<app appid="{e96281a6-d1af-4bde-9a0a-97b76e56dc57}" status="ok">
		<ping status="ok"></ping>
		<updatecheck status="ok">
			<urls>
				<url codebase="http://10.0.0.1:34567/packages/"></url>
			</urls>
			<manifest version="">
				<packages>
					<package name="update.gz" hash="+LXvjiaPkeYDLHoNKlf9qbJwvnk=" size="67546213" required="true"></package>
				</packages>
				<actions>
					<action event="postinstall" sha256="0VAlQW3RE99SGtSB5R4m08antAHO8XDoBMKDyxQT/Mg=" DisablePayloadBackoff="true"></action>
				</actions>
			</manifest>
		</updatecheck>
		<event status="ok"></event>
	</app>
</response>"#;

/// What the shell script flatcar-update serves: no declaration, and packages for extensions.
pub(super) const SCRIPT_OFFER: &str = r#"<response protocol="3.0" server="flatcar-update"><daystart elapsed_seconds="0"></daystart>
<app appid="{e96281a6-d1af-4bde-9a0a-97b76e56dc57}" status="ok"><ping status="ok"></ping>
<updatecheck status="ok"><urls><url codebase="http://localhost:9091/"></url></urls>
<manifest version="4459.2.2"><packages><package name="flatcar_production_update.gz" hash="3q2+7w==" size="380000000" required="true"></package>
<package name="oem-azure.gz" hash_sha256="deadbeef" size="5" required="false"></package></packages>
<actions><action event="postinstall" sha256="3q2+7w==" DisablePayloadBackoff="true"></action></actions></manifest>
</updatecheck><event status="ok"></event></app></response>
"#;

/// A server's answer with every attribute, in several steps, and with what nobody knows.
pub(super) const FULL_OFFER: &str = r#"<?xml version='1.0' encoding='utf-8'?>
<!-- from a cache --><?cache hit?>
<response protocol="3.0" xmlns:x="urn:x"><daystart elapsed_seconds="49008" elapsed_days="4711"/>
<app appid="{a}" status="restricted"/>
<app appid="{b}" status="ok" cohort="1">text, &amp; <![CDATA[more]]>
<updatecheck status="ok" PollInterval="2700">
<urls><url codebase="https://a.example/"/><url codebase="https://b.example/?a=1&amp;b=2"/></urls>
<manifest version="1.0.0" is_floor="true" floor_reason="new &quot;keys&quot;"><packages><package name="p" size="1"/></packages></manifest>
<manifest version="2.0.0" is_target="true"><packages><package name="q" size="0"/></packages><actions>
<action event="install"/>
<action event="postinstall" DisplayVersion="2.0.0" sha256="s" needsadmin="false" IsDelta="True" IsDeltaPayload="true" DisablePayloadBackoff="false" MaxFailureCountPerUrl="3" MetadataSignatureRsa="m" MetadataSize="58123" deadline="now" MoreInfo="https://c.example/" Prompt="false"/>
</actions></manifest>
</updatecheck></app></response>"#;

fn request(xml: &str) -> Request {
    Request::parse(xml.as_bytes()).unwrap()
}

fn response(xml: &str) -> Response {
    Response::parse(xml.as_bytes()).unwrap()
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn update_engines_check_is_read_whole() {
    let expected = Request {
        version: text("update_engine-0.4.10"),
        updater_version: text("update_engine-0.4.10"),
        install_source: Some(InstallSource::OnDemand),
        is_machine: Some(true),
        os: Some(Os {
            version: text("Chateau"),
            platform: text("CoreOS"),
            service_pack: text("4459.2.1_x86_64"),
            arch: None,
        }),
        apps: vec![AppRequest {
            id: APP_ID.to_owned(),
            version: text("4459.2.1"),
            track: text("stable"),
            boot_id: text("{7d52a1cc-7066-40f0-91c7-7cb6a871bfde}"),
            oem: text("qemu"),
            oem_version: text("0.0.1"),
            aleph_version: text("4459.2.0"),
            machine_id: text("8bde4c4d90834d61b41c3253212c0c37"),
            machine_alias: text(""),
            lang: text("en-US"),
            board: text("amd64-usr"),
            hardware_class: text(""),
            delta_okay: Some(false),
            ping: Some(Ping { active: Some(true), ..Ping::default() }),
            update_check: Some(UpdateCheckRequest::default()),
            events: vec![Event {
                previous_version: text("4459.2.0"),
                ..Event::new(EventType::UpdateComplete, EventResult::SuccessReboot)
            }],
            ..AppRequest::default()
        }],
        ..Request::new()
    };
    assert_eq!(request(CHECK), expected);
}

#[test]
fn update_engines_check_is_written_with_all_it_said() {
    // Only the indentation and a blank at the end of a tag are lost.
    let squeeze = |xml: &str| xml.split_whitespace().collect::<String>();
    assert_eq!(squeeze(&request(CHECK).to_xml()), squeeze(CHECK));
}

#[test]
fn go_omahas_offer_is_written_byte_for_byte() {
    assert_eq!(response(OFFER).to_xml(), OFFER);
}

#[test]
fn goldens() {
    assert_snapshot!("check", request(CHECK).to_xml());
    assert_snapshot!("old_check", request(OLD_CHECK).to_xml());
    assert_snapshot!("script_offer", response(SCRIPT_OFFER).to_xml());
    assert_snapshot!("full_offer", response(FULL_OFFER).to_xml());
}

#[test]
fn an_offer_is_built_with_few_words() {
    let mut app = AppResponse::new(APP_ID, AppStatus::Ok);
    app.ping = Some(AckStatus::Ok);
    app.events = vec![AckStatus::Ok, AckStatus::Ok];
    app.update_check = Some(UpdateCheckResponse {
        urls: vec!["http://127.0.0.1:1/packages/".to_owned()],
        manifests: vec![Manifest {
            version: text("4000.0.1"),
            packages: vec![
                Package::new("update.gz", 4096, [0x11; 20], [0x22; 32], true),
                Package::new("oem-qemu.gz", 512, [0x33; 20], [0x44; 32], false),
            ],
            actions: vec![Action::postinstall([0x22; 32])],
            ..Manifest::default()
        }],
        ..UpdateCheckResponse::new(UpdateStatus::Ok)
    });
    let mut answer = Response::new("wheeltap");
    answer.apps.push(app);
    assert_snapshot!("offer", answer.to_xml());
    assert_eq!(response(&answer.to_xml()), answer);
}

#[test]
fn no_update_is_short() {
    let mut app = AppResponse::new(APP_ID, AppStatus::Ok);
    app.update_check = Some(UpdateCheckResponse::new(UpdateStatus::NoUpdate));
    let mut answer = Response::new("wheeltap");
    answer.apps.push(app);
    answer.apps.push(AppResponse::new("x", AppStatus::UnknownApplication));
    assert_snapshot!("no_update", answer.to_xml());
}

#[test]
fn characters_that_mean_something_are_escaped() {
    let app = AppRequest {
        id: "a<b>&\"c'\t\n\r \u{0}\u{1b}\u{fffe}ä🛞]]>&amp;".to_owned(),
        ..AppRequest::default()
    };
    let sent = Request { apps: vec![app], ..Request::new() };
    assert_snapshot!("escaped", sent.to_xml());
    let id = &request(&sent.to_xml()).apps[0].id;
    assert_eq!(id, "a<b>&\"c'\t\n\r \u{fffd}\u{fffd}\u{fffd}ä🛞]]>&amp;");
}

#[test]
fn the_postinstall_action_and_the_url_are_found_as_update_engine_finds_them() {
    let full = response(FULL_OFFER);
    let check = full.apps[1].update_check.as_ref().unwrap();
    assert_eq!(check.manifests[0].postinstall(), None);
    let action = check.manifests[1].postinstall().unwrap();
    assert_eq!((&action.event, action.is_delta_payload), (&ActionEvent::PostInstall, Some(true)));
    let package = &check.manifests[0].packages[0];
    assert_eq!(package.url("https://a.example/"), "https://a.example/p");
    assert_eq!(package.url("https://a.example"), "https://a.example/p");
}

#[test_case(13, 1, None, "update download started: success"; "download started")]
#[test_case(14, 1, None, "update download finished: success"; "download finished")]
#[test_case(3, 1, None, "update complete: success"; "complete")]
#[test_case(3, 0, Some("44"), "update complete: error, error code 44 (rollback)"; "rollback")]
#[test_case(3, 0, Some("-2147483604"), "update complete: error, error code 44 (rollback), developer mode"; "flags make it negative")]
#[test_case(3, 0, Some("1610612736"), "update complete: error, error code 0 (success), resumed, test image"; "two flags")]
#[test_case(1, 0, Some("2404"), "download complete: error, error code 2404 (HTTP status 404)"; "http")]
#[test_case(2, 9, Some("36"), "install complete: update deferred, error code 36 (the update was deferred as the policy says)"; "deferred")]
#[test_case(77, 88, Some("39"), "event 77: result 88, error code 39"; "unknown numbers")]
#[test_case(-1, -2, Some("4294967295"), "event -1: result -2, error code 268435455, developer mode, resumed, test image, test server"; "odd numbers")]
fn events_are_read_and_named(kind: i32, result: i32, code: Option<&str>, said: &str) {
    let code = code.map(|code| format!(" errorcode=\"{code}\"")).unwrap_or_default();
    let xml = format!(
        "<request protocol=\"3.0\"><app appid=\"a\">\
         <event eventtype=\"{kind}\" eventresult=\"{result}\"{code}></event></app></request>"
    );
    let event = request(&xml).apps[0].events[0].clone();
    assert_eq!(event.to_string(), said);
    assert_eq!((event.event_type.number(), event.result.number()), (kind, result));
    let again = Request {
        apps: vec![AppRequest { id: "a".to_owned(), events: vec![event], ..AppRequest::default() }],
        ..Request::new()
    };
    assert_eq!(request(&again.to_xml()), again);
}

#[test]
fn error_codes_take_apart() {
    let code = ErrorCode(ErrorCode::ROLLBACK.0 | ErrorCode::RESUMED);
    assert_eq!((code.base(), code.flags()), (44, ErrorCode::RESUMED));
    assert_eq!(code.name(), Some("rollback"));
    assert_eq!(ErrorCode::from_http_status(503).http_status(), Some(503));
    assert_eq!(ErrorCode::DOWNLOAD_INCOMPLETE.http_status(), None);
    assert_eq!(ErrorCode(3000).http_status(), None);
}

#[test_case("ok", &AppStatus::Ok)]
#[test_case("restricted", &AppStatus::Restricted)]
#[test_case("error-unknownApplication", &AppStatus::UnknownApplication)]
#[test_case("error-invalidAppId", &AppStatus::InvalidAppId)]
#[test_case("error-invalidVersion", &AppStatus::InvalidVersion)]
#[test_case("error-internal", &AppStatus::Internal)]
#[test_case("error-Internal", &AppStatus::Other("error-Internal".to_owned()))]
fn app_statuses(word: &str, status: &AppStatus) {
    let xml = format!("<response protocol='3.0'><app appid='a' status='{word}'/></response>");
    assert_eq!(response(&xml).apps[0].status, *status);
    assert_eq!(status.as_str(), word);
}

#[test_case("ok", &UpdateStatus::Ok)]
#[test_case("noupdate", &UpdateStatus::NoUpdate)]
#[test_case("error-osnotsupported", &UpdateStatus::OsNotSupported)]
#[test_case("error-unsupportedProtocol", &UpdateStatus::UnsupportedProtocol)]
#[test_case("error-hash", &UpdateStatus::Hash)]
#[test_case("error-internal", &UpdateStatus::Internal)]
#[test_case("error-of-tomorrow", &UpdateStatus::Other("error-of-tomorrow".to_owned()))]
fn update_statuses(word: &str, status: &UpdateStatus) {
    let xml = format!(
        "<response protocol='3.0'><app appid='a' status='ok'><updatecheck status='{word}'/></app></response>"
    );
    assert_eq!(response(&xml).apps[0].update_check.as_ref().unwrap().status, *status);
    assert_eq!(status.to_string(), word);
}
