//! Arguments of `wheeltap image`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::cli::published::{CollectArgs, FetchArgs, RemoveArgs, VerifyArgs};

#[derive(Debug, Args)]
pub(in crate::cli) struct ImageArgs {
    #[command(subcommand)]
    pub(in crate::cli) command: ImageCommand,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ImageCommand {
    /// Build the reference image from Debian packages, unless it is in the cache.
    #[command(
        after_help = "Example:\n  wheeltap image build --version 4000.1.0 --out reference.img"
    )]
    Build {
        /// The version it says it is.
        #[arg(long, default_value = wheeltap_images::DEFAULT_VERSION)]
        version: String,
        /// Also copy it here.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Build it even if it is in the cache, from the newest packages.
        #[arg(long)]
        force: bool,
    },
    /// Say what changed between two images, or two releases by their listings, and whether it is within limits.
    #[command(
        after_help = "Example:\n  wheeltap image diff releases/4081.2.0 releases/4081.2.1\n  wheeltap image diff old.img new.img --limits limits.toml --format html --out diff.html"
    )]
    Diff(DiffArgs),
    /// Make, inspect and verify update payloads.
    #[command(subcommand)]
    Payload(PayloadCommand),
    /// Get a published image, check who signed it, unpack it, and print its path.
    #[command(
        after_help = "Examples:\n  wheeltap image fetch flatcar:stable --key Flatcar.asc --fingerprint HEX\n  wheeltap image fetch flatcar:4593.2.3@arm64 --mirror 'https://mirror.example/{channel}'\n  wheeltap image fetch fcos:next"
    )]
    Fetch(FetchArgs),
    /// Read an image again: is it what was fetched, and who signed it?
    #[command(after_help = "Example:\n  wheeltap image verify flatcar:4593.2.3")]
    Verify(VerifyArgs),
    /// Remove images from the cache that nobody uses.
    #[command(after_help = "Example:\n  wheeltap image rm flatcar:4593.2.3")]
    Rm(RemoveArgs),
    /// Remove older fetched images that nobody uses, and unfinished downloads.
    #[command(after_help = "Example:\n  wheeltap image gc --keep 2 --dry-run")]
    Gc(CollectArgs),
    /// List the images in the cache.
    #[command(after_help = "Example:\n  wheeltap image list --json")]
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the path of an image.
    #[command(after_help = "Example:\n  qemu-img info $(wheeltap image path reference)")]
    Path {
        /// `reference`, `reference:VERSION`, a published one that was fetched, or a path.
        name: String,
    },
}

#[derive(Debug, Args)]
pub(in crate::cli) struct DiffArgs {
    /// The old image: `reference`, `reference:VERSION`, a path to a raw or qcow2 disk, or a directory with a release's listings.
    pub(in crate::cli) old: String,
    /// The new image, named in the same ways.
    pub(in crate::cli) new: String,
    /// What the new image must and must not do, in place of the built-in limits; `none` for nothing.
    #[arg(long, value_name = "FILE|none")]
    pub(in crate::cli) limits: Option<PathBuf>,
    /// In which form.
    #[arg(long, value_enum, default_value = "text")]
    pub(in crate::cli) format: DiffFormat,
    /// Write it here, and not to standard output.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) out: Option<PathBuf>,
    /// Leave nothing out, however long it gets.
    #[arg(long)]
    pub(in crate::cli) all: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum DiffFormat {
    /// For people: one screen.
    Text,
    /// For people, in an issue or a job's summary: Markdown.
    Md,
    /// For people with a browser.
    Html,
    /// For programs: everything.
    Json,
    /// What is not within the limits, for code scanning.
    Sarif,
    /// The limits as tests, for CI systems.
    Junit,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum PayloadCommand {
    /// Make a full update of the system in an image's first slot, and sign it.
    #[command(
        after_help = "Example:\n  wheeltap image payload create --image reference:4000.1.0 --out update.gz"
    )]
    Create(CreatePayloadArgs),
    /// Say what a payload holds, without checking it.
    #[command(after_help = "Example:\n  wheeltap image payload inspect update.gz --json")]
    Inspect {
        /// The payload.
        file: PathBuf,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Check a payload's signature and all its digests.
    #[command(
        after_help = "Example:\n  wheeltap image payload verify update.gz --key update-payload-key.pub.pem"
    )]
    Verify {
        /// The payload.
        file: PathBuf,
        /// Public key of whoever signed it, as PEM.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub(in crate::cli) struct CreatePayloadArgs {
    /// The image: `reference`, `reference:VERSION`, or a path to a raw or qcow2 disk.
    #[arg(long, default_value = "reference")]
    pub(in crate::cli) image: String,
    /// The OS family of the image, where the image doesn't say: a name or a TOML file.
    #[arg(long)]
    pub(in crate::cli) profile: Option<String>,
    /// Private RSA key to sign with, as PEM; without it, the development key that only test images trust.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) key: Option<PathBuf>,
    /// Where the payload goes.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) out: PathBuf,
    /// Print what it holds, as JSON.
    #[arg(long)]
    pub(in crate::cli) json: bool,
}
