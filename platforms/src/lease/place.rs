//! Where leases are kept: one place per user.

use std::{env, path::PathBuf};

/// Nothing says where the user's state is kept.
#[derive(Debug, thiserror::Error)]
#[error("none of WHEELTAP_STATE, XDG_STATE_HOME and HOME is set")]
pub struct NoPlace;

/// The user's state: `$WHEELTAP_STATE`, `$XDG_STATE_HOME/wheeltap` or `~/.local/state/wheeltap`.
///
/// # Errors
/// If none of the variables is set.
pub fn state_directory() -> Result<PathBuf, NoPlace> {
    directory_by(|name| env::var_os(name).map(PathBuf::from))
}

fn directory_by(variable: impl Fn(&str) -> Option<PathBuf>) -> Result<PathBuf, NoPlace> {
    let set = |name| variable(name).filter(|path| !path.as_os_str().is_empty());
    set("WHEELTAP_STATE")
        // XDG Base Directory Specification: a relative path is to be ignored.
        .or_else(|| Some(set("XDG_STATE_HOME").filter(|path| path.is_absolute())?.join("wheeltap")))
        .or_else(|| set("HOME").map(|home| home.join(".local/state/wheeltap")))
        .ok_or(NoPlace)
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case(&[("HOME", "/home/u")] => Some("/home/u/.local/state/wheeltap".into()); "by default")]
    #[test_case(&[("HOME", "/home/u"), ("XDG_STATE_HOME", "/s")] => Some("/s/wheeltap".into()))]
    #[test_case(&[("HOME", "/home/u"), ("XDG_STATE_HOME", "s")] => Some("/home/u/.local/state/wheeltap".into()); "relative")]
    #[test_case(&[("HOME", "/home/u"), ("XDG_STATE_HOME", "")] => Some("/home/u/.local/state/wheeltap".into()); "empty")]
    #[test_case(&[("XDG_STATE_HOME", "/s"), ("WHEELTAP_STATE", "w")] => Some("w".into()); "our own")]
    #[test_case(&[] => None; "nothing is set")]
    fn places(variables: &[(&str, &str)]) -> Option<PathBuf> {
        let variable = |name: &str| {
            variables.iter().find(|(set, _)| *set == name).map(|(_, value)| PathBuf::from(value))
        };
        directory_by(variable).ok()
    }
}
