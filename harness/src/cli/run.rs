//! `wheeltap run`.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, IsTerminal as _},
    path::Path,
    sync::Arc,
    time::Duration,
};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use wheeltap_platforms::{Accelerator, Firmware};
use wheeltap_reports::{CaseId, Format, JunitOptions, Run, Waivers};
use wheeltap_scenarios::{Fault, Scenario, catalogue};

use super::{
    again,
    args::{
        AccelName, FirmwareName, FlakyName, ForkName, Jobs, PlatformName, Retries, RunArgs,
        RunFormat,
    },
    history, out,
    progress::{Level, Options, Screen},
    steps::with_steps,
};
use crate::{
    ExitCode, ExternalHost, Selection, Setup, UpdateSetup, UserError,
    engine::{self, Engine, EngineError, Expected, ForkMode, Prepared, Request},
    published,
    settings::{Flaky, Settings},
};

/// After a second signal the runtime gets this long to kill what it holds.
const ABORT_LIMIT: Duration = Duration::from_secs(2);

pub(super) fn run(args: &RunArgs, verbose: u8) -> Result<ExitCode, UserError> {
    match &args.resume {
        Some(directory) => again::resume(args, directory, verbose),
        None => carry_out(args, &Start::Anew { only: None }, verbose),
    }
}

/// Where a run begins.
pub(super) enum Start<'a> {
    /// With a plan of its own, which may be limited to some cases.
    Anew { only: Option<BTreeSet<CaseId>> },
    /// In this directory, where it had ended early.
    Resume { directory: &'a Path, only: Option<BTreeSet<CaseId>> },
}

/// Does what the arguments say.
pub(super) fn carry_out(
    args: &RunArgs,
    start: &Start<'_>,
    verbose: u8,
) -> Result<ExitCode, UserError> {
    let level = match (args.quiet, verbose) {
        (true, 0) => Level::Quiet,
        // clap doesn't see a conflict with an option that stands before the command.
        (true, _) => return Err(UserError::usage("--quiet and --verbose exclude each other")),
        (false, 0) => Level::Normal,
        (false, _) => Level::Verbose,
    };
    let junit =
        args.junit_options.options(args.junit.is_some(), "say where it goes with --junit FILE")?;
    let selection = Selection {
        filters: args.select.filter.clone(),
        tags: args.select.tag.clone(),
        skip: args.select.skip.clone(),
    };
    let scenarios = selection.scenarios()?;
    let faults = match &args.fault {
        Some(name) => vec![Fault::find(name).map_err(|error| UserError::usage(error.to_string()))?],
        None => Vec::new(),
    };
    if scenarios.is_empty() {
        out::error_line("nothing is selected; `wheeltap list` shows what there is");
        return Ok(ExitCode::Incomplete);
    }
    let settings = Arc::new(settings(args)?);
    let waivers = settings.waivers.as_deref().map(Waivers::load).transpose()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| UserError::infra(format!("no threads can be started: {error}")))?;
    let cancel = CancellationToken::new();
    let setup = setup(args, &settings, &scenarios)?;
    let (world, image) =
        with_steps("updates", |abort, step| setup.world(cancel.clone(), abort, step))?;
    if image.insecure {
        out::error_line(published::warning(&image.name, image.origin.as_deref().unwrap_or("?")));
    }
    if settings.fork == ForkMode::Require && !world.can_fork() {
        let platform = world.platform.name();
        return Err(UserError::usage(format!(
            "--fork require: machines of the platform {platform} can't be forked"
        ))
        .with_help("leave it out, or say --fork auto"));
    }
    let json = args.format == RunFormat::Json;
    let expected: Expected = match args.no_history {
        true => Arc::new(|_| None),
        false => history::expected(settings.history.as_deref(), world.platform.accelerator()),
    };
    let shown = Arc::clone(&expected);
    let screen =
        Arc::new(Screen::new(Options { level, json, expected: Box::new(move |id| shown(id)) }));
    let engine = Engine {
        world: Arc::new(world),
        image,
        jobs: settings.jobs,
        settings: Arc::clone(&settings),
        repeat: args.repeat,
        expected,
        command: std::env::args().collect(),
        out: args.out.clone(),
        progress: Arc::clone(&screen) as _,
    };
    let request = Request {
        scenarios,
        firmware: setup.firmware,
        faults,
        proofs: Vec::new(),
        fork: settings.fork,
        only: match start {
            Start::Anew { only } | Start::Resume { only, .. } => only.clone(),
        },
        partition: args.partition,
    };
    if let Some(file) = &args.junit {
        // Found out now, and not when the night is over.
        File::options()
            .create(true)
            .append(true)
            .open(file)
            .map_err(|error| unwritable(file, &error))?;
    }
    let prepared = match start {
        Start::Anew { .. } => engine.prepare(&request)?,
        Start::Resume { directory, .. } => engine.resume(&request, directory)?,
    };
    if let Some(waivers) = waivers {
        // Every report finds them there, so that all say the same, now and later.
        waivers.write(&prepared.directory).map_err(EngineError::from)?;
    }
    let ended = runtime.block_on(until_second_signal(&engine, &prepared, &cancel));
    // What the second signal dropped is killed by its destructors; the threads that hold it get a moment for that.
    runtime.shutdown_timeout(ABORT_LIMIT);
    screen.finish();
    let run = match ended {
        Some(run) => run?,
        None => wheeltap_reports::write_last(&prepared.directory)?,
    };
    finish(args, &settings, &junit, &run)
}

/// The settings, with what the command line says in their place.
fn settings(args: &RunArgs) -> Result<Settings, UserError> {
    let mut settings = Settings::load(args.config.as_deref(), args.run_profile.as_deref())?;
    let scenarios = catalogue().map(|scenario| (scenario.name, scenario.tags));
    for idle in settings.idle_overrides(&scenarios.collect::<Vec<_>>()) {
        tracing::warn!("settings: no scenario is matched by the override with {idle}");
    }
    if let Some(Retries { product, infra }) = args.retries {
        settings.retry(product, infra);
    }
    if args.fail_fast {
        settings.max_fail = Some(1);
    }
    settings.max_fail = args.max_fail.or(settings.max_fail);
    settings.deadline = args.deadline.or(settings.deadline);
    settings.jobs = args.jobs.map_or(settings.jobs, Into::into);
    settings.fork = args.fork.map_or(settings.fork, Into::into);
    settings.waivers = args.waivers.clone().or(settings.waivers);
    settings.history = args.history.clone().or(settings.history);
    settings.flaky = args.flaky.map_or(settings.flaky, Into::into);
    Ok(settings)
}

/// Runs until the end. The first signal cancels, the second gives up (`None`).
pub(super) async fn until_second_signal(
    engine: &Engine,
    prepared: &Prepared,
    cancel: &CancellationToken,
) -> Option<Result<Run, EngineError>> {
    // Before anything can be seen of the run: a signal that comes while its listener is made is lost.
    let listeners = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
        signal(SignalKind::hangup()),
    );
    let signals = async {
        let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hang_up)) = listeners else {
            return std::future::pending().await;
        };
        let mut signals = 0;
        while signals < 2 {
            let name = tokio::select! {
                _ = interrupt.recv() => "SIGINT",
                _ = terminate.recv() => "SIGTERM",
                // The terminal was closed, and with it the only place to see how this goes on.
                _ = hang_up.recv() => "SIGHUP",
            };
            signals += 1;
            if signals == 1 {
                out::error_line(format_args!(
                    "{name}: taking the machines down; once more kills them at once"
                ));
                prepared.interrupted(name);
                cancel.cancel();
            }
        }
    };
    tokio::select! {
        run = engine.run(prepared) => Some(run),
        () = signals => None,
    }
}

fn finish(
    args: &RunArgs,
    settings: &Settings,
    junit: &JunitOptions,
    run: &Run,
) -> Result<ExitCode, UserError> {
    let summary = |paint| {
        let format = if args.quiet { Format::Summary(paint) } else { Format::Text(paint) };
        wheeltap_reports::render(run, format)
    };
    match args.format {
        RunFormat::Text => out::text(summary(out::paint(&io::stdout()))?),
        // Standard output is for events; whoever reads them needs no summary, unless somebody watches.
        RunFormat::Json if io::stderr().is_terminal() => {
            out::write_error(summary(out::paint(&io::stderr()))?);
        }
        RunFormat::Json => {}
    }
    if !args.no_history {
        history::record(settings.history.as_deref(), run);
    }
    if let Some(file) = &args.junit {
        for (file, document) in out::numbered(file, wheeltap_reports::render_junit(run, junit)?) {
            out::file(&file, &document).map_err(|error| unwritable(&file, &error))?;
        }
    }
    Ok(ExitCode::from_outcome(run.outcome(), settings.flaky == Flaky::Fail))
}

impl From<FlakyName> for Flaky {
    fn from(name: FlakyName) -> Self {
        match name {
            FlakyName::Report => Self::Report,
            FlakyName::Fail => Self::Fail,
        }
    }
}

impl From<ForkName> for ForkMode {
    fn from(name: ForkName) -> Self {
        match name {
            ForkName::Auto => Self::Auto,
            ForkName::Off => Self::Off,
            ForkName::Require => Self::Require,
        }
    }
}

pub(super) fn unwritable(file: &Path, error: &io::Error) -> UserError {
    UserError::infra(format!("{} can't be written: {error}", file.display()))
}

fn setup(args: &RunArgs, settings: &Settings, scenarios: &[&Scenario]) -> Result<Setup, UserError> {
    let updates = match &args.update_server {
        Some(url) => UpdateSetup::Server(url.clone()),
        None => UpdateSetup::own_if_used(scenarios, args.update_to.as_deref()),
    };
    Ok(Setup {
        image: args.image.clone(),
        profile: args.profile.clone(),
        ignition: args.ignition.clone(),
        host: external_host(args)?,
        accelerator: match args.accel {
            AccelName::Auto => None,
            AccelName::Kvm => Some(Accelerator::Kvm),
            AccelName::Tcg => Some(Accelerator::Tcg),
        },
        firmware: args.firmware.iter().map(|&name| name.into()).collect(),
        console_rules: args.console_rules.clone(),
        updates,
        images: Some(settings.images.clone()),
    })
}

fn external_host(args: &RunArgs) -> Result<Option<ExternalHost>, UserError> {
    match (args.platform, &args.host, &args.identity) {
        (Some(PlatformName::External), None, _) => {
            Err(UserError::usage("--platform external needs a machine: --host user@address[:port]"))
        }
        (Some(PlatformName::Qemu), Some(_), _) => Err(UserError::usage(
            "--host names a machine that exists, which --platform qemu does not use",
        )),
        (_, Some(_), None) => Err(UserError::usage("--host needs a private key: --identity FILE")),
        (_, None, _) => Ok(None),
        (_, Some(host), Some(identity)) => Ok(Some(ExternalHost {
            user: host.user.clone(),
            address: host.address,
            identity: identity.clone(),
        })),
    }
}

impl From<FirmwareName> for Firmware {
    fn from(name: FirmwareName) -> Self {
        match name {
            FirmwareName::Bios => Self::Bios,
            FirmwareName::Uefi => Self::Uefi,
        }
    }
}

impl From<Jobs> for engine::Jobs {
    fn from(jobs: Jobs) -> Self {
        match jobs {
            Jobs::Auto => Self::Auto,
            Jobs::Count(count) => Self::Count(count),
        }
    }
}
