//! Machines come back, with what they had.

use std::time::Duration;

use wheeltap_platforms::Capability;

use super::ACT;
use crate::{
    check,
    context::Context,
    failure::{Failure, Result},
    guest::Guest,
    scenario::{Needs, Proof, Scenario},
};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "reboot.clean",
        summary: "a reboot gives a new boot with the old state, and nothing fails on the way",
        claims: &["data-survives"],
        tags: &["smoke"],
        proofs: &[
            Proof { fault: "state-lost", headline: &["is gone after the reboot"] },
            Proof { fault: "fails-after-reboot", headline: &["failed after the reboot"] },
        ],
        body: |cx| Box::pin(clean(cx)),
        ..ACT
    },
    Scenario {
        name: "reboot.reset",
        summary: "a hard reset loses nothing that was synced",
        claims: &["data-survives"],
        needs: Needs { capabilities: POWER, ..Needs::OWN },
        proofs: &[Proof { fault: "state-lost", headline: &["is gone after the reset"] }],
        body: |cx| Box::pin(reset(cx)),
        ..ACT
    },
    Scenario {
        name: "reboot.panic",
        summary: "a kernel panic ends in a reboot by itself, and the machine comes back",
        needs: Needs { capabilities: POWER, ..Needs::OWN },
        expects: &["kernel-panic"],
        proofs: &[Proof {
            fault: "panic-hangs",
            headline: &["waiting for a reset after the panic"],
        }],
        body: |cx| Box::pin(panic(cx)),
        ..ACT
    },
];

const POWER: &[Capability] = &[Capability::FreshBoot, Capability::Power, Capability::Console];

const STATE: &str = "/var/lib/wheeltap-state";

async fn leave_state(guest: &Guest) -> Result {
    guest.sudo(&format!("echo kept > {STATE} && sync")).await.map(drop)
}

async fn state_is_kept(guest: &Guest, after: &str) -> Result {
    let there = guest.stat(STATE).await?.is_some();
    check!(there, "{STATE} is gone after the {after}");
    let content = guest.sudo(&format!("cat {STATE}")).await?;
    check!(content.trim() == "kept", "{STATE} holds {content:?} after the {after}");
    Ok(())
}

async fn clean(cx: Context) -> Result {
    let guest = cx.boot().await?;
    guest.wait_until_started().await?;
    leave_state(&guest).await?;
    let before = guest.boot_id().to_owned();
    let guest = guest.reboot().await?;
    check!(guest.boot_id() != before, "the boot id is the same after the reboot");
    state_is_kept(&guest, "reboot").await?;
    guest.wait_until_started().await?;
    if let Some(unit) = guest.failed_units().await?.first() {
        let failure = Failure::check(format!("{} failed after the reboot", unit.name));
        return Err(failure.with_detail(&unit.journal));
    }
    Ok(())
}

async fn reset(cx: Context) -> Result {
    let guest = cx.boot().await?;
    leave_state(&guest).await?;
    cx.step("resetting the machine hard");
    let guest = guest.reset().await?;
    state_is_kept(&guest, "reset").await
}

async fn panic(cx: Context) -> Result {
    let guest = cx.boot().await?;
    cx.step("provoking a panic by sysrq");
    // The answer never comes; the panic on the console is the answer.
    let guest = guest
        .come_back_after(
            "sync; sleep 0.2; echo 1 > /proc/sys/kernel/sysrq; echo c > /proc/sysrq-trigger",
            "a reset after the panic",
            // The kernel waits kernel.panic seconds by its own clock: 60 on real images, 1 on the reference image.
            Duration::from_secs(90),
        )
        .await?;
    check!(
        guest.saw_expected("kernel-panic"),
        "the machine came back, but the console showed no panic"
    );
    Ok(())
}
