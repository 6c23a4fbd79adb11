//! Standard output and standard error. `println!` panics when the reader or the terminal has gone, which is nobody's defect:
//! whoever closed it has seen enough.

use std::{
    fmt::Display,
    io::{self, Write as _},
};

/// Prints a line on standard output.
pub(super) fn line(text: impl Display) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// Prints text on standard output as it is.
pub(super) fn text(text: impl Display) {
    let _ = write!(io::stdout(), "{text}");
}

/// Prints a line on standard error.
pub(super) fn error_line(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}
