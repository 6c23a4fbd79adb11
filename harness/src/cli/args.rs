//! Arguments.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use wheeltap_scenarios::updates::{UpdateServer, Version};

mod gate;
mod image;
mod report;

pub(super) use self::gate::{GateArgs, GateCommand, ResultName, VerifyArgs};
pub(super) use self::image::{
    CreatePayloadArgs, DiffArgs, DiffFormat, ImageArgs, ImageCommand, PayloadCommand,
};
pub(super) use self::report::{FormatName, JunitArgs, ReportArgs, SchemaName};
use super::{history::HistoryArgs, transpile::TranspileArgs};
use crate::{engine::Partition, settings::parse_duration};

/// wheeltap boots an operating-system image and says whether it may leave.
#[derive(Debug, Parser)]
#[command(name = "wheeltap", version, about, max_term_width = 100, disable_help_subcommand = true)]
pub struct Cli {
    /// Say what is being done (twice: in detail).
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub(super) verbose: u8,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run scenarios against an image.
    #[command(
        after_help = "Example:\n  wheeltap run 'boot.*' ignition.once --image ./flatcar.img --firmware uefi"
    )]
    Run(Box<RunArgs>),
    /// Run again what did not pass in an earlier run, with the same arguments.
    #[command(
        after_help = "Example:\n  wheeltap rerun wheeltap-out/latest --failed\n  wheeltap rerun wheeltap-out/latest boot.units --cell qemu_bios.amd64"
    )]
    Rerun(RerunArgs),
    /// List scenarios, or faults.
    #[command(after_help = "Example:\n  wheeltap list 'reboot.*' --json")]
    List(ListArgs),
    /// Report on a run, also one that was killed, or on several runs of one plan as one.
    #[command(
        after_help = "Example:\n  wheeltap report wheeltap-out/latest --format junit\n  wheeltap report wheeltap-out/latest --format md >>\"$GITHUB_STEP_SUMMARY\"\n  wheeltap report shard-1 shard-2 shard-3 --waivers waivers.toml\n  wheeltap report new --format html --baseline old --out report.html"
    )]
    Report(ReportArgs),
    /// Say what this host can run, and how to mend what it can't.
    #[command(after_help = "Example:\n  wheeltap doctor --json")]
    Doctor(DoctorArgs),
    /// Build, fetch, verify, list, find and remove images.
    #[command(after_help = "Example:\n  wheeltap image build --version 4000.1.0")]
    Image(ImageArgs),
    /// Apply the console rules to saved logs.
    #[command(after_help = "Example:\n  wheeltap console-scan console.log")]
    ConsoleScan(ConsoleScanArgs),
    /// Make an Ignition config, on standard output, of a Butane config.
    #[command(
        after_help = "Example:\n  wheeltap transpile --strict --files-dir files my.bu > my.ign\n\nExit codes: 0 done, 2 the config is wrong or can't be read."
    )]
    Transpile(TranspileArgs),
    /// Serve what machines need from elsewhere.
    #[command(subcommand)]
    Serve(ServeCommand),
    /// Say how scenarios did over time: how often they pass, since when they fail, which image is why.
    #[command(
        after_help = "Example:\n  wheeltap history\n  wheeltap history update.apply --image 'flatcar:*'"
    )]
    History(HistoryArgs),
    /// Decide by a policy whether an image may leave: GO, GO WITH WAIVERS, NO-GO (exit code 20) or INCOMPLETE (21).
    #[command(
        after_help = "Example:\n  wheeltap gate --policy gate.toml --results runs/* --baseline last/* --waivers waivers.toml \\\n    --image-diff diff.json --key release.pem --out gate\n  wheeltap gate explain 'update.apply [qemu_uefi.amd64]' --gate gate",
        args_conflicts_with_subcommands = true,
        subcommand_negates_reqs = true
    )]
    Gate(Box<GateArgs>),
    /// Check who signed an attestation, and what it is about.
    #[command(
        after_help = "Example:\n  wheeltap verify-attestation gate/gate.intoto.jsonl --key release.pub --subject flatcar.img --result warned"
    )]
    VerifyAttestation(VerifyArgs),
    /// Remove what runs left that were killed; never what a living one uses.
    #[command(after_help = "Example:\n  wheeltap gc --dry-run")]
    Gc(GcArgs),
}

/// Which scenarios.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct SelectArgs {
    /// Names or globs (`boot.*`); all scenarios if there are none.
    pub(super) filter: Vec<String>,
    /// Only scenarios with this tag; may be given several times.
    #[arg(long)]
    pub(super) tag: Vec<String>,
    /// Leave these out; names or globs.
    #[arg(long, value_name = "FILTER")]
    pub(super) skip: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct RerunArgs {
    /// The earlier run's directory.
    pub(super) run: PathBuf,
    /// Only what failed: the image's failures and the infrastructure's.
    #[arg(long)]
    pub(super) failed: bool,
    /// Only what was planned and did not run.
    #[arg(long)]
    pub(super) not_run: bool,
    /// Only these, whatever came of them; names or globs.
    pub(super) filter: Vec<String>,
    /// Only in this cell, such as `qemu_bios.amd64`; a name or a glob.
    #[arg(long, value_name = "CELL")]
    pub(super) cell: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub(super) select: SelectArgs,
    /// The image: `reference`, `reference:VERSION`, a published one such as `flatcar:stable`, which is fetched, or a path to a
    /// raw or qcow2 disk.
    #[arg(long, default_value = "reference")]
    pub(super) image: String,
    /// The OS family of the image, where the image doesn't say: a name or a TOML file.
    #[arg(long)]
    pub(super) profile: Option<String>,
    /// Where machines come from.
    #[arg(long, value_enum)]
    pub(super) platform: Option<PlatformName>,
    /// Firmware; several make several cells.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "bios")]
    pub(super) firmware: Vec<FirmwareName>,
    /// How QEMU runs the guest.
    #[arg(long, value_enum, default_value = "auto")]
    pub(super) accel: AccelName,
    /// Your own Ignition config, applied byte for byte before what a scenario adds.
    #[arg(long, value_name = "FILE")]
    pub(super) ignition: Option<PathBuf>,
    /// A machine that already exists: `user@address[:port]`; implies `--platform external`.
    #[arg(long, value_name = "USER@ADDRESS")]
    pub(super) host: Option<HostName>,
    /// Private SSH key for `--host`.
    #[arg(long, value_name = "FILE", requires = "host")]
    pub(super) identity: Option<PathBuf>,
    /// What to update to: an image, a payload, or the URL of a published one; the next version of the reference image.
    #[arg(long, value_name = "IMAGE|PAYLOAD|URL", conflicts_with = "update_server")]
    pub(super) update_to: Option<String>,
    /// An update server that exists, as guests see it, in place of our own; only some scenarios can use it.
    #[arg(long, value_name = "URL", value_parser = update_url)]
    pub(super) update_server: Option<String>,
    /// Try a case again that did not pass: `N`, or `product=N,infra=N` for failures of the image and of the host. What passes
    /// then is `flaky`, not `pass`.
    #[arg(long, value_name = "N")]
    pub(super) retries: Option<Retries>,
    /// Start nothing that, by its history, can't end in this time; end what still runs then, such as `90m`.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(super) deadline: Option<Duration>,
    /// Start nothing more after the first case that did not pass.
    #[arg(long, conflicts_with = "max_fail")]
    pub(super) fail_fast: bool,
    /// Start nothing more after so many cases that did not pass.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) max_fail: Option<u32>,
    /// Run each case so often, whatever comes of it, to see how often it passes.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(super) repeat: u32,
    /// Go on with a run that was killed or ended early, with its own arguments, except for what had limited it: `--jobs`,
    /// `--deadline`, `--fail-fast` and `--max-fail` are those that are given now.
    #[arg(
        long,
        value_name = "RUN",
        conflicts_with_all = [
            "filter", "tag", "skip", "image", "profile", "platform", "firmware", "accel", "ignition", "host", "identity",
            "update_to", "update_server", "fork", "fault", "console_rules", "out", "retries", "repeat", "partition",
        ]
    )]
    pub(super) resume: Option<PathBuf>,
    /// Machines at the same time; `auto` is what memory and CPUs allow. Without this flag the settings say.
    #[arg(short, long)]
    pub(super) jobs: Option<Jobs>,
    /// Whether machines start where others had booted with the same config. Without this flag the settings say.
    #[arg(long, value_enum)]
    pub(super) fork: Option<ForkName>,
    /// Settings; without this flag `wheeltap.toml` in the current directory, if there is one.
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Profile of the settings (`--profile` is the OS family).
    #[arg(long, value_name = "NAME")]
    pub(super) run_profile: Option<String>,
    /// Run only this part of the plan: `slice:1/3` (in turn), `hash:1/3` (by name), `time:1/3` (by duration).
    #[arg(long, value_name = "KIND:I/N")]
    pub(super) partition: Option<Partition>,
    /// Put this fault into every case, to see it turn red (see `wheeltap list --faults`).
    #[arg(long, value_name = "NAME")]
    pub(super) fault: Option<String>,
    /// Console rules in place of the built-in ones.
    #[arg(long, value_name = "FILE")]
    pub(super) console_rules: Option<PathBuf>,
    /// Accepted failures: they don't fail the run, and the run's directory keeps a copy.
    #[arg(long, value_name = "FILE")]
    pub(super) waivers: Option<PathBuf>,
    /// What comes of cases that pass only after retries: they are reported, or make the exit code 4.
    #[arg(long, value_enum)]
    pub(super) flaky: Option<FlakyName>,
    /// Directory for the run's directory.
    #[arg(long, value_name = "DIR", default_value = "wheeltap-out")]
    pub(super) out: PathBuf,
    /// Also write the JUnit report here.
    #[arg(long, value_name = "FILE")]
    pub(super) junit: Option<PathBuf>,
    #[command(flatten)]
    pub(super) junit_options: JunitArgs,
    /// Only say what goes wrong, and how it ended.
    #[arg(short, long)]
    pub(super) quiet: bool,
    /// What standard output gets: the summary, or each event as a line of JSON as it happens.
    #[arg(long, value_enum, default_value = "text")]
    pub(super) format: RunFormat,
    /// The history to record this run in, in place of the user's (see `wheeltap history`).
    #[arg(long, value_name = "FILE", conflicts_with = "no_history")]
    pub(super) history: Option<PathBuf>,
    /// Don't record this run.
    #[arg(long)]
    pub(super) no_history: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum RunFormat {
    /// For people.
    Text,
    /// For programs: the lines of events.jsonl.
    Json,
}

/// How often what is tried again: `2`, or `product=1,infra=3`. What isn't named stays as the settings say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Retries {
    pub(super) product: Option<u32>,
    pub(super) infra: Option<u32>,
}

impl std::str::FromStr for Retries {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || "give a number, or product=N,infra=N".to_owned();
        if let Ok(count) = text.parse() {
            return Ok(Self { product: Some(count), infra: Some(count) });
        }
        let mut retries = Self::default();
        for part in text.split(',') {
            let (class, count) = part.split_once('=').ok_or_else(wrong)?;
            let count = Some(count.trim().parse().map_err(|_| wrong())?);
            match class.trim() {
                "product" => retries.product = count,
                "infra" => retries.infra = count,
                _ => return Err(wrong()),
            }
        }
        Ok(retries)
    }
}

/// It ends up in a line of the guest's update.conf.
fn update_url(text: &str) -> Result<String, String> {
    let is_url = text.starts_with("http://") || text.starts_with("https://");
    if !is_url || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("give a URL such as http://10.0.0.5:8000/v1/update".to_owned());
    }
    Ok(text.to_owned())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ForkName {
    /// Where that saves a boot.
    Auto,
    /// Every machine boots.
    Off,
    /// Every case whose machine can be a fork gets one, or isn't judged.
    Require,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum FlakyName {
    /// They are reported, and the exit code is 0.
    Report,
    /// The exit code is 4, unless something graver happened.
    Fail,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum PlatformName {
    /// Machines in QEMU on this host.
    Qemu,
    /// One machine that already exists (`--host`).
    External,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum FirmwareName {
    /// SeaBIOS.
    Bios,
    /// OVMF.
    Uefi,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum AccelName {
    /// KVM if it really works here, else TCG.
    Auto,
    /// The host's virtualisation hardware.
    Kvm,
    /// Translation in software.
    Tcg,
}

/// How many machines at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Jobs {
    /// What memory and CPUs allow.
    Auto,
    /// This many.
    Count(usize),
}

impl std::str::FromStr for Jobs {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.parse()) {
            ("auto", _) => Ok(Self::Auto),
            (_, Ok(0)) | (_, Err(_)) => Err("give a number from 1, or `auto`".to_owned()),
            (_, Ok(count)) => Ok(Self::Count(count)),
        }
    }
}

/// `user@address[:port]`, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HostName {
    pub(super) user: String,
    pub(super) address: SocketAddr,
}

impl std::str::FromStr for HostName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        use std::net::ToSocketAddrs as _;
        let (user, host) = text
            .rsplit_once('@')
            .filter(|(user, host)| !user.is_empty() && !host.is_empty())
            .ok_or("give user@address or user@address:port")?;
        let bare_ip = host.trim_matches(['[', ']']).parse().map(|ip| SocketAddr::new(ip, 22));
        let address = match bare_ip {
            Ok(address) => address,
            Err(_) => {
                let with_port =
                    if host.contains(':') { host.to_owned() } else { format!("{host}:22") };
                with_port
                    .to_socket_addrs()
                    .map_err(|error| format!("{host} can't be resolved: {error}"))?
                    .next()
                    .ok_or_else(|| format!("{host} has no address"))?
            }
        };
        Ok(Self { user: user.to_owned(), address })
    }
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    pub(super) select: SelectArgs,
    /// List faults instead, with the scenarios that each must turn red.
    #[arg(long)]
    pub(super) faults: bool,
    /// As JSON.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// As JSON.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct GcArgs {
    /// Only say what would be removed.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// As JSON.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ConsoleScanArgs {
    /// Saved console logs.
    #[arg(required = true)]
    pub(super) file: Vec<PathBuf>,
    /// Rules in place of the built-in ones.
    #[arg(long, value_name = "FILE")]
    pub(super) rules: Option<PathBuf>,
    /// As JSON.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum ServeCommand {
    /// Serve updates in the Omaha protocol, until Ctrl-C.
    #[command(
        after_help = "Example:\n  wheeltap serve updates --payload flatcar_production_update.gz oem-qemu.gz \\\n    --version 4593.2.3 --listen 127.0.0.1:8080\n  wheeltap serve updates \\\n    --payload https://update.release.flatcar-linux.net/amd64-usr/4593.2.3/flatcar_production_update.gz"
    )]
    Updates(ServeUpdatesArgs),
}

#[derive(Debug, Args)]
pub(super) struct ServeUpdatesArgs {
    /// The update payload, and after it any number of extensions: files, or http(s) URLs of published ones.
    #[arg(long, value_name = "FILE|URL", required = true, num_args = 1..)]
    pub(super) payload: Vec<PathBuf>,
    /// The version that the payload leads to; who runs it gets no update. If neither this nor the payload's URL says it,
    /// everybody gets an update, always.
    #[arg(long)]
    pub(super) version: Option<Version>,
    /// Only for clients of these groups.
    #[arg(long, num_args = 1..)]
    pub(super) group: Vec<String>,
    /// Only for clients of this board, such as `amd64-usr`; that in the URL of a published payload, if it has one.
    #[arg(long)]
    pub(super) board: Option<String>,
    /// Where to listen; port 0 is any free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value_t = UpdateServer::LOOPBACK)]
    pub(super) listen: SocketAddr,
    /// Speak HTTPS with this certificate: PEM, the server's own first, then those between it and the authority.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(super) tls_cert: Option<PathBuf>,
    /// Private key of the certificate: PEM, without a password.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(super) tls_key: Option<PathBuf>,
    /// One JSON object per line.
    #[arg(long)]
    pub(super) json: bool,
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    #[test_case("2" => Some((Some(2), Some(2))))]
    #[test_case("0" => Some((Some(0), Some(0))))]
    #[test_case("product=1,infra=3" => Some((Some(1), Some(3))))]
    #[test_case("product=1" => Some((Some(1), None)); "the other as the settings say")]
    #[test_case("" => None; "empty")]
    #[test_case("-1" => None)]
    #[test_case("flaky=1" => None)]
    #[test_case("product=" => None)]
    fn retries(text: &str) -> Option<(Option<u32>, Option<u32>)> {
        text.parse().ok().map(|Retries { product, infra }| (product, infra))
    }

    #[test_case("core@127.0.0.1", "127.0.0.1:22")]
    #[test_case("core@127.0.0.1:2222", "127.0.0.1:2222")]
    #[test_case("core@[::1]", "[::1]:22"; "bracketed")]
    #[test_case("core@::1", "[::1]:22"; "bare IPv6")]
    #[test_case("core@[::1]:2222", "[::1]:2222"; "IPv6 with a port")]
    fn external_hosts(text: &str, address: &str) {
        let host: HostName = text.parse().unwrap();
        assert_eq!((host.user.as_str(), host.address.to_string().as_str()), ("core", address));
    }

    #[test_case("127.0.0.1"; "no user")]
    #[test_case("@127.0.0.1"; "empty user")]
    #[test_case("core@"; "no address")]
    #[test_case("core@127.0.0.1:99999"; "no such port")]
    fn bad_external_hosts(text: &str) {
        assert!(text.parse::<HostName>().is_err());
    }

    #[test_case("auto" => Ok(Jobs::Auto))]
    #[test_case("3" => Ok(Jobs::Count(3)))]
    fn jobs(text: &str) -> Result<Jobs, String> {
        text.parse()
    }

    #[test_case("0")]
    #[test_case("many")]
    fn bad_jobs(text: &str) {
        assert!(text.parse::<Jobs>().is_err());
    }
}
