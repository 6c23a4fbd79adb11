//! The same rules, applied to a log that was saved.

use std::{
    fmt::Write as _,
    fs::File,
    io::{self, Read},
    path::Path,
};

use super::{Hit, Line, Rules, Scanner, Severity};

/// Scans a file.
///
/// # Errors
/// The file can't be read.
pub fn scan_file(path: &Path, rules: &Rules) -> io::Result<Vec<Hit>> {
    let mut file = File::open(path)?;
    let mut scanner = Scanner::new(rules);
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => scanner.feed(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    scanner.finish();
    Ok(scanner.hits().to_vec())
}

/// Hits as text for people, with up to `context` lines on each side. `name` is that of the log.
#[must_use]
pub fn render(name: &str, hits: &[Hit], context: usize) -> String {
    let mut out = String::new();
    for hit in hits {
        let mark = match (hit.severity, hit.expected) {
            (_, true) => "expected",
            (Severity::Fatal, false) => "fatal",
            (Severity::Warn, false) => "warning",
        };
        let Line { number, boot, .. } = hit.line;
        // Writing to a string can't fail.
        let _ =
            writeln!(out, "{name}:{number} (boot {boot}): {mark} [{}] {}", hit.rule, hit.headline);
        let width = (number + context as u64).to_string().len();
        let skip = hit.before.len().saturating_sub(context);
        for line in &hit.before[skip..] {
            let _ = writeln!(out, "    {:width$} | {}", line.number, line.text);
        }
        let _ = writeln!(out, "  > {number:width$} | {}", hit.line.text);
        for line in hit.after.iter().take(context) {
            let _ = writeln!(out, "    {:width$} | {}", line.number, line.text);
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const CONSOLE: &str = "SeaBIOS (version 1.16.2)\r\n\
        \x1b[2J\x1b[01;01HWelcome to GRUB!\r\n\r\n\
        [    0.000000] Linux version 6.1.0-56-cloud-amd64 (debian-kernel@lists.debian.org)\r\n\
        [    9.100000] ignition[345]: Stage: files\r\n\
        [    9.200000] ignition[345]: Ignition failed: failed to create files: failed to create files: error creating /sysroot/etc/foo: error setting file permissions for /sysroot/etc/foo: failed to determine correct uid and gid for /sysroot/etc/foo: no such user \"nobody1\": user: unknown user user \"nobody1\" not found\r\n\
        [\x1b[0;1;31mFAILED\x1b[0m] Failed to start \x1b[0;1;39mIgnition (files)\x1b[0m.\r\n\
        [   12.000000] reboot: Restarting system\r\n\
        [    0.000000] Linux version 6.1.0-56-cloud-amd64 (debian-kernel@lists.debian.org)\r\n\
        [   31.000000] sysrq: Trigger a crash\r\n\
        [   31.000001] Kernel panic - not syncing: sysrq triggered crash\r\n\
        [   31.100000] Rebooting in 1 seconds..";

    #[test]
    fn a_saved_log_is_rendered_with_its_hits() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(CONSOLE.as_bytes()).unwrap();
        let hits = scan_file(file.path(), &Rules::builtin()).unwrap();
        insta::assert_snapshot!(render("console.log", &hits, 2));
    }

    #[test]
    fn a_missing_file_is_an_error() {
        assert!(scan_file(Path::new("/nowhere/console.log"), &Rules::builtin()).is_err());
    }
}
