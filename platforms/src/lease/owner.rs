//! Which process made something, and whether it lives.

use std::{
    fmt,
    fs::{self, File, TryLockError},
    path::Path,
    sync::OnceLock,
};

use serde::{Deserialize, Serialize};

use crate::lock_file::LockFile;

/// A process, told from all others that have had or will have its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Process {
    /// Its number.
    pub(crate) pid: u32,
    /// When it started, in clock ticks since the boot of the host (proc(5), `/proc/PID/stat`, field 22).
    pub(crate) start: u64,
}

impl Process {
    /// This one.
    pub(crate) fn current() -> Self {
        static CURRENT: OnceLock<Process> = OnceLock::new();
        *CURRENT.get_or_init(|| {
            let pid = std::process::id();
            // Without /proc nothing of this works, and QEMU's accelerator is not found either; 0 is never alive.
            Self { pid, start: start_of(pid).unwrap_or(0) }
        })
    }

    /// The process that has this number now, unless it has ended.
    pub(crate) fn with_pid(pid: u32) -> Option<Self> {
        start_of(pid).map(|start| Self { pid, start })
    }

    /// Whether it runs. One that has ended and waits to be reaped doesn't.
    pub(crate) fn is_alive(self) -> bool {
        start_of(self.pid) == Some(self.start)
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.pid, self.start)
    }
}

fn start_of(pid: u32) -> Option<u64> {
    parse_stat(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// The start time in a `/proc/PID/stat`, if the process has not ended.
fn parse_stat(stat: &[u8]) -> Option<u64> {
    // The second field is a name in parentheses, which may itself hold spaces, parentheses and newlines.
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let mut fields = std::str::from_utf8(&stat[end + 1..]).ok()?.split_ascii_whitespace();
    let state = fields.next()?;
    // Zombie, or dead.
    if matches!(state, "Z" | "X" | "x") {
        return None;
    }
    // The state is field 3.
    fields.nth(22 - 4)?.parse().ok()
}

/// Host and boot that a process belongs to: its number and start time mean nothing elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Host {
    /// `/etc/machine-id`, or the host's name: a home directory may be shared by several hosts.
    pub(crate) host: String,
    /// The kernel's random id of this boot.
    pub(crate) boot: String,
}

impl Host {
    /// This one, since it was last booted.
    pub(crate) fn current() -> &'static Self {
        static CURRENT: OnceLock<Host> = OnceLock::new();
        CURRENT.get_or_init(|| {
            let line = |path: &str| {
                let text = fs::read_to_string(path).unwrap_or_default();
                Some(text.trim().to_owned()).filter(|text| !text.is_empty())
            };
            let name = || rustix::system::uname().nodename().to_string_lossy().into_owned();
            Self {
                host: line("/etc/machine-id").unwrap_or_else(name),
                boot: line("/proc/sys/kernel/random/boot_id").unwrap_or_default(),
            }
        })
    }
}

/// Whether somebody holds the lock of a directory; `None` where it can't be had and can't be found out.
pub(crate) fn alive_by_lock(directory: &Path) -> Option<bool> {
    // Shared, so that several may ask at the same time.
    match LockFile(File::open(directory).ok()?).try_lock_shared() {
        Ok(()) => Some(false),
        Err(TryLockError::WouldBlock) => Some(true),
        // Some network file systems have no locks for directories.
        Err(TryLockError::Error(_)) => None,
    }
}

/// The name of a private directory: `wheeltap-PID-START-RANDOM`. It says by itself whose it is, so that the directory can
/// be judged where there is no lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PrivateName {
    pub(crate) owner: Process,
    random: String,
}

/// How the names of private directories begin.
const PRIVATE_PREFIX: &str = "wheeltap-";

impl PrivateName {
    /// A name of this process that nobody can foretell.
    pub(crate) fn new() -> Self {
        Self { owner: Process::current(), random: random() }
    }

    /// Reads what [`Display`](fmt::Display) writes, and nothing else.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (owner, random) = parse_owned(name.strip_prefix(PRIVATE_PREFIX)?)?;
        Some(Self { owner, random: random.to_owned() })
    }

    /// The name that ends a path.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        Self::parse(path.file_name()?.to_str()?)
    }
}

impl fmt::Display for PrivateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PRIVATE_PREFIX}{}-{}", self.owner, self.random)
    }
}

/// The name under which a process keeps its leases: `PID-START-RANDOM`.
pub(crate) fn ledger_name() -> String {
    format!("{}-{}", Process::current(), random())
}

/// Reads a name that [`ledger_name`] made.
pub(crate) fn parse_ledger_name(name: &str) -> Option<Process> {
    parse_owned(name).map(|(owner, _)| owner)
}

/// Reads `PID-START-RANDOM`.
fn parse_owned(text: &str) -> Option<(Process, &str)> {
    fn number<T: std::str::FromStr + ToString>(text: &str) -> Option<T> {
        // As it would be written: no sign, no leading zeros.
        text.parse().ok().filter(|number: &T| number.to_string() == text)
    }
    let mut parts = text.split('-');
    let process = Process { pid: number(parts.next()?)?, start: number(parts.next()?)? };
    let random = parts.next()?;
    let ours = random.len() == RANDOM && random.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (ours && parts.next().is_none()).then_some((process, random))
}

/// Letters of a random name: 40 bits. It need not be secret, since what exists already is never used.
const RANDOM: usize = 10;

fn random() -> String {
    use std::hash::{BuildHasher as _, Hasher as _, RandomState};
    // Keyed by the operating system's random numbers, and another key for each.
    let number = RandomState::new().build_hasher().finish();
    let hex = format!("{number:016x}");
    hex[..RANDOM].to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};
    use test_case::test_case;

    use super::*;

    const TAIL: &str = "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20 21";

    #[test_case("12 (qemu) S" => Some(4711))]
    #[test_case("12 (a) b) (c\n) R" => Some(4711); "a name of ill will")]
    #[test_case("12 (qemu) Z" => None; "ended and not reaped")]
    #[test_case("12 (qemu) X" => None; "dead")]
    fn stat(head: &str) -> Option<u64> {
        parse_stat(format!("{head} {TAIL}").as_bytes())
    }

    #[test_case("wheeltap-12-3456-0123456789" => true)]
    #[test_case("wheeltap-12-3456-012345678" => false; "too short")]
    #[test_case("wheeltap-12-3456-0123456789-x" => false; "longer")]
    #[test_case("wheeltap-12-0123456789" => false; "no start time")]
    #[test_case("wheeltap-+12-3456-0123456789" => false; "signed")]
    #[test_case("wheeltap-012-3456-0123456789" => false; "zeros")]
    #[test_case("wheeltap-12-3456-01234/../." => false; "a way out")]
    #[test_case("wheeltap-out" => false; "what users have")]
    #[test_case("12-3456-0123456789" => false; "no prefix")]
    fn private_names(name: &str) -> bool {
        PrivateName::parse(name).is_some()
    }

    #[test]
    fn names_differ_and_are_read_back() {
        let (one, other) = (PrivateName::new(), PrivateName::new());
        assert_ne!(one, other);
        assert_eq!(PrivateName::parse(&one.to_string()), Some(one));
        assert_eq!(parse_ledger_name(&ledger_name()), Some(Process::current()));
    }

    #[test]
    fn we_live_and_nobody_has_our_number() {
        let current = Process::current();
        assert!(current.is_alive());
        assert_eq!(Process::with_pid(current.pid), Some(current));
        assert!(!Process { start: current.start + 1, ..current }.is_alive(), "another's number");
    }

    #[test]
    fn a_process_that_was_not_reaped_is_dead() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        while Process::with_pid(pid).is_some() {
            std::thread::yield_now();
        }
        assert!(Path::new("/proc").join(pid.to_string()).exists(), "it waits to be reaped");
        child.wait().unwrap();
    }

    proptest! {
        #[test]
        fn any_stat_is_read_without_a_panic(stat in any::<Vec<u8>>()) {
            let _ = parse_stat(&stat);
        }

        #[test]
        fn a_name_of_any_process_is_read_back(pid in any::<u32>(), start in any::<u64>()) {
            let name = PrivateName { owner: Process { pid, start }, random: random() };
            prop_assert_eq!(PrivateName::parse(&name.to_string()), Some(name));
        }

        #[test]
        fn any_name_is_read_without_a_panic(name in any::<String>()) {
            let _ = PrivateName::parse(&name);
        }
    }
}
