//! `wheeltap serve`.

use std::{
    fmt,
    io::{self, Write as _},
};

use serde::Serialize;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use wheeltap_scenarios::updates::{Asked, Release, Served, UpdateServer, UpdateServerError};

use super::args::{ServeCommand, ServeUpdatesArgs};
use crate::{ExitCode, UserError};

pub(super) fn serve(command: &ServeCommand) -> Result<ExitCode, UserError> {
    let ServeCommand::Updates(args) = command;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| UserError::infra(format!("no threads can be started: {error}")))?;
    let result = runtime.block_on(updates(args));
    // A payload that is still being hashed is of no use any more.
    runtime.shutdown_background();
    result
}

async fn updates(args: &ServeUpdatesArgs) -> Result<ExitCode, UserError> {
    let ended = ending_signal()?;
    tokio::pin!(ended);
    let server = tokio::select! {
        server = start(args) => server?,
        () = &mut ended => return Ok(ExitCode::Interrupted),
    };
    say(args.json, &Listening { server: &server, args });
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

async fn start(args: &ServeUpdatesArgs) -> Result<UpdateServer, UpdateServerError> {
    let [payload, extensions @ ..] = args.payload.as_slice() else {
        return UpdateServer::start(args.listen, Vec::new()).await;
    };
    let mut release = Release::load(payload).await?;
    for extension in extensions {
        release = release.with_extension(extension).await?;
    }
    if let Some(version) = &args.version {
        release = release.with_version(version.clone());
    }
    for group in &args.group {
        release = release.for_group(group);
    }
    UpdateServer::start(args.listen, vec![release]).await
}

/// Ends when the user wants an end.
fn ending_signal() -> Result<impl Future<Output = ()>, UserError> {
    let listen = |kind| {
        signal(kind).map_err(|error| UserError::infra(format!("no signals can be seen: {error}")))
    };
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
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
}

impl fmt::Display for Listening<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SERVER={}  offers ", self.server.url())?;
        match &self.args.version {
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
        let Self { server, args } = self;
        let version = args.version.as_ref().map(ToString::to_string);
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
