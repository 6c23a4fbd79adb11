//! Units of systemd, by their paths.

/// Suffixes of units that somebody would miss.
const KINDS: [&str; 9] = [
    ".service",
    ".socket",
    ".target",
    ".timer",
    ".mount",
    ".automount",
    ".path",
    ".slice",
    ".swap",
];

/// The unit that a file is, if it is one: what lies right in a directory `systemd/system`.
pub(crate) fn unit(path: &str) -> Option<&str> {
    let (dir, name) = path.rsplit_once('/')?;
    let is_unit = dir.ends_with("/systemd/system") && KINDS.iter().any(|kind| name.ends_with(kind));
    is_unit.then_some(name)
}

/// The socket that a symbolic link enables: one in `…/systemd/system/*.wants` or `*.requires`.
pub(crate) fn enabled_socket(path: &str) -> Option<&str> {
    let (dir, name) = path.rsplit_once('/')?;
    let (parent, wanting) = dir.rsplit_once('/')?;
    let is_enabled = parent.ends_with("/systemd/system")
        && (wanting.ends_with(".wants") || wanting.ends_with(".requires"))
        && name.ends_with(".socket");
    is_enabled.then_some(name)
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    #[test_case("/usr/lib/systemd/system/docker.service" => Some("docker.service".to_owned()))]
    #[test_case("/etc/systemd/system/a@.socket" => Some("a@.socket".to_owned()))]
    #[test_case("/usr/lib/systemd/system/sockets.target.wants/docker.socket" => None; "enabled, not there")]
    #[test_case("/usr/lib/systemd/system/docker.service.d" => None; "a drop-in")]
    #[test_case("/usr/lib/systemd/user/docker.service" => None; "of users")]
    #[test_case("docker.service" => None)]
    fn units(path: &str) -> Option<String> {
        super::unit(path).map(str::to_owned)
    }

    #[test_case("/usr/lib/systemd/system/sockets.target.wants/docker.socket" => Some("docker.socket".to_owned()))]
    #[test_case("/usr/lib/systemd/system/docker.socket" => None)]
    #[test_case("/usr/lib/systemd/system/multi-user.target.wants/docker.service" => None)]
    fn sockets(path: &str) -> Option<String> {
        super::enabled_socket(path).map(str::to_owned)
    }
}
