//! `wheeltap image payload`.

use std::{
    fs::{self, File},
    io::BufReader,
    path::Path,
};

use serde_json::json;
use wheeltap_formats::payload::{
    PayloadError, PrivateKey, PublicKey, ResultCheck, inspect, verify,
};
use wheeltap_images::payload::{CreatePayloadError, DEVELOPMENT_KEY, create_payload};

use super::{
    args::{CreatePayloadArgs, PayloadCommand},
    list::print_json,
    out,
    steps::with_steps,
};
use crate::{
    ExitCode, UserError,
    setup::{profile_of, slot_layout},
};

pub(super) fn payload(command: &PayloadCommand) -> Result<ExitCode, UserError> {
    match command {
        PayloadCommand::Create(args) => create(args),
        PayloadCommand::Inspect { file, json } => show(file, *json),
        PayloadCommand::Verify { file, key, json } => check(file, key, *json),
    }
}

fn create(args: &CreatePayloadArgs) -> Result<ExitCode, UserError> {
    let key = match &args.key {
        Some(file) => read_key(file, PrivateKey::from_pem)?,
        None => PrivateKey::from_pem(DEVELOPMENT_KEY)
            .map_err(|error| UserError::defect(format!("the development key: {error}")))?,
    };
    let image = wheeltap_images::resolve(&args.image)?;
    let profile = profile_of(&args.image, args.profile.as_deref(), Some(&image))?;
    let layout = slot_layout(&profile)?;
    if fs::canonicalize(&args.out).is_ok_and(|out| out == image.path) {
        return Err(UserError::usage("--out is the image itself: give the payload another name"));
    }
    let created = with_steps(&args.image, |cancel, step| {
        Ok(create_payload(&image.path, &layout, &[key], &args.out, cancel, step)?)
    })?;
    if args.key.is_none() {
        out::error_line(
            "signed with the development key, which is public: only test images trust it",
        );
    }
    if args.json {
        return print_json(&json!({ "path": args.out, "payload": created }));
    }
    out::line(args.out.display());
    Ok(ExitCode::Passed)
}

fn show(file: &Path, json: bool) -> Result<ExitCode, UserError> {
    let summary = inspect(open(file)?).map_err(|error| wrong(file, &error))?;
    if json {
        return print_json(&summary);
    }
    out::text(summary);
    Ok(ExitCode::Passed)
}

fn check(file: &Path, key: &Path, json: bool) -> Result<ExitCode, UserError> {
    let key = read_key(key, PublicKey::from_pem)?;
    let verification = match verify(open(file)?, Some(&key)) {
        Ok(verification) => verification,
        Err(error @ (PayloadError::Io { .. } | PayloadError::Key(_))) => {
            return Err(wrong(file, &error));
        }
        // Whether it is good was the question.
        Err(error) if json => {
            print_json(&json!({ "valid": false, "reason": error.to_string() }))?;
            return Ok(ExitCode::ProductFailure);
        }
        Err(error) => return Err(wrong(file, &error).with_code(ExitCode::ProductFailure)),
    };
    if json {
        return print_json(&json!({ "valid": true, "payload": verification }));
    }
    out::text(&verification);
    out::line(match verification.result {
        ResultCheck::Matches => "good        the signature and all digests fit",
        ResultCheck::NotChecked => {
            "good        the signature and the digests of the data fit; the result of a delta was not checked"
        }
    });
    Ok(ExitCode::Passed)
}

fn open(file: &Path) -> Result<BufReader<File>, UserError> {
    let unreadable = |error| UserError::unreadable(file, &error);
    let opened = File::open(file).map_err(unreadable)?;
    if opened.metadata().map_err(unreadable)?.is_dir() {
        return Err(UserError::usage(format!(
            "{} is a directory: give the path of a payload",
            file.display()
        )));
    }
    Ok(BufReader::new(opened))
}

fn read_key<K, E: ToString>(
    file: &Path,
    parse: impl FnOnce(&str) -> Result<K, E>,
) -> Result<K, UserError> {
    let bytes = fs::read(file).map_err(|error| UserError::unreadable(file, &error))?;
    // A binary key is no PEM either, and `parse` says so.
    parse(&String::from_utf8_lossy(&bytes)).map_err(|error| wrong(file, &error))
}

fn wrong(file: &Path, error: &impl ToString) -> UserError {
    UserError::usage(format!("{}: {}", file.display(), error.to_string()))
}

impl From<CreatePayloadError> for UserError {
    fn from(error: CreatePayloadError) -> Self {
        let message = error.to_string();
        match error {
            CreatePayloadError::Image(error) => error.into(),
            CreatePayloadError::Cancelled => Self::usage(message).with_code(ExitCode::Interrupted),
            CreatePayloadError::NoQemuImg
            | CreatePayloadError::NoSpace { .. }
            | CreatePayloadError::Io { .. }
            | CreatePayloadError::Cache(_) => Self::infra(message),
            CreatePayloadError::NoPartitionTable { .. }
            | CreatePayloadError::NoPartition { .. }
            | CreatePayloadError::CutShort { .. }
            | CreatePayloadError::EmptySlot { .. }
            | CreatePayloadError::BootPartition { .. }
            | CreatePayloadError::NoKernel { .. }
            | CreatePayloadError::QemuImg { .. }
            | CreatePayloadError::Payload { .. } => Self::usage(message),
        }
    }
}
