//! What a run promises, decided and written before anything boots.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::clean::{self, LINE};
use crate::{CaseId, Error, FORMAT_VERSION, Image, PLAN_FILE, Result, UpdateTarget, atomic};

/// The list of cases a run promises to execute: `plan.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The format, see [`FORMAT_VERSION`].
    pub version: u32,
    /// The run's id.
    pub run: String,
    /// When it was decided, in UTC.
    pub created: Timestamp,
    /// What is tested.
    pub image: Image,
    /// The seed of whatever was left to chance, so that a run can be repeated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// How often each case is run on purpose, if more than once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<u32>,
    /// Where it is tested.
    pub cells: Vec<Cell>,
    /// The promise.
    pub cases: Vec<PlannedCase>,
}

/// One platform × architecture × firmware × image variant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// Its name, such as `qemu_uefi.amd64`. Stable, without versions.
    pub name: String,
    /// Such as `qemu`.
    pub platform: String,
    /// Such as `amd64`.
    pub arch: String,
    /// Such as `uefi`; none where the platform has no choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware: Option<String>,
    /// The image variant, if there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// A case as it was planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedCase {
    /// Which scenario, in which cell.
    #[serde(flatten)]
    pub id: CaseId,
    /// The scenario's summary, in one line.
    pub summary: String,
    /// The ids of the claims it checks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<String>,
    /// The scenario's tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The faults that are put into this case on purpose.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<String>,
    /// Why it won't be run, if it won't.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skip: Option<String>,
}

impl Plan {
    /// The sha256, in hex, of what the plan promises: of `plan.json` without its `run` and `created`,
    /// so that several workers that plan the same have the same digest.
    ///
    /// Both stand in lines of their own, so this agrees:
    /// ```text
    /// grep -Ev '^  "(run|created)": ' plan.json | sha256sum
    /// ```
    #[must_use]
    pub fn digest(&self) -> String {
        digest_of(&self.bytes())
    }

    /// Writes `plan.json` into the run directory, atomically.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn write(&self, dir: &Path) -> Result<()> {
        atomic::write(&dir.join(PLAN_FILE), &self.bytes())
    }

    /// Reads `plan.json` from a run directory.
    ///
    /// # Errors
    /// If it isn't there, can't be read, is damaged or newer, or lists a case twice.
    pub fn read(dir: &Path) -> Result<Self> {
        Ok(Self::read_with_digest(dir)?.0)
    }

    /// The plan, and the digest of the file as it lies there: also of what this version doesn't know.
    pub(crate) fn read_with_digest(dir: &Path) -> Result<(Self, String)> {
        /// All that is certain about a plan of any version.
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }

        let path = dir.join(PLAN_FILE);
        let bytes = std::fs::read(&path).map_err(|source| match source.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => {
                Error::NotARun { dir: dir.to_owned() }
            }
            _ => Error::Read { path: path.clone(), source },
        })?;
        let bad = |source| Error::BadPlan { path: path.clone(), source };
        let Versioned { version } = serde_json::from_slice(&bytes).map_err(bad)?;
        if version > FORMAT_VERSION {
            return Err(Error::Newer { path, found: version, known: FORMAT_VERSION });
        }
        let plan: Self = serde_json::from_slice(&bytes).map_err(bad)?;
        let mut seen = BTreeSet::new();
        if let Some(case) = plan.cases.iter().find(|case| !seen.insert(&case.id)) {
            return Err(Error::PlannedTwice { path, case: case.id.clone() });
        }
        Ok((plan, digest_of(&bytes)))
    }

    /// Makes all text in it fit to be shown.
    pub(crate) fn clean(&mut self) {
        let Image { name, digest, version, profile, origin, signed_by, insecure: _, update } =
            &mut self.image;
        let target = update
            .iter_mut()
            .flat_map(|UpdateTarget { version, digest }| std::iter::once(version).chain(digest));
        let optional = origin.iter_mut().chain(signed_by).chain(target);
        for text in [&mut self.run, name, digest, version, profile].into_iter().chain(optional) {
            *text = clean::line(text, LINE);
        }
        for Cell { name, platform, arch, firmware, variant } in &mut self.cells {
            let optional = firmware.iter_mut().chain(variant);
            for text in [name, platform, arch].into_iter().chain(optional) {
                *text = clean::line(text, LINE);
            }
        }
        self.cases.iter_mut().for_each(PlannedCase::clean);
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self)
            .expect("a plan is strings, numbers and lists, which JSON can always hold");
        bytes.push(b'\n');
        bytes
    }
}

impl PlannedCase {
    /// Makes all text in it fit to be shown.
    pub(crate) fn clean(&mut self) {
        let Self { id, summary, claims, tags, faults, skip } = self;
        let lists = claims.iter_mut().chain(tags).chain(faults).chain(skip);
        for text in [&mut id.scenario, &mut id.cell, summary].into_iter().chain(lists) {
            *text = clean::line(text, LINE);
        }
    }
}

/// The digest of a file's lines but for those that tell one run from another.
fn digest_of(bytes: &[u8]) -> String {
    /// As serde_json indents the keys of the outermost object; deeper ones are indented further, and
    /// no string has a newline in it.
    const LEFT_OUT: [&[u8]; 2] = [b"  \"run\": ", b"  \"created\": "];

    let mut hash = Sha256::new();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if !LEFT_OUT.iter().any(|key| line.starts_with(key)) {
            hash.update(line);
        }
    }
    hex::encode(hash.finalize())
}
