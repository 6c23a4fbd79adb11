//! A guest, an update server of ours, and the way between them.

use wheeltap_formats::omaha::{ErrorCode, EventResult, EventType};
use wheeltap_platforms::wait_for;

use crate::{
    check,
    context::Context,
    failure::{Failure, Result},
    guest::{Guest, Reached, Way},
    profile::Slot,
    targets::{Payload, Signer},
    updates::{Release, ReportedEvent, Served, UpdateServer},
};

/// The group that scenarios put their guests into, where it doesn't matter which.
pub(crate) const GROUP: &str = "wheeltap";

/// A guest, an update server of ours, and the way between them.
pub(crate) struct Scene {
    pub(crate) guest: Guest,
    pub(crate) server: UpdateServer,
    reached: Reached,
    /// The slot that ran when the scene was set.
    pub(crate) from: Slot,
    /// The other one.
    pub(crate) to: Slot,
    /// The version that ran.
    pub(crate) version: String,
    /// The key that the guest must trust, if not the image's own.
    key: Option<String>,
}

impl Scene {
    /// A server that offers `releases`, signed by `signer`, and a guest whose update client asks it.
    pub(crate) async fn set(
        cx: &Context,
        guest: Guest,
        releases: Vec<Release>,
        signer: Signer,
    ) -> Result<Self> {
        let server = UpdateServer::start(UpdateServer::LOOPBACK, releases).await.map_err(broken)?;
        Self::set_with(cx, guest, server, signer, None).await
    }

    /// The same with a server that runs, and a way of one's own choice.
    pub(crate) async fn set_with(
        cx: &Context,
        guest: Guest,
        server: UpdateServer,
        signer: Signer,
        way: Option<Way>,
    ) -> Result<Self> {
        let reached = match way {
            Some(way) => guest.reach_by(way, &server).await?,
            None => guest.reach(&server).await?,
        };
        let (_, from) = guest.active_slot().await?;
        let to = cx.slots()?.slot.iter().find(|slot| slot.label != from.label).cloned();
        let to = to.ok_or_else(|| Failure::check("the image has only one slot"))?;
        let version = guest.version().await?;
        let key = key_of(cx, signer)?;
        let scene = Self { guest, server, reached, from, to, version, key };
        scene.configure(GROUP).await?;
        Ok(scene)
    }

    /// Points the client at the server. What lies in `/etc` lasts; the key is laid over a file in `/usr`, and that does not
    /// survive a reboot.
    pub(crate) async fn configure(&self, group: &str) -> Result {
        if let Some(key) = &self.key {
            self.guest.trust_payloads_of(key).await?;
        }
        self.guest.set_update_conf(&[("GROUP", group), ("SERVER", self.reached.url())]).await
    }

    /// Offers something else, or nothing.
    pub(crate) fn offer(&self, releases: Vec<Release>) -> Result {
        self.server.offer(releases).map_err(broken)
    }

    /// Trusts another signer from now on.
    pub(crate) async fn trusting(self, cx: &Context, signer: Signer) -> Result<Self> {
        let scene = Self { key: key_of(cx, signer)?, ..self };
        scene.configure(GROUP).await?;
        Ok(scene)
    }

    /// Asks for an update, and waits until it is installed.
    pub(crate) async fn install(&self) -> Result {
        let attempt = self.guest.check_for_update().await?;
        attempt.updated(self.guest.limits().update()).await.map(drop)
    }

    /// Reboots, and points the client at the server again.
    pub(crate) async fn reboot(self) -> Result<Self> {
        let guest = self.guest.reboot().await?;
        Self { guest, ..self }.settled().await
    }

    /// Reboots into something that doesn't come up, and points the client at the server again.
    pub(crate) async fn reboot_and_roll_back(self) -> Result<Self> {
        let guest = self.guest.reboot_and_roll_back().await?;
        Self { guest, ..self }.settled().await
    }

    /// Resets the machine hard, and points the client at the server again.
    pub(crate) async fn reset(self) -> Result<Self> {
        let guest = self.guest.reset().await?;
        Self { guest, ..self }.settled().await
    }

    async fn settled(self) -> Result<Self> {
        self.reached.ready().await?;
        if let Some(key) = &self.key {
            self.guest.trust_payloads_of(key).await?;
        }
        Ok(self)
    }

    /// The guest runs this slot, and this version if it is known.
    pub(crate) async fn runs(&self, slot: &Slot, version: Option<&str>, when: &str) -> Result {
        let (_, active) = self.guest.active_slot().await?;
        check!(
            active.label == slot.label,
            "{when} the machine runs {}, not {}",
            active.label,
            slot.label
        );
        let runs = self.guest.version().await?;
        if let Some(version) = version {
            check!(runs == version, "{when} the machine runs version {runs}, not {version}");
        }
        Ok(())
    }

    /// The next boot is the slot that runs: nothing the client did has changed the boot loader's mind.
    pub(crate) async fn still_boots_old(&self, when: &str) -> Result {
        let from = self.guest.slot_bits(&self.from).await?;
        let to = self.guest.slot_bits(&self.to).await?;
        let to_is_tried = to.priority > 0 && (to.successful || to.tries > 0);
        check!(
            !to_is_tried || from.priority > to.priority,
            "{when} slot {} would be tried next: it has {to}, while {} has {from}",
            self.to.label,
            self.from.label
        );
        check!(
            from.priority > 0 && (from.successful || from.tries > 0),
            "{when} the running slot {} would not be booted again: it has {from}",
            self.from.label
        );
        Ok(())
    }

    /// The installed slot is the one that is tried next, once.
    pub(crate) async fn boots_new(&self) -> Result {
        let from = self.guest.slot_bits(&self.from).await?;
        let to = self.guest.slot_bits(&self.to).await?;
        check!(
            to.priority > from.priority && to.tries > 0 && !to.successful,
            "after the update the new slot is not on trial: {} has {to}, while {} has {from}",
            self.to.label,
            self.from.label
        );
        Ok(())
    }

    /// The client's next check, which reports what became of the last update: all events that came with it.
    ///
    /// The server offers nothing any more, since the client would take it.
    pub(crate) async fn report_after_boot(&self) -> Result<Vec<ReportedEvent>> {
        self.offer(Vec::new())?;
        let (events, requests) = (self.server.events().len(), self.server.requests().len());
        self.configure(GROUP).await?;
        // A client that was rolled back says so as an error, so how this check ends says nothing.
        self.guest.check_for_update().await?;
        self.next_check(requests).await?;
        Ok(self.server.events().split_off(events))
    }

    /// The first update check among the requests from this one on, as soon as it is there.
    pub(crate) async fn next_check(&self, from: usize) -> Result<Served> {
        let (limit, interrupt) = (self.guest.limits().condition(), self.guest.interrupt());
        let mut index = from;
        loop {
            let request = self.server.request(index);
            let request = wait_for("the client's update check", limit, interrupt, request).await?;
            if request.is_check() {
                return Ok(request);
            }
            index += 1;
        }
    }

    /// The rollback was reported, as error 44.
    pub(crate) async fn reports_rollback(&self) -> Result {
        let events = self.report_after_boot().await?;
        let is_rollback = |it: &&ReportedEvent| {
            it.event.error_code.is_some_and(|code| code.base() == ErrorCode::ROLLBACK.base())
        };
        let Some(report) = events.iter().find(is_rollback) else {
            return Err(Failure::check(format!(
                "the check after the rollback does not report error 44 (rollback), but {}",
                listed(&events)
            )));
        };
        let event = &report.event;
        check!(
            event.event_type == EventType::UpdateComplete && event.result == EventResult::Error,
            "the rollback is reported as {event}, not as a failed update"
        );
        Ok(())
    }

    /// The old version runs from the old slot.
    pub(crate) async fn runs_old(&self, when: &str) -> Result {
        self.runs(&self.from, Some(&self.version), when).await
    }
}

/// What was reported, in words.
pub(super) fn listed(events: &[ReportedEvent]) -> String {
    if events.is_empty() {
        return "nothing".to_owned();
    }
    events.iter().map(|it| it.event.to_string()).collect::<Vec<_>>().join(", ")
}

/// The key that a guest must be made to trust.
fn key_of(cx: &Context, signer: Signer) -> Result<Option<String>> {
    Ok(match signer {
        Signer::Vendor => None,
        Signer::Us => Some(cx.targets()?.key.public.clone()),
    })
}

/// What a payload is offered as.
pub(crate) async fn release(payload: &Payload) -> Result<Release> {
    let release = Release::load(&payload.path).await.map_err(broken)?;
    Ok(match &payload.version {
        Some(version) => release.with_version(version.clone()),
        None => release,
    })
}

/// The update server runs on this host, so what is wrong with it is no fault of the image.
pub(crate) fn broken(error: impl std::error::Error) -> Failure {
    Failure::new(wheeltap_platforms::Class::Infra, "update-server", error.to_string())
}
