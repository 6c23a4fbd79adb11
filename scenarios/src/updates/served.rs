//! What was asked, kept for whoever asserts on it.

use std::{fmt, ops::Range};

use jiff::Timestamp;
use serde_json::{Value, json};
use wheeltap_formats::omaha::{self, AppRequest, Request, Response, UpdateStatus};

use super::Misbehaviour;

/// One HTTP request and what became of it, or a TLS handshake that failed before there was one.
#[derive(Clone, Debug)]
pub struct Served {
    /// When it was understood.
    pub time: Timestamp,
    /// The HTTP method; `TLS` for a handshake that failed.
    pub method: String,
    /// The path, without the query; `handshake` for one that failed.
    pub path: String,
    /// What it asked for.
    pub asked: Asked,
    /// The HTTP status of the answer; 0 if there was none.
    pub status: u16,
    /// The misbehaviours that it met with.
    pub misbehaviours: Vec<Misbehaviour>,
}

/// What an HTTP request asked for.
#[derive(Clone, Debug)]
pub enum Asked {
    /// An Omaha request.
    Update {
        /// The request.
        request: Box<Request>,
        /// The response, unless a misbehaviour came in its place.
        response: Option<Response>,
    },
    /// A package.
    Download {
        /// Its name.
        package: String,
        /// The bytes of it that were asked for; empty if it hasn't got them.
        range: Range<u64>,
        /// Bytes that were handed to the connection, so far. None for `HEAD`.
        sent: u64,
    },
    /// Nothing that the server has or understands.
    Refused {
        /// Why, in a sentence.
        reason: String,
    },
}

/// One event that a client reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportedEvent {
    /// Place among all events, from 0.
    pub index: usize,
    /// When it came.
    pub time: Timestamp,
    /// Id of the machine, as the client spells it.
    pub machine_id: Option<String>,
    /// Id of the application.
    pub app_id: String,
    /// The version that runs on the client.
    pub version: Option<String>,
    /// The event: type, result, error code, previous version.
    pub event: omaha::Event,
}

impl Served {
    /// The Omaha request, if it was one.
    #[must_use]
    pub fn update_request(&self) -> Option<&Request> {
        match &self.asked {
            Asked::Update { request, .. } => Some(request),
            Asked::Download { .. } | Asked::Refused { .. } => None,
        }
    }

    /// Whether it asked for an update.
    #[must_use]
    pub fn is_check(&self) -> bool {
        self.apps().any(|app| app.update_check.is_some())
    }

    /// Whether it asked for a package.
    #[must_use]
    pub fn is_download(&self) -> bool {
        matches!(self.asked, Asked::Download { .. })
    }

    /// Bytes of a package that were handed to the connection, so far.
    #[must_use]
    pub fn sent(&self) -> u64 {
        match self.asked {
            Asked::Download { sent, .. } => sent,
            Asked::Update { .. } | Asked::Refused { .. } => 0,
        }
    }

    /// The version that it was offered; empty if the release has none.
    #[must_use]
    pub fn offered(&self) -> Option<&str> {
        let Asked::Update { response: Some(response), .. } = &self.asked else { return None };
        let check = response.apps.iter().find_map(|app| app.update_check.as_ref())?;
        if check.status != UpdateStatus::Ok {
            return None;
        }
        Some(check.manifests.first()?.version.as_deref().unwrap_or_default())
    }

    /// The events in it; `index` counts on from `first`.
    pub(super) fn events(&self, first: usize) -> impl Iterator<Item = ReportedEvent> {
        let events = self.apps().flat_map(|app| app.events.iter().map(move |event| (app, event)));
        events.enumerate().map(move |(index, (app, event))| ReportedEvent {
            index: first + index,
            time: self.time,
            machine_id: app.machine_id.clone(),
            app_id: app.id.clone(),
            version: app.version.clone(),
            event: event.clone(),
        })
    }

    fn apps(&self) -> impl Iterator<Item = &AppRequest> {
        self.update_request().into_iter().flat_map(|request| &request.apps)
    }

    /// As one JSON object.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut object = json!({
            "time": self.time,
            "method": self.method,
            "path": self.path,
            "status": self.status,
            "misbehaviours": self.misbehaviours,
        });
        let (kind, asked) = match &self.asked {
            Asked::Update { request, .. } => {
                let apps: Vec<Value> = request.apps.iter().map(app_json).collect();
                ("update", json!({ "apps": apps, "offered": self.offered() }))
            }
            Asked::Download { package, range, sent } => {
                ("download", json!({ "package": package, "range": range, "sent": sent }))
            }
            Asked::Refused { reason } => ("refused", json!({ "reason": reason })),
        };
        object["kind"] = kind.into();
        object[kind] = asked;
        object
    }
}

fn app_json(app: &AppRequest) -> Value {
    let events: Vec<Value> = app.events.iter().map(event_json).collect();
    json!({
        "app_id": app.id,
        "machine_id": app.machine_id,
        "version": app.version,
        "group": app.track,
        "check": app.update_check.is_some(),
        "version_pin": app.update_check.as_ref().and_then(|it| it.target_version_prefix.as_ref()),
        "ping": app.ping.is_some(),
        "events": events,
    })
}

fn event_json(event: &omaha::Event) -> Value {
    json!({
        "type": event.event_type.number(),
        "result": event.result.number(),
        "error_code": event.error_code.map(|code| code.0),
        "previous_version": event.previous_version,
        "text": event.to_string(),
    })
}

/// One line for a terminal. What clients say is escaped in it.
impl fmt::Display for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.asked {
            Asked::Update { request, .. } => {
                let mut separator = "";
                for app in &request.apps {
                    f.write_str(separator)?;
                    self.fmt_app(f, app)?;
                    separator = " | ";
                }
                if request.apps.is_empty() {
                    f.write_str("update    a request about no application")?;
                }
            }
            Asked::Download { package, range, .. } => {
                write!(f, "download  {package}, bytes ")?;
                if range.is_empty() {
                    f.write_str("that it hasn't got")?;
                } else {
                    write!(f, "{}-{}", range.start, range.end - 1)?;
                }
                if self.method == "HEAD" {
                    f.write_str(" (only asked about)")?;
                }
            }
            Asked::Refused { reason } => {
                write!(f, "refused   {} {}: {reason}", plain(&self.method), plain(&self.path))?;
            }
        }
        match self.status {
            0 => f.write_str("  [no answer")?,
            status => write!(f, "  [{status}")?,
        }
        for misbehaviour in &self.misbehaviours {
            write!(f, ", {misbehaviour}")?;
        }
        f.write_str("]")
    }
}

impl Served {
    fn fmt_app(&self, f: &mut fmt::Formatter<'_>, app: &AppRequest) -> fmt::Result {
        let kind = match (&app.update_check, app.events.is_empty(), &app.ping) {
            (Some(_), ..) => "check",
            (None, false, _) => "event",
            (None, true, Some(_)) => "ping",
            (None, true, None) => "update",
        };
        let said = |text: &Option<String>| plain(text.as_deref().unwrap_or("?"));
        write!(f, "{kind:8}  machine {}, version {}", said(&app.machine_id), said(&app.version))?;
        for event in &app.events {
            write!(f, "; {event}")?;
        }
        if let Some(check) = &app.update_check {
            write!(f, ", group {}", said(&app.track))?;
            if let Some(pin) = check.target_version_prefix.as_ref().filter(|pin| !pin.is_empty()) {
                write!(f, ", pinned to {}", plain(pin))?;
            }
            match self.offered() {
                Some("") => f.write_str(": update without a version")?,
                Some(version) => write!(f, ": update to {version}")?,
                None => f.write_str(": no update")?,
            }
        }
        Ok(())
    }
}

/// Text from a client, safe on a terminal and of bounded length.
fn plain(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_debug).collect()
}
