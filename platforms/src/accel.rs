//! Which accelerator QEMU can really use here.

use std::{fmt, fs, io, path::Path};

/// How QEMU runs guest instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Accelerator {
    /// The host's virtualisation hardware, through `/dev/kvm`.
    Kvm,
    /// Translation in software.
    Tcg,
}

impl fmt::Display for Accelerator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        })
    }
}

impl Accelerator {
    /// How much slower than under KVM a guest is allowed to be: multiplies time limits.
    ///
    /// Under TCG the first boot of the reference image takes 19 s on an idle core and was seen to take 90 s beside other
    /// machines; times eight, the limit for a boot is 480 s, which leaves room for hosts that are shared.
    #[must_use]
    pub fn slowness(self) -> u32 {
        match self {
            Self::Kvm => 1,
            Self::Tcg => 8,
        }
    }
}

/// What the host offers, as found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostFacts {
    /// Why `/dev/kvm` can't be opened for reading and writing; `None` if it can.
    pub kvm_trouble: Option<String>,
    /// `/proc/cpuinfo` names vmx (Intel) or svm (AMD), or the architecture has no such flag.
    pub virtualization_flag: bool,
}

impl HostFacts {
    /// Looks at this host.
    #[must_use]
    pub fn read() -> Self {
        Self {
            kvm_trouble: kvm_trouble(Path::new("/dev/kvm")),
            virtualization_flag: !cfg!(target_arch = "x86_64")
                || has_virtualization_flag(
                    &fs::read_to_string("/proc/cpuinfo").unwrap_or_default(),
                ),
        }
    }

    /// The accelerator to use, and why.
    ///
    /// A device that opens is not enough: in a guest without nested virtualisation `/dev/kvm` may be there, and QEMU
    /// then starts and hangs. Only a CPU that has the instructions makes KVM usable.
    #[must_use]
    pub fn choose(&self) -> (Accelerator, String) {
        match (&self.kvm_trouble, self.virtualization_flag) {
            (None, true) => (
                Accelerator::Kvm,
                "/dev/kvm opens and the CPU has virtualisation extensions".to_owned(),
            ),
            (None, false) => (
                Accelerator::Tcg,
                "/dev/kvm opens, but the CPU shows neither vmx nor svm, so guests would hang; \
                 switch on (nested) virtualisation in the firmware or on the outer host"
                    .to_owned(),
            ),
            (Some(trouble), _) => (Accelerator::Tcg, trouble.clone()),
        }
    }
}

fn kvm_trouble(device: &Path) -> Option<String> {
    let error = fs::OpenOptions::new().read(true).write(true).open(device).err()?;
    Some(match error.kind() {
        io::ErrorKind::NotFound => format!(
            "{} does not exist: load the kvm module, or switch on virtualisation in the firmware",
            device.display()
        ),
        io::ErrorKind::PermissionDenied => format!(
            "{} may not be opened by this user: add the user to the group kvm and log in again",
            device.display()
        ),
        _ => format!("{} can't be opened: {error}", device.display()),
    })
}

fn has_virtualization_flag(cpuinfo: &str) -> bool {
    cpuinfo
        .lines()
        .filter(|line| line.starts_with("flags"))
        .any(|line| line.split_whitespace().any(|flag| flag == "vmx" || flag == "svm"))
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case(None, true => Accelerator::Kvm; "device and flag")]
    #[test_case(None, false => Accelerator::Tcg; "a device without the instructions hangs guests")]
    #[test_case(Some("gone"), true => Accelerator::Tcg; "no device")]
    fn chooses(trouble: Option<&str>, flag: bool) -> Accelerator {
        HostFacts { kvm_trouble: trouble.map(str::to_owned), virtualization_flag: flag }.choose().0
    }

    #[test_case("flags\t\t: fpu vmx sse" => true)]
    #[test_case("flags\t\t: fpu svm" => true)]
    #[test_case("flags\t\t: fpu vmx_something sse" => false; "whole words only")]
    #[test_case("model name: svm vmx" => false; "only the flags line counts")]
    fn flag(cpuinfo: &str) -> bool {
        has_virtualization_flag(cpuinfo)
    }

    #[test]
    fn a_missing_device_says_what_to_do() {
        let trouble = kvm_trouble(Path::new("/nonexistent/kvm")).unwrap();
        assert!(trouble.contains("load the kvm module"), "{trouble}");
    }
}
