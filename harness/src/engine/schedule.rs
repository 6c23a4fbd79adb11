//! How many machines run at the same time.

use super::host;

/// What a QEMU process needs beside the guest's memory, in MiB: its own code, device state and translated code.
const OVERHEAD_MIB: u64 = 256;

/// How many machines run at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jobs {
    /// What memory and CPUs allow.
    Auto,
    /// This many.
    Count(usize),
}

impl Jobs {
    /// The number, for machines of `memory_mib` MiB with one vCPU.
    #[must_use]
    pub fn resolve(self, memory_mib: u32) -> usize {
        match self {
            Self::Count(count) => count.max(1),
            Self::Auto => fitting(host::cpus(), host::available_memory_mib(), memory_mib),
        }
    }
}

fn fitting(cpus: usize, available_mib: u64, machine_mib: u32) -> usize {
    let by_memory = available_mib / (u64::from(machine_mib) + OVERHEAD_MIB);
    cpus.min(usize::try_from(by_memory).unwrap_or(usize::MAX)).max(1)
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case(8, 32_768, 1024 => 8; "CPUs decide")]
    #[test_case(64, 4_096, 1024 => 3; "memory decides")]
    #[test_case(2, 100, 1024 => 1; "one always runs")]
    fn fits(cpus: usize, available: u64, machine: u32) -> usize {
        fitting(cpus, available, machine)
    }
}
