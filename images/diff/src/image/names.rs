//! The names that operating systems have for things. Nothing else here knows any.

/// What is mounted where, by GPT label. Later ones cover earlier ones, as when they are mounted.
pub(super) const MOUNTS: [(&str, &str); 4] =
    [("ROOT", "/"), ("USR-A", "/usr"), ("EFI-SYSTEM", "/boot"), ("OEM", "/oem")];

/// The type of an EFI system partition.
pub(super) const ESP: &str = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";

/// Files with the version and the board, the most telling first.
pub(super) const RELEASES: [&str; 5] = [
    "/usr/lib/os-release",
    "/etc/os-release",
    "/usr/share/flatcar/release",
    "/usr/share/coreos/release",
    "/usr/share/coreos/lsb-release",
];
pub(super) const VERSION_KEYS: [&str; 2] = ["VERSION", "VERSION_ID"];
pub(super) const BOARD_KEYS: [&str; 4] =
    ["FLATCAR_BOARD", "FLATCAR_RELEASE_BOARD", "COREOS_BOARD", "COREOS_RELEASE_BOARD"];

/// Directories with `passwd`, `group` and `shadow`. A user of one covers the same of those after it.
pub(super) const ACCOUNTS: [&str; 5] =
    ["/etc", "/usr/share/flatcar/etc", "/usr/share/baselayout", "/usr/etc", "/usr/lib"];

/// Directories with units of systemd. A unit of one covers the same of those after it.
pub(super) const UNITS: [&str; 4] = [
    "/etc/systemd/system",
    "/usr/share/flatcar/etc/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
];

/// Where extensions are, in files whose names end with `.raw`.
pub(super) const EXTENSIONS: [&str; 6] = [
    "/usr/share/",
    "/usr/lib/extensions/",
    "/oem/sysext/",
    "/opt/extensions/",
    "/etc/extensions/",
    "/var/lib/extensions/",
];

/// What dpkg has installed.
pub(super) const DPKG_STATUS: [&str; 3] =
    ["/var/lib/dpkg/status", "/usr/lib/dpkg/status", "/usr/share/dpkg/status"];

/// What Portage has installed: a directory for each package.
pub(super) const PORTAGE: [&str; 2] = ["/var/db/pkg/", "/usr/share/db/pkg/"];

/// What rpm has installed: databases that aren't read.
pub(super) const RPM: [&str; 3] = [
    "/usr/share/rpm/rpmdb.sqlite",
    "/usr/lib/sysimage/rpm/rpmdb.sqlite",
    "/var/lib/rpm/rpmdb.sqlite",
];
