//! What became of an update: installed, refused, or there was none.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde::Deserialize;
use wheeltap_platforms::{poll_until, ssh::quote};

use super::{Guest, Operation, UpdateStatus};
use crate::{
    failure::{Failure, Result},
    profile::Update,
};

/// Stands between the status and the journal in what one look at the guest brings.
const DIVIDER: &str = "=== journal ===";

/// How much of the journal a failure's detail quotes, in lines.
const QUOTED: usize = 40;

/// Looks at an idle service that it takes to believe that it has finished. The first may come before it has begun.
const IDLE_LOOKS: u32 = 2;

/// An attempt to update, from before it began. It knows what of the service's journal belongs to it.
#[derive(Clone)]
pub struct UpdateAttempt<'a> {
    guest: &'a Guest,
    facts: &'a Update,
    /// The service's last entry before it; none if it had written nothing in this boot.
    cursor: Option<String>,
    /// When a server had last answered.
    last_checked: u64,
    /// It is known to have begun, by other means than the status and the journal.
    begun: bool,
}

/// How an attempt has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct UpdateEnd {
    /// The last status: [`Operation::UpdatedNeedReboot`] after a success, else [`Operation::Idle`].
    pub status: UpdateStatus,
    /// What the service complained about, a line each. There may be complaints after a success too, such as about a
    /// download that had to be resumed.
    pub complaints: Vec<String>,
    /// The service was seen telling the server about an error. It may have done so without being seen.
    pub reported: bool,
    /// All that the service wrote to the journal meanwhile.
    pub journal: String,
}

impl UpdateEnd {
    /// Whether the update is in its slot.
    #[must_use]
    pub fn is_updated(&self) -> bool {
        self.status.operation == Operation::UpdatedNeedReboot
    }

    /// Why there was no update, in one line.
    fn reason(&self) -> String {
        match self.complaints.as_slice() {
            [] if self.reported => {
                "it reported an error to the server, and wrote none to its journal".to_owned()
            }
            [] => "its journal has no complaint".to_owned(),
            // Causes come before their consequences.
            complaints => complaints.iter().take(3).cloned().collect::<Vec<_>>().join("; "),
        }
    }

    fn failure(&self, headline: &str) -> Failure {
        let lines: Vec<_> = self.journal.lines().collect();
        let last = lines[lines.len().saturating_sub(QUOTED)..].join("\n");
        Failure::check(headline).with_detail(&last)
    }
}

impl<'a> UpdateAttempt<'a> {
    pub(super) async fn begin(guest: &'a Guest, facts: &'a Update) -> Result<Self> {
        let last_checked = guest.update_status().await?.last_checked;
        // The cursor of an entry of the service, not of the journal's last: `--after-cursor` passes over one entry more
        // when that of the cursor is not among those asked for (https://github.com/systemd/systemd/issues/30288).
        let last = format!("{} -n 1 -o cat --show-cursor", journal(&facts.service));
        let shown = guest.sudo(&last).await?;
        let cursor = shown.lines().rev().find_map(|line| line.strip_prefix("-- cursor: "));
        let cursor = cursor.map(|cursor| cursor.trim().to_owned());
        Ok(Self { guest, facts, cursor, last_checked, begun: false })
    }

    /// The attempt has begun: the server has been asked. A service that is idle from now on has ended it, even if it was
    /// never seen at work and says nothing.
    #[must_use]
    pub fn has_begun(self) -> Self {
        Self { begun: true, ..self }
    }

    /// Waits until the update is in its slot, and only a reboot is missing.
    ///
    /// # Errors
    /// At once, with the service's own words, when the attempt has ended without an update.
    pub async fn updated(&self, limit: Duration) -> Result<UpdateStatus> {
        let end = self.ended("the update to be installed", limit).await?;
        if end.is_updated() {
            return Ok(end.status);
        }
        Err(end.failure(&format!("there was no update: {}", end.reason())))
    }

    /// Waits until the service has given the update up, and said why.
    ///
    /// # Errors
    /// At once when the update was installed, or the service complains about nothing.
    pub async fn refused(&self, limit: Duration) -> Result<UpdateEnd> {
        let end = self.ended("the update to be refused", limit).await?;
        if end.is_updated() {
            return Err(end.failure("the update was installed, and should have been refused"));
        }
        if end.complaints.is_empty() {
            let why = end.reason();
            return Err(end.failure(&format!("the update was not refused with a reason: {why}")));
        }
        Ok(end)
    }

    /// Waits until the service has asked, and was told that there is no update.
    ///
    /// # Errors
    /// At once when there was one, installed or not, or the service complains.
    pub async fn none(&self, limit: Duration) -> Result<UpdateEnd> {
        let end = self.ended("the server to have no update", limit).await?;
        if end.is_updated() {
            return Err(end.failure("an update was installed, and there should have been none"));
        }
        if end.reported || !end.complaints.is_empty() {
            let why = end.reason();
            return Err(end.failure(&format!("the service was not told that there is none: {why}")));
        }
        Ok(end)
    }

    /// Waits until the attempt has ended, whichever way.
    async fn ended(&self, what: &str, limit: Duration) -> Result<UpdateEnd> {
        let limits = self.guest.limits();
        let progress = Mutex::new(Progress { begun: self.begun, ..Progress::default() });
        let step = |seen: Seen| {
            let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
            let next = progress.next(self.last_checked, seen);
            (progress.begun, next)
        };
        // An attempt that doesn't begin is not waited for as long as a download.
        let begun = poll_until(
            "the update service to begin",
            limits.condition(),
            limits.poll(),
            self.guest.interrupt(),
            async || {
                let seen = self.look().await.map_err(|failure| failure.headline)?;
                match step(seen) {
                    (_, Ok(end)) => Ok(Some(end)),
                    (true, Err(_)) => Ok(None),
                    (false, Err(stands)) => Err(stands),
                }
            },
        );
        if let Some(end) = begun.await? {
            return Ok(end);
        }
        let end = poll_until(what, limit, limits.poll(), self.guest.interrupt(), async || {
            step(self.look().await.map_err(|failure| failure.headline)?).1
        });
        Ok(end.await?)
    }

    /// The status, and when it says that nothing goes on, what the service has written since the attempt began: in this
    /// order, so that it is all that led there. Reading the journal while the service works would only take its time.
    async fn look(&self) -> Result<Seen> {
        let Update { client, service, .. } = self.facts;
        let after = self.cursor.as_ref().map(|cursor| format!(" --after-cursor={}", quote(cursor)));
        let command = format!(
            "s=$({client} -status) && echo \"$s\" && echo '{DIVIDER}' && case $s in *_IDLE* | *_NEED_REBOOT*) \
             {} -o json --output-fields=MESSAGE,PRIORITY{} ;; esac",
            journal(service),
            after.unwrap_or_default()
        );
        Seen::parse(&self.guest.sudo(&command).await?)
    }
}

/// The command that shows what the service has written in this boot.
fn journal(service: &str) -> String {
    format!("journalctl -q --no-pager -b -u {}", quote(service))
}

/// What one look at the guest has brought.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    status: UpdateStatus,
    entries: Vec<Entry>,
}

/// An entry of the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE", default)]
struct Entry {
    #[serde(deserialize_with = "text")]
    message: String,
    priority: String,
}

/// journalctl shows what is no text, or very long, as an array of bytes or as null.
fn text<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Message {
        Text(String),
        Bytes(Vec<u8>),
        Other(serde::de::IgnoredAny),
    }
    Ok(match Message::deserialize(deserializer)? {
        Message::Text(text) => text,
        Message::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Message::Other(_) => String::new(),
    })
}

impl Seen {
    fn parse(printed: &str) -> Result<Self> {
        let (status, journal) = printed.split_once(DIVIDER).unwrap_or((printed, ""));
        let entries = journal.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        Ok(Self { status: UpdateStatus::parse(status)?, entries })
    }
}

impl Entry {
    /// Whether it says that something failed: by its priority (syslog's 3 and below), or, because update_engine writes
    /// everything with the same, by its text: glog's `E1124 22:19:14…`, or Chromium's `[1124/221914:ERROR:…]`.
    fn is_complaint(&self) -> bool {
        let mut characters = self.message.chars();
        let glog = matches!(characters.next(), Some('E' | 'F'))
            && characters.next().is_some_and(|next| next.is_ascii_digit());
        let chromium = [":ERROR:", ":FATAL:"].iter().any(|word| self.message.contains(word));
        matches!(self.priority.as_str(), "0" | "1" | "2" | "3") || glog || chromium
    }
}

/// How far an attempt has come.
#[derive(Debug, Default)]
struct Progress {
    /// The service was seen at work, or has heard from a server.
    begun: bool,
    /// It was seen reporting a failure to the server.
    reported: bool,
    /// How often in a row it was idle.
    idle: u32,
}

impl Progress {
    /// Takes one look into account: the end, or where it stands.
    fn next(
        &mut self,
        last_checked: u64,
        Seen { status, entries }: Seen,
    ) -> std::result::Result<UpdateEnd, String> {
        let idle = status.operation == Operation::Idle;
        let complaints = entries.iter().filter(|entry| entry.is_complaint());
        let complaints: Vec<_> = complaints.map(|entry| entry.message.clone()).collect();
        self.begun |= !idle || status.last_checked != last_checked || !complaints.is_empty();
        self.reported |= status.operation == Operation::ReportingErrorEvent;
        self.idle = if idle { self.idle + 1 } else { 0 };
        let over = self.begun && self.idle >= IDLE_LOOKS;
        if !over && status.operation != Operation::UpdatedNeedReboot {
            let not_yet = if self.begun { "" } else { ", and nothing has begun" };
            return Err(format!("the update service is {status}{not_yet}"));
        }
        let messages: Vec<_> = entries.into_iter().map(|entry| entry.message).collect();
        let reported = idle && self.reported;
        Ok(UpdateEnd { status, complaints, reported, journal: messages.join("\n") })
    }
}

#[cfg(test)]
mod tests;
