//! One scenario on an image that was tested before, for a bisection.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use wheeltap_platforms::Firmware;
use wheeltap_reports::{CaseId, Image, Run};
use wheeltap_scenarios::Scenario;

use crate::{
    Selection, Setup, UpdateSetup, UserError,
    cli::{
        out,
        progress::{Level, Options, Screen},
        run::until_second_signal,
        steps::with_steps,
    },
    engine::{Engine, ForkMode, Progress, Request, Silent, arch},
};

/// As for `wheeltap run`: what a second signal dropped gets this long to be killed.
const ABORT_LIMIT: Duration = Duration::from_secs(2);

/// What came of an image.
pub(super) enum Tried {
    /// It was booted.
    Ran(Box<Run>),
    /// It isn't there any more, or is another one now, with the reason.
    Gone(String),
}

/// What is the same for every image.
pub(super) struct Boot<'a> {
    case: &'a CaseId,
    scenario: &'static Scenario,
    firmware: Firmware,
    out: &'a PathBuf,
    /// Standard output belongs to a program.
    is_silent: bool,
}

impl<'a> Boot<'a> {
    /// Finds out whether the case can be run here at all.
    pub(super) fn new(
        case: &'a CaseId,
        out: &'a PathBuf,
        is_silent: bool,
    ) -> Result<Self, UserError> {
        let selection = Selection { filters: vec![case.scenario.clone()], ..Selection::default() };
        let firmware = firmware(&case.cell).ok_or_else(|| {
            let cells = [Firmware::Bios, Firmware::Uefi].map(cell_of).join(" and ");
            UserError::usage(format!("--boot can't run the cell {} here", case.cell))
                .with_help(format!("this host runs {cells}"))
        })?;
        match selection.scenarios()?[..] {
            [scenario] => Ok(Self { case, scenario, firmware, out, is_silent }),
            _ => Err(UserError::usage(format!("{} is not one scenario", case.scenario))),
        }
    }

    /// Boots an image and runs the scenario, if the image's name still leads to the same bytes.
    pub(super) fn run(&self, image: &Image) -> Result<Tried, UserError> {
        let found = match wheeltap_images::resolve(&image.name) {
            Ok(found) => found,
            Err(error) => return Ok(Tried::Gone(error.to_string())),
        };
        if found.digest != image.digest {
            let (name, now, then) = (&image.name, short(&found.digest), short(&image.digest));
            return Ok(Tried::Gone(format!("{name} is now {now}, and was {then} when it ran")));
        }
        out::error_line(format_args!(
            "{} on {} {} ({})",
            self.case,
            image.name,
            image.version,
            short(&image.digest)
        ));
        let cancel = CancellationToken::new();
        let setup = Setup {
            profile: Some(image.profile.clone()),
            firmware: vec![self.firmware],
            updates: UpdateSetup::own_if_used(&[self.scenario], None),
            ..Setup::new(image.name.clone())
        };
        let (world, described) =
            with_steps("updates", |abort, step| setup.world(cancel.clone(), abort, step))?;
        let progress: Arc<dyn Progress> = if self.is_silent {
            Arc::new(Silent)
        } else {
            Arc::new(Screen::new(Options {
                level: Level::Normal,
                json: false,
                expected: Box::new(|_| None),
            }))
        };
        let engine = Engine { progress, ..Engine::new(world, described, self.out.clone()) };
        let prepared = engine.prepare(&Request {
            scenarios: vec![self.scenario],
            firmware: vec![self.firmware],
            fork: ForkMode::Off,
            ..Request::default()
        })?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime
            .map_err(|error| UserError::infra(format!("no threads can be started: {error}")))?;
        let ended = runtime.block_on(until_second_signal(&engine, &prepared, &cancel));
        runtime.shutdown_timeout(ABORT_LIMIT);
        let run = match ended {
            Some(run) => run?,
            None => wheeltap_reports::write_last(&prepared.directory)?,
        };
        Ok(Tried::Ran(Box::new(run)))
    }
}

/// The firmware of a cell that this host can run.
fn firmware(cell: &str) -> Option<Firmware> {
    [Firmware::Bios, Firmware::Uefi].into_iter().find(|firmware| cell_of(*firmware) == cell)
}

/// The cell of QEMU machines of this host's architecture.
fn cell_of(firmware: Firmware) -> String {
    format!("qemu_{firmware}.{}", arch())
}

fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_of_this_host_have_a_firmware() {
        let arch = arch();
        assert_eq!(firmware(&format!("qemu_bios.{arch}")), Some(Firmware::Bios));
        assert_eq!(firmware(&format!("qemu_uefi.{arch}")), Some(Firmware::Uefi));
        for other in ["qemu_uefi.s390x", "external.amd64", "qemu_bios.amd64+fault", ""] {
            assert_eq!(firmware(other), None, "{other}");
        }
    }

    #[test]
    fn an_image_that_is_gone_is_said_to_be() {
        let case = CaseId::new("boot.release", cell_of(Firmware::Bios));
        let out = PathBuf::from("out");
        let boot = Boot::new(&case, &out, true).unwrap();
        let gone = |name: &str| {
            let image = Image {
                name: name.to_owned(),
                digest: "5e".repeat(32),
                version: String::new(),
                profile: "reference".to_owned(),
                ..Image::default()
            };
            match boot.run(&image).unwrap() {
                Tried::Gone(why) => why,
                Tried::Ran(_) => panic!("nothing to boot"),
            }
        };
        assert!(gone("/nonexistent.img").contains("/nonexistent.img"));
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("disk.img");
        let mut disk = vec![0; 1024];
        disk[510..512].copy_from_slice(&[0x55, 0xAA]);
        std::fs::write(&path, disk).unwrap();
        let why = gone(path.to_str().unwrap());
        assert!(why.ends_with("and was 5e5e5e5e5e5e when it ran"), "{why}");
    }

    #[test]
    fn what_cannot_run_here_is_refused() {
        let out = PathBuf::from("out");
        let refused = |scenario: &str, cell: &str| {
            let case = CaseId::new(scenario, cell);
            Boot::new(&case, &out, true).err().unwrap().to_string()
        };
        assert!(refused("boot.release", "external.amd64").contains("external.amd64"));
        assert!(refused("boot.gone", &cell_of(Firmware::Bios)).contains("no scenario matches"));
    }
}
