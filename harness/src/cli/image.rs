//! `wheeltap image`.

use std::{
    io::IsTerminal as _,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use indicatif::ProgressBar;
use tokio::signal::unix::{SignalKind, signal};
use wheeltap_images::{BuildOptions, Cache};

use super::{args::ImageCommand, list::print_json, out};
use crate::{ExitCode, UserError};

pub(super) fn image(command: &ImageCommand) -> Result<ExitCode, UserError> {
    match command {
        ImageCommand::Build { version, out, force } => build(version, out.as_ref(), *force),
        ImageCommand::List { json } => list(*json),
        ImageCommand::Path { name } => {
            out::line(wheeltap_images::resolve(name)?.path.display());
            Ok(ExitCode::Passed)
        }
    }
}

fn build(version: &str, copy: Option<&PathBuf>, force: bool) -> Result<ExitCode, UserError> {
    let options = BuildOptions { out: copy.cloned(), force, ..BuildOptions::new(version) };
    let cancel = Arc::new(AtomicBool::new(false));
    // The build is made of processes and needs no runtime; the signals do.
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime =
        runtime.map_err(|error| UserError::infra(format!("no threads can be started: {error}")))?;
    runtime.spawn(cancel_on_signal(Arc::clone(&cancel)));

    let bar = std::io::stderr().is_terminal().then(ProgressBar::new_spinner);
    if let Some(bar) = &bar {
        bar.enable_steady_tick(Duration::from_millis(200));
    }
    let mut step = |name: &str| match &bar {
        Some(bar) => bar.set_message(format!("reference {version}: {name}")),
        None => out::error_line(format_args!("reference {version}: {name}")),
    };
    let built = Cache::of_user()?.build(&options, &cancel, &mut step);
    if let Some(bar) = &bar {
        bar.finish_and_clear();
    }
    let image = built?.image;
    out::line(copy.unwrap_or(&image.path).display());
    Ok(ExitCode::Passed)
}

async fn cancel_on_signal(cancel: Arc<AtomicBool>) {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    cancel.store(true, Ordering::Relaxed);
}

fn list(json: bool) -> Result<ExitCode, UserError> {
    let images = Cache::of_user()?.list()?;
    if json {
        return print_json(&images);
    }
    for image in images {
        let mib = image.size / (1 << 20);
        out::line(format_args!(
            "{}  {mib} MiB  sha256:{}  {}",
            image.name,
            &image.digest[..12],
            image.path.display()
        ));
    }
    Ok(ExitCode::Passed)
}
