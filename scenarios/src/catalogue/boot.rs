//! The image boots, and is what it says it is.

use super::{ACT, LOOK};
use crate::{
    check,
    context::Context,
    failure::{Failure, Result},
    scenario::{Needs, Proof, Scenario},
};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "boot.multi-user",
        summary: "the machine reaches multi-user.target and no unit has failed",
        tags: &["smoke"],
        proofs: &[
            Proof { fault: "failing-unit", headline: &["wheeltap-broken.service failed"] },
            Proof { fault: "stuck-unit", headline: &["systemd to finish starting"] },
        ],
        body: |cx| Box::pin(multi_user(cx)),
        ..LOOK
    },
    Scenario {
        name: "boot.release",
        summary: "os-release names the family and the version of the image",
        tags: &["smoke"],
        proofs: &[Proof { fault: "other-os-release", headline: &["os-release says ID="] }],
        body: |cx| Box::pin(release(cx)),
        ..LOOK
    },
    Scenario {
        name: "boot.slot-good",
        summary: "the slot that booted is marked good, and is the one that is tried first",
        tags: &["smoke"],
        needs: Needs { slots: true, ..Needs::SHARED },
        proofs: &[Proof { fault: "slot-not-good", headline: &["to be marked good"] }],
        body: |cx| Box::pin(slot_good(cx)),
        ..LOOK
    },
    Scenario {
        name: "boot.machine-id",
        summary: "two machines from one image have different machine ids, and a reboot keeps them",
        needs: Needs { machines: 2, ..Needs::FRESH },
        proofs: &[Proof {
            fault: "fixed-machine-id",
            headline: &["both machines have machine id"],
        }],
        body: |cx| Box::pin(machine_id(cx)),
        ..ACT
    },
];

async fn multi_user(cx: Context) -> Result {
    let guest = cx.boot().await?;
    let state = guest.wait_until_started().await?;
    let failed = guest.failed_units().await?;
    if let Some(first) = failed.first() {
        let all: String =
            failed.iter().map(|unit| format!("{}:\n{}\n", unit.name, unit.journal)).collect();
        let others = match failed.len() {
            1 => String::new(),
            n => format!(" and {} other units", n - 1),
        };
        return Err(Failure::check(format!("{} failed{others}", first.name)).with_detail(&all));
    }
    check!(state == "running", "no unit has failed, but systemd says the system is {state}");
    let target = guest.unit("multi-user.target").await?;
    check!(target.active == "active", "multi-user.target is {}", target.active);
    Ok(())
}

async fn release(cx: Context) -> Result {
    let guest = cx.boot().await?;
    let facts = guest.run(". /etc/os-release && echo \"$ID|$VERSION_ID\"").await?;
    let (id, version) = facts.trim().split_once('|').unwrap_or_default();
    let expected = cx.profile().os_release_id.as_str();
    check!(id == expected, "os-release says ID={id}, the profile says {expected}");
    check!(!version.is_empty(), "os-release has no VERSION_ID");
    if let Some(image) = cx.image_version() {
        check!(version == image, "os-release says VERSION_ID={version}, the image is {image}");
    }
    Ok(())
}

async fn slot_good(cx: Context) -> Result {
    let guest = cx.boot().await?;
    let (_, active) = guest.active_slot().await?;
    let bits = guest.wait_until_good(&active).await?;
    for other in cx.slots()?.slot.iter().filter(|slot| slot.label != active.label) {
        let others = guest.slot_bits(other).await?;
        check!(
            others.priority < bits.priority,
            "slot {} has priority {}, not less than that of the running {}: {}",
            other.label,
            others.priority,
            active.label,
            bits.priority
        );
    }
    Ok(())
}

async fn machine_id(cx: Context) -> Result {
    let (first, second) = tokio::try_join!(cx.boot(), cx.boot_named("m2"))?;
    let id = "cat /etc/machine-id";
    let (one, two) = tokio::try_join!(first.run(id), second.run(id))?;
    check!(one != two, "both machines have machine id {}", one.trim());
    let is_valid = one.trim().len() == 32 && one.trim().bytes().all(|b| b.is_ascii_hexdigit());
    check!(is_valid, "{:?} is not a machine id", one.trim());
    cx.step("rebooting, to see that the id stays");
    let first = first.reboot().await?;
    let after = first.run(id).await?;
    check!(
        one == after,
        "the machine id was {} and is {} after a reboot",
        one.trim(),
        after.trim()
    );
    Ok(())
}
