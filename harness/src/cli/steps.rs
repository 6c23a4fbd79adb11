//! Work without machines that takes a while: says what it does, and ends on Ctrl-C.

use std::{
    io::IsTerminal as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use indicatif::ProgressBar;
use tokio::signal::unix::{SignalKind, signal};

use super::out;
use crate::UserError;

/// Runs `work` with a flag that Ctrl-C sets, and a function that shows its steps.
pub(super) fn with_steps<T>(
    label: &str,
    work: impl FnOnce(&AtomicBool, &mut dyn FnMut(&str)) -> Result<T, UserError>,
) -> Result<T, UserError> {
    let cancel = Arc::new(AtomicBool::new(false));
    // The work blocks and needs no runtime; the signals do.
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime =
        runtime.map_err(|error| UserError::infra(format!("no threads can be started: {error}")))?;
    let ended = {
        let _runtime = runtime.enter();
        ending_signal()?
    };
    let flag = Arc::clone(&cancel);
    runtime.spawn(async move {
        ended.await;
        flag.store(true, Ordering::Relaxed);
    });

    let bar = std::io::stderr().is_terminal().then(ProgressBar::new_spinner);
    if let Some(bar) = &bar {
        bar.enable_steady_tick(Duration::from_millis(200));
    }
    let mut step = |name: &str| match &bar {
        Some(bar) => bar.set_message(format!("{label}: {name}")),
        None => out::error_line(format_args!("{label}: {name}")),
    };
    let result = work(&cancel, &mut step);
    if let Some(bar) = &bar {
        bar.finish_and_clear();
    }
    result
}

/// Ends when the user wants an end.
pub(super) fn ending_signal() -> Result<impl Future<Output = ()>, UserError> {
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
