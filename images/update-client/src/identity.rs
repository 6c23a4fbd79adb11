//! Who asks: the machine as a server sees it.

use std::fs;

use crate::prefs;
use crate::settings::Settings;

/// What each request says about the machine.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) settings: Settings,
    /// Id of the boot, in braces.
    pub(crate) boot_id: String,
    pub(crate) machine_id: String,
    /// The version that was installed first.
    pub(crate) aleph_version: String,
}

impl Identity {
    pub(crate) fn read(settings: Settings) -> Self {
        let line = |path| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        Self {
            boot_id: format!("{{{}}}", line("/proc/sys/kernel/random/boot_id")),
            machine_id: line("/etc/machine-id"),
            aleph_version: prefs::aleph_version(&settings.version),
            settings,
        }
    }
}
