//! The `wheeltap` command.

use std::process;

fn main() -> process::ExitCode {
    wheeltap::cli::main().into()
}
