//! The command `update_engine_client`, with update_engine's flags, output and exit codes.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use crate::socket::Method;

const HELP: &str = "\
update_engine_client of the wheeltap reference image, a stand-in for Flatcar's.

  -check_for_update   start a check and return at once
  -status             print the status
  -reset_status       forget an update that waits for a reboot; its slot boots all the same
  -update             start a check and wait for its end; see -status for how it ended
  -watch_for_updates  print the status whenever it changes
";

/// How often the status is asked for while somebody waits.
const POLL: Duration = Duration::from_secs(1);

/// The daemon may be about to start; update_engine's command tries for half a minute, too.
const TRIES: usize = 30;

/// The one flag that counts, in the order in which update_engine looks at them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flag {
    ResetStatus,
    Status,
    CheckForUpdate,
    Update,
    WatchForUpdates,
}

pub(crate) fn run(arguments: impl Iterator<Item = String>) -> ExitCode {
    let mut flags = Vec::new();
    for argument in arguments {
        match flag(&argument) {
            Some(flag) => flags.push(flag),
            None if matches!(argument.trim_start_matches('-'), "help" | "h") => {
                return end(print(HELP));
            }
            None => {
                let problem = format!("unknown command line flag '{argument}'\n\n{HELP}");
                return end(Err(io::Error::other(problem)));
            }
        }
    }
    use Flag::{CheckForUpdate, ResetStatus, Status, Update, WatchForUpdates};
    let order = [ResetStatus, Status, Update, CheckForUpdate, WatchForUpdates];
    end(match order.into_iter().find(|flag| flags.contains(flag)) {
        Some(flag) => act(flag),
        None => print(HELP),
    })
}

fn end(result: io::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            note(&format!("update_engine_client: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Prints to standard output; a full disk is an error there, and no panic.
fn print(text: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(text.as_bytes())?;
    output.flush()
}

/// Says what is going on, if anybody can hear it.
fn note(sentence: &str) {
    let _ = writeln!(io::stderr(), "{sentence}");
}

/// `-status`, `--status` or `-status=true`.
fn flag(argument: &str) -> Option<Flag> {
    let name = argument.strip_prefix("--").or_else(|| argument.strip_prefix('-'))?;
    Some(match name.strip_suffix("=true").unwrap_or(name) {
        "reset_status" => Flag::ResetStatus,
        "status" => Flag::Status,
        "check_for_update" => Flag::CheckForUpdate,
        "update" => Flag::Update,
        "watch_for_updates" => Flag::WatchForUpdates,
        _ => return None,
    })
}

fn act(flag: Flag) -> io::Result<()> {
    match flag {
        Flag::Status => print(&call(Method::GetStatus)?)?,
        Flag::CheckForUpdate => {
            note("Initiating update check and install.");
            call(Method::AttemptUpdate)?;
        }
        Flag::ResetStatus => {
            call(Method::ResetStatus)?;
            note(
                "ResetStatus succeeded; to undo partition table changes run: \
                 cgpt prioritize $(rootdev -s /usr)",
            );
        }
        Flag::Update => {
            note("Initiating update check and install.");
            call(Method::AttemptUpdate)?;
            note("Waiting for update to complete.");
            watch(|status| match operation(status) {
                // update_engine can't tell here whether there was none or it failed, and succeeds.
                Some("UPDATE_STATUS_IDLE") => Some("No update available"),
                Some("UPDATE_STATUS_UPDATED_NEED_REBOOT") => {
                    Some("Update succeeded -- reboot needed.")
                }
                _ => None,
            })?;
        }
        Flag::WatchForUpdates => watch(|_| None)?,
    }
    Ok(())
}

/// Prints the status whenever it changes, until `end` knows what to say at the end.
#[expect(clippy::disallowed_methods, reason = "this program does nothing but wait")]
fn watch(end: impl Fn(&str) -> Option<&'static str>) -> io::Result<()> {
    let mut shown = String::new();
    loop {
        let status = call(Method::GetStatus)?;
        if status != shown {
            print(&status)?;
            shown = status;
        }
        if let Some(sentence) = end(&shown) {
            note(sentence);
            return Ok(());
        }
        thread::sleep(POLL);
    }
}

fn operation(status: &str) -> Option<&str> {
    status.lines().find_map(|line| line.strip_prefix("CURRENT_OP="))
}

#[expect(clippy::disallowed_methods, reason = "this program does nothing but wait")]
fn call(method: Method) -> io::Result<String> {
    for _ in 1..TRIES {
        match method.call() {
            Err(error) if absent(&error) => thread::sleep(POLL),
            result => return result,
        }
    }
    method.call().map_err(|error| match absent(&error) {
        true => io::Error::other("update_engine does not run: see systemctl status update-engine"),
        false => error,
    })
}

fn absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("-status", Some(Flag::Status))]
    #[test_case("--status", Some(Flag::Status))]
    #[test_case("-update=true", Some(Flag::Update))]
    #[test_case("status", None)]
    #[test_case("-statuses", None)]
    fn flags(argument: &str, expected: Option<Flag>) {
        assert_eq!(flag(argument), expected);
    }

    #[test]
    fn the_operation_is_found() {
        assert_eq!(operation("PROGRESS=0.0\nCURRENT_OP=A\nNEW_SIZE=0\n"), Some("A"));
        assert_eq!(operation(""), None);
    }
}
