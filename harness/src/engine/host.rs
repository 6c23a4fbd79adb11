//! The host that a run runs on.

use std::{fs, path::Path};

use wheeltap_reports::Host;

/// CPUs that this process may use.
pub(crate) fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Memory that can be given to machines without swapping, in MiB (`MemAvailable` of proc(5)); 0 if unknown.
pub(crate) fn available_memory_mib() -> u64 {
    memory("MemAvailable:")
}

/// What this user may still write to the file system of a directory, in MiB; `None` if unknown.
pub(crate) fn free_disk_mib(directory: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(directory).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize) / (1024 * 1024))
}

fn memory(key: &str) -> u64 {
    let table = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = table.lines().find_map(|line| line.strip_prefix(key));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .map_or(0, |kib: u64| kib / 1024)
}

/// What reports say about this host.
pub(crate) fn facts(accelerator: Option<wheeltap_platforms::Accelerator>) -> Host {
    let uname = rustix::system::uname();
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let os = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    Host {
        name: uname.nodename().to_string_lossy().into_owned(),
        os: os.map_or("unknown", |os| os.trim_matches('"')).to_owned(),
        arch: std::env::consts::ARCH.to_owned(),
        cpus: u32::try_from(cpus()).unwrap_or(u32::MAX),
        memory_mib: memory("MemTotal:"),
        accelerator: accelerator.map_or_else(|| "none".to_owned(), |accel| accel.to_string()),
    }
}
