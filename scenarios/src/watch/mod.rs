//! What consoles and journals say, watched while anything waits.
//!
//! The rules are data ([`Rules`], `console-rules.toml`). A [`Scanner`] applies them to bytes as they come and gives
//! [`Hit`]s; [`ConsoleWatch`] feeds it from a file that grows, and ends every wait on the machine when an unexpected
//! fatal line comes; [`scan_file`] applies the same rules to a saved log.

mod boot;
mod console_watch;
mod hit;
mod ignition_failure;
mod lines;
mod rules;
mod saved;
mod scanner;

pub use console_watch::{ConsoleWatch, Expectation};
pub use hit::{Hit, Line, Severity, Source};
pub use ignition_failure::IgnitionFailure;
pub use rules::{Rules, RulesError, UnknownRule};
pub use saved::{render, scan_file};
pub use scanner::Scanner;
