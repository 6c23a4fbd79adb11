//! HTTP by the image's curl, through pipes: it brings TLS and the system's certificates, and this program stays small.

use std::io::{self, BufReader, Read, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};

use thiserror::Error;

use crate::head::Head;

const CURL: &str = "/usr/bin/curl";

/// For all transfers. A connection over which nothing comes for ten seconds is given up; a slow one is not.
const ARGUMENTS: &[&str] = &[
    "--silent",
    "--show-error",
    "--include",
    "--suppress-connect-headers",
    "--http1.1",
    "--location",
    "--max-redirs=10",
    "--proto==http,https",
    "--proto-redir==http,https",
    "--connect-timeout=10",
    "--speed-limit=1",
    "--speed-time=10",
];

/// Bytes in the pipe between the two, so that they take turns less often: Linux gives an ordinary user no more.
const PIPE: usize = 1 << 20;

/// A transfer did not work.
#[derive(Debug, Error)]
pub(crate) enum TransferError {
    /// curl can't be started.
    #[error("cannot run {CURL}: {0}")]
    Start(io::Error),
    /// The answer is an error.
    #[error("{url} answered HTTP status {status}")]
    Status { url: String, status: u16 },
    /// No answer, or not all of it.
    #[error("transfer of {url} failed: {reason}")]
    Broken { url: String, reason: String },
}

impl TransferError {
    /// The status of the answer, if there was one.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(*status),
            Self::Start(_) | Self::Broken { .. } => None,
        }
    }
}

/// An answer of which the head is here, and the body comes.
#[derive(Debug)]
pub(crate) struct Transfer {
    url: String,
    curl: Child,
    output: BufReader<ChildStdout>,
    pub(crate) head: Head,
}

impl Transfer {
    /// Asks for a file, from a byte on.
    pub(crate) fn get(url: &str, from: u64) -> Result<Self, TransferError> {
        let range = format!("--range={from}-");
        let more: &[&str] = if from == 0 { &[] } else { &[&range] };
        Self::start(url, more, &[])
    }

    /// Posts an Omaha request and returns the whole answer, up to `limit` bytes.
    pub(crate) fn post(url: &str, body: &[u8], limit: u64) -> Result<Vec<u8>, TransferError> {
        let more = ["--data-binary=@-", "--header=Content-Type: text/xml", "--header=Expect:"];
        let mut transfer = Self::start(url, &more, body)?;
        let mut answer = Vec::new();
        if let Err(error) = transfer.by_ref().take(limit).read_to_end(&mut answer) {
            return Err(transfer.broken(error.to_string()));
        }
        if answer.len() as u64 == limit { Ok(answer) } else { transfer.end().map(|()| answer) }
    }

    fn start(url: &str, more: &[&str], body: &[u8]) -> Result<Self, TransferError> {
        // curl reads `--name=value` for no option, so each is split.
        let words = ARGUMENTS.iter().chain(more).flat_map(|word| match word.split_once('=') {
            Some((name, value)) => vec![name, value],
            None => vec![*word],
        });
        let mut curl = Command::new(CURL)
            .args(words)
            .args(["--url", url])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(TransferError::Start)?;
        let (Some(mut input), Some(output)) = (curl.stdin.take(), curl.stdout.take()) else {
            return Err(TransferError::Start(io::Error::other("it has no pipes")));
        };
        // Only speed is lost if the kernel refuses.
        let _ = rustix::pipe::fcntl_setpipe_size(&output, PIPE);
        let output = BufReader::new(output);
        let mut transfer = Self { url: url.to_owned(), curl, output, head: Head::default() };
        // If curl is gone already, it says itself why.
        let _ = input.write_all(body);
        drop(input);
        match Head::read(&mut transfer.output) {
            Ok(Some(head)) if (200..300).contains(&head.status) => {
                transfer.head = head;
                Ok(transfer)
            }
            Ok(Some(head)) => {
                Err(TransferError::Status { url: url.to_owned(), status: head.status })
            }
            Ok(None) => Err(match transfer.end() {
                Ok(()) => TransferError::Broken { url: url.to_owned(), reason: "no answer".into() },
                Err(error) => error,
            }),
            Err(error) => Err(transfer.broken(error.to_string())),
        }
    }

    /// Waits for curl after the end of the body. An error means that the body is not whole.
    pub(crate) fn end(&mut self) -> Result<(), TransferError> {
        let mut said = String::new();
        if let Some(mut errors) = self.curl.stderr.take() {
            // What can't be read is not known, and the status speaks for itself.
            let _ = errors.read_to_string(&mut said);
        }
        match self.curl.wait() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(self.broken(match said.lines().next() {
                Some(line) => line.trim_start_matches("curl: ").to_owned(),
                None => format!("curl ended with {status}"),
            })),
            Err(error) => Err(self.broken(error.to_string())),
        }
    }

    fn broken(&self, reason: String) -> TransferError {
        TransferError::Broken { url: self.url.clone(), reason }
    }
}

impl Read for Transfer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.output.read(buffer)
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        // Both fail only if it has ended.
        let _ = self.curl.kill();
        let _ = self.curl.wait();
    }
}
