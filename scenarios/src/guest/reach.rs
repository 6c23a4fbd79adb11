//! The way from a guest to a server on this host.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::watch, task::JoinHandle};
use wheeltap_platforms::{
    Class, Interrupt, poll_until,
    ssh::{Connector, Forward},
};

use super::Guest;
use crate::{
    failure::{Failure, Result},
    limits::Limits,
    live::LiveMachine,
    updates::UpdateServer,
};

/// Longer than any scenario: a way is kept open until it is dropped or the machine is gone.
const FOREVER: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How a guest reaches a server on this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Over the platform's own network, where that leads to this host's loopback.
    Direct,
    /// By a port of the guest's 127.0.0.1 that leads here over SSH, on every platform.
    Forward,
}

/// A server on this host as the guest sees it. Dropping it closes the way, unless the way is the platform's own.
///
/// A forward dies with its SSH session. It is opened anew, on the same port of the guest, as soon as the guest answers
/// again: the URL holds across reboots.
#[derive(Debug)]
pub struct Reached {
    url: String,
    way: Way,
    keeper: Option<Keeper>,
}

impl Guest {
    /// A way from this guest to `server`: the direct one if there is one, else a forward.
    ///
    /// # Errors
    /// If the guest's sshd forwards no port.
    pub async fn reach(&self, server: &UpdateServer) -> Result<Reached> {
        let way = if self.direct(server).is_some() { Way::Direct } else { Way::Forward };
        self.reach_by(way, server).await
    }

    /// This way from this guest to `server`.
    ///
    /// # Errors
    /// If the platform has no direct way to where the server listens, or the guest's sshd forwards no port.
    pub async fn reach_by(&self, way: Way, server: &UpdateServer) -> Result<Reached> {
        let (address, keeper) = match way {
            Way::Direct => {
                let address = self.direct(server).ok_or_else(|| {
                    let listens = server.address();
                    Failure::new(
                        Class::Test,
                        "no-way",
                        format!("the platform's network has no way from the guest to {listens} of this host; use a forward"),
                    )
                })?;
                (address, None)
            }
            Way::Forward => {
                let keeper = Keeper::start(&self.live, server.address()).await?;
                (SocketAddr::from((Ipv4Addr::LOCALHOST, keeper.port)), Some(keeper))
            }
        };
        Ok(Reached { url: server.url_at(address), way, keeper })
    }

    /// The server's address as the guest sees it over the platform's network.
    fn direct(&self, server: &UpdateServer) -> Option<SocketAddr> {
        let listens = server.address();
        // The platform's way leads to the host's 127.0.0.1, and only there.
        let reachable = listens.ip() == Ipv4Addr::LOCALHOST || listens.ip().is_unspecified();
        let host = self.live.machine().host_address().filter(|_| reachable)?;
        Some(SocketAddr::new(host, listens.port()))
    }
}

impl Reached {
    /// What the guest must put after `SERVER=`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Which way it is.
    #[must_use]
    pub fn way(&self) -> Way {
        self.way
    }

    /// Waits until the way is open in the machine's present epoch, which after a reboot takes a forward a login.
    ///
    /// # Errors
    /// A timeout says why the forward was refused the last time.
    pub async fn ready(&self) -> Result {
        match &self.keeper {
            None => Ok(()),
            Some(keeper) => keeper.ready().await,
        }
    }
}

/// Keeps a forward open across reboots.
#[derive(Debug)]
struct Keeper {
    port: u16,
    state: watch::Receiver<State>,
    epochs: watch::Receiver<u32>,
    interrupt: Interrupt,
    limits: Limits,
    task: JoinHandle<()>,
}

/// What has become of a forward.
#[derive(Debug)]
enum State {
    /// It is open, in this epoch.
    Open(u32),
    /// It isn't, and why.
    Closed(String),
}

impl Keeper {
    async fn start(live: &Arc<LiveMachine>, local: SocketAddr) -> Result<Self> {
        let (limits, interrupt) = (live.limits(), live.interrupt().clone());
        let (epochs, connector) = (live.epochs(), live.connector().clone());
        let epoch = *epochs.borrow();
        let forward = connector.forward(0, local, limits.command(), &interrupt).await?;
        let port = forward.remote_port();
        let (sender, state) = watch::channel(State::Open(epoch));
        let keeping =
            keep(connector, forward, epoch, epochs.clone(), sender, limits, interrupt.clone());
        Ok(Self { port, state, epochs, interrupt, limits, task: tokio::spawn(keeping) })
    }

    async fn ready(&self) -> Result {
        let what = format!("port {} of the guest to lead to this host", self.port);
        let Self { limits, interrupt, .. } = self;
        let open = async || match &*self.state.borrow() {
            State::Open(epoch) if *epoch == *self.epochs.borrow() => Ok(()),
            State::Open(_) => Err("it led there before the reboot".to_owned()),
            State::Closed(why) => Err(why.clone()),
        };
        poll_until(&what, limits.reboot(), limits.poll(), interrupt, open).await?;
        Ok(())
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Opens the forward anew whenever it is lost or an epoch ends.
async fn keep(
    connector: Connector,
    mut forward: Forward,
    mut epoch: u32,
    mut epochs: watch::Receiver<u32>,
    state: watch::Sender<State>,
    limits: Limits,
    interrupt: Interrupt,
) {
    let (port, local) = (forward.remote_port(), forward.local());
    let what = format!("port {port} of the guest");
    loop {
        let lost = tokio::select! {
            lost = forward.closed() => lost.to_string(),
            next = epochs.wait_for(|next| *next != epoch) => match next {
                Ok(_) => "the machine reboots".to_owned(),
                Err(_) => return, // The machine is gone.
            },
        };
        state.send_replace(State::Closed(lost));
        drop(forward);
        let again = async || {
            // Read before the login, so that a reboot in between is seen afterwards.
            let epoch = *epochs.borrow();
            let opened = connector.forward(port, local, limits.reboot(), &interrupt).await;
            opened.map(|forward| (forward, epoch)).inspect_err(|error| {
                state.send_replace(State::Closed(error.to_string()));
            })
        };
        match poll_until(&what, FOREVER, limits.poll(), &interrupt, again).await {
            Ok(opened) => (forward, epoch) = opened,
            Err(_) => return, // Nothing is awaited on this machine any more.
        }
        state.send_replace(State::Open(epoch));
    }
}
