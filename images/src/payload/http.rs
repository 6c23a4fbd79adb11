//! Downloads that can be cancelled. The client blocks, so a thread of its own does the waiting.

use std::io::{self, Read as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use ureq::tls::{RootCerts, TlsConfig};

use crate::process::CANCEL_POLL;

/// How long a server may send nothing.
const STALL: Duration = Duration::from_secs(60);

/// Bytes that are passed on at a time.
const CHUNK: usize = 256 << 10;

/// What a server said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Status 200; the whole body was passed on.
    Body,
    /// Another status.
    Status(u16),
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum HttpError {
    Cancelled,
    /// Whoever takes the body can't.
    Sink(io::Error),
    /// In words.
    Transfer(String),
}

enum Piece {
    Head { status: u16, length: Option<u64> },
    Data(Vec<u8>),
    End,
}

/// Gets a file. `take` gets its length, if the server says it, and the next bytes.
pub(super) fn get(
    url: &str,
    cancel: &AtomicBool,
    mut take: impl FnMut(Option<u64>, &[u8]) -> io::Result<()>,
) -> Result<Answer, HttpError> {
    let (sender, pieces) = mpsc::sync_channel(4);
    let from = url.to_owned();
    // If this call ends early, the thread ends with its next piece.
    thread::spawn(move || {
        if let Err(problem) = send_pieces(&from, &sender) {
            let _ = sender.send(Err(problem));
        }
    });
    let mut length = None;
    let mut heard = Instant::now();
    loop {
        if cancel.load(Ordering::Relaxed) {
            return Err(HttpError::Cancelled);
        }
        match pieces.recv_timeout(CANCEL_POLL) {
            Ok(Ok(Piece::Head { status: 200, length: announced })) => length = announced,
            Ok(Ok(Piece::Head { status, .. })) => return Ok(Answer::Status(status)),
            Ok(Ok(Piece::Data(bytes))) => take(length, &bytes).map_err(HttpError::Sink)?,
            Ok(Ok(Piece::End)) => return Ok(Answer::Body),
            Ok(Err(problem)) => return Err(HttpError::Transfer(problem)),
            Err(RecvTimeoutError::Timeout) if heard.elapsed() < STALL => continue,
            Err(RecvTimeoutError::Timeout) => {
                let seconds = STALL.as_secs();
                let problem = format!("the server has sent nothing for {seconds} s");
                return Err(HttpError::Transfer(problem));
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Err(HttpError::Transfer("the HTTP client has stopped".to_owned()));
            }
        }
        heard = Instant::now();
    }
}

/// Runs in the thread. Ends without an error when nobody listens any more.
fn send_pieces(url: &str, pieces: &SyncSender<Result<Piece, String>>) -> Result<(), String> {
    let response = agent().get(url).call().map_err(in_words)?;
    let (head, body) = response.into_parts();
    let status = head.status.as_u16();
    let length = body.content_length();
    if pieces.send(Ok(Piece::Head { status, length })).is_err() || status != 200 {
        return Ok(());
    }
    let mut body = body.into_reader();
    loop {
        let mut bytes = Vec::with_capacity(CHUNK);
        body.by_ref()
            .take(CHUNK as u64)
            .read_to_end(&mut bytes)
            .map_err(|error| in_words(ureq::Error::Io(error)))?;
        let piece = if bytes.is_empty() { Piece::End } else { Piece::Data(bytes) };
        let ended = matches!(piece, Piece::End);
        if pieces.send(Ok(piece)).is_err() || ended {
            return Ok(());
        }
    }
}

fn agent() -> ureq::Agent {
    let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
    ureq::Agent::config_builder()
        .tls_config(tls)
        .user_agent(concat!("wheeltap/", env!("CARGO_PKG_VERSION")))
        .http_status_as_error(false)
        .build()
        .into()
}

/// What the client says, without the name of the part that says it.
fn in_words(error: ureq::Error) -> String {
    match error {
        ureq::Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            "the connection was closed before everything had come".to_owned()
        }
        ureq::Error::Io(error) => error.to_string(),
        ureq::Error::HostNotFound => "there is no server of that name".to_owned(),
        error => error.to_string(),
    }
}
