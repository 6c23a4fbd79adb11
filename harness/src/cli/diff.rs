//! `wheeltap image diff`.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Write as _},
    path::Path,
};

use jiff::{Timestamp, tz::TimeZone};
use wheeltap_image_diff::{
    CompareError, Component, Inventory, compare,
    image::{self, InventoryError},
    limits::{Judgement, Limits, LimitsError, Severity},
    listings::{self, ListingError},
    views::{Format, RenderError, render},
};

use super::{
    args::{DiffArgs, DiffFormat},
    out,
    steps::with_steps,
};
use crate::{ExitCode, UserError};

pub(super) fn diff(args: &DiffArgs) -> Result<ExitCode, UserError> {
    // What is wrong in it is said before anything large is read.
    let limits = limits(args.limits.as_deref())?;
    let old = inventory_of(&args.old)?;
    let new = inventory_of(&args.new)?;
    let diff = compare(&old, &new)?;
    let judgement = limits.judge(&diff, Timestamp::now().to_zoned(TimeZone::UTC).date());
    let text = render(&diff, &judgement, format(args.format), args.all)?;
    match &args.out {
        None => print(&text)?,
        Some(path) => {
            out::file(path, &text).map_err(|error| {
                UserError::infra(format!("{} can't be written: {error}", path.display()))
            })?;
            out::error_line(format_args!("{}: {}", path.display(), counts(&judgement)));
        }
    }
    Ok(match judgement.count(Severity::Error) {
        0 => ExitCode::Passed,
        _ => ExitCode::ProductFailure,
    })
}

/// What an image holds: by the listings in a directory, or by the image itself.
fn inventory_of(name: &str) -> Result<Inventory, UserError> {
    let path = Path::new(name);
    if path.is_dir() {
        return Ok(listings::inventory(path, name)?);
    }
    let image = wheeltap_images::resolve(name)?;
    let mut inventory = with_steps(name, |cancel, step| {
        Ok::<_, UserError>(image::inventory(&image.path, name, cancel, step)?)
    })?;
    // An image without a package manager has no list of its packages in it; whoever built it here has.
    if inventory.packages.is_none() && !image.packages.is_empty() {
        let packages = image.packages.into_iter();
        let known = packages
            .map(|package| ((Component::Base, package.name), BTreeSet::from([package.version])));
        inventory.packages = Some(known.collect());
    }
    Ok(inventory)
}

fn limits(path: Option<&Path>) -> Result<Limits, UserError> {
    let Some(path) = path else {
        let broken = |error: LimitsError| UserError::defect(error.to_string());
        return Limits::builtin().map_err(broken);
    };
    if path.as_os_str() == "none" {
        return Ok(Limits::none());
    }
    let text = fs::read_to_string(path).map_err(|error| UserError::unreadable(path, &error))?;
    Limits::parse(&path.display().to_string(), &text).map_err(|error| {
        let wrong = UserError::usage(error.to_string());
        match error.problems.first() {
            Some(first) => {
                // A table's place is all of it; its first line says enough.
                let shown = text.get(first.span.clone()).unwrap_or_default();
                let end = first.span.start + shown.find('\n').unwrap_or(shown.len());
                wrong.with_snippet(path, &text, first.span.start..end)
            }
            None => wrong,
        }
    })
}

fn format(name: DiffFormat) -> Format {
    match name {
        DiffFormat::Text => Format::Text,
        DiffFormat::Md => Format::Markdown,
        DiffFormat::Html => Format::Html,
        DiffFormat::Json => Format::Json,
        DiffFormat::Sarif => Format::Sarif,
        DiffFormat::Junit => Format::Junit,
    }
}

fn counts(judgement: &Judgement) -> String {
    let count = |severity| judgement.count(severity);
    format!(
        "{} errors, {} warnings, {} accepted",
        count(Severity::Error),
        count(Severity::Warn),
        judgement.allowed()
    )
}

fn print(text: &str) -> Result<(), UserError> {
    match io::stdout().write_all(text.as_bytes()) {
        // The reader has seen enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(UserError::infra(format!("the comparison can't be written: {error}")))
        }
        _ => Ok(()),
    }
}

impl From<ListingError> for UserError {
    fn from(error: ListingError) -> Self {
        let message = error.to_string();
        if error.is_io() { Self::infra(message) } else { Self::usage(message) }
    }
}

/// Whether the system refused to read. That an image ends too early is the image's fault.
fn is_io(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source())
        .filter_map(|error| error.downcast_ref::<io::Error>())
        .any(|error| error.kind() != io::ErrorKind::UnexpectedEof)
}

impl From<InventoryError> for UserError {
    fn from(error: InventoryError) -> Self {
        let message = error.to_string();
        match &error {
            InventoryError::Cancelled => Self::usage(message).with_code(ExitCode::Interrupted),
            InventoryError::Temporary { .. } => Self::infra(message),
            InventoryError::Disk(_) | InventoryError::FileSystem { .. } if is_io(&error) => {
                Self::infra(message)
            }
            InventoryError::Disk(_)
            | InventoryError::FileSystem { .. }
            | InventoryError::NoSystem { .. } => Self::usage(message),
        }
    }
}

impl From<CompareError> for UserError {
    fn from(error: CompareError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<RenderError> for UserError {
    fn from(error: RenderError) -> Self {
        Self::defect(error.to_string())
    }
}
