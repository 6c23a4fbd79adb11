//! What a decision is made from. This is the only part that reads files.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use wheeltap_reports::{EVENTS_FILE, PLAN_FILE, Run, Waivers};

use crate::policy::{Policy, PolicyError};
use crate::{InputFile, Place, Role};

/// Where everything lies.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The policy.
    pub policy: PathBuf,
    /// Directories of runs.
    pub results: Vec<PathBuf>,
    /// Directories of runs of the release before.
    pub baseline: Vec<PathBuf>,
    /// Accepted failures and hits.
    pub waivers: Option<PathBuf>,
    /// The JSON of `wheeltap image diff`.
    pub image_diff: Option<PathBuf>,
    /// The day (UTC) of the decision.
    pub as_of: Date,
}

/// Everything that a decision is made from, read.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// The policy.
    pub policy: Policy,
    /// The runs, without any waivers applied.
    pub results: Vec<Loaded>,
    /// The runs of the release before.
    pub baseline: Vec<Loaded>,
    /// Accepted failures and hits.
    pub waivers: Option<Waivers>,
    /// The comparison with the image before.
    pub image_diff: Option<(PathBuf, Result<ImageDiff, String>)>,
    /// The day (UTC) of the decision.
    pub as_of: Date,
    /// All files that were read; paths as they were given.
    pub files: Vec<(Role, PathBuf, Option<String>)>,
}

/// A run, or why it can't be read.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Its directory, without links; as it was given if it isn't there.
    pub dir: PathBuf,
    /// What is wrong names the file.
    pub run: Result<Run, String>,
    /// The sha256 of its event log, by which a copy is known.
    pub(crate) log: Option<String>,
}

/// Why nothing can be decided: the policy or the waivers can't be used.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The policy can't be read.
    #[error("the policy {} can't be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The policy is wrong.
    #[error("{problem}")]
    Policy {
        /// The file.
        path: PathBuf,
        /// Its text.
        text: String,
        /// What is wrong.
        problem: Box<PolicyError>,
    },
    /// The waivers can't be used.
    #[error(transparent)]
    Waivers(#[from] wheeltap_reports::Error),
}

/// A comparison of two images, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ImageDiff {
    /// The format's version.
    version: u32,
    /// The image before.
    pub old: Side,
    /// The image that is judged.
    pub new: Side,
    /// Hits with the severity `error` that nobody accepted.
    errors: usize,
    /// Hits with the severity `warn` that nobody accepted.
    warnings: usize,
    /// Hits that somebody accepted.
    allowed: usize,
    judgement: Judgement,
}

/// One of the two images.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Side {
    /// As it was named.
    pub name: String,
    /// The version in it.
    pub version: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Judgement {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Rule {
    name: String,
    severity: crate::policy::Severity,
    hits: Vec<DiffHit>,
}

/// Something that isn't within the limits.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct DiffHit {
    /// The same in each comparison in which the same is wrong.
    pub id: String,
    /// What is wrong.
    pub message: String,
    /// Who accepted it when the images were compared.
    #[serde(default)]
    pub allowed: Option<Allowed>,
}

/// Who accepted a hit when the images were compared.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Allowed {
    /// Who answers for it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// The last day on which it holds.
    pub expires: Date,
}

/// The newest version of comparisons that is read.
const DIFF_VERSION: u32 = 1;

impl ImageDiff {
    /// Reads the JSON of `wheeltap image diff`. Its counts must agree with its hits: what was cut out of it is missed.
    ///
    /// # Errors
    /// What is wrong, as a clause after the file's name.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }

        let damaged = |error: serde_json::Error| {
            format!("is damaged, or not what `wheeltap image diff --format json` writes: {error}")
        };
        let Versioned { version } = serde_json::from_slice(json).map_err(damaged)?;
        if version > DIFF_VERSION {
            return Err(format!(
                "has version {version}, and this wheeltap reads up to version {DIFF_VERSION}; use a newer wheeltap"
            ));
        }
        let diff: Self = serde_json::from_slice(json).map_err(damaged)?;
        let count = |wanted: &dyn Fn(&Rule, &DiffHit) -> bool| {
            diff.hits().filter(|(rule, hit)| wanted(rule, hit)).count()
        };
        use crate::policy::Severity::{Error, Warn};
        let open =
            |severity| count(&|rule, hit| rule.severity == severity && hit.allowed.is_none());
        let found = (open(Error), open(Warn), count(&|_, hit| hit.allowed.is_some()));
        let said = (diff.errors, diff.warnings, diff.allowed);
        if found != said {
            return Err(format!(
                "is damaged: it says {} errors, {} warnings and {} accepted, and has {}, {} and {}",
                said.0, said.1, said.2, found.0, found.1, found.2
            ));
        }
        let mut ids: Vec<_> = diff.hits().map(|(_, hit)| &hit.id).collect();
        ids.sort();
        if let Some(twice) = ids.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!("is damaged: it has the hit {} twice", twice[0]));
        }
        Ok(diff)
    }

    fn hits(&self) -> impl Iterator<Item = (&Rule, &DiffHit)> {
        self.judgement.rules.iter().flat_map(|rule| rule.hits.iter().map(move |hit| (rule, hit)))
    }

    /// The hits, with their severities.
    pub(crate) fn graded(&self) -> impl Iterator<Item = (crate::policy::Severity, &DiffHit)> {
        self.hits().map(|(rule, hit)| (rule.severity, hit))
    }

    /// The names of the rules that were checked.
    pub(crate) fn rules(&self) -> impl Iterator<Item = &str> {
        self.judgement.rules.iter().map(|rule| &*rule.name)
    }
}

impl Inputs {
    /// Reads everything. What is wrong with results, the baseline or the comparison is part of the inputs, and leaves the
    /// decision open; without a policy, or with waivers that can't be read, there is nothing to decide by.
    ///
    /// # Errors
    /// [`InputError`].
    pub fn load(sources: &Sources) -> Result<Self, InputError> {
        let mut files = Vec::new();
        let path = sources.policy.clone();
        let text = std::fs::read_to_string(&path)
            .map_err(|source| InputError::Read { path: path.clone(), source })?;
        files.push((Role::Policy, path.clone(), Some(hex::encode(Sha256::digest(&text)))));
        let policy = Policy::parse(&path.display().to_string(), &text).map_err(|problem| {
            let problem = Box::new(problem);
            InputError::Policy { path, text, problem }
        })?;
        let waivers = sources.waivers.as_deref().map(Waivers::load).transpose()?;
        let given = sources.waivers.iter().map(|path| (Role::Waivers, path.clone()));
        files.extend(given.map(|(role, path)| (role, path.clone(), sha256(&path).ok())));

        let mut runs = |role, dirs: &[PathBuf]| -> Vec<Loaded> {
            dirs.iter()
                .map(|dir| {
                    // Where it really lies: a link such as `latest` leads elsewhere tomorrow.
                    let dir = &std::fs::canonicalize(dir).unwrap_or_else(|_| dir.clone());
                    let [_, log] = [PLAN_FILE, EVENTS_FILE].map(|name| {
                        let path = dir.join(name);
                        let digest = sha256(&path).ok();
                        files.push((role, path, digest.clone()));
                        digest
                    });
                    let run = Run::load_unwaived(dir).map_err(|error| {
                        let source = error.source().map(|source| format!(": {source}"));
                        error.to_string() + &source.unwrap_or_default()
                    });
                    Loaded { dir: dir.clone(), run, log }
                })
                .collect()
        };
        let results = runs(Role::Results, &sources.results);
        let baseline = runs(Role::Baseline, &sources.baseline);
        let image_diff = sources.image_diff.as_ref().map(|path| {
            let bytes = std::fs::read(path);
            let digest = bytes.as_ref().ok().map(|bytes| hex::encode(Sha256::digest(bytes)));
            files.push((Role::ImageDiff, path.clone(), digest));
            let diff = bytes
                .map_err(|error| format!("can't be read: {error}"))
                .and_then(|bytes| ImageDiff::parse(&bytes));
            (path.clone(), diff)
        });
        let as_of = sources.as_of;
        Ok(Self { policy, results, baseline, waivers, image_diff, as_of, files })
    }

    /// The files as a decision lists them, each once, and those that findings name.
    pub(crate) fn listed(&self, place: &Place, evidence: &[String]) -> Vec<InputFile> {
        let mut all: BTreeMap<String, InputFile> = BTreeMap::new();
        for (role, path, sha256) in &self.files {
            let path = place.name_of(path);
            let file = InputFile { role: *role, path: path.clone(), sha256: sha256.clone() };
            all.entry(path).or_insert(file);
        }
        for name in evidence {
            all.entry(name.clone()).or_insert_with(|| InputFile {
                role: Role::Evidence,
                path: name.clone(),
                sha256: sha256(&place.path_of(name)).ok(),
            });
        }
        let mut all: Vec<_> = all.into_values().collect();
        all.sort();
        all
    }
}

/// The sha256 of a file, in hex.
pub(crate) fn sha256(path: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    io::copy(&mut File::open(path)?, &mut hash)?;
    Ok(hex::encode(hash.finalize()))
}
