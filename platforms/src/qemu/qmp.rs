//! QMP: commands to a running QEMU, and its events kept in `qmp.jsonl`.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures_util::StreamExt as _;
use qapi::{
    futures::{QapiEvents, QapiService, QmpStreamTokio},
    qmp,
};
use tokio::{
    io::{ReadHalf, WriteHalf},
    net::UnixStream,
    sync::watch,
    task::JoinHandle,
};

use crate::{MachineExit, PlatformError};

/// A command is answered from QEMU's main loop at once, unless the host is starved.
const COMMAND_LIMIT: Duration = Duration::from_secs(10);

/// What the events told so far.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    resets: AtomicU32,
    ended: Mutex<Option<MachineExit>>,
}

impl Seen {
    pub(crate) fn resets(&self) -> u32 {
        self.resets.load(Ordering::SeqCst)
    }

    /// Why QEMU is about to end, as far as its events told: its exit status is 0 for a guest's power-off, a signal
    /// and `quit` alike.
    pub(crate) fn ended(&self) -> Option<MachineExit> {
        self.ended.lock().ok().and_then(|ended| ended.clone())
    }

    fn note(&self, event: &qmp::Event) {
        let end = match event {
            qmp::Event::RESET { .. } => {
                self.resets.fetch_add(1, Ordering::SeqCst);
                None
            }
            qmp::Event::SHUTDOWN { data, .. } => Some(match data.reason {
                qmp::ShutdownCause::guest_shutdown => MachineExit::GuestPowerOff,
                qmp::ShutdownCause::guest_panic => MachineExit::GuestPanic,
                qmp::ShutdownCause::host_qmp_quit => MachineExit::Quit,
                other => MachineExit::Died { how: format!("qemu shut down ({other:?})") },
            }),
            _ => None,
        };
        if let (Some(end), Ok(mut ended)) = (end, self.ended.lock()) {
            ended.get_or_insert(end);
        }
    }
}

/// A connection to one QEMU.
pub(crate) struct Qmp {
    service: QapiService<QmpStreamTokio<WriteHalf<UnixStream>>>,
    seen: Arc<Seen>,
    events: JoinHandle<()>,
    /// Closes when the last event has been seen.
    open: watch::Receiver<()>,
}

impl std::fmt::Debug for Qmp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Qmp").field("seen", &self.seen).finish_non_exhaustive()
    }
}

impl Qmp {
    /// Connects to the socket that QEMU makes a moment after it started.
    ///
    /// Tries for ever: a QEMU that dies in the middle of this resets the connection, and only the end of its process says
    /// why. So the caller races this against the process and a deadline.
    pub(crate) async fn connect(socket: &Path, log: PathBuf) -> Self {
        let stream = loop {
            let attempt = async { QmpStreamTokio::open_uds(socket).await?.negotiate().await };
            match attempt.await {
                Ok(stream) => break stream,
                Err(error) => {
                    tracing::debug!(socket = %socket.display(), %error, "no QMP yet");
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        };
        let (service, events) = stream.into_parts();
        let seen = Arc::new(Seen::default());
        let (until_last_event, open) = watch::channel(());
        let task = keep_events(events, Arc::clone(&seen), log);
        let events = tokio::spawn(async move {
            task.await;
            drop(until_last_event);
        });
        Self { service, seen, events, open }
    }

    pub(crate) fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Waits until QEMU has closed the connection, so that every event it sent has been seen.
    pub(crate) async fn drained(&self) {
        let mut open = self.open.clone();
        // The process is gone, so the stream ends; the limit is for a socket inherited by somebody else.
        let _ = tokio::time::timeout(Duration::from_secs(1), open.changed()).await;
    }

    pub(crate) async fn execute<C: qapi::qmp::QmpCommand>(
        &self,
        command: C,
    ) -> Result<C::Ok, PlatformError> {
        let failed = |why: String| PlatformError::infra(format!("QMP {} failed: {why}", C::NAME));
        match tokio::time::timeout(COMMAND_LIMIT, self.service.execute(command)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(failed(error.to_string())),
            Err(_) => Err(failed(format!("no answer within {} s", COMMAND_LIMIT.as_secs()))),
        }
    }

    /// The host port that the kernel gave to the forward of guest port 22.
    pub(crate) async fn forwarded_ssh_port(&self) -> Result<u16, PlatformError> {
        let command =
            qmp::human_monitor_command { command_line: "info usernet".into(), cpu_index: None };
        let table = self.execute(command).await?;
        parse_forward(&table).ok_or_else(|| {
            PlatformError::infra(format!(
                "QEMU shows no forward of guest port 22 in `info usernet`:\n{table}"
            ))
        })
    }
}

impl Drop for Qmp {
    fn drop(&mut self) {
        self.events.abort();
    }
}

/// The columns are protocol and state, descriptor, source address, port, destination address, port, queues.
fn parse_forward(table: &str) -> Option<u16> {
    table.lines().find_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        match columns.as_slice() {
            ["TCP[HOST_FORWARD]", _, _, port, _, "22", ..] => port.parse().ok(),
            _ => None,
        }
    })
}

async fn keep_events(
    mut events: QapiEvents<QmpStreamTokio<ReadHalf<UnixStream>>>,
    seen: Arc<Seen>,
    log: PathBuf,
) {
    let mut file = std::fs::File::options().create(true).append(true).open(&log).ok();
    while let Some(event) = events.next().await {
        // An answer that nobody waits for any more is reported as an error, but the stream goes on.
        let Ok(event) = event else { continue };
        seen.note(&event);
        let line = serde_json::json!({ "at": jiff::Timestamp::now().to_string(), "qmp": event });
        // Evidence that can't be written must not change what is seen of the machine.
        if let Some(file) = &mut file {
            let _ = writeln!(file, "{line}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_forwarded_port() {
        // As QEMU 7.2 prints it.
        let table = "Hub -1 (net0):\r\n  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\r\n  \
                     TCP[HOST_FORWARD]  12       127.0.0.1 36173       10.0.2.15    22     0     0\r\n";
        assert_eq!(parse_forward(table), Some(36173));
        assert_eq!(parse_forward("Hub -1 (net0):\r\n"), None);
    }
}
