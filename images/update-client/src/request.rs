//! The requests, with update_engine's attributes (`omaha_request_action.cc`).

use std::env;

use wheeltap_formats::omaha::{
    AppRequest, ErrorCode, Event, EventResult, EventType, InstallSource, Os, Ping, Request,
    UpdateCheckRequest,
};

use crate::identity::Identity;

/// The client's name: it doesn't pass for the real one.
const CLIENT: &str = concat!("wheeltap-update-client-", env!("CARGO_PKG_VERSION"));

/// Asks for an update. `previous` is the version that an update was installed from, see [`crate::prefs`].
///
/// As update_engine does, each check says how the last update ended, and if there was none, that it succeeded from an
/// empty version.
pub(crate) fn check(identity: &Identity, source: InstallSource, previous: Option<&str>) -> Request {
    let event = if rolled_back(identity, previous) {
        let event = Event::new(EventType::UpdateComplete, EventResult::Error);
        Event { error_code: Some(ErrorCode::ROLLBACK), ..event }
    } else {
        let event = Event::new(EventType::UpdateComplete, EventResult::SuccessReboot);
        Event { previous_version: Some(previous.unwrap_or("0.0.0.0").to_owned()), ..event }
    };
    let target_version_prefix = identity.settings.version_prefix.clone();
    request(identity, source, |app| AppRequest {
        ping: Some(Ping { active: Some(true), ..Ping::default() }),
        update_check: Some(UpdateCheckRequest { target_version_prefix }),
        events: vec![event],
        ..app
    })
}

/// Whether the version that was updated runs still, or again.
pub(crate) fn rolled_back(identity: &Identity, previous: Option<&str>) -> bool {
    previous.is_some_and(|previous| !previous.is_empty() && previous == identity.settings.version)
}

/// Reports an event.
pub(crate) fn report(identity: &Identity, source: InstallSource, event: Event) -> Request {
    request(identity, source, |app| AppRequest { events: vec![event], ..app })
}

fn request(
    identity: &Identity,
    source: InstallSource,
    fill: impl FnOnce(AppRequest) -> AppRequest,
) -> Request {
    let settings = &identity.settings;
    let some = |text: &str| Some(text.to_owned());
    let app = AppRequest {
        id: settings.app_id.clone(),
        version: some(&settings.version),
        track: some(&settings.group),
        boot_id: some(&identity.boot_id),
        oem: some(&settings.oem),
        oem_version: some(&settings.oem_version),
        aleph_version: some(&identity.aleph_version),
        machine_id: some(&identity.machine_id),
        machine_alias: some(&settings.machine_alias),
        lang: some("en-US"),
        board: some(&settings.board),
        hardware_class: some(""),
        delta_okay: Some(false),
        ..AppRequest::default()
    };
    Request {
        version: some(CLIENT),
        updater_version: some(CLIENT),
        install_source: Some(source),
        is_machine: Some(true),
        os: Some(Os {
            version: some("Chateau"),
            platform: some("CoreOS"),
            service_pack: Some(format!("{}_{}", settings.version, env::consts::ARCH)),
            arch: None,
        }),
        apps: vec![fill(app)],
        ..Request::new()
    }
}

#[cfg(test)]
mod tests {
    use crate::settings::{Server, Settings};

    use super::*;

    fn identity() -> Identity {
        Identity {
            settings: Settings {
                server: Server::Url("http://10.0.2.2:8085/v1/update".into()),
                group: "beta".into(),
                version_prefix: None,
                version: "4000.0.0".into(),
                board: "amd64-usr".into(),
                app_id: "{e96281a6-d1af-4bde-9a0a-97b76e56dc57}".into(),
                machine_alias: "the \"third\"".into(),
                oem: "qemu".into(),
                oem_version: "0.0.1".into(),
            },
            boot_id: "{7d52a1cc-7066-40f0-91c7-7cb6a871bfde}".into(),
            machine_id: "8bde4c4d90834d61b41c3253212c0c37".into(),
            aleph_version: "3999.0.0".into(),
        }
    }

    /// The version of this crate changes with each release.
    fn xml(request: &Request) -> String {
        request.to_xml().replace(CLIENT, "CLIENT")
    }

    #[test]
    fn first_check() {
        insta::assert_snapshot!(xml(&check(&identity(), InstallSource::OnDemand, None)));
    }

    #[test]
    fn check_after_an_update() {
        let mut identity = identity();
        identity.settings.version = "4000.1.0".into();
        identity.settings.version_prefix = Some("4000.".into());
        insta::assert_snapshot!(xml(&check(&identity, InstallSource::Scheduler, Some("4000.0.0"))));
    }

    #[test]
    fn check_after_a_rollback() {
        insta::assert_snapshot!(xml(&check(
            &identity(),
            InstallSource::Scheduler,
            Some("4000.0.0")
        )));
    }

    #[test]
    fn nothing_to_report() {
        let request = check(&identity(), InstallSource::OnDemand, Some(""));
        let [event] = &*request.apps[0].events else { panic!("one event") };
        assert_eq!(event.result, EventResult::SuccessReboot);
        assert_eq!(event.previous_version.as_deref(), Some(""));
    }

    #[test]
    fn error_report() {
        let event = Event {
            error_code: Some(ErrorCode::DOWNLOAD_TRANSFER),
            ..Event::new(EventType::UpdateComplete, EventResult::Error)
        };
        insta::assert_snapshot!(xml(&report(&identity(), InstallSource::OnDemand, event)));
    }
}
