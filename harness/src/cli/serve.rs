//! `wheeltap serve`.

use std::{
    fmt,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use serde::Serialize;
use serde_json::json;
use wheeltap_images::{Cache, payload::FetchError};
use wheeltap_scenarios::updates::{
    Asked, Release, Served, TlsError, TlsIdentity, UpdateServer, UpdateServerError, Version,
};

use super::{
    args::{ServeCommand, ServeUpdatesArgs},
    steps::{ending_signal, with_steps},
};
use crate::{
    ExitCode, UserError,
    updates::{board_in, version_in},
};

pub(super) fn serve(command: &ServeCommand) -> Result<ExitCode, UserError> {
    let ServeCommand::Updates(args) = command;
    let offer = Offer::gather(args)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| UserError::infra(format!("no threads can be started: {error}")))?;
    let result = runtime.block_on(updates(args, &offer));
    // A payload that is still being hashed is of no use any more.
    runtime.shutdown_background();
    result
}

async fn updates(args: &ServeUpdatesArgs, offer: &Offer) -> Result<ExitCode, UserError> {
    let ended = ending_signal()?;
    tokio::pin!(ended);
    let server = tokio::select! {
        server = start(args, offer) => server?,
        () = &mut ended => return Ok(ExitCode::Interrupted),
    };
    say(args.json, &Listening { server: &server, args, offer });
    let mut shown = 0;
    loop {
        tokio::select! {
            biased;
            served = server.request(shown) => {
                say(args.json, &served);
                shown += 1;
            }
            () = &mut ended => break,
        }
    }
    let served = server.stop().await;
    for request in &served[shown..] {
        say(args.json, request);
    }
    say(args.json, &Summary::of(&served));
    Ok(ExitCode::Passed)
}

async fn start(args: &ServeUpdatesArgs, offer: &Offer) -> Result<UpdateServer, UserError> {
    let identity = match (&args.tls_cert, &args.tls_key) {
        (Some(certificate), Some(key)) => Some(TlsIdentity::load(certificate, key)?),
        _ => None,
    };
    let releases = releases(args, offer).await?;
    Ok(match identity {
        Some(identity) => UpdateServer::start_tls(args.listen, releases, &identity).await?,
        None => UpdateServer::start(args.listen, releases).await?,
    })
}

async fn releases(
    args: &ServeUpdatesArgs,
    offer: &Offer,
) -> Result<Vec<Release>, UpdateServerError> {
    let [payload, extensions @ ..] = offer.files.as_slice() else { return Ok(Vec::new()) };
    let mut release = Release::load(payload).await?;
    for extension in extensions {
        release = release.with_extension(extension).await?;
    }
    if let Some(version) = &offer.version {
        release = release.with_version(version.clone());
    }
    for group in &args.group {
        release = release.for_group(group);
    }
    if let Some(board) = args.board.as_ref().or(offer.board.as_ref()) {
        release = release.for_board(board);
    }
    Ok(vec![release])
}

/// What is offered, when all of it is here.
struct Offer {
    files: Vec<PathBuf>,
    version: Option<Version>,
    board: Option<String>,
}

impl Offer {
    /// Downloads what is elsewhere.
    fn gather(args: &ServeUpdatesArgs) -> Result<Self, UserError> {
        let files: Result<_, _> = args.payload.iter().map(|named| fetched(named)).collect();
        let payload = args.payload.first().and_then(|payload| url(payload));
        let version = args.version.clone().or_else(|| payload.and_then(version_in));
        let board = payload.and_then(board_in).map(str::to_owned);
        Ok(Self { files: files?, version, board })
    }
}

fn fetched(named: &Path) -> Result<PathBuf, UserError> {
    let Some(url) = url(named) else {
        return Ok(named.to_owned());
    };
    let name = url.rsplit('/').next().unwrap_or(url);
    with_steps(name, |cancel, step| Ok(Cache::of_user()?.fetch(url, cancel, step)?))
}

/// A URL that was given where a file may be.
fn url(named: &Path) -> Option<&str> {
    named.to_str().filter(|text| text.contains("://"))
}

/// Something that fits on one line, for people and for programs.
trait Line: fmt::Display {
    fn json(&self) -> serde_json::Value;
}

/// Prints a line. Serving goes on when nobody reads it any more.
fn say(json: bool, line: &impl Line) {
    let mut stdout = io::stdout().lock();
    let _ = if json { writeln!(stdout, "{}", line.json()) } else { writeln!(stdout, "{line}") };
}

/// The first line.
struct Listening<'a> {
    server: &'a UpdateServer,
    args: &'a ServeUpdatesArgs,
    offer: &'a Offer,
}

impl fmt::Display for Listening<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SERVER={}  offers ", self.server.url())?;
        match &self.offer.version {
            Some(version) => write!(f, "version {version}")?,
            None => f.write_str("an update without a version")?,
        }
        if !self.args.group.is_empty() {
            write!(f, " to {}", self.args.group.join(", "))?;
        }
        f.write_str("; Ctrl-C ends it")
    }
}

impl Line for Listening<'_> {
    fn json(&self) -> serde_json::Value {
        let Self { server, args, offer } = self;
        let version = offer.version.as_ref().map(ToString::to_string);
        json!({ "kind": "listening", "url": server.url(), "version": version, "groups": args.group })
    }
}

impl Line for Served {
    fn json(&self) -> serde_json::Value {
        self.to_json()
    }
}

/// The last line.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Summary {
    checks: usize,
    offers: usize,
    events: usize,
    downloads: usize,
    bytes: u64,
    refused: usize,
}

impl Summary {
    fn of(served: &[Served]) -> Self {
        let mut summary = Self::default();
        for request in served {
            summary.checks += usize::from(request.is_check());
            summary.offers += usize::from(request.offered().is_some());
            summary.downloads += usize::from(request.is_download());
            summary.bytes += request.sent();
            summary.refused += usize::from(matches!(request.asked, Asked::Refused { .. }));
            let apps = request.update_request().into_iter().flat_map(|request| &request.apps);
            summary.events += apps.map(|app| app.events.len()).sum::<usize>();
        }
        summary
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { checks, offers, events, downloads, bytes, refused } = self;
        write!(
            f,
            "update checks: {checks}, of which {offers} got an update; events: {events}; \
             downloads: {downloads}, {bytes} bytes; refused: {refused}"
        )
    }
}

impl Line for Summary {
    fn json(&self) -> serde_json::Value {
        json!({ "kind": "summary", "summary": self })
    }
}

impl From<UpdateServerError> for UserError {
    fn from(error: UpdateServerError) -> Self {
        match error {
            UpdateServerError::InUse { .. } | UpdateServerError::Listen { .. } => {
                Self::infra(error.to_string())
            }
            UpdateServerError::NoSuchAddress { .. }
            | UpdateServerError::Missing { .. }
            | UpdateServerError::NotAFile { .. }
            | UpdateServerError::Empty { .. }
            | UpdateServerError::Unreadable { .. }
            | UpdateServerError::BadName { .. }
            | UpdateServerError::SameName { .. } => Self::usage(error.to_string()),
        }
    }
}

impl From<TlsError> for UserError {
    fn from(error: TlsError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<FetchError> for UserError {
    fn from(error: FetchError) -> Self {
        let message = error.to_string();
        match error {
            FetchError::BadUrl { .. } => Self::usage(message),
            FetchError::Cancelled => Self::usage(message).with_code(ExitCode::Interrupted),
            FetchError::Transfer { .. }
            | FetchError::Status { .. }
            | FetchError::NoDigest { .. }
            | FetchError::Corrupt { .. }
            | FetchError::Cache(_) => Self::infra(message),
        }
    }
}
