//! Keys that are pressed while the screen is drawn on.

use std::io::{self, IsTerminal as _};

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcgetpgrp, tcsetattr};

/// While this lives, the terminal doesn't echo what is typed: the `^C` of a Ctrl-C, or an Enter, would move the cursor away from
/// where the screen was left, and leave half a line behind. The keys themselves do what they always do.
#[derive(Debug)]
pub(super) struct Unechoed;

impl Unechoed {
    /// `None` where there is nothing to do: without a terminal, in the background, or if it doesn't echo anyway.
    pub(super) fn new() -> Option<Self> {
        change(true, LocalModes::remove).then_some(Self)
    }
}

impl Drop for Unechoed {
    fn drop(&mut self) {
        change(false, LocalModes::insert);
    }
}

/// Changes ECHO if it is so now; whether that was done.
fn change(now: bool, change: impl FnOnce(&mut LocalModes, LocalModes)) -> bool {
    let stdin = io::stdin();
    // Whoever changes a terminal from the background is stopped by it (SIGTTOU).
    let in_foreground =
        stdin.is_terminal() && tcgetpgrp(&stdin).ok() == Some(rustix::process::getpgrp());
    let Some(mut modes) = in_foreground.then(|| tcgetattr(&stdin).ok()).flatten() else {
        return false;
    };
    if modes.local_modes.contains(LocalModes::ECHO) != now {
        return false;
    }
    change(&mut modes.local_modes, LocalModes::ECHO);
    tcsetattr(&stdin, OptionalActions::Now, &modes).is_ok()
}
