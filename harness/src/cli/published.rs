//! `wheeltap image fetch`, `verify`, `list`, `rm` and `gc`.

use std::{fmt::Write as _, fs, path::PathBuf, time::SystemTime};

use clap::Args;
use serde_json::json;
use wheeltap_images::{
    Cache, CachedImage,
    published::{FetchOptions, Removed, Trust},
};

use super::{list::print_json, out, steps::with_steps};
use crate::{ExitCode, UserError, published, settings::Settings};

/// Whose images are believed.
#[derive(Debug, Args)]
pub(super) struct TrustArgs {
    /// The project's public OpenPGP key for images; without it, that of the settings.
    #[arg(long, value_name = "FILE", requires = "fingerprint")]
    key: Option<PathBuf>,
    /// The fingerprint of the key that is meant, which you have compared with one from another place.
    #[arg(long, value_name = "HEX", requires = "key")]
    fingerprint: Option<String>,
    /// Settings; without this flag `wheeltap.toml` in the current directory, if there is one.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct FetchArgs {
    /// `flatcar:stable|beta|alpha|lts|VERSION[@arm64]`, `fcos:stable|testing|next|VERSION`.
    #[arg(required = true)]
    name: Vec<String>,
    /// Another server with the same paths; several are asked in turn. `{channel}` may stand in it.
    #[arg(long, value_name = "URL")]
    mirror: Vec<String>,
    #[command(flatten)]
    trust: TrustArgs,
    /// Don't check who signed it. Every report of the image will say so.
    #[arg(long, conflicts_with = "key")]
    insecure: bool,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// A name, or the path of an image or of a download with its signature (`FILE.sig`) beside it.
    name: String,
    #[command(flatten)]
    trust: TrustArgs,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct RemoveArgs {
    /// Names; of a channel all versions go.
    #[arg(required = true)]
    name: Vec<String>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct CollectArgs {
    /// Versions to keep of each family, channel and architecture.
    #[arg(long, value_name = "N")]
    keep: usize,
    /// Only say what would be removed.
    #[arg(long)]
    dry_run: bool,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

impl TrustArgs {
    /// How images of a family are fetched: as the settings say, with the key of the command line.
    fn options(&self, family: &str) -> Result<FetchOptions, UserError> {
        let settings = Settings::load(self.config.as_deref(), None)?;
        let options = settings.images.options(family);
        Ok(match (&self.key, &self.fingerprint) {
            (Some(file), Some(fingerprint)) => {
                let (file, fingerprint) = (file.clone(), fingerprint.clone());
                FetchOptions { trust: Trust::Key { file, fingerprint }, ..options }
            }
            _ => options,
        })
    }
}

pub(super) fn fetch(args: &FetchArgs) -> Result<ExitCode, UserError> {
    // All names are read before anything is fetched.
    let names = args.name.iter().map(|text| {
        published::named(text)?.ok_or_else(|| {
            UserError::usage(format!("{text:?} names no published image"))
                .with_help("give one such as flatcar:stable, flatcar:4593.2.3@arm64 or fcos:next")
        })
    });
    let names = names.collect::<Result<Vec<_>, _>>()?;
    let mut fetched = Vec::new();
    for name in &names {
        let mut options = args.trust.options(&name.family)?;
        if !args.mirror.is_empty() {
            options.mirrors.clone_from(&args.mirror);
        }
        if args.insecure {
            options.trust = Trust::Insecure;
        }
        let image = with_steps(&name.to_string(), |cancel, step| {
            published::fetch(name, &options, cancel, step)
        })?;
        if let Some(about) = image.published.as_ref().filter(|about| about.insecure) {
            out::error_line(published::warning(&image.name, &about.origin));
        }
        if !args.json {
            out::line(image.path.display());
        }
        fetched.push(image);
    }
    if args.json {
        return print_json(&fetched);
    }
    Ok(ExitCode::Passed)
}

pub(super) fn verify(args: &VerifyArgs) -> Result<ExitCode, UserError> {
    let name = &args.name;
    // Of a path nothing says the family; then the command line has to say whose key it is.
    let family = name.split(':').next().unwrap_or_default();
    let trust = args.trust.options(family)?.trust;
    let verified = with_steps(name, |_, step| {
        step("read all of it");
        Ok(Cache::of_user()?.verify_image(name, &trust)?)
    })?;
    if args.json {
        return print_json(&verified);
    }
    out::line(format_args!("sha256     {}", verified.digest));
    out::line(format_args!(
        "unchanged  {}",
        if verified.as_noted {
            "since it was put into the cache"
        } else {
            "nothing is noted of this file"
        }
    ));
    let signature = match &verified.signature {
        Some(by) => {
            let when = if verified.signature_checked_now {
                "checked now".to_owned()
            } else {
                "checked when it was fetched; it is of the download, which is not kept".to_owned()
            };
            let expired = by
                .expired_since
                .map_or_else(String::new, |since| format!("; that key has expired at {since}"));
            format!("by {} of {}{expired}: {when}", by.fingerprint, by.made)
        }
        None if verified.insecure => "NOT CHECKED: it was fetched with --insecure".to_owned(),
        None => {
            "none was checked: give --key and --fingerprint, with FILE.sig beside FILE".to_owned()
        }
    };
    out::line(format_args!("signature  {signature}"));
    Ok(ExitCode::Passed)
}

pub(super) fn list(json: bool) -> Result<ExitCode, UserError> {
    let images = Cache::of_user()?.list()?;
    if json {
        return print_json(&images);
    }
    out::text(table(&images, SystemTime::now()));
    Ok(ExitCode::Passed)
}

/// One line for each image, under a line that says what is what; nothing if there is nothing.
fn table(images: &[CachedImage], now: SystemTime) -> String {
    if images.is_empty() {
        return String::new();
    }
    let head = ["NAME", "VERSION", "SIZE", "AGE", "ORIGIN", "SIGNATURE"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(head)
        .chain(images.iter().map(|image| {
            let since = match &image.published {
                Some(about) => SystemTime::from(about.fetched),
                None => fs::metadata(&image.path).and_then(|found| found.modified()).unwrap_or(now),
            };
            let seconds = now.duration_since(since).unwrap_or_default().as_secs();
            let (origin, signature) = match &image.published {
                None => ("built here".to_owned(), "-".to_owned()),
                Some(about) => {
                    let by = about.signature.as_ref().map(|by| by.fingerprint.clone());
                    (about.origin.clone(), by.unwrap_or_else(|| "INSECURE".to_owned()))
                }
            };
            let size = format!("{} MiB", image.size.div_ceil(1 << 20));
            [image.name.clone(), image.version.clone(), size, age(seconds), origin, signature]
        }))
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let width = width(column).unwrap_or(0);
            let _ = write!(line, "{cell:width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// How long ago, in the largest unit that there is at least one of.
fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

pub(super) fn remove(args: &RemoveArgs) -> Result<ExitCode, UserError> {
    let cache = Cache::of_user()?;
    let mut removed = Vec::new();
    for name in &args.name {
        removed.extend(cache.remove_image(name)?);
    }
    show(&removed, false, args.json)
}

pub(super) fn collect(args: &CollectArgs) -> Result<ExitCode, UserError> {
    let removed = Cache::of_user()?.collect_images(args.keep, args.dry_run)?;
    show(&removed, args.dry_run, args.json)
}

fn show(removed: &[Removed], dry_run: bool, json: bool) -> Result<ExitCode, UserError> {
    if json {
        return print_json(&json!({ "version": 1, "dry_run": dry_run, "removed": removed }));
    }
    let done = if dry_run { "would remove" } else { "removed" };
    for Removed { name, path } in removed {
        let what = name.as_deref().unwrap_or("an unfinished download");
        out::line(format_args!("{done} {what}: {}", path.display()));
    }
    Ok(ExitCode::Passed)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use wheeltap_images::{Published, Signature};

    use super::*;

    fn fetched(version: &str, signature: Option<Signature>) -> CachedImage {
        CachedImage {
            path: "/cache/images/x.img".into(),
            name: format!("flatcar:{version}"),
            version: version.into(),
            profile: "flatcar".into(),
            digest: "5e".repeat(32),
            size: 1 << 30,
            mtime_ns: 0,
            recipe: String::new(),
            packages: Vec::new(),
            published: Some(Published {
                family: "flatcar".into(),
                channel: "stable".into(),
                arch: "amd64".into(),
                origin: format!("https://stable.release.flatcar-linux.net/{version}/image.bz2"),
                fetched: "2026-01-01T00:00:00Z".parse().unwrap(),
                download: "d0".repeat(32),
                insecure: signature.is_none(),
                signature,
            }),
        }
    }

    #[test]
    fn images_are_a_table() {
        let signature = Signature {
            trusted: "F88CFEDEFF29A5B4D9523864E25D9AED0593B34A".into(),
            fingerprint: "52F5B9C8A5B4D9523864E25D9AED0593B34A1234".into(),
            by: None,
            made: "2025-12-31T00:00:00Z".parse().unwrap(),
            expired_since: None,
        };
        let built = CachedImage {
            name: "reference:4000.0.0".into(),
            version: "4000.0.0".into(),
            published: None,
            ..fetched("4000.0.0", None)
        };
        let images = [fetched("4593.2.3", Some(signature)), fetched("4593.2.10", None), built];
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600 + 3 * 86_400);
        insta::assert_snapshot!(table(&images, now));
        assert_eq!(table(&[], now), "");
    }
}
