//! Listings that aren't of files: packages, the kernel's config, the use of disks, the version.

use std::str;

use crate::compare::gentoo;

/// A package and its version, of a line such as `sys-apps/systemd-255.8-r1::coreos-overlay`: what
/// `equery list --format '$cpv::$repo'` prints (flatcar/scripts, `build_library/build_image_util.sh`, `write_packages`).
///
/// A package's name doesn't end in what could be a version (PMS 3.1.2), so there is one way to read it.
pub(super) fn package(line: &[u8]) -> Option<(String, String)> {
    let line = str::from_utf8(line).ok()?.trim_end();
    let package = line.split_once("::").map_or(line, |(package, _)| package);
    let (category, name) = package.split_once('/')?;
    let is_name = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+_.-".contains(&byte))
    };
    let (at, _) = name.match_indices('-').find(|(at, _)| gentoo::is_version(&name[at + 1..]))?;
    let (name, version) = (&name[..at], &name[at + 1..]);
    (is_name(category) && is_name(name)).then(|| (format!("{category}/{name}"), version.to_owned()))
}

/// A line of the kernel's config.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum KernelLine {
    /// An option and its value, as it stands there.
    Option(String, String),
    /// `# Linux/x86 6.6.50 Kernel Configuration`: the kernel's name of the architecture.
    Architecture(String),
    /// Says nothing.
    Comment,
}

/// A line of `_kernel_config.txt`, a copy of `/usr/boot/config` (flatcar/scripts, `build_library/build_image_util.sh`); its
/// format is that of Linux, `scripts/kconfig/confdata.c`.
pub(super) fn kernel(line: &[u8]) -> Option<KernelLine> {
    let line = str::from_utf8(line).ok()?.trim_end();
    if let Some(comment) = line.strip_prefix('#') {
        let words: Vec<&str> = comment.split_whitespace().collect();
        return Some(match words.as_slice() {
            [system, _, "Kernel", "Configuration"] if system.starts_with("Linux/") => {
                KernelLine::Architecture(system["Linux/".len()..].to_owned())
            }
            _ => KernelLine::Comment,
        });
    }
    let (option, value) = line.split_once('=')?;
    let name = option.strip_prefix("CONFIG_")?;
    let is_name =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    // The key's directory is of the host that built it, and differs with each build.
    let value = match (name, value.rsplit_once('/')) {
        ("MODULE_SIG_KEY", Some((_, file))) => file.trim_end_matches('"'),
        _ => value,
    };
    is_name.then(|| KernelLine::Option(option.to_owned(), value.to_owned()))
}

/// The board that a kernel of this architecture is for (flatcar/scripts has two: `amd64-usr` and `arm64-usr`).
pub(super) fn board(architecture: &str) -> Option<&'static str> {
    match architecture {
        "x86" | "x86_64" => Some("amd64-usr"),
        "arm64" => Some("arm64-usr"),
        _ => None,
    }
}

/// A row of `_disk_usage.txt`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum UsageLine {
    /// The first line, or the sum.
    Other,
    /// Of a file system.
    Mount {
        /// Where it was mounted: `/boot`.
        path: String,
        /// Bytes, rounded up as `df` does.
        size: u64,
        /// Bytes, rounded up as `df` does.
        used: u64,
        /// Such as `vfat`.
        filesystem: String,
    },
}

/// A line such as `/boot   127M   62M   65M  50% vfat`: `df --human-readable --total
/// --output=file,size,used,avail,pcent,fstype` (flatcar/scripts, `build_library/reports_util.sh`).
pub(super) fn usage(line: &[u8]) -> Option<UsageLine> {
    let words: Vec<&str> = str::from_utf8(line).ok()?.split_whitespace().collect();
    match words.as_slice() {
        ["File", ..] | ["SUM", ..] => Some(UsageLine::Other),
        [path, size, used, _, percent, filesystem] if path.starts_with('/') => {
            (percent.ends_with('%') || *percent == "-").then_some(())?;
            Some(UsageLine::Mount {
                path: (*path).to_owned(),
                size: human(size)?,
                used: human(used)?,
                filesystem: (*filesystem).to_owned(),
            })
        }
        _ => None,
    }
}

/// `62M`, `6.0G` or, where the host spoke German, `6,0G`. Powers of 1024.
fn human(text: &str) -> Option<u64> {
    let (number, shift) = match text.char_indices().last()? {
        (_, '0'..='9') => (text, 0),
        (at, unit) => (&text[..at], 10 * (u32::try_from("KMGTPE".find(unit)?).ok()? + 1)),
    };
    let (whole, tenths) = number.split_once(['.', ',']).unwrap_or((number, "0"));
    let digit = tenths.parse::<u64>().ok().filter(|_| tenths.len() == 1)?;
    let unit = 1_u64.checked_shl(shift)?;
    let whole = whole.parse::<u64>().ok()?.checked_mul(unit)?;
    whole.checked_add(unit / 10 * digit + unit % 10 * digit / 10)
}

/// The label of the partition that was mounted there (flatcar/scripts, `build_library/disk_layout.json`).
pub(super) fn label(mount: &str) -> Option<&'static str> {
    match mount {
        "/boot" => Some("EFI-SYSTEM"),
        "/usr" => Some("USR-A"),
        "/" => Some("ROOT"),
        _ => None,
    }
}

/// A line of `version.txt`: shell variables, of which `FLATCAR_VERSION` is wanted.
pub(super) fn version(line: &[u8]) -> Option<Option<String>> {
    let (key, value) = str::from_utf8(line).ok()?.split_once('=')?;
    let value = value.trim().trim_matches('"');
    Some((key == "FLATCAR_VERSION" && !value.is_empty()).then(|| value.to_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, prop_assert_eq, proptest};
    use test_case::test_case;

    use super::{KernelLine, UsageLine, human, kernel, package, usage, version};

    #[test_case("app-arch/bzip2-1.0.8-r4::portage-stable" => Some(("app-arch/bzip2".into(), "1.0.8-r4".into())))]
    #[test_case("sys-apps/systemd-212-r8::coreos" => Some(("sys-apps/systemd".into(), "212-r8".into())))]
    #[test_case("sys-libs/libstdc++-v3-3.3.6::x" => Some(("sys-libs/libstdc++-v3".into(), "3.3.6".into())); "a v in the name")]
    #[test_case("net-misc/openssh-9.7_p1-r6::portage-stable" => Some(("net-misc/openssh".into(), "9.7_p1-r6".into())))]
    #[test_case("app-misc/ca-certificates-3.104" => Some(("app-misc/ca-certificates".into(), "3.104".into())); "no repository")]
    #[test_case("app-misc/ca-certificates" => None; "no version")]
    #[test_case("bzip2-1.0.8" => None; "no category")]
    #[test_case("-rw-r--r-- 1 2 3 4 ./usr/bin/su-1" => None; "a file")]
    fn packages(line: &str) -> Option<(String, String)> {
        package(line.as_bytes())
    }

    #[test_case("CONFIG_EXT4_FS=y" => Some(KernelLine::Option("CONFIG_EXT4_FS".into(), "y".into())))]
    #[test_case("CONFIG_A=\"b=c\"" => Some(KernelLine::Option("CONFIG_A".into(), "\"b=c\"".into())); "more than one sign")]
    #[test_case("# CONFIG_A is not set" => Some(KernelLine::Comment))]
    #[test_case("# Linux/x86 6.6.50 Kernel Configuration" => Some(KernelLine::Architecture("x86".into())))]
    #[test_case("CONFIG_MODULE_SIG_KEY=\"/tmp/a/key.pem\"" => Some(KernelLine::Option("CONFIG_MODULE_SIG_KEY".into(), "key.pem".into())))]
    #[test_case("hello" => None)]
    #[test_case("CONFIG_=y" => None)]
    fn kernel_lines(line: &str) -> Option<KernelLine> {
        kernel(line.as_bytes())
    }

    #[test]
    fn usage_lines() {
        let row = usage(b"/boot   127M   62M   65M  50% vfat").unwrap();
        let (size, used) = (127 << 20, 62 << 20);
        let expected =
            UsageLine::Mount { path: "/boot".into(), size, used, filesystem: "vfat".into() };
        assert_eq!(row, expected);
        assert_eq!(usage(b"File    Size  Used Avail Use% Type"), Some(UsageLine::Other));
        assert_eq!(usage(b"SUM     7,0G  796M  5,9G  12% -"), Some(UsageLine::Other));
        assert_eq!(usage(b"/boot 127M"), None);
    }

    #[test_case("0" => Some(0))]
    #[test_case("512" => Some(512))]
    #[test_case("6.0G" => Some(6 << 30))]
    #[test_case("6,5G" => Some((6 << 30) + (1 << 29)); "with a comma")]
    #[test_case("99999999999E" => None; "too much")]
    #[test_case("M" => None)]
    #[test_case("é" => None)]
    #[test_case("1.25G" => None; "two digits")]
    fn sizes(text: &str) -> Option<u64> {
        human(text)
    }

    #[test_case("FLATCAR_VERSION=4593.2.3" => Some(Some("4593.2.3".into())))]
    #[test_case("FLATCAR_BUILD_ID=\"2026-04-14-0806\"" => Some(None))]
    #[test_case("hello" => None)]
    fn versions(line: &str) -> Option<Option<String>> {
        version(line.as_bytes())
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = (package(&bytes), kernel(&bytes), usage(&bytes), version(&bytes));
        }

        #[test]
        fn any_text_is_read_without_a_panic(text in any::<String>()) {
            let _ = (package(text.as_bytes()), kernel(text.as_bytes()), usage(text.as_bytes()), human(&text));
        }

        #[test]
        fn what_was_written_is_read(
            category in "[a-z]{1,5}-[a-z]{1,5}", name in "[a-z][a-z+]{0,8}(-[a-z]{1,4})?",
            version in "[0-9]{1,3}(\\.[0-9]{1,3}){0,3}[a-z]?(_(alpha|beta|pre|rc|p)[0-9]{0,2}){0,2}(-r[0-9]{1,2})?",
        ) {
            let line = format!("{category}/{name}-{version}::portage-stable");
            prop_assert_eq!(package(line.as_bytes()), Some((format!("{category}/{name}"), version)));
        }
    }
}
