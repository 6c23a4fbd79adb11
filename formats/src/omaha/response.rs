//! What a server answers: whether there is an update, where it is, and what it has to be.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::PROTOCOL;
use super::element::Element;
use super::error::OmahaError;
use super::reader;
use super::status::{AckStatus, ActionEvent, AppStatus, UpdateStatus};
use super::writer;

/// A response, the `response` element.
///
/// Attributes and elements are written in go-omaha's order (`protocol.go`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Version of the protocol; [`PROTOCOL`] is the only one in use.
    pub protocol: String,
    /// Name of the server.
    pub server: Option<String>,
    /// Seconds since the server's midnight (`daystart`), for the arithmetic of pings.
    pub elapsed_seconds: Option<u64>,
    /// One answer for each application of the request.
    pub apps: Vec<AppResponse>,
}

impl Response {
    /// A response without answers, at second 0 of the day, which is what go-omaha says.
    pub fn new(server: impl Into<String>) -> Self {
        Self {
            protocol: PROTOCOL.to_owned(),
            server: Some(server.into()),
            elapsed_seconds: Some(0),
            apps: Vec::new(),
        }
    }

    /// Reads a response.
    ///
    /// # Errors
    ///
    /// When the bytes are not one; the error names the element and the attribute.
    pub fn parse(bytes: &[u8]) -> Result<Self, OmahaError> {
        let element = reader::read(bytes, "response")?;
        let day_start = element.child("daystart")?;
        Ok(Self {
            protocol: element.need("protocol")?,
            server: element.get("server")?,
            elapsed_seconds: day_start.map(|day| day.need("elapsed_seconds")).transpose()?,
            apps: element.children("app").map(AppResponse::read).collect::<Result<_, _>>()?,
        })
    }

    /// Writes the response. A character that XML does not have becomes U+FFFD.
    pub fn to_xml(&self) -> String {
        let day_start = |seconds| Element::new("daystart").with("elapsed_seconds", seconds);
        let element = Element::new("response")
            .with("protocol", &self.protocol)
            .maybe("server", &self.server)
            .holding(self.elapsed_seconds.as_ref().map(day_start))
            .holding(self.apps.iter().map(AppResponse::element));
        writer::write(&element)
    }
}

/// The answer for one application, the `app` element of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppResponse {
    /// Id of the application (`appid`), as the request spells it.
    pub id: String,
    /// Whether the server knows the application.
    pub status: AppStatus,
    /// The answer to a ping.
    pub ping: Option<AckStatus>,
    /// The answer to an update check.
    pub update_check: Option<UpdateCheckResponse>,
    /// One answer for each event.
    pub events: Vec<AckStatus>,
}

impl AppResponse {
    /// An answer that says only whether the application is known.
    pub fn new(id: impl Into<String>, status: AppStatus) -> Self {
        Self { id: id.into(), status, ping: None, update_check: None, events: Vec::new() }
    }

    fn read(element: &Element) -> Result<Self, OmahaError> {
        let status = |child: &Element| child.need("status");
        Ok(Self {
            id: element.need("appid")?,
            status: element.need("status")?,
            ping: element.child("ping")?.map(status).transpose()?,
            update_check: element
                .child("updatecheck")?
                .map(UpdateCheckResponse::read)
                .transpose()?,
            events: element.children("event").map(status).collect::<Result<_, _>>()?,
        })
    }

    fn element(&self) -> Element {
        Element::new("app")
            .with("appid", &self.id)
            .with("status", &self.status)
            .holding(self.ping.as_ref().map(|status| Element::new("ping").with("status", status)))
            .holding(self.update_check.as_ref().map(UpdateCheckResponse::element))
            .holding(self.events.iter().map(|status| Element::new("event").with("status", status)))
    }
}

/// The answer to an update check, the `updatecheck` element of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateCheckResponse {
    /// Whether there is an update.
    pub status: UpdateStatus,
    /// How long the client should wait before the next check (`PollInterval`), in seconds.
    pub poll_interval: Option<u32>,
    /// Places to download from (`codebase`), the best first; see [`Package::url`].
    pub urls: Vec<String>,
    /// The update: one manifest, or one for each step. update_engine reads the first.
    pub manifests: Vec<Manifest>,
}

impl UpdateCheckResponse {
    /// An answer without an update.
    pub fn new(status: UpdateStatus) -> Self {
        Self { status, poll_interval: None, urls: Vec::new(), manifests: Vec::new() }
    }

    fn read(element: &Element) -> Result<Self, OmahaError> {
        let urls = element.children("urls").flat_map(|urls| urls.children("url"));
        Ok(Self {
            status: element.need("status")?,
            poll_interval: element.get("PollInterval")?,
            urls: urls.map(|url| url.need("codebase")).collect::<Result<_, _>>()?,
            manifests: element
                .children("manifest")
                .map(Manifest::read)
                .collect::<Result<_, _>>()?,
        })
    }

    fn element(&self) -> Element {
        let url = |codebase| Element::new("url").with("codebase", codebase);
        Element::new("updatecheck")
            .with("status", &self.status)
            .maybe("PollInterval", &self.poll_interval)
            .holding(list("urls", self.urls.iter().map(url)))
            .holding(self.manifests.iter().map(Manifest::element))
    }
}

/// What an update consists of, the `manifest` element.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifest {
    /// The version that the update leads to; go-omaha's simplest server leaves it empty.
    pub version: Option<String>,
    /// Whether no update may jump over this version (an extension of Flatcar).
    pub is_floor: Option<bool>,
    /// Why not.
    pub floor_reason: Option<String>,
    /// Whether this is the last step of the update (an extension of Flatcar).
    pub is_target: Option<bool>,
    /// Files, the payload first.
    pub packages: Vec<Package>,
    /// What to do with them.
    pub actions: Vec<Action>,
}

impl Manifest {
    /// The action that describes the payload: the first for `postinstall`, as update_engine has it.
    pub fn postinstall(&self) -> Option<&Action> {
        self.actions.iter().find(|action| action.event == ActionEvent::PostInstall)
    }

    fn read(element: &Element) -> Result<Self, OmahaError> {
        let packages = element.children("packages").flat_map(|list| list.children("package"));
        let actions = element.children("actions").flat_map(|list| list.children("action"));
        Ok(Self {
            version: element.get("version")?,
            is_floor: element.get("is_floor")?,
            floor_reason: element.get("floor_reason")?,
            is_target: element.get("is_target")?,
            packages: packages.map(Package::read).collect::<Result<_, _>>()?,
            actions: actions.map(Action::read).collect::<Result<_, _>>()?,
        })
    }

    fn element(&self) -> Element {
        Element::new("manifest")
            .maybe("version", &self.version)
            .maybe("is_floor", &self.is_floor)
            .maybe("floor_reason", &self.floor_reason)
            .maybe("is_target", &self.is_target)
            .holding(list("packages", self.packages.iter().map(Package::element)))
            .holding(list("actions", self.actions.iter().map(Action::element)))
    }
}

/// A file to download, the `package` element.
///
/// Digests stay text here, because servers disagree about their form and a wrong one is for the
/// client to refuse. [`Package::new`] spells them as the protocol wants it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Package {
    /// Name of the file.
    pub name: String,
    /// SHA-1 of the file in base64 (`hash`).
    pub sha1: Option<String>,
    /// SHA-256 of the file in hexadecimal (`hash_sha256`).
    pub sha256: Option<String>,
    /// Length of the file in bytes.
    pub size: u64,
    /// Whether the update fails without it; false for extensions.
    pub required: Option<bool>,
}

impl Package {
    /// A package with both digests.
    pub fn new(
        name: impl Into<String>,
        size: u64,
        sha1: [u8; 20],
        sha256: [u8; 32],
        required: bool,
    ) -> Self {
        Self {
            name: name.into(),
            sha1: Some(STANDARD.encode(sha1)),
            sha256: Some(hex::encode(sha256)),
            size,
            required: Some(required),
        }
    }

    /// Where the file is under one of [`UpdateCheckResponse::urls`]. As in update_engine, a slash
    /// is put between the two unless there is one.
    pub fn url(&self, codebase: &str) -> String {
        let slash = if codebase.ends_with('/') { "" } else { "/" };
        format!("{codebase}{slash}{}", self.name)
    }

    fn read(element: &Element) -> Result<Self, OmahaError> {
        Ok(Self {
            name: element.need("name")?,
            sha1: element.get("hash")?,
            sha256: element.get("hash_sha256")?,
            size: element.need("size")?,
            required: element.get("required")?,
        })
    }

    fn element(&self) -> Element {
        Element::new("package")
            .with("name", &self.name)
            .maybe("hash", &self.sha1)
            .maybe("hash_sha256", &self.sha256)
            .with("size", &self.size)
            .maybe("required", &self.required)
    }
}

/// What to do with the packages, the `action` element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// When to do it.
    pub event: ActionEvent,
    /// The version to show to people (`DisplayVersion`).
    pub display_version: Option<String>,
    /// SHA-256 of the payload in base64; update_engine refuses an answer without it.
    pub sha256: Option<String>,
    /// Whether it takes an administrator.
    pub needs_admin: Option<bool>,
    /// Whether the payload changes the running version and no other (`IsDeltaPayload`).
    pub is_delta_payload: Option<bool>,
    /// Whether the client may try again at once after a failure (`DisablePayloadBackoff`).
    pub disable_payload_backoff: Option<bool>,
    /// Failures before the client turns to the next url; update_engine's default is 10.
    pub max_failure_count_per_url: Option<u32>,
    /// Signature of the payload's metadata in base64 (`MetadataSignatureRsa`).
    pub metadata_signature_rsa: Option<String>,
    /// Length of the payload's metadata (`MetadataSize`), as the server spells it.
    pub metadata_size: Option<String>,
    /// When the update has to be done, in the server's words.
    pub deadline: Option<String>,
    /// A page about the update (`MoreInfo`).
    pub more_info: Option<String>,
    /// Whether to ask before installing (`Prompt`).
    pub prompt: Option<bool>,
}

impl Action {
    /// An action with nothing but its event.
    pub fn new(event: ActionEvent) -> Self {
        Self {
            event,
            display_version: None,
            sha256: None,
            needs_admin: None,
            is_delta_payload: None,
            disable_payload_backoff: None,
            max_failure_count_per_url: None,
            metadata_signature_rsa: None,
            metadata_size: None,
            deadline: None,
            more_info: None,
            prompt: None,
        }
    }

    /// The action of a payload with this digest, with go-omaha's wish not to back off.
    pub fn postinstall(sha256: [u8; 32]) -> Self {
        Self {
            sha256: Some(STANDARD.encode(sha256)),
            disable_payload_backoff: Some(true),
            ..Self::new(ActionEvent::PostInstall)
        }
    }

    fn read(element: &Element) -> Result<Self, OmahaError> {
        Ok(Self {
            event: element.need("event")?,
            display_version: element.get("DisplayVersion")?,
            sha256: element.get("sha256")?,
            needs_admin: element.get("needsadmin")?,
            is_delta_payload: element.get("IsDeltaPayload")?,
            disable_payload_backoff: element.get("DisablePayloadBackoff")?,
            max_failure_count_per_url: element.get("MaxFailureCountPerUrl")?,
            metadata_signature_rsa: element.get("MetadataSignatureRsa")?,
            metadata_size: element.get("MetadataSize")?,
            deadline: element.get("deadline")?,
            more_info: element.get("MoreInfo")?,
            prompt: element.get("Prompt")?,
        })
    }

    fn element(&self) -> Element {
        Element::new("action")
            .with("event", &self.event)
            .maybe("DisplayVersion", &self.display_version)
            .maybe("sha256", &self.sha256)
            .maybe("needsadmin", &self.needs_admin)
            .maybe("IsDeltaPayload", &self.is_delta_payload)
            .maybe("DisablePayloadBackoff", &self.disable_payload_backoff)
            .maybe("MaxFailureCountPerUrl", &self.max_failure_count_per_url)
            .maybe("MetadataSignatureRsa", &self.metadata_signature_rsa)
            .maybe("MetadataSize", &self.metadata_size)
            .maybe("deadline", &self.deadline)
            .maybe("MoreInfo", &self.more_info)
            .maybe("Prompt", &self.prompt)
    }
}

/// A list element, which is left out when it would be empty.
fn list(name: &'static str, items: impl Iterator<Item = Element>) -> Option<Element> {
    let list = Element::new(name).holding(items);
    (!list.children.is_empty()).then_some(list)
}
