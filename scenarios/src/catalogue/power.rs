//! Power.

use wheeltap_platforms::{Capability, MachineExit};

use super::ACT;
use crate::{
    check,
    context::Context,
    failure::Result,
    scenario::{Needs, Proof, Scenario},
};

pub(super) const SCENARIOS: &[Scenario] = &[Scenario {
    name: "power.off",
    summary: "a power-off by the guest switches the machine off",
    needs: Needs { capabilities: &[Capability::FreshBoot, Capability::Power], ..Needs::OWN },
    proofs: &[Proof { fault: "power-off-masked", headline: &["systemctl poweroff"] }],
    body: |cx| Box::pin(off(cx)),
    ..ACT
}];

async fn off(cx: Context) -> Result {
    let guest = cx.boot().await?;
    guest.wait_until_started().await?;
    let exit = guest.power_off().await?;
    // QEMU's exit status is 0 however it ends; only the event's reason tells a power-off from a crash or a reset.
    check!(exit == MachineExit::GuestPowerOff, "the machine ended, but not by a power-off: {exit}");
    Ok(())
}
