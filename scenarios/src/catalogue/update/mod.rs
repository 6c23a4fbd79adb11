//! Updates: those that succeed, those that nobody wants, and those that must be refused.

mod apply;
mod offers;
mod refusals;
mod scene;

use std::time::Duration;

pub(super) use scene::{Scene, release};

use super::{ACT, LOOK};
use crate::{
    scenario::{MachineNeed, Needs, Proof, Scenario},
    targets::UpdateNeed,
};

const OWN_SERVER: Needs = Needs { slots: true, update: UpdateNeed::OwnServer, ..Needs::OWN };

/// On a machine of its own, from a server of ours.
pub(super) const UPDATE: Scenario = Scenario {
    needs: OWN_SERVER,
    tags: &["update"],
    // Several boots, each with a limit of its own, and downloads of hundreds of megabytes.
    timeout: Duration::from_secs(900),
    ..ACT
};

/// On a machine that others use too: only asks, and installs nothing.
const ASK: Scenario = Scenario {
    needs: Needs { slots: true, update: UpdateNeed::OwnServer, ..Needs::SHARED },
    tags: &["update"],
    ..LOOK
};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "update.apply",
        summary: "an update boots from the other slot, keeps the machine's state, and is reported",
        claims: &["update-atomic", "omaha", "data-survives"],
        needs: Needs { update: UpdateNeed::AnyServer, ..OWN_SERVER },
        proofs: &[
            Proof {
                fault: "slipshod-update",
                headline: &[
                    "reboot-required is not there",
                    "the new slot is not on trial",
                    "USR-A, the slot that runs",
                    "the client reported",
                ],
            },
            Proof {
                fault: "forgetful-update",
                headline: &[
                    "the update changed /var/lib/wheeltap-state",
                    "is not on an intact verity device",
                    "believes it is its first boot",
                    "Ignition ran again",
                    "wheeltap-late.service failed after the update",
                    "doesn't report the update from",
                ],
            },
        ],
        body: |cx| Box::pin(apply::apply(cx)),
        ..UPDATE
    },
    Scenario {
        name: "update.there-and-back",
        summary: "an update into each slot works, the second into one that was erased",
        claims: &["update-atomic"],
        proofs: &[Proof { fault: "slot-a-locked", headline: &["can't be erased"] }],
        body: |cx| Box::pin(apply::there_and_back(cx)),
        ..UPDATE
    },
    Scenario {
        name: "update.none",
        summary: "a machine that runs the newest version is offered nothing, and does nothing",
        claims: &["omaha"],
        proofs: &[Proof { fault: "claims-another-version", headline: &["which it runs already"] }],
        body: |cx| Box::pin(offers::none(cx)),
        ..ASK
    },
    Scenario {
        name: "update.disabled",
        summary: "with SERVER=disabled the client asks nobody",
        claims: &["updates-off"],
        proofs: &[Proof {
            fault: "asks-for-ever",
            headline: &["updates are disabled, and the client asked"],
        }],
        body: |cx| Box::pin(offers::disabled(cx)),
        ..ASK
    },
    Scenario {
        name: "update.pinned",
        summary: "a group that is pinned to a version gets that version and no other",
        claims: &["channels-pins"],
        proofs: &[Proof {
            fault: "other-group",
            headline: &["is in group wheeltap-pinned and asked for group"],
        }],
        body: |cx| Box::pin(offers::pinned(cx)),
        ..ASK
    },
    Scenario {
        name: "update.channel-switch",
        summary: "a machine that is switched to another channel is updated from there, over an SSH forward",
        claims: &["channels-pins"],
        proofs: &[Proof {
            fault: "other-group",
            headline: &["is in group wheeltap-pinned and asked for group"],
        }],
        body: |cx| Box::pin(offers::channel_switch(cx)),
        ..UPDATE
    },
    Scenario {
        name: "update.with-custom-ca",
        // Its config has a certificate that is made for the occasion.
        needs: Needs { machine: MachineNeed::Fresh, ..OWN_SERVER },
        summary: "an update over HTTPS, from a server whose authority came with the config",
        claims: &["omaha"],
        proofs: &[Proof { fault: "no-custom-ca", headline: &["certificate"] }],
        body: |cx| Box::pin(offers::custom_ca(cx)),
        ..UPDATE
    },
    Scenario {
        name: "update.refuses-signature",
        summary: "payloads that are unsigned, wrongly signed or signed by others are refused, with the reason",
        claims: &["payload-signed"],
        proofs: &[
            Proof {
                fault: "client-claims-success",
                headline: &[
                    "an unsigned payload: the update was installed, and should have been refused",
                    "a payload with a wrong signature: the update was installed",
                    "a payload signed with another key: the update was installed",
                ],
            },
            Proof {
                fault: "error-code-lost",
                headline: &["an unsigned payload: the error report has no error code"],
            },
        ],
        body: |cx| Box::pin(refusals::signature(cx)),
        ..UPDATE
    },
    Scenario {
        name: "update.refuses-damage",
        summary: "payloads that are damaged, cut short or not what was announced are refused, with the reason",
        claims: &["payload-signed"],
        proofs: &[Proof {
            fault: "slot-b-bootable",
            headline: &[
                "after a payload with a damaged operation slot USR-B would be tried next",
                "after a payload that was cut short slot USR-B would be tried next",
                "after a payload that was damaged on its way slot USR-B would be tried next",
                "after a payload of another size than announced slot USR-B would be tried next",
                "after a payload with another digest than announced slot USR-B would be tried next",
            ],
        }],
        body: |cx| Box::pin(refusals::damage(cx)),
        ..UPDATE
    },
    Scenario {
        name: "update.refuses-without-room",
        summary: "an update that finds no room in its slot, on the boot partition or on ROOT is refused, with the reason",
        claims: &["update-atomic"],
        proofs: &[Proof {
            fault: "silent-update-client",
            headline: &[
                "a payload that is larger than the slot: the update was not refused",
                "an update while the boot partition is full: the update was not refused",
                "an update while ROOT is full: the update was not refused",
            ],
        }],
        body: |cx| Box::pin(refusals::no_room(cx)),
        ..UPDATE
    },
    Scenario {
        name: "update.server-trouble",
        summary: "a server that fails, talks nonsense or is gone does no harm, and the update succeeds when it is back",
        claims: &["omaha"],
        proofs: &[Proof {
            fault: "silent-update-client",
            headline: &[
                "a server that fails (HTTP 500): the update was not refused",
                "a server that answers no XML: the update was not refused",
            ],
        }],
        body: |cx| Box::pin(refusals::server_trouble(cx)),
        ..UPDATE
    },
    Scenario {
        name: "update.stays",
        summary: "after an update ten reboots stay in the new version",
        claims: &["update-atomic"],
        tags: &["update", "slow"],
        proofs: &[Proof {
            fault: "falls-back",
            headline: &["after reboot 1 the machine runs USR-A"],
        }],
        timeout: Duration::from_secs(1800),
        body: |cx| Box::pin(apply::stays(cx)),
        ..UPDATE
    },
    Scenario {
        name: "update.reboot-in-download",
        summary: "a reboot in the middle of a download loses nothing, and the next attempt succeeds",
        claims: &["update-atomic"],
        proofs: &[Proof { fault: "slot-b-bootable", headline: &["would be tried next"] }],
        body: |cx| Box::pin(apply::reboot_in_download(cx)),
        ..UPDATE
    },
];
