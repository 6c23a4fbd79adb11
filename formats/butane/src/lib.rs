//! Butane, the configs that people write, to Ignition, the configs that machines read: `flatcar` 1.0 and 1.1, and `fcos` 1.0
//! to 1.6, as Butane 0.29 does it. Bytes in, JSON and positions out; no network, no clock, and files only from whom the caller
//! names.

mod boot_device;
mod checks;
mod data_url;
mod decode;
mod duplicates;
mod events;
mod files;
mod inline_config;
mod json;
mod merge;
mod mount_units;
mod path;
mod report;
mod scalar;
mod schema;
mod source_checks;
mod translate;
mod tree;
mod trees;
mod yaml;

use std::borrow::Cow;

use decode::{unused_keys, version};
use report::Report;
use yaml::{Document, Problem};

pub use files::{Directory, Entry, EntryKind, Files, MAX_FILE_BYTES};
pub use json::Mapping;
pub use path::{Path, Position};
pub use report::{Diagnostic, Severity};
pub use schema::{Spec, Variant};
pub use yaml::MAX_BYTES;

/// How to transpile.
#[derive(Clone, Copy, Default)]
pub struct Options<'a> {
    /// Whether warnings are errors.
    pub strict: bool,
    /// Whether the JSON is for people.
    pub pretty: bool,
    /// What `local` and `trees` are read from.
    pub files: Option<&'a dyn Files>,
}

/// An Ignition config.
#[derive(Clone, Debug)]
pub struct Transpiled {
    /// Which language it was written in.
    pub spec: Spec,
    /// Without a newline at its end.
    pub json: String,
    /// What each value of the JSON comes from, parents before children.
    pub source_map: Vec<Mapping>,
    /// What may not have been meant.
    pub warnings: Vec<Diagnostic>,
}

/// Why there is no Ignition config.
#[derive(Debug, thiserror::Error)]
#[error("{}", summary(.diagnostics))]
pub struct Refused {
    /// All that is known to be wrong, and strange; in strict mode only the latter, perhaps.
    pub diagnostics: Vec<Diagnostic>,
}

fn summary(diagnostics: &[Diagnostic]) -> String {
    let errors = diagnostics.iter().filter(|found| found.severity == Severity::Error).count();
    match errors {
        0 => "the config has warnings, and strictly that is too many".to_owned(),
        1 => "the config has an error".to_owned(),
        _ => format!("the config has {errors} errors"),
    }
}

impl From<Vec<Problem>> for Refused {
    fn from(problems: Vec<Problem>) -> Self {
        let diagnostic = |problem: Problem| Diagnostic {
            severity: Severity::Error,
            path: None,
            message: problem.message,
            position: problem.at,
        };
        Self { diagnostics: problems.into_iter().map(diagnostic).collect() }
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        vec![problem].into()
    }
}

/// Makes an Ignition config of a Butane config.
///
/// # Errors
/// If the text is larger than [`MAX_BYTES`], no YAML, or no Butane config of a version that is known; if something in it is
/// wrong, or can't be read; strictly also if something is strange.
pub fn transpile(source: &[u8], options: Options<'_>) -> Result<Transpiled, Refused> {
    let text = decode_text(source)?;
    let document = Document::parse(&text)?;
    let spec = version(&document)?;
    let config = decode::config(&document, spec)?;
    let mut report = unused_keys(&document, &config, spec);
    let ignition = to_ignition(&config, spec, options.files, &mut report);
    let refused = report.is_fatal();
    let diagnostics = report.diagnostics(&document);
    if refused || (options.strict && !diagnostics.is_empty()) {
        return Err(Refused { diagnostics });
    }
    let (json, source_map) = json::write(&ignition, spec, &document, options.pretty);
    Ok(Transpiled { spec, json, source_map, warnings: diagnostics })
}

/// Each stage needs what was found sound by those before it.
fn to_ignition(
    config: &tree::Object,
    spec: Spec,
    files: Option<&dyn Files>,
    report: &mut Report,
) -> tree::Object {
    report.append(source_checks::check(config, spec));
    if report.is_fatal() {
        return config.clone();
    }
    let ignition = translate::translate(config, spec, files, report);
    if report.is_fatal() {
        return ignition;
    }
    report.append(forbidden(&ignition, spec));
    if report.is_fatal() {
        return ignition;
    }
    report.append(duplicates::check(&ignition).traced(&ignition));
    report.append(checks::check(&ignition, spec).traced(&ignition));
    ignition
}

/// What Ignition could do, but the system can't.
fn forbidden(ignition: &tree::Object, spec: Spec) -> Report {
    let mut report = Report::default();
    if spec.variant == Variant::Flatcar
        && let Some(storage) = ignition.object("storage")
    {
        for (index, luks) in storage.objects("luks").enumerate() {
            if luks.get("clevis").is_some_and(|clevis| !clevis.is_empty()) {
                report.error(
                    Path::of(&["storage", "luks"]).index(index).key("clevis"),
                    "clevis is not supported in this spec version",
                );
            }
        }
    }
    report.traced(ignition)
}

/// The text, also of UTF-16 with a byte order mark.
fn decode_text(source: &[u8]) -> Result<Cow<'_, str>, Problem> {
    let problem = |message: String| Problem { at: None, message };
    if source.len() > MAX_BYTES {
        return Err(problem(format!("the config is larger than {} MiB", MAX_BYTES >> 20)));
    }
    let wide = |bytes: &[u8], read: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.as_chunks::<2>().0.iter().map(|&unit| read(unit)).collect();
        String::from_utf16(&units)
            .map(Cow::Owned)
            .map_err(|_| problem("the text is no UTF-16".to_owned()))
    };
    match source {
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        _ => match str::from_utf8(source) {
            Ok(text) => Ok(Cow::Borrowed(text)),
            Err(error) => {
                let sound = String::from_utf8_lossy(&source[..error.valid_up_to()]);
                Err(Problem {
                    at: Some(yaml::place(&sound, sound.len())),
                    message: "the text is not UTF-8 from here on; is this a Butane config?"
                        .to_owned(),
                })
            }
        },
    }
}
