//! What a client is offered, from whom, and whether it asks at all.

use std::time::Duration;

use wheeltap_platforms::{WaitError, wait_for};

use super::scene::{GROUP, Scene, broken, release};
use crate::{
    check,
    context::Context,
    failure::{Failure, Result},
    guest::Way,
    ignition::{Fragment, file},
    targets::Signer,
    updates::{Authority, BadVersion, Misbehaviour, Release, Scope, Served, UpdateServer, Version},
};

/// A version that no image has.
const NEVER: &str = "9999.9.9";

/// How long a client must be silent. It asks within a second of being told to, under KVM.
const SILENCE: Duration = Duration::from_secs(5);

fn version(text: &str) -> Result<Version> {
    text.parse().map_err(|error: BadVersion| Failure::check(error.to_string()))
}

/// Asks, and gives the check with the server's answer when the client is idle again. What is offered can't be downloaded,
/// so that nothing comes of it.
async fn ask(scene: &Scene) -> Result<Served> {
    let requests = scene.server.requests().len();
    let attempt = scene.guest.check_for_update().await?;
    let check = scene.next_check(requests).await?;
    let attempt = attempt.has_begun();
    let limit = scene.guest.limits().update();
    match check.offered() {
        None => attempt.none(limit).await?,
        Some(_) => attempt.refused(limit).await?,
    };
    Ok(check)
}

/// The server offers what nobody gets.
async fn no_downloads(scene: &Scene) {
    scene.server.misbehave(Misbehaviour::HttpStatus { status: 404 }.on(Scope::Downloads)).await;
}

/// Runs a story on a machine that others use too, and leaves its update client as it was.
async fn tidy(scene: Scene, result: Result) -> Result {
    let restored = scene.guest.remove_update_conf().await;
    scene.server.stop().await;
    result.and(restored)
}

pub(super) async fn none(cx: Context) -> Result {
    let guest = cx.boot().await?;
    let runs = version(&guest.version().await?)?;
    let next = &cx.targets()?.next;
    let offered = Release::load(&next.path).await.map_err(broken)?.with_version(runs);
    let scene = Scene::set(&cx, guest, vec![offered], next.signer).await?;
    let result = no_update(&scene).await;
    tidy(scene, result).await
}

async fn no_update(scene: &Scene) -> Result {
    no_downloads(scene).await;
    let check = ask(scene).await?;
    if let Some(offered) = check.offered() {
        return Err(Failure::check(format!(
            "the client was offered {offered}, which it runs already: it asked as {:?}",
            check.update_request().and_then(|it| it.apps.first()?.version.clone())
        )));
    }
    let downloads = scene.server.requests().iter().filter(|it| it.is_download()).count();
    check!(downloads == 0, "nothing was offered, and the client downloaded {downloads} packages");
    scene.still_boots_old("without an update").await
}

pub(super) async fn disabled(cx: Context) -> Result {
    let guest = cx.boot().await?;
    let scene = Scene::set(&cx, guest, Vec::new(), Signer::Vendor).await?;
    let result = silence(&cx, &scene).await;
    tidy(scene, result).await
}

async fn silence(cx: &Context, scene: &Scene) -> Result {
    // So that the silence afterwards means something.
    ask(scene).await?;
    scene.guest.set_update_conf(&[("GROUP", GROUP), ("SERVER", "disabled")]).await?;
    let before = scene.server.requests().len();
    cx.step("watching for requests, with updates disabled");
    // It may refuse to check, which is as good as checking without asking.
    scene.guest.ask_a_client_that_may_refuse().await?;
    let limit = SILENCE.max(scene.guest.limits().scaled(Duration::from_secs(2)));
    let request = scene.server.request(before);
    match wait_for("a request that must not come", limit, scene.guest.interrupt(), request).await {
        Err(WaitError::TimedOut { .. }) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(request) => {
            Err(Failure::check(format!("updates are disabled, and the client asked: {request}")))
        }
    }
}

/// A client that can be offered something, and never gets it: the download is answered with an error.
async fn offer_to_groups(cx: &Context, groups: &[(&str, &str)]) -> Result<Scene> {
    let guest = cx.boot().await?;
    let next = &cx.targets()?.next;
    let load = Release::load(&next.path).await.map_err(broken)?;
    let mut releases = Vec::new();
    for (group, leads_to) in groups {
        releases.push(load.clone().with_version(version(leads_to)?).for_group(*group));
    }
    let scene = Scene::set(cx, guest, releases, next.signer).await?;
    no_downloads(&scene).await;
    Ok(scene)
}

/// Asks in this group, and gives the version that was offered.
async fn offered_in(scene: &Scene, group: &str) -> Result<Option<String>> {
    scene.configure(group).await?;
    let check = ask(scene).await?;
    let app = check.update_request().and_then(|it| it.apps.first());
    let asked = app.and_then(|app| app.track.as_deref()).unwrap_or_default();
    check!(asked == group, "the client is in group {group} and asked for group {asked}");
    Ok(check.offered().map(str::to_owned))
}

const PINNED: &str = "wheeltap-pinned";
const FRESHEST: &str = "wheeltap-freshest";

pub(super) async fn pinned(cx: Context) -> Result {
    // Above any real version, so that both are updates; the pin is below the freshest.
    let scene = offer_to_groups(&cx, &[(PINNED, "9999.0.0"), (FRESHEST, NEVER)]).await?;
    let result = async {
        let offered = offered_in(&scene, PINNED).await?;
        check!(
            offered.as_deref() == Some("9999.0.0"),
            "a group that is pinned to 9999.0.0 was offered {offered:?}"
        );
        let offered = offered_in(&scene, "wheeltap-nobody").await?;
        check!(offered.is_none(), "a group that gets nothing was offered {offered:?}");
        scene.still_boots_old("after an update that could not be downloaded").await
    };
    let result = result.await;
    tidy(scene, result).await
}

pub(super) async fn channel_switch(cx: Context) -> Result {
    let guest = cx.boot().await?;
    let next = &cx.targets()?.next;
    let server =
        UpdateServer::start(UpdateServer::LOOPBACK, vec![release(next).await?.for_group(FRESHEST)]);
    let server = server.await.map_err(broken)?;
    // By a forward, so that the way that works on every platform is seen to work on this one, too.
    let scene = Scene::set_with(&cx, guest, server, next.signer, Some(Way::Forward)).await?;
    let offered = offered_in(&scene, PINNED).await?;
    check!(offered.is_none(), "the old channel offers {offered:?}");
    cx.step("switching the channel");
    scene.configure(FRESHEST).await?;
    scene.install().await?;
    scene.boots_new().await
}

/// Where images look for more certificate authorities.
const AUTHORITY: &str = "/etc/ssl/certs/wheeltap.pem";

pub(super) async fn custom_ca(cx: Context) -> Result {
    let authority = Authority::new().map_err(broken)?;
    let fragment = Fragment::new([file(AUTHORITY, authority.ca_pem(), 0o644)]);
    let guest = cx.boot_with(&fragment).await?;
    let next = &cx.targets()?.next;
    let identity = authority.identity(&Authority::GUEST_NAMES).map_err(broken)?;
    let releases = vec![release(next).await?];
    let server = UpdateServer::start_tls(UpdateServer::LOOPBACK, releases, &identity);
    let server = server.await.map_err(broken)?;
    let scene = Scene::set_with(&cx, guest, server, next.signer, None).await?;
    scene.install().await?;
    scene.boots_new().await
}
