//! One check for an update, and all that may follow from it.
//!
//! The order is update_engine's (`update_attempter.cc`): ask, copy the kernel, report 13, download and write, report 14,
//! verify, set the bits, report 3.

use std::time::{SystemTime, UNIX_EPOCH};

use wheeltap_formats::omaha::{
    ErrorCode, Event, EventResult, EventType, InstallSource, MAX_MESSAGE, Request, Response,
};

use crate::curl::{Transfer, TransferError};
use crate::engine::Engine;
use crate::error::UpdateError;
use crate::identity::Identity;
use crate::offer::Offer;
use crate::settings::{Server, Settings};
use crate::slots::Slots;
use crate::status::Operation;
use crate::{install, journal, prefs, request};

/// update_engine marks its reports when it asks another server than this one.
const PRODUCTION: &str = "https://public.update.flatcar-linux.net/v1/update/";

/// Checks, and installs what is offered.
pub(crate) fn run(engine: &Engine, source: InstallSource) {
    let settings = Settings::read();
    let server = match &settings.server {
        Server::Url(url) => url.clone(),
        Server::Disabled => return nothing(engine, "Updates are disabled by SERVER=disabled."),
        Server::Missing => {
            return nothing(engine, "No update check: /etc/flatcar/update.conf names no SERVER.");
        }
    };
    journal::info(format!("Checking for an update of group {} at {server}.", settings.group));
    let attempt = Attempt { engine, source, server, identity: Identity::read(settings) };
    match attempt.update() {
        Ok(true) => {
            journal::info("Update successfully applied, waiting to reboot.");
            engine.update_applied();
        }
        Ok(false) => nothing(engine, "No update."),
        Err(error) => {
            journal::error(format!("Update failed: {error}."));
            engine.set(Operation::ReportingErrorEvent);
            attempt.report_failure(error.code());
            engine.settle(Operation::Idle);
        }
    }
}

fn nothing(engine: &Engine, why: &str) {
    journal::info(why);
    engine.settle(Operation::Idle);
}

struct Attempt<'a> {
    engine: &'a Engine,
    source: InstallSource,
    server: String,
    identity: Identity,
}

impl Attempt<'_> {
    /// True if an update waits for a reboot now.
    fn update(&self) -> Result<bool, UpdateError> {
        let Some(offer) = self.check()? else { return Ok(false) };
        journal::info(format!(
            "Update to version {:?} available: {} bytes at {}.",
            offer.version, offer.size, offer.url
        ));
        self.engine.update(|status| {
            status.operation = Operation::UpdateAvailable;
            status.new_version.clone_from(&offer.version);
            status.new_size = offer.size;
        });
        let slots = Slots::find()?;
        journal::info(format!("Preparing {}; {} runs.", slots.other.label, slots.running.label));
        install::prepare(&slots)?;
        self.report(Event::new(EventType::UpdateDownloadStarted, EventResult::Success));
        self.download(&slots, &offer)?;
        self.engine.set(Operation::Finalizing);
        journal::info(format!("Making {} the next to boot.", slots.other.label));
        install::finish(&slots, &self.identity.settings.version)?;
        self.report(Event::new(EventType::UpdateComplete, EventResult::Success));
        Ok(true)
    }

    /// Asks the server, and with that reports how the last update ended.
    fn check(&self) -> Result<Option<Offer>, UpdateError> {
        let previous = prefs::previous_version();
        if request::rolled_back(&self.identity, previous.as_deref()) {
            let version = &self.identity.settings.version;
            journal::error(format!("Rollback detected: still running {version} after the update."));
        }
        let request = request::check(&self.identity, self.source.clone(), previous.as_deref());
        let answer = self.post(&request).map_err(UpdateError::Request)?;
        // It has been reported, so it must not be again.
        if previous.as_deref() != Some("")
            && let Err(error) = prefs::set_previous_version("")
        {
            journal::warning(format!("The last update will be reported again: {error}."));
        }
        if answer.is_empty() {
            return Err(UpdateError::EmptyResponse);
        }
        let response = Response::parse(&answer).map_err(UpdateError::Response)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        self.engine.update(|status| status.last_checked = now);
        Offer::of(&response, &self.identity.settings.app_id).map_err(UpdateError::Offer)
    }

    /// Downloads, writes and verifies, and reports the end of the download.
    fn download(&self, slots: &Slots, offer: &Offer) -> Result<(), UpdateError> {
        journal::info(format!("Downloading into {}.", slots.other.label));
        let mut tenths = 0;
        let mut progress = |bytes: u64| {
            self.engine.update(|status| {
                let whole = bytes == offer.size;
                status.progress = bytes as f64 / offer.size as f64;
                status.operation =
                    if whole { Operation::Verifying } else { Operation::Downloading };
            });
            if bytes * 10 / offer.size > tenths {
                tenths = bytes * 10 / offer.size;
                let size = offer.size;
                journal::info(format!("Downloaded {bytes}/{size} bytes ({}%).", tenths * 10));
            }
        };
        let result = install::write(slots, offer, &mut progress);
        self.engine.update(|status| status.progress = 0.0);
        if result.as_ref().map_or_else(UpdateError::is_of_result, |()| true) {
            self.report(Event::new(EventType::UpdateDownloadFinished, EventResult::Success));
        }
        if result.is_ok() {
            journal::info("The payload and what it made are verified.");
        }
        result
    }

    fn report_failure(&self, code: ErrorCode) {
        let flag = if self.server == PRODUCTION { 0 } else { ErrorCode::TEST_OMAHA_URL };
        self.report(Event {
            error_code: Some(ErrorCode(code.0 | flag)),
            ..Event::new(EventType::UpdateComplete, EventResult::Error)
        });
    }

    /// Tells the server; whether it hears changes nothing.
    fn report(&self, event: Event) {
        journal::info(format!("Reporting {event}."));
        let request = request::report(&self.identity, self.source.clone(), event);
        if let Err(error) = self.post(&request) {
            journal::warning(format!("The report was lost: {error}."));
        }
    }

    fn post(&self, request: &Request) -> Result<Vec<u8>, TransferError> {
        Transfer::post(&self.server, request.to_xml().as_bytes(), MAX_MESSAGE as u64 + 1)
    }
}
