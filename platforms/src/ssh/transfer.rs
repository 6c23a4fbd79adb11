//! Files to and from the guest, as bytes, by nothing but a shell and coreutils.

use std::time::Duration;

use super::{Command, Connection, ExitStatus, SshError};

/// How much a download may bring. Bodies are held in memory; nothing a scenario reads is near this.
const DOWNLOAD_LIMIT: usize = 256 * 1024 * 1024;

/// Exit status by which our own upload script says that its input was cut short; nothing else in it uses this one.
const CUT_SHORT: i32 = 75;

/// A limit that only a stuck transfer reaches: a minute, plus what it takes at 256 KiB/s, a tenth of what an emulated
/// guest manages.
fn transfer_limit(bytes: usize) -> Duration {
    Duration::from_secs(60 + bytes as u64 / (256 * 1024))
}

/// A word that a POSIX shell reads as exactly `text`.
#[must_use]
pub fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:,+@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

impl Connection {
    /// Writes `bytes` to the file `path` on the guest, with this mode.
    ///
    /// The file appears under its name only when it is complete: it is written beside it, and renamed. With `sudo` it is
    /// root's. Its directory must exist.
    ///
    /// # Errors
    /// [`SshError::Transfer`] with the guest's words, or as for [`Connection::exec`].
    pub async fn upload(
        &self,
        path: &str,
        bytes: impl Into<Vec<u8>>,
        mode: u32,
        sudo: bool,
    ) -> Result<(), SshError> {
        let bytes = bytes.into();
        let length = bytes.len();
        // When the connection is cut, `cat` sees the end of its input as usual: so the length is checked before the
        // rename.
        let script = format!(
            "set -e; f={file}; t=$(mktemp -- \"$f.XXXXXX\"); trap 'rm -f -- \"$t\"' EXIT; cat >\"$t\"; \
             [ \"$(wc -c <\"$t\")\" -eq {length} ] || exit {CUT_SHORT}; \
             chmod {mode:o} -- \"$t\"; mv -fT -- \"$t\" \"$f\"; trap - EXIT",
            file = quote(path),
        );
        let command = Command::new(shell(&script, sudo), transfer_limit(length)).with_stdin(bytes);
        let output = self.exec(command).await?;
        let stderr = match output.status {
            ExitStatus::Code(0) => return Ok(()),
            ExitStatus::Code(CUT_SHORT) => "what arrived is shorter than what was sent".into(),
            _ => output.stderr_text().into_owned(),
        };
        Err(SshError::Transfer {
            action: "write",
            path: path.into(),
            status: output.status,
            stderr,
        })
    }

    /// Reads the file `path` on the guest, as root with `sudo`. At most 256 MiB.
    ///
    /// # Errors
    /// [`SshError::Transfer`] with the guest's words, [`SshError::TooLarge`], or as for [`Connection::exec`].
    pub async fn download(&self, path: &str, sudo: bool) -> Result<Vec<u8>, SshError> {
        let line = shell(&format!("exec cat -- {}", quote(path)), sudo);
        let command = Command::new(line, transfer_limit(DOWNLOAD_LIMIT)).with_limit(DOWNLOAD_LIMIT);
        let output = self.exec(command).await?;
        if !output.status.success() {
            let stderr = output.stderr_text().into_owned();
            let (path, status) = (path.into(), output.status);
            return Err(SshError::Transfer { action: "read", path, status, stderr });
        }
        if output.truncated() {
            return Err(SshError::TooLarge { path: path.into(), limit: DOWNLOAD_LIMIT });
        }
        Ok(output.stdout)
    }
}

/// A line that runs `script` by a POSIX shell, whatever the user's login shell is.
fn shell(script: &str, sudo: bool) -> String {
    // -n: a sudo that asks for a password fails, rather than waiting for one that never comes.
    let sudo = if sudo { "sudo -n " } else { "" };
    format!("{sudo}sh -c {}", quote(script))
}

#[cfg(test)]
mod tests {
    use std::{io::Write, process::Stdio};

    use super::*;
    use test_case::test_case;

    #[test_case("" => "''"; "nothing is a word too")]
    #[test_case("/etc/os-release" => "/etc/os-release"; "a plain path stays as it is")]
    #[test_case("it's $HOME" => r"'it'\''s $HOME'"; "quotes and dollars")]
    #[test_case("~core" => "'~core'"; "no tilde expansion")]
    fn quoting(text: &str) -> String {
        quote(text)
    }

    #[test]
    fn a_shell_reads_what_was_quoted() {
        // Every pair of ASCII characters but NUL, which no word can hold: quoting looks at no more than one at a time.
        let ascii = || (1..=127_u8).map(char::from);
        let mut words: Vec<String> = ascii()
            .flat_map(|first| ascii().map(move |second| format!("{first}{second}")))
            .collect();
        words.extend(
            ["", "-n", "ünïcode ☃", "'", "''", "a'b'c", "\\'", "$(id) `id` ${HOME} !! *"]
                .map(Into::into),
        );
        let quoted: Vec<_> = words.iter().map(|word| quote(word)).collect();
        let mut sh = std::process::Command::new("sh")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let script = format!("printf '%s\\0' {}", quoted.join(" "));
        sh.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        let output = String::from_utf8(sh.wait_with_output().unwrap().stdout).unwrap();
        let read: Vec<_> = output.split_terminator('\0').collect();
        assert_eq!(read, words);
    }
}
