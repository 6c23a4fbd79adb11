//! The daemon: one status, one thread that works, and a socket for the command.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use std::{env, io, thread};

use wheeltap_formats::omaha::InstallSource;

use crate::schedule::Schedule;
use crate::status::{Operation, Status};
use crate::{attempt, journal, prefs, slots, socket};

/// Exists while an update waits for a reboot, so that a restarted engine knows it too (update_engine's name).
const COMPLETED: &str = "/run/update_engine_autoupdate_completed";

/// On the kernel command line: the slot stays on trial.
const NO_MARK: &str = "flatcar.nosetgood";

/// What the threads share.
#[derive(Debug)]
pub(crate) struct Engine {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    status: Status,
    /// Somebody asked for a check.
    wanted: bool,
}

impl Engine {
    fn new() -> Self {
        let updated = Path::new(COMPLETED).exists();
        let operation = if updated { Operation::UpdatedNeedReboot } else { Operation::Idle };
        let state = State { status: Status::new(operation), wanted: false };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    pub(crate) fn status(&self) -> Status {
        self.lock().status.clone()
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut Status)) {
        change(&mut self.lock().status);
    }

    pub(crate) fn set(&self, operation: Operation) {
        self.update(|status| status.operation = operation);
    }

    /// Ends an attempt: nothing is on offer any more.
    pub(crate) fn settle(&self, operation: Operation) {
        self.update(|status| status.settle(operation));
    }

    /// Ends an attempt that succeeded.
    pub(crate) fn update_applied(&self) {
        if let Err(error) = File::create(COMPLETED) {
            journal::warning(format!("Cannot create {COMPLETED}: {error}."));
        }
        self.set(Operation::UpdatedNeedReboot);
    }

    /// Asks for a check, unless something is going on.
    pub(crate) fn attempt_update(&self) {
        let mut state = self.lock();
        if state.status.operation == Operation::Idle {
            state.status.operation = Operation::CheckingForUpdate;
            state.wanted = true;
            self.changed.notify_all();
        } else {
            let operation = state.status.operation;
            journal::info(format!("Skipping update check because current status is {operation}."));
        }
    }

    /// Forgets an update that waits for a reboot. As with update_engine, the slot that was written boots all the same.
    ///
    /// # Errors
    /// An attempt is going on.
    pub(crate) fn reset_status(&self) -> Result<(), String> {
        let mut state = self.lock();
        match state.status.operation {
            Operation::Idle => Ok(()),
            Operation::UpdatedNeedReboot => {
                state.status.settle(Operation::Idle);
                journal::info("The update that was applied is forgotten.");
                // Else the next check in this boot would take the version that runs for one that was rolled back to.
                if let Err(error) = prefs::set_previous_version("") {
                    journal::warning(format!("The next check will report a rollback: {error}."));
                }
                match fs::remove_file(COMPLETED) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        Err(format!("cannot remove {COMPLETED}: {error}"))
                    }
                    _ => Ok(()),
                }
            }
            operation => Err(format!("reset is not possible while the status is {operation}")),
        }
    }

    /// Waits until somebody wants a check, or `until`. True for a check that is wanted.
    fn wait(&self, until: Instant) -> bool {
        let mut state = self.lock();
        loop {
            if std::mem::take(&mut state.wanted) {
                return true;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state =
                self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn work(&self) {
        let seed = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let line = fs::read_to_string("/proc/cmdline").unwrap_or_default();
        // When an update waits for a reboot, marking this slot good would take the other's turn away.
        let mark_good = self.status().operation == Operation::Idle
            && !line.split_whitespace().any(|word| word == NO_MARK);
        let mut schedule = Schedule::new(Instant::now(), &seed, mark_good);
        loop {
            let wanted = self.wait(schedule.next());
            let now = Instant::now();
            let check = wanted || now >= schedule.check;
            // As in update_engine, a check doesn't come before the slot is marked.
            if schedule.mark_good.is_some_and(|time| check || now >= time) {
                schedule.mark_good = None;
                mark_slot_good();
            }
            if check {
                let idle = self.status().operation == Operation::Idle;
                if wanted || idle {
                    self.set(Operation::CheckingForUpdate);
                    let source =
                        if wanted { InstallSource::OnDemand } else { InstallSource::Scheduler };
                    attempt::run(self, source);
                }
                schedule.checked(Instant::now());
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn mark_slot_good() {
    match slots::run(&["/usr/sbin/flatcar-setgoodroot"]) {
        Ok(_) => journal::info("The slot that runs is marked good."),
        Err(error) => journal::error(format!("The slot that runs stays on trial: {error}.")),
    }
}

/// Runs until it is killed.
pub(crate) fn run() -> ExitCode {
    let listener = match listen() {
        Ok(listener) => listener,
        Err(error) => {
            journal::error(format!("Cannot listen on {}: {error}.", socket::PATH));
            return ExitCode::FAILURE;
        }
    };
    journal::info("wheeltap's stand-in for update_engine starting.");
    let engine = Arc::new(Engine::new());
    let served = Arc::clone(&engine);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let answered = stream.and_then(|stream| socket::answer(&stream, &served));
            if let Err(error) = answered {
                journal::warning(format!("A command got no answer: {error}."));
            }
        }
    });
    if let Err(error) = tell_systemd() {
        journal::warning(format!("systemd was not told that the engine is ready: {error}."));
    }
    engine.work();
    ExitCode::SUCCESS
}

/// Anybody may ask, as over D-Bus.
fn listen() -> io::Result<UnixListener> {
    let path = Path::new(socket::PATH);
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o666))?;
    Ok(listener)
}

/// `sd_notify`: the socket is there.
fn tell_systemd() -> io::Result<()> {
    match env::var_os("NOTIFY_SOCKET") {
        Some(path) => UnixDatagram::unbound()?.send_to(b"READY=1", path).map(drop),
        None => Ok(()),
    }
}
