//! `wheeltap verify-attestation`.

use std::{fs, fs::File, io, path::Path};

use sha2::{Digest as _, Sha256};
use wheeltap_attestation::{Envelope, KeyError, PublicKey, Statement, TestResult};

use super::{
    args::{ResultName, VerifyArgs},
    out,
};
use crate::{ExitCode, UserError};

pub(super) fn verify(args: &VerifyArgs) -> Result<ExitCode, UserError> {
    let keys: Vec<_> = args.key.iter().map(|key| PublicKey::load(key)).collect::<Result<_, _>>()?;
    let subjects: Vec<_> = args
        .subject
        .iter()
        .map(|path| Ok((path, sha256(path).map_err(|error| UserError::unreadable(path, &error))?)))
        .collect::<Result<_, UserError>>()?;
    let file = &args.file;
    let bytes = fs::read(file).map_err(|error| UserError::unreadable(file, &error))?;
    let wrong = |what: &dyn std::fmt::Display| {
        UserError::usage(format!("{}: {what}", file.display())).with_code(ExitCode::ProductFailure)
    };
    for envelope in Envelope::parse(&bytes).map_err(|error| wrong(&error))? {
        let payload = envelope.verify(&keys).map_err(|error| wrong(&error))?;
        let statement = Statement::parse(&payload).map_err(|error| wrong(&error))?;
        for (path, digest) in &subjects {
            if statement.subject_of(digest).is_none() {
                let about = statement.subject.iter().map(|subject| {
                    let digest = subject.digest.get("sha256").map_or("no sha256", |it| it);
                    format!("{} ({digest})", clean(&subject.name))
                });
                let about: Vec<_> = about.collect();
                return Err(wrong(&format_args!(
                    "it isn't about {} (sha256 {digest}), but about {}",
                    path.display(),
                    about.join(", ")
                )));
            }
        }
        let result = statement.predicate.result;
        let worst = match args.result {
            None => TestResult::Failed,
            Some(ResultName::Warned) => TestResult::Warned,
            Some(ResultName::Passed) => TestResult::Passed,
        };
        if result > worst {
            return Err(wrong(&format_args!(
                "the signature is good, and the result is {result}; --result asks for {worst}"
            )));
        }
        let ids: Vec<_> = keys.iter().map(PublicKey::id).collect();
        out::line(format_args!("verified: {result}, signed by {}", ids.join(" and ")));
        for subject in &statement.subject {
            for (algorithm, digest) in &subject.digest {
                let name = clean(&subject.name);
                out::line(format_args!("  {name} {}:{}", clean(algorithm), clean(digest)));
            }
        }
        for resource in &statement.predicate.configuration {
            for (key, value) in &resource.annotations {
                let name = clean(&resource.name);
                out::line(format_args!("  {name} {}: {}", clean(key), clean(value)));
            }
        }
    }
    Ok(ExitCode::Passed)
}

/// Somebody else's text, fit for a terminal.
fn clean(text: &str) -> String {
    wheeltap_reports::clean_line(text, 200)
}

fn sha256(path: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    io::copy(&mut File::open(path)?, &mut hash)?;
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

impl From<KeyError> for UserError {
    fn from(error: KeyError) -> Self {
        Self::usage(error.to_string())
    }
}
