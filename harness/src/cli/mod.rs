//! The command line: one file per command.

mod again;
mod args;
mod attestation;
mod console_scan;
mod diff;
mod doctor;
mod gate;
mod gc;
mod history;
mod image;
mod list;
mod out;
mod payload;
mod progress;
mod published;
mod report;
mod run;
mod serve;
mod steps;
mod transpile;

use clap::Parser as _;
use wheeltap_reports::Paint;

pub use args::Cli;

use crate::ExitCode;
use args::Command;

/// Runs the command that the arguments name, and gives its exit code.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors; clap prints each to where it belongs.
            let code = if error.use_stderr() { ExitCode::Usage } else { ExitCode::Passed };
            // A closed pipe is the reader's business.
            let _ = error.print();
            return code;
        }
    };
    init_log(cli.verbose);
    let result = match cli.command {
        Command::Run(args) => run::run(&args, cli.verbose),
        Command::Rerun(args) => again::rerun(&args, cli.verbose),
        Command::List(args) => list::list(&args),
        Command::Report(args) => report::report(&args),
        Command::Doctor(args) => doctor::doctor(&args),
        Command::Image(args) => image::image(&args.command),
        Command::ConsoleScan(args) => console_scan::console_scan(&args),
        Command::Transpile(args) => transpile::transpile(&args),
        Command::Serve(command) => serve::serve(&command),
        Command::History(args) => history::history(&args),
        Command::Gc(args) => gc::gc(&args),
        Command::Gate(args) => gate::gate(&args),
        Command::VerifyAttestation(args) => attestation::verify(&args),
    };
    result.unwrap_or_else(|error| {
        let code = error.exit_code();
        out::error_line(format_args!("{:?}", miette::Report::new(error)));
        code
    })
}

/// What wheeltap itself is doing goes to standard error, when asked for.
fn init_log(verbose: u8) {
    let level = match verbose {
        // The reader of FAT warns of what mkfs.vfat does.
        0 => "warn,fatfs=error",
        1 => "info",
        _ => "debug",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("WHEELTAP_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    let colour = out::paint(&std::io::stderr()) == Paint::Colour;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colour)
        .with_writer(|| out::ErrorLines)
        .init();
}
