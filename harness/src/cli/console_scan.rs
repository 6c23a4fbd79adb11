//! `wheeltap console-scan`.

use wheeltap_scenarios::watch::{Hit, Rules, render, scan_file};

use super::{args::ConsoleScanArgs, list::print_json, out};
use crate::{ExitCode, UserError};

/// Lines of context on each side of a hit.
const CONTEXT: usize = 5;

pub(super) fn console_scan(args: &ConsoleScanArgs) -> Result<ExitCode, UserError> {
    let rules = match &args.rules {
        Some(file) => Rules::load(file).map_err(|error| UserError::usage(error.to_string()))?,
        None => Rules::builtin(),
    };
    let mut all = Vec::new();
    for file in &args.file {
        let hits = scan_file(file, &rules).map_err(|error| UserError::unreadable(file, &error))?;
        all.push((file, hits));
    }
    if args.json {
        let files: Vec<_> = all
            .iter()
            .map(|(file, hits)| serde_json::json!({ "file": file, "hits": hits }))
            .collect();
        print_json(&files)?;
    } else {
        for (file, hits) in &all {
            out::text(render(&file.to_string_lossy(), hits, CONTEXT));
        }
    }
    let fatal = all.iter().flat_map(|(_, hits)| hits).any(Hit::is_fatal);
    Ok(if fatal { ExitCode::ProductFailure } else { ExitCode::Passed })
}
