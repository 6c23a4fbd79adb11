//! `wheeltap image`.

use std::path::PathBuf;

use wheeltap_images::{BuildOptions, Cache};

use super::{args::ImageCommand, diff, out, payload, published, steps::with_steps};
use crate::{ExitCode, UserError};

pub(super) fn image(command: &ImageCommand) -> Result<ExitCode, UserError> {
    match command {
        ImageCommand::Build { version, out, force } => build(version, out.as_ref(), *force),
        ImageCommand::Diff(args) => diff::diff(args),
        ImageCommand::Payload(command) => payload::payload(command),
        ImageCommand::Fetch(args) => published::fetch(args),
        ImageCommand::Verify(args) => published::verify(args),
        ImageCommand::Rm(args) => published::remove(args),
        ImageCommand::Gc(args) => published::collect(args),
        ImageCommand::List { json } => published::list(*json),
        ImageCommand::Path { name } => {
            out::line(wheeltap_images::resolve(name)?.path.display());
            Ok(ExitCode::Passed)
        }
    }
}

fn build(version: &str, copy: Option<&PathBuf>, force: bool) -> Result<ExitCode, UserError> {
    let options = BuildOptions { out: copy.cloned(), force, ..BuildOptions::new(version) };
    let built = with_steps(&format!("reference {version}"), |cancel, step| {
        Ok::<_, UserError>(Cache::of_user()?.build(&options, cancel, step)?)
    })?;
    let image = built.image;
    out::line(copy.unwrap_or(&image.path).display());
    Ok(ExitCode::Passed)
}
