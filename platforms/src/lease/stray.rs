//! Processes that would outlive their wheeltap: the kernel ends them; and what survives all the same is found by its command
//! line, and ended by a handle that no other process can take over.

use std::{
    fs, io,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::PathBuf,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};

use super::owner::{PrivateName, Process};

/// A process that was killed ends as soon as the kernel has freed its memory; several GiB take a second or two.
const KILL_LIMIT: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

/// A process of this user that serves a QMP socket in a private directory of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stray {
    pub(crate) process: Process,
    /// Its socket.
    pub(crate) socket: PathBuf,
    /// Its program, for people.
    pub(crate) program: String,
}

impl Stray {
    /// All of this user's.
    pub(crate) fn all() -> Vec<Self> {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        entries.filter_map(|entry| Self::of(entry.file_name().to_str()?.parse().ok()?)).collect()
    }

    /// The process of that number, if it is one.
    fn of(pid: u32) -> Option<Self> {
        let directory = PathBuf::from(format!("/proc/{pid}"));
        let uid = fs::metadata(&directory).ok()?.uid();
        // In another PID namespace (a container's) the number in a name is another process's here.
        let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
        let ours = namespace("self").is_some_and(|own| namespace(&pid.to_string()) == Some(own));
        if uid != rustix::process::geteuid().as_raw() || !ours {
            return None;
        }
        // Before the command line: if the number changes hands in between, the start time doesn't fit later.
        let process = Process::with_pid(pid)?;
        let (program, socket) = parse_command_line(&fs::read(directory.join("cmdline")).ok()?)?;
        Some(Self { process, socket, program })
    }

    /// The process whose private directory it uses.
    pub(crate) fn owner(&self) -> Option<Process> {
        Some(PrivateName::of(self.socket.parent()?)?.owner)
    }

    /// Ends it, and waits until it has ended.
    ///
    /// # Errors
    /// If it can't be killed, or doesn't end.
    pub(crate) fn end(&self) -> io::Result<()> {
        let Some(pid) = i32::try_from(self.process.pid).ok().and_then(Pid::from_raw) else {
            return Ok(());
        };
        let handle = match pidfd_open(pid, PidfdFlags::empty()) {
            Err(Errno::SRCH) => return Ok(()),
            handle => handle?,
        };
        // Whoever has the number now, the handle keeps it; so what is asked now stays true.
        if Self::of(self.process.pid).as_ref() != Some(self) {
            return Ok(());
        }
        match pidfd_send_signal(&handle, Signal::KILL) {
            Err(Errno::SRCH) => return Ok(()),
            sent => sent?,
        }
        match poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&KILL_LIMIT))? {
            0 => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("it did not end within {} s of SIGKILL", KILL_LIMIT.tv_sec),
            )),
            _ => Ok(()),
        }
    }
}

/// Program and QMP socket of a `/proc/PID/cmdline`, if the socket is in a private directory. This reads what
/// `qemu::args` writes.
pub(crate) fn parse_command_line(line: &[u8]) -> Option<(String, PathBuf)> {
    let mut args = line.split(|byte| *byte == 0);
    let program = String::from_utf8_lossy(args.next()?).into_owned();
    args.find_map(|arg| {
        let arg = std::str::from_utf8(arg).ok()?;
        let socket = arg.strip_prefix("unix:")?.strip_suffix(",server=on,wait=off")?;
        let socket = PathBuf::from(socket.replace(",,", ","));
        let ours = socket.file_name()?.as_bytes() == b"qmp"
            && socket.is_absolute()
            && PrivateName::of(socket.parent()?).is_some();
        ours.then_some((program.clone(), socket))
    })
}

/// Lets a process die with wheeltap, even by SIGKILL.
pub(crate) fn leave_no_orphan(command: &mut tokio::process::Command) {
    let parent = rustix::process::getpid();
    // SAFETY: prctl(2) and getppid(2) are async-signal-safe, and the closure allocates nothing.
    #[expect(unsafe_code, reason = "there is no safe interface to prctl between fork and exec")]
    unsafe {
        command.pre_exec(move || {
            // The signal is tied to the *thread* that forks: this runs on a runtime worker or on the main thread, both
            // of which live as long as the runtime.
            rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
            // If wheeltap died between fork and prctl, nobody would send that signal any more.
            if rustix::process::getppid() != Some(parent) {
                return Err(io::Error::other("wheeltap is gone"));
            }
            Ok(())
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};
    use test_case::test_case;

    use super::*;

    #[test_case("qemu\0-qmp\0unix:/tmp/wheeltap-1-2-0123456789/qmp,server=on,wait=off\0" => Some("/tmp/wheeltap-1-2-0123456789/qmp".into()))]
    #[test_case("qemu\0-qmp\0unix:/a,,b/wheeltap-1-2-0123456789/qmp,server=on,wait=off\0" => Some("/a,b/wheeltap-1-2-0123456789/qmp".into()); "a comma")]
    #[test_case("qemu\0-qmp\0unix:/tmp/mine/qmp,server=on,wait=off\0" => None; "somebody's own machine")]
    #[test_case("socat\0-\0unix:/tmp/wheeltap-1-2-0123456789/qmp\0" => None; "who only talks to it")]
    #[test_case("tail\0-f\0/tmp/wheeltap-1-2-0123456789/qmp\0" => None; "who only looks at it")]
    #[test_case("qemu\0-qmp\0unix:wheeltap-1-2-0123456789/qmp,server=on,wait=off\0" => None; "relative")]
    #[test_case("" => None; "a process that ends")]
    fn command_lines(line: &str) -> Option<PathBuf> {
        parse_command_line(line.as_bytes()).map(|(_, socket)| socket)
    }

    #[test]
    fn only_who_serves_our_socket_is_ended() {
        let socket = "unix:/tmp/wheeltap-1-2-0123456789/qmp,server=on,wait=off";
        let mut child = std::process::Command::new("sh")
            .args(["-c", "read line", socket])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let stray = loop {
            // Until it has replaced its copy of us.
            if let Some(stray) = Stray::of(child.id()) {
                break stray;
            }
        };
        assert_eq!(stray.program, "sh");
        let start = stray.process.start;
        let other = Process { start: start + 1, ..stray.process };
        Stray { process: other, ..stray.clone() }.end().unwrap();
        assert!(stray.process.is_alive(), "a process that has the number of another is left alone");
        stray.end().unwrap();
        assert!(!child.wait().unwrap().success());
        stray.end().unwrap();
    }

    proptest! {
        #[test]
        fn any_command_line_is_read_without_a_panic(line in any::<Vec<u8>>()) {
            let _ = parse_command_line(&line);
        }
    }
}
