//! Rollback: a new version that doesn't come up, or never gets good, gives way to the old one by itself.

use std::time::Duration;

use wheeltap_platforms::{Capability, poll_until, ssh::quote};

use super::update::{Scene, UPDATE, release};
use crate::{
    check,
    context::Context,
    failure::{Checks, Failure, Result},
    scenario::{Needs, Proof, Scenario},
    targets::UpdateNeed,
};

/// The console is watched, so that a rollback is not taken for an update that never booted.
const WATCHED: Needs = Needs {
    capabilities: &[Capability::FreshBoot, Capability::Power, Capability::Console],
    ..UPDATE.needs
};

/// What the console shows of a version that doesn't come up: a panic, an initrd that gives up, a boot loader that does.
const BAD_BOOT: &[&str] = &[
    "kernel-panic",
    "verity-corruption",
    "initramfs-fatal",
    "emergency-shell",
    "kexec-failed",
    "boot-loader-failed",
    "root-missing",
    "disk-io-error",
];

const ROLLBACK: Scenario = Scenario {
    needs: WATCHED,
    claims: &["rollback-auto"],
    expects: BAD_BOOT,
    tags: &["update", "rollback"],
    ..UPDATE
};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "rollback.corrupt-verity",
        summary: "a new version with corrupt data gives way to the old one by itself, and that is reported",
        proofs: NEVER_TRIED,
        body: |cx| Box::pin(rolled_back(cx, CORRUPT_DATA, 1)),
        ..ROLLBACK
    },
    Scenario {
        name: "rollback.wrong-hash",
        summary: "a new version whose kernel has another root hash gives way to the old one by itself",
        proofs: NEVER_TRIED,
        body: |cx| Box::pin(rolled_back(cx, WRONG_HASH, 1)),
        ..ROLLBACK
    },
    Scenario {
        name: "rollback.empty-usr",
        summary: "a new version with an empty /usr under valid verity gives way to the old one by itself",
        proofs: NEVER_TRIED,
        body: |cx| Box::pin(rolled_back(cx, EMPTY_USR, 1)),
        ..ROLLBACK
    },
    Scenario {
        name: "rollback.bad-kernel",
        summary: "a new version whose kernel doesn't boot gives way to the old one by itself",
        proofs: &[Proof {
            fault: "rollback-forgotten",
            headline: &["would be tried again", "does not report error 44"],
        }],
        body: |cx| Box::pin(rolled_back(cx, BAD_KERNEL, 1)),
        ..ROLLBACK
    },
    Scenario {
        name: "rollback.tries-exhausted",
        summary: "a new version is tried as often as it has tries, and then gives way to the old one",
        proofs: NEVER_TRIED,
        body: |cx| Box::pin(rolled_back(cx, BAD_KERNEL, 3)),
        ..ROLLBACK
    },
    Scenario {
        name: "rollback.never-good",
        summary: "a new version whose userspace never gets good gives way to the old one at the next reset",
        needs: Needs { update: UpdateNeed::NeverGood, ..WATCHED },
        expects: &[],
        proofs: &[Proof { fault: "always-good", headline: &["was marked good"] }],
        body: |cx| Box::pin(never_good(cx)),
        ..ROLLBACK
    },
    Scenario {
        name: "rollback.manual",
        summary: "an operator goes back to the old version with cgpt prioritize, and forward again",
        claims: &["update-atomic"],
        expects: &[],
        proofs: &[Proof { fault: "slot-b-always-first", headline: &["the machine runs USR-B"] }],
        body: |cx| Box::pin(manual(cx)),
        ..ROLLBACK
    },
];

/// The new version is not there, so the machine runs the old one without having tried it.
const NEVER_TRIED: &[Proof] =
    &[Proof { fault: "client-claims-success", headline: &["the console shows no failed boot"] }];

/// Shell commands that damage a slot, as root; `$device`, `$kernel` and `$offset` (of the root hash in it) are set.
type Damage = &'static str;

/// The first 64 KiB stay, where the super block is, so that it is dm-verity that notices.
const CORRUPT_DATA: Damage =
    "dd if=/dev/zero of=\"$device\" bs=64K seek=1 count=1023 conv=fsync,notrunc status=none";

const WRONG_HASH: Damage =
    "printf %064d 0 | dd of=\"$kernel\" bs=1 seek=\"$offset\" conv=fsync,notrunc status=none";

const BAD_KERNEL: Damage = "head -c 1048576 /dev/urandom >/run/noise; \
    dd if=/run/noise of=\"$kernel\" bs=4096 seek=1 conv=fsync,notrunc status=none; \
    dd if=/run/noise of=\"$kernel\" bs=512 count=1 seek=1 conv=fsync,notrunc status=none";

/// As large as the running one, whose table says where the hash tree begins.
const EMPTY_USR: Damage = "set -- $(dmsetup table \"$(findmnt -nro SOURCE /usr)\"); n=$8; \
    mkfs.ext4 -q -F -b 4096 \"$device\" \"$n\"; \
    h=$(veritysetup format --data-blocks=\"$n\" --hash-offset=$((n * 4096)) \"$device\" \"$device\" | \
    sed -n 's/^Root hash:[[:space:]]*//p'); [ ${#h} = 64 ]; \
    printf %s \"$h\" | dd of=\"$kernel\" bs=1 seek=\"$offset\" conv=fsync,notrunc status=none; sync";

/// Updates, damages what was installed, and sees the old version come back after as many bad boots as there are tries.
async fn rolled_back(cx: Context, damage: Damage, tries: u32) -> Result {
    let scene = updated(&cx).await?;
    cx.step("damaging what was installed");
    let offset = &cx.slots()?.hash_offset;
    let arch = scene.guest.run("uname -m").await?;
    let offset = match arch.trim() {
        "aarch64" => offset.arm64,
        _ => Some(offset.amd64),
    };
    let offset = offset.ok_or_else(|| {
        Failure::check(format!("the profile doesn't say where the root hash is on {}", arch.trim()))
    })?;
    let device = format!("/dev/disk/by-partuuid/{}", scene.to.partuuid);
    let (device, kernel) = (quote(&device), quote(&scene.to.kernel));
    let script = format!("set -e; device={device}; kernel={kernel}; offset={offset}; {damage}");
    scene.guest.sudo(&script).await?;
    if tries > 1 {
        let cgpt = &cx.slots()?.attributes;
        scene.guest.sudo(&format!("{cgpt} add -T{tries} $(readlink -f {device})")).await?;
    }

    cx.step("rebooting into it");
    let scene = scene.reboot_and_roll_back().await?;
    scene.runs_old("after the rollback").await?;
    let mut checks = Checks::default();
    checks.check(BAD_BOOT.iter().any(|rule| scene.guest.saw_expected(rule)), || {
        "the old version runs, but the console shows no failed boot of the new one".to_owned()
    });
    // The boot loader has taken every try away, one for each of the boots that failed.
    let bits = scene.guest.slot_bits(&scene.to).await?;
    checks.check(bits.tries == 0 && !bits.successful, || {
        format!("after the rollback slot {} has {bits} and would be tried again", scene.to.label)
    });
    checks.note(scene.reports_rollback().await)?;
    checks.done()
}

/// The image with the next version installed, and not rebooted.
async fn updated(cx: &Context) -> Result<Scene> {
    let guest = cx.boot().await?;
    let next = &cx.targets()?.next;
    let scene = Scene::set(cx, guest, vec![release(next).await?], next.signer).await?;
    cx.step("updating");
    scene.install().await?;
    Ok(scene)
}

async fn never_good(cx: Context) -> Result {
    let guest = cx.boot().await?;
    let bad = cx.targets()?.never_good.as_ref();
    let bad = bad.ok_or_else(|| Failure::check("there is no version that never gets good"))?;
    let scene = Scene::set(&cx, guest, vec![release(bad).await?], bad.signer).await?;
    cx.step("updating to a version whose userspace never gets good");
    scene.install().await?;
    let scene = scene.reboot().await?;
    scene.runs(&scene.to, None, "after the update").await?;
    let service = cx.profile().update.as_ref().map(|update| update.service.clone());
    let service = service.unwrap_or_default();
    let limits = scene.guest.limits();
    let limit = Duration::from_secs(90).max(limits.condition());
    let what = format!("{service} of the new version to fail");
    poll_until(&what, limit, limits.poll(), scene.guest.interrupt(), async || {
        match scene.guest.unit(&service).await {
            // systemd may be waiting to start it again.
            Ok(state) if state.active == "failed" || state.sub == "auto-restart" => Ok(()),
            Ok(state) => Err(format!("it is {}", state.active)),
            Err(failure) => Err(failure.headline),
        }
    })
    .await?;
    scene.guest.wait_until_started().await?;
    let bits = scene.guest.slot_bits(&scene.to).await?;
    check!(!bits.successful, "a version whose update service fails was marked good: it has {bits}");
    cx.step("resetting the machine, since the new version doesn't do so itself");
    let scene = scene.reset().await?;
    scene.runs_old("after the reset").await?;
    scene.reports_rollback().await
}

async fn manual(cx: Context) -> Result {
    let scene = updated(&cx).await?.reboot().await?;
    scene.runs(&scene.to, None, "after the update").await?;
    scene.guest.wait_until_good(&scene.to).await?;
    let cgpt = cx.slots()?.attributes.clone();
    scene.has_marked_its_slot().await?;
    cx.step("going back by hand");
    let device = quote(&format!("/dev/disk/by-partuuid/{}", scene.from.partuuid));
    scene.guest.sudo(&format!("{cgpt} prioritize $(readlink -f {device})")).await?;
    let scene = scene.reboot().await?;
    scene.runs_old("after going back by hand").await?;
    scene.has_marked_its_slot().await?;
    cx.step("going forward again");
    let device = quote(&format!("/dev/disk/by-partuuid/{}", scene.to.partuuid));
    scene.guest.sudo(&format!("{cgpt} prioritize $(readlink -f {device})")).await?;
    let scene = scene.reboot().await?;
    scene.runs(&scene.to, None, "after going forward again").await
}

impl Scene {
    /// Waits until the client has marked the running slot good, which gives it the highest priority: later, that would undo
    /// what an operator wants. A check never comes before it.
    async fn has_marked_its_slot(&self) -> Result {
        self.report_after_boot().await.map(drop)
    }
}
