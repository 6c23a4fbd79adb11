//! `wheeltap doctor`.

use std::process::Command;

use serde::Serialize;
use wheeltap_platforms::{HostFacts, qemu::find_ovmf};

use super::{args::DoctorArgs, list::print_json, out};
use crate::{ExitCode, UserError};

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    what: &'static str,
    /// `ok`, `slow` (works, but), `missing`.
    state: State,
    /// What was found, and what to do about it.
    detail: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Slow,
    Missing,
}

pub(super) fn doctor(args: &DoctorArgs) -> Result<ExitCode, UserError> {
    let findings = findings();
    if args.json {
        print_json(&findings)?;
    } else {
        for finding in &findings {
            let state = match finding.state {
                State::Ok => "ok",
                State::Slow => "slow",
                State::Missing => "MISSING",
            };
            out::line(format_args!("{:<14} {state:<8} {}", finding.what, finding.detail));
        }
    }
    let missing = findings.iter().any(|finding| finding.state == State::Missing);
    Ok(if missing { ExitCode::InfraFailure } else { ExitCode::Passed })
}

fn findings() -> Vec<Finding> {
    let (accelerator, why) = HostFacts::read().choose();
    let slow = match accelerator {
        wheeltap_platforms::Accelerator::Kvm => State::Ok,
        wheeltap_platforms::Accelerator::Tcg => State::Slow,
    };
    let uefi = match find_ovmf() {
        Ok((code, _)) => (State::Ok, code.display().to_string()),
        Err(error) => (State::Missing, error.message),
    };
    let build = wheeltap_images::missing_packages();
    let build = if build.is_empty() {
        (State::Ok, "everything `wheeltap image build` needs is there".to_owned())
    } else {
        (State::Missing, format!("for `wheeltap image build`: apt-get install {}", build.join(" ")))
    };
    let finding = |what, (state, detail)| Finding { what, state, detail };
    vec![
        finding("qemu", tool("qemu-system-x86_64", "qemu-system-x86")),
        finding("disk tools", tool("qemu-img", "qemu-utils")),
        finding("accelerator", (slow, format!("{accelerator}: {why}"))),
        finding("uefi", uefi),
        finding("image build", build),
    ]
}

/// The first line that a program says about its version, or the package that brings it.
fn tool(program: &str, package: &str) -> (State, String) {
    match Command::new(program).arg("--version").output() {
        Ok(output) => {
            let version = String::from_utf8_lossy(&output.stdout);
            (State::Ok, version.lines().next().unwrap_or(program).to_owned())
        }
        Err(error) => (State::Missing, format!("{program}: {error}; apt-get install {package}")),
    }
}
