//! The address of the server: open, closed, and open again on the same port.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{Mutex, oneshot},
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{
    TlsIdentity, UpdateServerError,
    site::Site,
    tls::handshake_failure,
    wire::{Scissors, Wire},
};

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// How long answers in progress may take when the server stops.
const GRACE: Duration = Duration::from_secs(2);

/// How long a client may take for the TLS handshake, as long as hyper lets it take for the head of a request.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(30);

/// After a connection could not be accepted, which happens when the process has no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What becomes of connections when the door closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closing {
    /// Answers in progress are finished.
    Graceful,
    /// Everything is reset.
    Abrupt,
}

/// The address of the server.
#[derive(Debug)]
pub(super) struct Door {
    address: SocketAddr,
    /// Bound and never listening. While the door is closed it keeps the port from being given to somebody else, and the kernel
    /// refuses connections to it.
    _reservation: TcpSocket,
    tls: Option<TlsIdentity>,
    open: Mutex<Option<Open>>,
}

/// The listening end. Dropping the sender closes the door abruptly.
#[derive(Debug)]
struct Open {
    closing: oneshot::Sender<Closing>,
    task: JoinHandle<()>,
}

impl Door {
    /// Takes an address, without listening on it. Port 0 becomes a free one. With an identity it speaks TLS.
    pub(super) fn reserve(
        address: SocketAddr,
        tls: Option<TlsIdentity>,
    ) -> Result<Self, UpdateServerError> {
        let reserve = || {
            let reservation = bind(address)?;
            Ok((reservation.local_addr()?, reservation))
        };
        let (address, reservation) =
            reserve().map_err(|source| UpdateServerError::listen(address, source))?;
        Ok(Self { address, _reservation: reservation, tls, open: Mutex::default() })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Listens, unless it already does.
    pub(super) async fn open(&self, site: &Arc<Site>) -> Result<(), UpdateServerError> {
        let mut open = self.open.lock().await;
        if open.is_none() {
            let listener = bind(self.address)
                .and_then(|socket| socket.listen(BACKLOG))
                .map_err(|source| UpdateServerError::listen(self.address, source))?;
            let (closing, closed) = oneshot::channel();
            let tls = self.tls.as_ref().map(TlsIdentity::acceptor);
            let task = tokio::spawn(accept(listener, tls, Arc::clone(site), closed));
            *open = Some(Open { closing, task });
        }
        Ok(())
    }

    /// Stops listening. When it returns, every connection has ended.
    pub(super) async fn close(&self, how: Closing) {
        if let Some(Open { closing, task }) = self.open.lock().await.take() {
            // If the task is gone, so is everything that it held.
            let _ = closing.send(how);
            let _ = task.await;
        }
    }
}

/// Sockets that may share the address with others that don't listen.
fn bind(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    site: Arc<Site>,
    mut closed: oneshot::Receiver<Closing>,
) {
    let finish = CancellationToken::new();
    let mut connections = JoinSet::new();
    let closing = loop {
        tokio::select! {
            closing = &mut closed => break closing.unwrap_or(Closing::Abrupt),
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let (tls, site, finish) = (tls.clone(), Arc::clone(&site), finish.clone());
                    connections.spawn(converse(stream, tls, site, finish));
                }
                Err(error) => {
                    tracing::warn!("the update server can't accept a connection: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    };
    drop(listener);
    if closing == Closing::Graceful {
        finish.cancel();
        let all = async { while connections.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(GRACE, all).await;
    }
    connections.shutdown().await;
}

/// Serves one connection until it ends.
async fn converse(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    site: Arc<Site>,
    finish: CancellationToken,
) {
    let scissors = Scissors::default();
    let wire = Wire::new(stream, scissors.clone());
    let Some(tls) = tls else {
        return speak(wire, &site, &scissors, &finish).await;
    };
    let shaken = tokio::select! {
        shaken = tokio::time::timeout(HANDSHAKE_LIMIT, tls.accept(wire).into_fallible()) => shaken,
        () = finish.cancelled() => return,
    };
    match shaken {
        Ok(Ok(wire)) => speak(wire, &site, &scissors, &finish).await,
        Ok(Err((error, mut wire))) => {
            site.note_handshake(handshake_failure(&error));
            // In good order, so that the client gets to read why.
            let _ = wire.shutdown().await;
        }
        Err(_) => site.note_handshake("the client fell silent".to_owned()),
    }
}

/// Speaks HTTP.
async fn speak(
    wire: impl AsyncRead + AsyncWrite + Unpin,
    site: &Site,
    scissors: &Scissors,
    finish: &CancellationToken,
) {
    let service = service_fn(|request| site.handle(request, scissors));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(wire), service);
    tokio::pin!(connection);
    let result = tokio::select! {
        result = &mut connection => result,
        () = finish.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    // Clients leave as they please, and cuts are made on purpose.
    if let Err(error) = result {
        tracing::debug!("a connection to the update server ended: {error}");
    }
}
