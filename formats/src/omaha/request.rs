//! What a client sends: who it is, whether it wants an update, and what happened.

use super::PROTOCOL;
use super::element::Element;
use super::error::OmahaError;
use super::event::Event;
use super::reader;
use super::status::InstallSource;
use super::writer;

/// A request, the `request` element.
///
/// Attributes are written in update_engine's order (`omaha_request_action.cc`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// Version of the protocol; [`PROTOCOL`] is the only one in use.
    pub protocol: String,
    /// Name and version of the client, for example `update_engine-0.4.10`.
    pub version: Option<String>,
    /// The same again (`updaterversion`), an extension of update_engine.
    pub updater_version: Option<String>,
    /// Who caused the request.
    pub install_source: Option<InstallSource>,
    /// Whether the client serves the whole machine; update_engine's always does.
    pub is_machine: Option<bool>,
    /// Id of this request.
    pub request_id: Option<String>,
    /// Id that the requests of one update share.
    pub session_id: Option<String>,
    /// Id of the user.
    pub user_id: Option<String>,
    /// Marks requests of tests.
    pub test_source: Option<String>,
    /// The operating system.
    pub os: Option<Os>,
    /// What the client has installed.
    pub apps: Vec<AppRequest>,
}

impl Request {
    /// A request of the current protocol that says nothing yet.
    pub fn new() -> Self {
        Self { protocol: PROTOCOL.to_owned(), ..Self::default() }
    }

    /// Reads a request.
    ///
    /// # Errors
    ///
    /// When the bytes are not one; the error names the element and the attribute.
    pub fn parse(bytes: &[u8]) -> Result<Self, OmahaError> {
        let element = reader::read(bytes, "request")?;
        Ok(Self {
            protocol: element.need("protocol")?,
            version: element.get("version")?,
            updater_version: element.get("updaterversion")?,
            install_source: element.get("installsource")?,
            is_machine: element.get("ismachine")?,
            request_id: element.get("requestid")?,
            session_id: element.get("sessionid")?,
            user_id: element.get("userid")?,
            test_source: element.get("testsource")?,
            os: element.child("os")?.map(Os::read).transpose()?,
            apps: element.children("app").map(AppRequest::read).collect::<Result<_, _>>()?,
        })
    }

    /// Writes the request. A character that XML does not have becomes U+FFFD.
    pub fn to_xml(&self) -> String {
        let element = Element::new("request")
            .with("protocol", &self.protocol)
            .maybe("version", &self.version)
            .maybe("updaterversion", &self.updater_version)
            .maybe("installsource", &self.install_source)
            .maybe("ismachine", &self.is_machine.map(u32::from))
            .maybe("requestid", &self.request_id)
            .maybe("sessionid", &self.session_id)
            .maybe("userid", &self.user_id)
            .maybe("testsource", &self.test_source)
            .holding(self.os.as_ref().map(Os::element))
            .holding(self.apps.iter().map(AppRequest::element));
        writer::write(&element)
    }
}

/// The operating system, the `os` element.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Os {
    /// Version; update_engine says a code name.
    pub version: Option<String>,
    /// Name of the system.
    pub platform: Option<String>,
    /// Service pack; update_engine says version and architecture (`4459.2.1_x86_64`).
    pub service_pack: Option<String>,
    /// Architecture.
    pub arch: Option<String>,
}

impl Os {
    fn read(element: &Element) -> Result<Self, OmahaError> {
        Ok(Self {
            version: element.get("version")?,
            platform: element.get("platform")?,
            service_pack: element.get("sp")?,
            arch: element.get("arch")?,
        })
    }

    fn element(&self) -> Element {
        Element::new("os")
            .maybe("version", &self.version)
            .maybe("platform", &self.platform)
            .maybe("sp", &self.service_pack)
            .maybe("arch", &self.arch)
    }
}

/// What the client has of one application, the `app` element of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppRequest {
    /// Id of the application (`appid`), with braces where the client sends them.
    pub id: String,
    /// The version that runs.
    pub version: Option<String>,
    /// The version that is being installed.
    pub next_version: Option<String>,
    /// The channel that the client wants; Flatcar calls it the group.
    pub track: Option<String>,
    /// The channel that the client comes from.
    pub from_track: Option<String>,
    /// Id of the boot, in braces.
    pub boot_id: Option<String>,
    /// Name of the platform image, for example `qemu`.
    pub oem: Option<String>,
    /// Version of the platform's part of the image.
    pub oem_version: Option<String>,
    /// The version that was installed first.
    pub aleph_version: Option<String>,
    /// Id of the machine, in braces or not.
    pub machine_id: Option<String>,
    /// A name for the machine that its owner chose.
    pub machine_alias: Option<String>,
    /// Language.
    pub lang: Option<String>,
    /// Board, for example `amd64-usr`.
    pub board: Option<String>,
    /// Kind of hardware.
    pub hardware_class: Option<String>,
    /// Whether the client takes delta payloads.
    pub delta_okay: Option<bool>,
    /// Whether the client takes an update in several steps, each with its manifest.
    pub multi_manifest_ok: Option<bool>,
    /// Brand code of the client.
    pub client: Option<String>,
    /// Days since the installation.
    pub install_age: Option<String>,
    /// A sign of life.
    pub ping: Option<Ping>,
    /// The wish for an update.
    pub update_check: Option<UpdateCheckRequest>,
    /// What happened, in order.
    pub events: Vec<Event>,
}

impl AppRequest {
    fn read(element: &Element) -> Result<Self, OmahaError> {
        Ok(Self {
            id: element.need("appid")?,
            version: element.get("version")?,
            next_version: element.get("nextversion")?,
            track: element.get("track")?,
            from_track: element.get("from_track")?,
            boot_id: element.get("bootid")?,
            oem: element.get("oem")?,
            oem_version: element.get("oemversion")?,
            aleph_version: element.get("alephversion")?,
            machine_id: element.get("machineid")?,
            machine_alias: element.get("machinealias")?,
            lang: element.get("lang")?,
            board: element.get("board")?,
            hardware_class: element.get("hardware_class")?,
            delta_okay: element.get("delta_okay")?,
            multi_manifest_ok: element.get("multi_manifest_ok")?,
            client: element.get("client")?,
            install_age: element.get("installage")?,
            ping: element.child("ping")?.map(Ping::read).transpose()?,
            update_check: element
                .child("updatecheck")?
                .map(UpdateCheckRequest::read)
                .transpose()?,
            events: element.children("event").map(Event::read).collect::<Result<_, _>>()?,
        })
    }

    fn element(&self) -> Element {
        Element::new("app")
            .with("appid", &self.id)
            .maybe("version", &self.version)
            .maybe("nextversion", &self.next_version)
            .maybe("track", &self.track)
            .maybe("from_track", &self.from_track)
            .maybe("bootid", &self.boot_id)
            .maybe("oem", &self.oem)
            .maybe("oemversion", &self.oem_version)
            .maybe("alephversion", &self.aleph_version)
            .maybe("machineid", &self.machine_id)
            .maybe("machinealias", &self.machine_alias)
            .maybe("lang", &self.lang)
            .maybe("board", &self.board)
            .maybe("hardware_class", &self.hardware_class)
            .maybe("delta_okay", &self.delta_okay)
            .maybe("multi_manifest_ok", &self.multi_manifest_ok)
            .maybe("client", &self.client)
            .maybe("installage", &self.install_age)
            .holding(self.ping.as_ref().map(Ping::element))
            .holding(self.update_check.as_ref().map(UpdateCheckRequest::element))
            .holding(self.events.iter().map(Event::element))
    }
}

/// A sign of life, the `ping` element of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ping {
    /// Whether the machine was in use; update_engine always says so.
    pub active: Option<bool>,
    /// Days since the last sign of use (`a`), −1 when there was none.
    pub days_since_active: Option<i32>,
    /// Days since the last sign of life (`r`), −1 when there was none.
    pub days_since_ping: Option<i32>,
}

impl Ping {
    fn read(element: &Element) -> Result<Self, OmahaError> {
        Ok(Self {
            active: element.get("active")?,
            days_since_active: element.get("a")?,
            days_since_ping: element.get("r")?,
        })
    }

    fn element(&self) -> Element {
        Element::new("ping")
            .maybe("active", &self.active.map(u32::from))
            .maybe("a", &self.days_since_active)
            .maybe("r", &self.days_since_ping)
    }
}

/// The wish for an update, the `updatecheck` element of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpdateCheckRequest {
    /// The client wants only versions that start like this.
    pub target_version_prefix: Option<String>,
}

impl UpdateCheckRequest {
    fn read(element: &Element) -> Result<Self, OmahaError> {
        Ok(Self { target_version_prefix: element.get("targetversionprefix")? })
    }

    fn element(&self) -> Element {
        Element::new("updatecheck").maybe("targetversionprefix", &self.target_version_prefix)
    }
}
