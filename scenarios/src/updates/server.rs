//! The update server as scenarios and the command see it.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use wheeltap_platforms::{Interrupt, WaitError, wait_for};

use super::{
    PackageFile, Release, ReportedEvent, Served, TlsIdentity, Trouble, UpdateServerError,
    door::{Closing, Door},
    log::events,
    site::{Site, UPDATE},
};

/// An update server, as long as it isn't dropped.
#[derive(Debug)]
pub struct UpdateServer {
    site: Arc<Site>,
    door: Door,
}

impl UpdateServer {
    /// Any free port on loopback.
    pub const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    /// Listens on `address`, where port 0 stands for any free one, and offers `releases`. Needs a tokio runtime.
    ///
    /// # Errors
    /// If it can't listen there, or two different packages have the same name.
    pub async fn start(
        address: SocketAddr,
        releases: Vec<Release>,
    ) -> Result<Self, UpdateServerError> {
        Self::open(address, releases, None).await
    }

    /// The same over HTTPS, as the holder of `identity`.
    ///
    /// # Errors
    /// As for [`UpdateServer::start`].
    pub async fn start_tls(
        address: SocketAddr,
        releases: Vec<Release>,
        identity: &TlsIdentity,
    ) -> Result<Self, UpdateServerError> {
        Self::open(address, releases, Some(identity.clone())).await
    }

    async fn open(
        address: SocketAddr,
        releases: Vec<Release>,
        tls: Option<TlsIdentity>,
    ) -> Result<Self, UpdateServerError> {
        check_names(&releases)?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let door = Door::reserve(address, tls)?;
        let site = Arc::new(Site::new(scheme, door.address(), releases));
        door.open(&site).await?;
        Ok(Self { site, door })
    }

    /// Where it listens, with the real port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.door.address()
    }

    /// What stands after `SERVER=` in a client's update.conf, if the client is on this host.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_at(self.address())
    }

    /// The same for a client that sees the server at another address.
    #[must_use]
    pub fn url_at(&self, address: SocketAddr) -> String {
        format!("{}://{address}{UPDATE}", self.site.scheme())
    }

    /// Offers these releases, and no longer what it offered before. Downloads in progress go on.
    ///
    /// # Errors
    /// If two different packages have the same name; nothing changes then.
    pub fn offer(&self, releases: Vec<Release>) -> Result<(), UpdateServerError> {
        check_names(&releases)?;
        self.site.offer(releases);
        Ok(())
    }

    /// Misbehaves from now on, in addition to what it was told before. Requests in progress go on as they began, except that
    /// nothing survives [`Misbehaviour::Down`](super::Misbehaviour::Down): when this returns, the server is gone.
    pub async fn misbehave(&self, trouble: impl Into<Trouble> + Send) {
        let trouble = trouble.into();
        if trouble.is_down() {
            self.door.close(Closing::Abrupt).await;
        } else {
            self.site.add_trouble(trouble);
        }
    }

    /// Behaves from now on, on the same port as ever.
    ///
    /// # Errors
    /// If it was down and another program took the port by force.
    pub async fn behave(&self) -> Result<(), UpdateServerError> {
        self.site.clear_troubles();
        self.door.open(&self.site).await
    }

    /// Everything that was served, in the order in which it was understood.
    #[must_use]
    pub fn requests(&self) -> Vec<Served> {
        self.site.log.served()
    }

    /// Every event that clients reported, in order.
    #[must_use]
    pub fn events(&self) -> Vec<ReportedEvent> {
        self.site.log.events()
    }

    /// Waits for the first event, of those that came and those that come, for which `wanted` holds.
    ///
    /// # Errors
    /// [`WaitError`]; a timeout says which event came last.
    pub async fn wait_for_event(
        &self,
        what: &str,
        limit: Duration,
        interrupt: &Interrupt,
        mut wanted: impl FnMut(&ReportedEvent) -> bool + Send,
    ) -> Result<ReportedEvent, WaitError> {
        let event = self.site.log.wait(|served| events(served).into_iter().find(&mut wanted));
        let last = || {
            let last = self.events().pop();
            last.map_or("no event".to_owned(), |last| format!("event {}", last.event))
        };
        wait_for(what, limit, interrupt, event).await.map_err(|error| with_last(error, last))
    }

    /// Waits for the first request, of those that came and those that come, for which `wanted` holds. Asked again whenever
    /// something changes, so that it can wait for a download to get to a certain point ([`Served::sent`]).
    ///
    /// # Errors
    /// [`WaitError`]; a timeout says which request came last.
    pub async fn wait_for_request(
        &self,
        what: &str,
        limit: Duration,
        interrupt: &Interrupt,
        mut wanted: impl FnMut(&Served) -> bool + Send,
    ) -> Result<Served, WaitError> {
        let request = self.site.log.wait(|served| served.iter().find(|it| wanted(it)).cloned());
        let last =
            || self.requests().pop().map_or("no request".to_owned(), |last| last.to_string());
        wait_for(what, limit, interrupt, request).await.map_err(|error| with_last(error, last))
    }

    /// The request at this place, from 0, as soon as it is there.
    pub async fn request(&self, index: usize) -> Served {
        self.site.log.wait(|served| served.get(index).cloned()).await
    }

    /// Stops: finishes the answers in progress, for two seconds at most, and gives back everything that was served.
    pub async fn stop(self) -> Vec<Served> {
        self.door.close(Closing::Graceful).await;
        self.requests()
    }
}

/// Puts what was seen last into a timeout.
fn with_last(error: WaitError, seen: impl FnOnce() -> String) -> WaitError {
    match error {
        WaitError::TimedOut { what, after, .. } => {
            WaitError::TimedOut { what, after, last: Some(seen()) }
        }
        interrupted @ WaitError::Interrupted { .. } => interrupted,
    }
}

/// A URL has room for one file.
fn check_names(releases: &[Release]) -> Result<(), UpdateServerError> {
    let mut files: HashMap<&str, &PackageFile> = HashMap::new();
    for file in releases.iter().flat_map(Release::packages) {
        match files.insert(file.name(), file) {
            Some(other) if other.sha256 != file.sha256 => {
                let (one, other) = (other.path.clone(), file.path.clone());
                return Err(UpdateServerError::SameName { one, other });
            }
            _ => {}
        }
    }
    Ok(())
}
