//! One QEMU process: started, watched, ended.

use std::{
    ffi::OsString,
    fs, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use qapi::qmp;
use tokio::{
    process::{Child, Command},
    sync::{mpsc, watch},
};

use super::{
    args::{Launch, Memory},
    disk,
    qmp::{Qmp, Seen},
    state::{self, SavedMemory, SavedState},
};
use crate::{
    Interrupt, Interrupter, Interruption, Machine, MachineExit, MachineSpec, Origin, PlatformError,
    PrivateDirectory, WaitError,
    lease::{LeasedFiles, LeasedProcess, Leases, leave_no_orphan},
    wait_for,
};

/// From the start of the process to the first answer on QMP. QEMU needs a tenth of a second; the rest is for hosts
/// that are starved or whose disk is slow.
const START_LIMIT: Duration = Duration::from_secs(60);

/// A QEMU that is well ends within milliseconds of being told to.
const QUIT_LIMIT: Duration = Duration::from_secs(2);

/// Ending a process by SIGKILL takes as long as the kernel needs to free its memory.
const KILL_LIMIT: Duration = Duration::from_secs(10);

/// A machine in a QEMU process of its own.
pub(crate) struct QemuMachine {
    name: String,
    console: PathBuf,
    ssh_address: SocketAddr,
    host_address: Option<IpAddr>,
    interrupter: Interrupter,
    expect_exit: Arc<AtomicBool>,
    qmp: Arc<Qmp>,
    exited: watch::Receiver<Option<MachineExit>>,
    kill: mpsc::Sender<()>,
    /// What is removed with the machine: its files, and the directory that holds the QMP socket.
    made: Mutex<(LeasedFiles, Option<PrivateDirectory>)>,
    /// What it becomes when it is saved, if it can be.
    savable: Option<SavedState>,
}

/// Writes the evidence that exists before a machine does, makes its disks, and starts QEMU.
pub(crate) async fn start(
    program: &Path,
    mut launch: Launch,
    spec: MachineSpec,
    ovmf_variables: Option<&Path>,
) -> Result<QemuMachine, PlatformError> {
    let savable = match &spec.origin {
        Origin::Savable(directory) => Some(SavedState {
            directory: directory.clone(),
            hardware: spec.hardware.clone(),
            memory: match launch.memory {
                Memory::File(_) => SavedMemory::Mapped,
                _ => SavedMemory::Copied,
            },
        }),
        Origin::Boot | Origin::Fork(_) => None,
    };
    let disposable = disposable_files(&launch)?;
    let written = |file: &Path| {
        let file = file.to_path_buf();
        move |error: io::Error| {
            PlatformError::infra(format!("can't write {}: {error}", file.display()))
        }
    };
    fs::write(&launch.ignition, &spec.ignition).map_err(written(&launch.ignition))?;
    // QEMU would make it, but a watcher that starts first must find it.
    fs::File::create(&launch.console).map_err(written(&launch.console))?;
    if let Origin::Fork(state) = &spec.origin {
        fork_disks(&launch, state).await?;
    } else {
        disk::create_overlay(&spec.image, &launch.disk).await?;
        for (extra, file) in launch.hardware.disks.iter().zip(&launch.extra_disks) {
            disk::create_empty(file, extra.size_mib).await?;
        }
        if let (Some(template), Some((_, variables))) = (ovmf_variables, &launch.ovmf) {
            fs::copy(template, variables).map_err(written(variables))?;
        }
    }
    disk::apply_patches(&launch.disk, &spec.patches).await?;
    let runtime_directory = crate::private_directory()?;
    launch.qmp_socket = runtime_directory.path().join("qmp");

    let args = launch.args();
    let command_line = command_line(program, &args);
    let args_file = spec.evidence.join("qemu.args");
    fs::write(&args_file, &command_line).map_err(written(&args_file))?;
    let stderr_file = spec.evidence.join("qemu.stderr");
    let stderr = fs::File::create(&stderr_file).map_err(written(&stderr_file))?;
    let process = Leases::of_this_process().process(&launch.qmp_socket);
    let mut child = spawn(program, &args, stderr)?;
    if let Some(pid) = child.id() {
        process.started(pid);
    }

    // From here on the process is owned by `child` (killed on drop) until its guardian task takes over.
    let connected = tokio::select! {
        connected = Qmp::connect(&launch.qmp_socket, spec.evidence.join("qmp.jsonl")) => Ok(connected),
        status = child.wait() => Err(PlatformError::infra(match status {
            Ok(status) => format!("qemu ended before it could be reached ({status})"),
            Err(error) => format!("qemu can't be waited for: {error}"),
        })),
        () = tokio::time::sleep(START_LIMIT) => Err(PlatformError::infra(format!(
            "qemu gave no QMP answer within {} s", START_LIMIT.as_secs()
        ))),
    };
    let with_evidence = |error: PlatformError| {
        let said = last_words(&stderr_file);
        PlatformError::infra(format!("{}{said}\nits command was:\n{command_line}", error.message))
    };
    let qmp = Arc::new(connected.map_err(with_evidence)?);
    if let Origin::Fork(state) = &spec.origin {
        let resumed = tokio::select! {
            biased;
            status = child.wait() => Err(PlatformError::infra(match status {
                Ok(status) => format!("qemu could not read the saved state ({status})"),
                Err(error) => format!("qemu can't be waited for: {error}"),
            })),
            resumed = state::resume(&qmp, state) => resumed,
        };
        resumed.map_err(with_evidence)?;
    }
    let port = qmp.forwarded_ssh_port().await.map_err(with_evidence)?;

    let interrupter = Interrupter::new();
    let expect_exit = Arc::new(AtomicBool::new(false));
    let (kill, kill_requests) = mpsc::channel(1);
    let (exit_sender, exited) = watch::channel(None);
    tokio::spawn(guard(Guardian {
        child,
        _process: process,
        kill_requests,
        qmp: Arc::clone(&qmp),
        stderr_file,
        interrupter: interrupter.clone(),
        expect_exit: Arc::clone(&expect_exit),
        exited: exit_sender,
    }));
    Ok(QemuMachine {
        name: spec.name,
        host_address: launch.host_address(),
        console: launch.console,
        ssh_address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        interrupter,
        expect_exit,
        qmp,
        exited,
        kill,
        made: Mutex::new((disposable, Some(runtime_directory))),
        savable,
    })
}

/// Disks of a fork: overlays on those of the state.
async fn fork_disks(launch: &Launch, state: &SavedState) -> Result<(), PlatformError> {
    disk::create_overlay(&state.disk(), &launch.disk).await?;
    for (extra, file) in launch.hardware.disks.iter().zip(&launch.extra_disks) {
        disk::create_overlay(&state.extra_disk(&extra.serial), file).await?;
    }
    match &launch.ovmf {
        Some((_, variables)) => state::copy_variables(&state.variables(), variables),
        None => Ok(()),
    }
}

/// Files that live no longer than the machine, and lie together: its disks, firmware variables and memory.
fn disposable_files(launch: &Launch) -> Result<LeasedFiles, PlatformError> {
    let mut files = vec![&launch.disk];
    files.extend(&launch.extra_disks);
    files.extend(launch.ovmf.as_ref().map(|(_, variables)| variables));
    if let Memory::File(memory) = &launch.memory {
        files.push(memory);
    }
    let name = |file: &&PathBuf| Some(file.file_name()?.to_string_lossy().into_owned());
    let names: Vec<String> = files.iter().filter_map(name).collect();
    let directory = launch.disk.parent().unwrap_or(Path::new("/"));
    Leases::of_this_process().files(directory, &names).map_err(|error| {
        PlatformError::infra(format!("can't write in {}: {error}", directory.display()))
    })
}

/// The command as it can be pasted into a shell, one option per line.
fn command_line(program: &Path, args: &[OsString]) -> String {
    let mut text = program.to_string_lossy().into_owned();
    for arg in args {
        let arg = arg.to_string_lossy();
        text.push_str(if arg.starts_with('-') { " \\\n  " } else { " " });
        text.push_str(&crate::ssh::quote(&arg));
    }
    text.push('\n');
    text
}

fn spawn(program: &Path, args: &[OsString], stderr: fs::File) -> Result<Child, PlatformError> {
    let mut command = Command::new(program);
    command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr)
        // A group of its own: Ctrl-C in the terminal reaches wheeltap only, which then tears down in order.
        .process_group(0)
        .kill_on_drop(true);
    leave_no_orphan(&mut command);
    command.spawn().map_err(|error| {
        PlatformError::infra(match error.kind() {
            io::ErrorKind::NotFound => {
                format!("{} is not installed: apt-get install qemu-system-x86", program.display())
            }
            _ => format!("{} can't be started: {error}", program.display()),
        })
    })
}

/// The end of QEMU's standard error, for messages.
fn last_words(stderr_file: &Path) -> String {
    let text = fs::read(stderr_file).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    match text.trim() {
        "" => String::new(),
        text => format!(": {text}"),
    }
}

struct Guardian {
    child: Child,
    /// After the child, which dies when it is dropped.
    _process: LeasedProcess,
    kill_requests: mpsc::Receiver<()>,
    qmp: Arc<Qmp>,
    stderr_file: PathBuf,
    interrupter: Interrupter,
    expect_exit: Arc<AtomicBool>,
    exited: watch::Sender<Option<MachineExit>>,
}

/// Owns the process: kills it when asked to (or when the machine is dropped), reaps it, and tells everybody how it ended.
async fn guard(mut guardian: Guardian) {
    let mut killed = false;
    let status = tokio::select! {
        status = guardian.child.wait() => status,
        // `None` means that the machine was dropped; both end the process.
        _ = guardian.kill_requests.recv() => {
            killed = true;
            let _ = guardian.child.start_kill();
            guardian.child.wait().await
        }
    };
    guardian.qmp.drained().await;
    let exit = match guardian.qmp.seen().ended() {
        _ if killed => MachineExit::Quit,
        Some(exit) => exit,
        None => MachineExit::Died {
            how: match status {
                Ok(status) => {
                    format!("qemu ended by itself ({status}){}", last_words(&guardian.stderr_file))
                }
                Err(error) => format!("qemu can't be waited for: {error}"),
            },
        },
    };
    if !guardian.expect_exit.load(Ordering::SeqCst) {
        let by_guest = matches!(exit, MachineExit::GuestPowerOff | MachineExit::GuestPanic);
        guardian.interrupter.raise(Interruption::MachineExited { how: exit.to_string(), by_guest });
    }
    guardian.exited.send_replace(Some(exit));
}

#[async_trait]
impl Machine for QemuMachine {
    fn name(&self) -> &str {
        &self.name
    }

    fn interrupter(&self) -> &Interrupter {
        &self.interrupter
    }

    fn ssh_address(&self) -> SocketAddr {
        self.ssh_address
    }

    fn host_address(&self) -> Option<IpAddr> {
        self.host_address
    }

    fn console_log(&self) -> Option<&Path> {
        Some(&self.console)
    }

    fn resets(&self) -> u32 {
        Seen::resets(self.qmp.seen())
    }

    fn expect_exit(&self) {
        self.expect_exit.store(true, Ordering::SeqCst);
    }

    async fn power_button(&self) -> Result<(), PlatformError> {
        self.qmp.execute(qmp::system_powerdown {}).await.map(drop)
    }

    async fn reset(&self) -> Result<(), PlatformError> {
        self.qmp.execute(qmp::system_reset {}).await.map(drop)
    }

    async fn pause(&self) -> Result<(), PlatformError> {
        self.qmp.execute(qmp::stop {}).await.map(drop)
    }

    async fn resume(&self) -> Result<(), PlatformError> {
        self.qmp.execute(qmp::cont {}).await.map(drop)
    }

    async fn status(&self) -> Result<String, PlatformError> {
        let status = self.qmp.execute(qmp::query_status {}).await?.status;
        Ok(serde_json::to_value(status)
            .ok()
            .and_then(|status| status.as_str().map(str::to_owned))
            .unwrap_or_else(|| format!("{status:?}")))
    }

    async fn screenshot(&self, file: &Path) -> Result<(), PlatformError> {
        let command = qmp::screendump {
            filename: file.to_string_lossy().into_owned(),
            device: None,
            head: None,
            format: Some(qmp::ImageFormat::png),
        };
        self.qmp.execute(command).await.map(drop)
    }

    async fn save(&self) -> Result<SavedState, PlatformError> {
        let state = self.savable.clone().ok_or_else(|| {
            PlatformError::infra(format!("machine {} was not started to be saved", self.name))
        })?;
        self.expect_exit();
        let mut exited = self.exited.clone();
        let memory = tokio::select! {
            saved = state::save(&self.qmp, &state) => saved?,
            _ = exited.wait_for(Option::is_some) => {
                return Err(PlatformError::infra("qemu ended while its state was being saved"));
            }
        };
        if let Ok(mut made) = self.made.lock() {
            made.0.keep();
        }
        self.destroy().await?;
        Ok(SavedState { memory, ..state })
    }

    async fn wait_exit(&self, limit: Duration) -> Result<MachineExit, WaitError> {
        let mut exited = self.exited.clone();
        let ended = async {
            match exited.wait_for(Option::is_some).await {
                Ok(exit) => exit.clone().unwrap_or(MachineExit::Quit),
                Err(_) => MachineExit::Died { how: "its guardian task is gone".into() },
            }
        };
        // Fatal lines and cancellation are raised on the same source, so a scenario that waits for the end after a
        // provoked panic says so with `expect` first.
        wait_for("the machine to end", limit, &self.interrupter.listen(), ended).await
    }

    async fn destroy(&self) -> Result<(), PlatformError> {
        self.expect_exit();
        let mut exited = self.exited.clone();
        let never = Interrupt::never();
        let quit = async {
            // A QEMU that is gone already has closed its end; that is as good as an answer.
            let _ = self.qmp.execute(qmp::quit {}).await;
            exited.clone().wait_for(Option::is_some).await.map(drop)
        };
        if wait_for("qemu to quit", QUIT_LIMIT, &never, quit).await.is_err() {
            // A full channel or a closed one both mean that the kill is under way.
            let _ = self.kill.try_send(());
        }
        wait_for("qemu to die", KILL_LIMIT, &never, exited.wait_for(Option::is_some))
            .await
            .map_err(|error| PlatformError::infra(error.to_string()))?
            .ok();
        let mut left = Vec::new();
        if let Ok(mut made) = self.made.lock() {
            let (files, directory) = &mut *made;
            left = files.remove();
            if let Some(directory) = directory.take() {
                let path = directory.path().to_path_buf();
                if let Err(error) = directory.close() {
                    left.push(format!("{} ({error})", path.display()));
                }
            }
        }
        if left.is_empty() {
            return Ok(());
        }
        Err(PlatformError::infra(format!("left behind, remove by hand: {}", left.join(", "))))
    }
}

impl Drop for QemuMachine {
    fn drop(&mut self) {
        // The guardian kills the process when `kill` is dropped; that end is wanted.
        self.expect_exit();
    }
}
