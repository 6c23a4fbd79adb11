//! Lines for the journal: standard error with the priority in front, as journald reads it.

use std::fmt::Display;
use std::io::{self, Write as _};

pub(crate) fn info(line: impl Display) {
    write(6, &line);
}

pub(crate) fn warning(line: impl Display) {
    write(4, &line);
}

pub(crate) fn error(line: impl Display) {
    write(3, &line);
}

/// Each line of a text of several gets the priority.
fn write(priority: u8, text: &dyn Display) {
    for line in text.to_string().lines() {
        // A journal that is gone must not end an update.
        let _ = writeln!(io::stderr(), "<{priority}>{line}");
    }
}
