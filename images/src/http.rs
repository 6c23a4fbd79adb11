//! Downloads that can be cancelled. The client blocks, so a thread of its own does the waiting.

use std::io::{self, Read as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use ureq::http::{HeaderMap, StatusCode, header};
use ureq::tls::{RootCerts, TlsConfig};

use crate::process::CANCEL_POLL;

/// How long a server may send nothing.
pub(crate) const STALL: Duration = Duration::from_secs(60);

/// The most bytes that are passed on at a time.
const CHUNK: usize = 256 << 10;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) url: &'a str,
    /// Only its head.
    pub(crate) head_only: bool,
    /// Only what comes after so many bytes, if the file is still the one of this validator.
    pub(crate) rest: Option<(u64, &'a str)>,
    /// How long the server may send nothing.
    pub(crate) stall: Duration,
}

impl<'a> Request<'a> {
    /// All of a file.
    pub(crate) fn of(url: &'a str) -> Self {
        Self { url, head_only: false, rest: None, stall: STALL }
    }
}

/// What a server said before the body.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// Bytes in this answer.
    pub(crate) length: Option<u64>,
    /// Where a partial answer begins in the file.
    pub(crate) start: Option<u64>,
    /// By what the server knows whether the file is still the same: its ETag, or when it was changed.
    pub(crate) validator: Option<String>,
    /// When to ask again.
    pub(crate) retry_after: Option<Duration>,
}

impl Head {
    fn of(status: StatusCode, headers: &HeaderMap, length: Option<u64>) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        // A weak ETag doesn't promise the same bytes, and If-Range may not be asked with one (RFC 9110, 13.1.5).
        let etag = text(header::ETAG).filter(|etag| !etag.starts_with("W/"));
        let start = text(header::CONTENT_RANGE)
            .and_then(|range| range.strip_prefix("bytes ")?.split('-').next()?.parse().ok());
        // A date is also allowed there; then our own pauses have to do.
        let seconds = text(header::RETRY_AFTER).and_then(|text| text.trim().parse().ok());
        Self {
            status: status.as_u16(),
            length,
            start,
            validator: etag.or_else(|| text(header::LAST_MODIFIED)).map(str::to_owned),
            retry_after: seconds.map(Duration::from_secs),
        }
    }

    /// Whether a body was passed on.
    pub(crate) fn has_body(&self) -> bool {
        matches!(self.status, 200 | 206)
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum HttpError {
    Cancelled,
    /// Whoever takes the body can't.
    Sink(io::Error),
    /// In words.
    Transfer {
        problem: String,
        /// Whether it may be different the next time: the connection was cut, or nothing came.
        passing: bool,
    },
}

enum Piece {
    Head(Head),
    Data(Vec<u8>),
    End,
}

struct Problem {
    words: String,
    passing: bool,
}

/// Gets a file. `take` gets what the server said and no bytes, and then the next bytes of the body each time; it hears
/// nothing of an answer that is neither the file nor a part of it.
pub(crate) fn get(
    request: Request<'_>,
    cancel: &AtomicBool,
    mut take: impl FnMut(&Head, &[u8]) -> io::Result<()>,
) -> Result<Head, HttpError> {
    let (sender, pieces) = mpsc::sync_channel(4);
    let url = request.url.to_owned();
    let rest = request.rest.map(|(from, validator)| (from, validator.to_owned()));
    // If this call ends early, the thread ends with its next piece.
    thread::spawn(move || {
        if let Err(problem) = send_pieces(&url, request.head_only, rest, &sender) {
            let _ = sender.send(Err(problem));
        }
    });
    let mut head = Head::default();
    let mut heard = Instant::now();
    loop {
        if cancel.load(Ordering::Relaxed) {
            return Err(HttpError::Cancelled);
        }
        match pieces.recv_timeout(CANCEL_POLL.min(request.stall)) {
            Ok(Ok(Piece::Head(said))) => {
                head = said;
                if request.head_only || !head.has_body() {
                    return Ok(head);
                }
                take(&head, &[]).map_err(HttpError::Sink)?;
            }
            Ok(Ok(Piece::Data(bytes))) => take(&head, &bytes).map_err(HttpError::Sink)?,
            Ok(Ok(Piece::End)) => return Ok(head),
            Ok(Err(Problem { words, passing })) => {
                return Err(HttpError::Transfer { problem: words, passing });
            }
            Err(RecvTimeoutError::Timeout) if heard.elapsed() < request.stall => continue,
            Err(RecvTimeoutError::Timeout) => {
                let seconds = request.stall.as_secs_f64();
                let problem = format!("the server has sent nothing for {seconds} s");
                return Err(HttpError::Transfer { problem, passing: true });
            }
            Err(RecvTimeoutError::Disconnected) => {
                let problem = "the HTTP client has stopped".to_owned();
                return Err(HttpError::Transfer { problem, passing: false });
            }
        }
        heard = Instant::now();
    }
}

/// Runs in the thread. Ends without an error when nobody listens any more.
fn send_pieces(
    url: &str,
    head_only: bool,
    rest: Option<(u64, String)>,
    pieces: &SyncSender<Result<Piece, Problem>>,
) -> Result<(), Problem> {
    let agent = agent();
    let mut request = if head_only { agent.head(url) } else { agent.get(url) };
    if let Some((from, validator)) = rest {
        request = request
            .header(header::RANGE, format!("bytes={from}-"))
            .header(header::IF_RANGE, validator);
    }
    let (head, body) = request.call().map_err(in_words)?.into_parts();
    let head = Head::of(head.status, &head.headers, body.content_length());
    let wanted = head.has_body() && !head_only;
    if pieces.send(Ok(Piece::Head(head))).is_err() || !wanted {
        return Ok(());
    }
    let mut body = body.into_reader();
    loop {
        let mut bytes = vec![0; CHUNK];
        // Whatever there is: what has come before a connection is cut or stalls need not come again.
        let count = match body.read(&mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read.map_err(|error| in_words(ureq::Error::Io(error)))?,
        };
        bytes.truncate(count);
        let piece = if count == 0 { Piece::End } else { Piece::Data(bytes) };
        if pieces.send(Ok(piece)).is_err() || count == 0 {
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
fn in_words(error: ureq::Error) -> Problem {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut, UnexpectedEof};
    let cut =
        |kind| matches!(kind, BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof);
    match error {
        ureq::Error::Io(error) if error.kind() == UnexpectedEof => Problem {
            words: "the connection was closed before everything had come".to_owned(),
            passing: true,
        },
        ureq::Error::Io(error) => {
            let passing = cut(error.kind()) || error.kind() == TimedOut;
            Problem { words: error.to_string(), passing }
        }
        ureq::Error::HostNotFound => {
            Problem { words: "there is no server of that name".to_owned(), passing: false }
        }
        error => Problem { words: error.to_string(), passing: false },
    }
}
