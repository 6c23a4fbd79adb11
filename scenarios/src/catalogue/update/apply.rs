//! Updates that succeed, what they keep, and that they last.

use wheeltap_formats::omaha::{EventResult, EventType};
use wheeltap_platforms::ssh::quote;

use super::scene::{GROUP, Scene, listed, release};
use crate::{
    check,
    context::Context,
    failure::{Checks, Failure, Result},
    guest::Guest,
    profile::Slot,
    targets::Updates,
    updates::{Misbehaviour, Version},
};

/// A file on ROOT, and one in `/etc` that the image ships.
const STATE: &str = "/var/lib/wheeltap-state";
const CHANGED: &str = "/etc/issue";

/// What an update must not change.
#[derive(Debug, PartialEq, Eq)]
struct Identity {
    machine_id: String,
    host_keys: String,
    users: String,
    state: String,
    changed: String,
}

impl Identity {
    async fn of(guest: &Guest) -> Result<Self> {
        let printed = guest
            .sudo(&format!(
                "cat /etc/machine-id; sha256sum /etc/ssh/ssh_host_*_key | sha256sum; \
                 sha256sum /etc/passwd /etc/shadow | sha256sum; cat {STATE} || echo missing; \
                 cat {CHANGED}"
            ))
            .await?;
        let mut lines = printed.lines().map(str::to_owned);
        let mut next = || lines.next().unwrap_or_default();
        Ok(Self {
            machine_id: next(),
            host_keys: next(),
            users: next(),
            state: next(),
            changed: next(),
        })
    }

    async fn is_kept(&self, guest: &Guest, checks: &mut Checks) -> Result {
        let now = Self::of(guest).await?;
        let parts = [
            ("the machine id", &self.machine_id, &now.machine_id),
            ("the SSH host keys", &self.host_keys, &now.host_keys),
            ("the users", &self.users, &now.users),
            (STATE, &self.state, &now.state),
            (CHANGED, &self.changed, &now.changed),
        ];
        for (what, before, after) in parts {
            checks.check(before == after, || {
                format!("the update changed {what}: it was {before}, and is {after}")
            });
        }
        Ok(())
    }
}

/// A checksum of all that a slot consists of.
async fn content(guest: &Guest, slot: &Slot) -> Result<String> {
    let device = format!("/dev/disk/by-partuuid/{}", slot.partuuid);
    // A CRC is enough against damage by accident, and far cheaper than a digest.
    guest.sudo(&format!("cksum <{}; cksum <{}", quote(&device), quote(&slot.kernel))).await
}

pub(super) async fn apply(cx: Context) -> Result {
    let guest = cx.boot().await?;
    guest.sudo(&format!("echo kept > {STATE}; echo changed > {CHANGED}; sync")).await?;
    let before = Identity::of(&guest).await?;
    if let Updates::Server(url) = cx.updates() {
        return apply_from(&cx, guest, url, &before).await;
    }
    let next = &cx.targets()?.next;
    let scene = Scene::set(&cx, guest, vec![release(next).await?], next.signer).await?;
    let old = content(&scene.guest, &scene.from).await?;

    cx.step("updating");
    scene.install().await?;
    let mut checks = Checks::default();
    checks.note(is_announced(&cx, &scene.guest).await)?;
    checks.note(scene.boots_new().await)?;
    checks.check(content(&scene.guest, &scene.from).await? == old, || {
        format!("the update changed {}, the slot that runs", scene.from.label)
    });
    // The first event of a machine's life says that it was updated from nothing; it may come or not.
    let mut stages = scene.server.events();
    stages.retain(|it| it.event.result != EventResult::SuccessReboot);
    let expected = [
        EventType::UpdateDownloadStarted,
        EventType::UpdateDownloadFinished,
        EventType::UpdateComplete,
    ]
    .map(|stage| (stage, EventResult::Success));
    let in_order = stages.iter().map(|it| (it.event.event_type, it.event.result)).eq(expected);
    checks.check(in_order, || {
        format!("the client reported {}, and not each stage once, in order", listed(&stages))
    });
    checks.done()?;

    cx.step("rebooting into the new version");
    let scene = scene.reboot().await?;
    let version = next.version.as_ref().map(Version::as_str);
    scene.runs(&scene.to, version, "after the update").await?;
    let mut checks = Checks::default();
    is_sound(&cx, &scene.guest, &before, &mut checks).await?;
    scene.guest.wait_until_good(&scene.to).await?;
    let old_version = scene.version.clone();
    let reported = scene.report_after_boot().await?;
    let is_report = |previous: &str| {
        reported.iter().any(|it| {
            it.event.result == EventResult::SuccessReboot
                && it.event.previous_version.as_deref() == Some(previous)
        })
    };
    checks.check(is_report(&old_version), || {
        let listed = listed(&reported);
        format!(
            "the check after the reboot doesn't report the update from {old_version}, but {listed}"
        )
    });
    checks.done()
}

/// The same from a server that exists, whose log nobody sees.
async fn apply_from(cx: &Context, guest: Guest, url: &str, before: &Identity) -> Result {
    let (_, from) = guest.active_slot().await?;
    let version = guest.version().await?;
    guest.set_update_conf(&[("SERVER", url)]).await?;
    cx.step("updating");
    guest.check_for_update().await?.updated(guest.limits().update()).await?;
    is_announced(cx, &guest).await?;
    cx.step("rebooting into the new version");
    let guest = guest.reboot().await?;
    let (_, active) = guest.active_slot().await?;
    check!(active.label != from.label, "after the update the machine still runs {}", from.label);
    let now = guest.version().await?;
    check!(now != version, "after the update the machine still runs version {version}");
    let mut checks = Checks::default();
    is_sound(cx, &guest, before, &mut checks).await?;
    checks.done()
}

/// An update that waits for a reboot says so where scripts look for it.
async fn is_announced(cx: &Context, guest: &Guest) -> Result {
    let update = cx.profile().update.as_ref();
    let Some(file) = update.and_then(|update| update.reboot_required.as_deref()) else {
        return Ok(());
    };
    let there = guest.stat(file).await?.is_some();
    check!(there, "the update is installed, and {file} is not there");
    Ok(())
}

/// What must hold in the new version, of whatever slot.
async fn is_sound(cx: &Context, guest: &Guest, before: &Identity, checks: &mut Checks) -> Result {
    before.is_kept(guest, checks).await?;
    let source = guest.mount("/usr").await?.map(|mount| mount.source).unwrap_or_default();
    let status = guest.sudo(&format!("dmsetup status {}", quote(&source))).await?;
    // Linux, dm-verity: V as long as no block was found to be corrupted.
    checks.check(status.contains(" verity V"), || {
        format!("/usr is not on an intact verity device: {}", status.trim())
    });
    let line = guest.kernel_command_line().await?;
    let first_boot = &cx.profile().first_boot;
    checks.check(line.value(&first_boot.cmdline).is_none(), || {
        "after the update the machine believes it is its first boot".to_owned()
    });
    let journal = guest.sudo("journalctl -b -o cat -t ignition").await?;
    checks.check(!journal.contains("Ignition finished"), || {
        "Ignition ran again after the update".to_owned()
    });
    guest.wait_until_started().await?;
    for unit in guest.failed_units().await? {
        let failure = Failure::check(format!("{} failed after the update", unit.name));
        checks.note(Err(failure.with_detail(&unit.journal)))?;
    }
    Ok(())
}

pub(super) async fn there_and_back(cx: Context) -> Result {
    let guest = cx.boot().await?;
    let targets = cx.targets()?;
    let next = &targets.next;
    let scene = Scene::set(&cx, guest, vec![release(next).await?], next.signer).await?;
    cx.step("updating");
    scene.install().await?;
    let scene = scene.reboot().await?;
    scene.runs(&scene.to, next.version.as_ref().map(Version::as_str), "after the update").await?;
    scene.guest.wait_until_good(&scene.to).await?;

    cx.step("erasing the old slot");
    erase(&scene.guest, &scene.from).await?;
    cx.step("updating to the image's own version, into the erased slot");
    scene.offer(vec![release(&targets.back).await?])?;
    let scene = scene.trusting(&cx, targets.back.signer).await?;
    scene.install().await?;
    let scene = scene.reboot().await?;
    scene.runs_old("after the second update").await?;
    scene.guest.wait_until_good(&scene.from).await.map(drop)
}

/// Overwrites a slot and its kernel, and makes sure that nothing of it is left.
async fn erase(guest: &Guest, slot: &Slot) -> Result {
    let device = quote(&format!("/dev/disk/by-partuuid/{}", slot.partuuid));
    let kernel = quote(&slot.kernel);
    // The first 64 MiB hold the super block and enough of the files.
    let run = guest
        .try_sudo(&format!(
            "rm {kernel} && dd if=/dev/zero of={device} bs=1M count=64 conv=fsync status=none && \
             cmp -n 67108864 {device} /dev/zero"
        ))
        .await?;
    check!(run.success(), "slot {} can't be erased: {}", slot.label, run.error_text());
    Ok(())
}

/// How many reboots in a row must stay in the new version.
const REBOOTS: usize = 10;

pub(super) async fn stays(cx: Context) -> Result {
    let guest = cx.boot().await?;
    let next = &cx.targets()?.next;
    let scene = Scene::set(&cx, guest, vec![release(next).await?], next.signer).await?;
    scene.install().await?;
    let version = next.version.as_ref().map(Version::as_str);
    let mut scene = scene.reboot().await?;
    scene.runs(&scene.to, version, "after the update").await?;
    scene.guest.wait_until_good(&scene.to).await?;
    for number in 1..=REBOOTS {
        cx.step(&format!("reboot {number} of {REBOOTS}"));
        scene = scene.reboot().await?;
        scene.runs(&scene.to, version, &format!("after reboot {number}")).await?;
    }
    Ok(())
}

pub(super) async fn reboot_in_download(cx: Context) -> Result {
    /// Enough that the client is busy writing.
    const SOME: u64 = 8 << 20;
    let guest = cx.boot().await?;
    let next = &cx.targets()?.next;
    let scene = Scene::set(&cx, guest, vec![release(next).await?], next.signer).await?;
    scene.server.misbehave(Misbehaviour::StallAfter { bytes: SOME }).await;
    scene.guest.check_for_update().await?;
    let (limit, interrupt) = (scene.guest.limits().condition(), scene.guest.interrupt());
    scene
        .server
        .wait_for_request(
            "the client to be in the middle of its download",
            limit,
            interrupt,
            |it| it.sent() >= SOME,
        )
        .await?;
    scene.still_boots_old("in the middle of a download").await?;
    cx.step("rebooting in the middle of the download");
    let scene = scene.reboot().await?;
    scene.runs_old("after a reboot in the middle of a download").await?;
    cx.step("updating again");
    scene.server.behave().await.map_err(super::scene::broken)?;
    scene.configure(GROUP).await?;
    scene.install().await?;
    let scene = scene.reboot().await?;
    let version = next.version.as_ref().map(Version::as_str);
    scene.runs(&scene.to, version, "after the second attempt").await
}
