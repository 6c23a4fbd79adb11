//! What `security.capability` says, in the words of `getcap`.

use crate::bytes::u32_at;

/// By number, from 0.
const NAMES: [&str; 41] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

/// The value of `security.capability` as text, such as `cap_net_admin,cap_net_raw=ep`. `None` if it is no such value.
#[must_use]
pub fn capabilities(value: &[u8]) -> Option<String> {
    let magic = u32_at(value, 0);
    let words = match (magic >> 24, value.len()) {
        (1, 12) => 1,
        (2, 20) | (3, 24) => 2,
        _ => return None,
    };
    let effective = magic & 1 == 1;
    let sets = |at: usize| {
        let word = |index: usize| u64::from(u32_at(value, at + index * 8));
        word(0) | if words == 2 { word(1) << 32 } else { 0 }
    };
    let (permitted, inheritable) = (sets(4), sets(8));
    let mut clauses = Vec::new();
    for (flags, bits) in [
        ("ip", permitted & inheritable),
        ("p", permitted & !inheritable),
        ("i", inheritable & !permitted),
    ] {
        let names = (0..64).filter(|bit| bits >> bit & 1 == 1);
        let names: Vec<_> = names
            .map(|bit| match NAMES.get(bit) {
                Some(name) => format!("cap_{name}"),
                None => bit.to_string(),
            })
            .collect();
        if !names.is_empty() {
            let effective = if effective { "e" } else { "" };
            clauses.push(format!("{}={effective}{flags}", names.join(",")));
        }
    }
    if words == 2 && value.len() == 24 && u32_at(value, 20) != 0 {
        clauses.push(format!("[rootid={}]", u32_at(value, 20)));
    }
    Some(clauses.join(" "))
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::capabilities;

    #[test_case("0100000200200000000000000000000000000000", Some("cap_net_raw=ep"); "ping")]
    #[test_case("0000000200300000003000000000000000000000", Some("cap_net_admin,cap_net_raw=ip"); "inherited")]
    #[test_case("010000020000000000000000c000000000000000", Some("cap_perfmon,cap_bpf=ep"); "second word")]
    #[test_case("01000003002000000000000000000000000000000a000000", Some("cap_net_raw=ep [rootid=10]"); "of a namespace")]
    #[test_case("0100000200200000", None; "too short")]
    fn says(hex: &str, expected: Option<&str>) {
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        let value: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
        assert_eq!(capabilities(&value).as_deref(), expected);
    }
}
