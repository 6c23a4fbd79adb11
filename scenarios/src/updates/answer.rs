//! From a request to its response: who gets which release.

use wheeltap_formats::omaha::{
    AckStatus, Action, AppRequest, AppResponse, AppStatus, Manifest, PROTOCOL, Package, Request,
    Response, UpdateCheckRequest, UpdateCheckResponse, UpdateStatus,
};

use super::{Misbehaviour, PackageFile, Release, Version, misbehaviour::Conduct};

/// What the server calls itself.
const SERVER: &str = "wheeltap";

/// Answers a request. `codebase` is the URL under which the packages are.
pub(super) fn answer(
    request: &Request,
    releases: &[Release],
    codebase: &str,
    conduct: &Conduct,
) -> Response {
    let mut response = Response::new(SERVER);
    for app in &request.apps {
        // Any application is known: which ids an OS family uses is not for the server to say.
        let mut answer = AppResponse::new(&app.id, AppStatus::Ok);
        answer.ping = app.ping.as_ref().map(|_| AckStatus::Ok);
        answer.events = app.events.iter().map(|_| AckStatus::Ok).collect();
        answer.update_check = app.update_check.as_ref().map(|check| {
            if request.protocol != PROTOCOL {
                return UpdateCheckResponse::new(UpdateStatus::UnsupportedProtocol);
            }
            let Some(release) = choose(app, check, releases) else {
                return UpdateCheckResponse::new(UpdateStatus::NoUpdate);
            };
            UpdateCheckResponse {
                urls: vec![codebase.to_owned()],
                manifests: vec![manifest(release, conduct)],
                ..UpdateCheckResponse::new(UpdateStatus::Ok)
            }
        });
        response.apps.push(answer);
    }
    response
}

/// The highest release for the client's group and pin, unless the client runs it already. It may be lower than what the client
/// runs: that is what a change to a more stable channel is.
fn choose<'a>(
    app: &AppRequest,
    check: &UpdateCheckRequest,
    releases: &'a [Release],
) -> Option<&'a Release> {
    let pin = check.target_version_prefix.as_deref().unwrap_or_default();
    let running: Option<Version> = app.version.as_deref().and_then(|version| version.parse().ok());
    releases
        .iter()
        .filter(|release| release.is_for(app.track.as_deref()) && release.fits_pin(pin))
        .filter(|release| release.runs_on(app.board.as_deref()))
        .max_by_key(|release| release.version())
        .filter(|release| release.version().is_none() || release.version() != running.as_ref())
}

/// The manifest of a release, with what a misbehaving server gets wrong about its packages.
fn manifest(release: &Release, conduct: &Conduct) -> Manifest {
    let surplus = u64::from(conduct.has(&Misbehaviour::WrongSize));
    let wrong = conduct.has(&Misbehaviour::WrongHash);
    let package = |file: &PackageFile, required| {
        let (sha1, sha256) = (spoilt(file.sha1, wrong), spoilt(file.sha256, wrong));
        Package::new(&file.name, file.size + surplus, sha1, sha256, required)
    };
    let mut packages = vec![package(&release.payload, true)];
    packages.extend(release.extensions.iter().map(|file| package(file, false)));
    Manifest {
        // Empty rather than absent, because that is what clients are used to.
        version: Some(release.version().map(Version::to_string).unwrap_or_default()),
        packages,
        actions: vec![Action::postinstall(spoilt(release.payload.sha256, wrong))],
        ..Manifest::default()
    }
}

fn spoilt<const N: usize>(mut digest: [u8; N], wrong: bool) -> [u8; N] {
    digest[0] ^= u8::from(wrong);
    digest
}
