//! What a lease says: bytes in, types out.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::owner::{Host, Process};

/// The version of what is written here. A reader leaves what it doesn't know to a later wheeltap.
const VERSION: u32 = 1;

/// Name of the file that says whose leases lie beside it.
pub(super) const OWNER_FILE: &str = "owner.json";

/// Something outside the process, with all that is needed to find and delete it. Paths are absolute, and free of symbolic
/// links when they are written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Resource {
    /// A directory, with all it will hold.
    Directory {
        /// Where.
        path: PathBuf,
    },
    /// Files in a directory that stays, and our temporary files beside them.
    Files {
        /// Where.
        directory: PathBuf,
        /// Their names.
        names: Vec<String>,
    },
    /// A QEMU process.
    Process {
        /// Its QMP socket, in a private directory of ours: the argument by which it is found.
        socket: PathBuf,
        /// Which it is, once it has started.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pid: Option<u32>,
        /// When it started, in clock ticks since the boot of the host.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        start: Option<u64>,
    },
}

impl Resource {
    /// Whether it is about a process that serves a socket.
    pub(crate) fn is_about(&self, process: Process, socket: &Path) -> bool {
        let Self::Process { socket: own, pid, start } = self else { return false };
        own == socket
            && pid.is_none_or(|pid| pid == process.pid)
            && start.is_none_or(|start| start == process.start)
    }
}

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    version: u32,
    #[serde(flatten)]
    what: T,
}

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Parsed<T> {
    /// A record.
    Known(T),
    /// A record that another version of wheeltap wrote.
    Unknown,
    /// No record. Its writer was killed before it was complete, and so before what it is about was made.
    Torn,
}

/// The bytes of a record.
///
/// # Errors
/// If it holds a path that isn't UTF-8.
pub(crate) fn to_bytes(what: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&Versioned { version: VERSION, what })
}

/// Reads a lease.
pub(crate) fn parse_resource(bytes: &[u8]) -> Parsed<Resource> {
    parse(bytes)
}

/// Reads an owner's file.
pub(crate) fn parse_host(bytes: &[u8]) -> Parsed<Host> {
    parse(bytes)
}

fn parse<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> Parsed<T> {
    match serde_json::from_slice::<Versioned<T>>(bytes) {
        Ok(record) if record.version == VERSION => Parsed::Known(record.what),
        // A number or a string is no record, and a prefix of one is never a whole object.
        _ if serde_json::from_slice::<serde_json::Map<_, _>>(bytes).is_ok() => Parsed::Unknown,
        _ => Parsed::Torn,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::*;

    fn examples() -> [Resource; 3] {
        [
            Resource::Directory { path: "/tmp/wheeltap-12-3456-0123456789".into() },
            Resource::Files { directory: "/out/m1".into(), names: vec!["disk.qcow2".into()] },
            Resource::Process {
                socket: "/tmp/wheeltap-12-3456-0123456789/qmp".into(),
                pid: Some(13),
                start: Some(3500),
            },
        ]
    }

    #[test]
    fn records_are_read_back() {
        let mut text = String::new();
        for resource in examples() {
            let bytes = to_bytes(&resource).unwrap();
            assert_eq!(parse_resource(&bytes), Parsed::Known(resource));
            text += std::str::from_utf8(&bytes).unwrap();
            text.push('\n');
        }
        insta::assert_snapshot!(text, @r#"
        {"version":1,"kind":"directory","path":"/tmp/wheeltap-12-3456-0123456789"}
        {"version":1,"kind":"files","directory":"/out/m1","names":["disk.qcow2"]}
        {"version":1,"kind":"process","socket":"/tmp/wheeltap-12-3456-0123456789/qmp","pid":13,"start":3500}
        "#);
    }

    #[test]
    fn a_record_that_was_torn_anywhere_is_none() {
        for resource in examples() {
            let bytes = to_bytes(&resource).unwrap();
            for length in 0..bytes.len() {
                assert_eq!(parse_resource(&bytes[..length]), Parsed::Torn, "{length} bytes");
            }
        }
    }

    #[test]
    fn what_is_not_understood_is_left_to_who_wrote_it() {
        for text in [
            r#"{"version":2,"kind":"directory","path":"/tmp/x"}"#,
            r#"{"version":1,"kind":"cloud","id":"i-1"}"#,
            r#"{"version":1,"kind":"directory"}"#,
            "{}",
        ] {
            assert_eq!(parse_resource(text.as_bytes()), Parsed::Unknown, "{text}");
        }
        assert_eq!(parse_resource(b"17"), Parsed::Torn);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in any::<Vec<u8>>()) {
            let _ = parse_resource(&bytes);
            let _ = parse_host(&bytes);
        }
    }
}
