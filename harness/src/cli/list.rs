//! `wheeltap list`.

use serde::Serialize;
use wheeltap_platforms::{Capability, Firmware};
use wheeltap_scenarios::{Fault, MachineNeed, Scenario, UpdateNeed, catalogue};

use super::{args::ListArgs, out};
use crate::{ExitCode, Selection, UserError};

/// A scenario as `--json` shows it.
#[derive(Serialize)]
struct Listed {
    name: &'static str,
    summary: &'static str,
    claims: &'static [&'static str],
    tags: &'static [&'static str],
    needs: ListedNeeds,
    faults: Vec<&'static str>,
}

#[derive(Serialize)]
struct ListedNeeds {
    capabilities: &'static [Capability],
    machine: MachineNeed,
    machines: usize,
    memory_mib: u32,
    cpus: u32,
    extra_nics: u32,
    disks: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    firmware: Option<Firmware>,
    slots: bool,
    update: UpdateNeed,
}

/// A fault as `--json` shows it.
#[derive(Serialize)]
struct ListedFault {
    name: String,
    summary: String,
    reddens: Vec<&'static str>,
}

pub(super) fn list(args: &ListArgs) -> Result<ExitCode, UserError> {
    if args.faults {
        return list_faults(args.json);
    }
    let select = &args.select;
    let selection = Selection {
        filters: select.filter.clone(),
        tags: select.tag.clone(),
        skip: select.skip.clone(),
    };
    let scenarios = selection.scenarios()?;
    if args.json {
        let listed: Vec<Listed> = scenarios.into_iter().map(Listed::from).collect();
        return print_json(&listed);
    }
    let width = scenarios.iter().map(|scenario| scenario.name.len()).max().unwrap_or(0);
    for scenario in scenarios {
        out::line(format_args!("{:width$}  {}", scenario.name, scenario.summary));
    }
    Ok(ExitCode::Passed)
}

fn list_faults(json: bool) -> Result<ExitCode, UserError> {
    let faults = Fault::builtin().map_err(|error| UserError::defect(error.to_string()))?;
    let listed: Vec<ListedFault> = faults
        .into_iter()
        .map(|fault| {
            let reddens = catalogue()
                .filter(|scenario| scenario.proofs.iter().any(|proof| proof.fault == fault.name))
                .map(|scenario| scenario.name)
                .collect();
            ListedFault { name: fault.name, summary: fault.summary, reddens }
        })
        .collect();
    if json {
        return print_json(&listed);
    }
    let width = listed.iter().map(|fault| fault.name.len()).max().unwrap_or(0);
    for fault in listed {
        out::line(format_args!(
            "{:width$}  {} (turns red: {})",
            fault.name,
            fault.summary,
            fault.reddens.join(", ")
        ));
    }
    Ok(ExitCode::Passed)
}

/// Prints a value as JSON on standard output.
pub(super) fn print_json(value: &impl Serialize) -> Result<ExitCode, UserError> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| UserError::defect(format!("can't be written as JSON: {error}")))?;
    out::line(text);
    Ok(ExitCode::Passed)
}

impl From<&'static Scenario> for Listed {
    fn from(scenario: &'static Scenario) -> Self {
        let needs = &scenario.needs;
        let hardware = needs.hardware(Firmware::Bios);
        Self {
            name: scenario.name,
            summary: scenario.summary,
            claims: scenario.claims,
            tags: scenario.tags,
            needs: ListedNeeds {
                capabilities: needs.capabilities,
                machine: needs.machine,
                machines: needs.machines,
                memory_mib: hardware.memory_mib,
                cpus: hardware.cpus,
                extra_nics: hardware.extra_nics,
                disks: needs
                    .disks
                    .iter()
                    .map(|(serial, mib)| format!("{serial}:{mib}MiB"))
                    .collect(),
                firmware: needs.firmware,
                slots: needs.slots,
                update: needs.update,
            },
            faults: scenario.proofs.iter().map(|proof| proof.fault).collect(),
        }
    }
}
