//! systemd units.

use wheeltap_platforms::{poll_until, ssh::quote};

use super::Guest;
use crate::failure::{Failure, Result};

/// Properties of a unit as `systemctl show` prints them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnitState {
    /// `loaded`, `not-found`, `masked`.
    pub load: String,
    /// `active`, `inactive`, `failed`, `activating`.
    pub active: String,
    /// `running`, `exited`, `dead`.
    pub sub: String,
    /// `success`, `exit-code`.
    pub result: String,
    /// The exit status of its main process.
    pub exit_status: String,
}

/// A failed unit with its last words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedUnit {
    /// Its name.
    pub name: String,
    /// The last 20 lines it wrote to the journal.
    pub journal: String,
}

impl Guest {
    /// The state of `unit`.
    pub async fn unit(&self, unit: &str) -> Result<UnitState> {
        let properties = "LoadState,ActiveState,SubState,Result,ExecMainStatus";
        let command = format!("systemctl show --property={properties} {}", quote(unit));
        Ok(parse_state(&self.run(&command).await?))
    }

    /// Waits until `unit` is active.
    ///
    /// # Errors
    /// A unit that fails ends the wait at once, with its last 20 journal lines.
    pub async fn wait_for_unit(&self, unit: &str) -> Result<UnitState> {
        let what = format!("{unit} to be active");
        let limits = self.limits();
        let state =
            poll_until(&what, limits.condition(), limits.poll(), self.interrupt(), async || {
                match self.unit(unit).await {
                    Ok(state) if state.active == "active" || state.active == "failed" => Ok(state),
                    Ok(state) => {
                        Err(format!("it is {} ({}, {})", state.active, state.load, state.sub))
                    }
                    Err(failure) => Err(failure.headline),
                }
            })
            .await?;
        if state.active == "failed" {
            let journal = self.unit_journal(unit).await?;
            return Err(Failure::check(format!(
                "{unit} failed ({}, status {})",
                state.result, state.exit_status
            ))
            .with_detail(&journal));
        }
        Ok(state)
    }

    /// Waits until systemd has nothing left to start, and gives its verdict: `running` or `degraded`.
    pub async fn wait_until_started(&self) -> Result<String> {
        let limits = self.limits();
        let command = "systemctl is-system-running";
        let state = poll_until(
            "systemd to finish starting",
            limits.condition(),
            limits.poll(),
            self.interrupt(),
            async || match self.try_run(command).await {
                Ok(output) => match output.text().trim() {
                    state @ ("running" | "degraded" | "maintenance") => Ok(state.to_owned()),
                    state => Err(format!("the system is {state}")),
                },
                Err(failure) => Err(failure.headline),
            },
        )
        .await?;
        Ok(state)
    }

    /// Every failed unit, with its last 20 journal lines.
    pub async fn failed_units(&self) -> Result<Vec<FailedUnit>> {
        let listed =
            self.run("systemctl list-units --state=failed --plain --no-legend --full").await?;
        let mut units = Vec::new();
        for name in listed.lines().filter_map(|line| line.split_whitespace().next()) {
            let journal = self.unit_journal(name).await?;
            units.push(FailedUnit { name: name.to_owned(), journal });
        }
        Ok(units)
    }

    /// The last 20 lines that `unit` wrote to the journal in this boot.
    pub async fn unit_journal(&self, unit: &str) -> Result<String> {
        let command =
            format!("journalctl -b -n 20 --no-pager -o short-monotonic -u {}", quote(unit));
        Ok(self.try_run(&command).await?.text())
    }
}

fn parse_state(shown: &str) -> UnitState {
    let mut state = UnitState::default();
    for (key, value) in shown.lines().filter_map(|line| line.split_once('=')) {
        let field = match key {
            "LoadState" => &mut state.load,
            "ActiveState" => &mut state.active,
            "SubState" => &mut state.sub,
            "Result" => &mut state.result,
            "ExecMainStatus" => &mut state.exit_status,
            _ => continue,
        };
        value.clone_into(field);
    }
    state
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_properties_in_any_order() {
        let state = parse_state(
            "Result=exit-code\nExecMainStatus=1\nLoadState=loaded\nActiveState=failed\nSubState=failed\n",
        );
        assert_eq!(state.active, "failed");
        assert_eq!(state.exit_status, "1");
        assert_eq!(state.load, "loaded");
    }
}
