//! Everything that a decision needs, good by default, with fixed times.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use wheeltap_gate::{Decision, Inputs, Place, Sources, decide};
use wheeltap_reports::{
    CaseId, Cell, Event, Failure, FailureClass, Host, Image, Outcome, Phase, Plan, PlannedCase,
    Record, UpdateTarget, Verdict,
};

pub(crate) const UEFI: &str = "qemu_uefi.amd64";
pub(crate) const BIOS: &str = "qemu_bios.amd64";

pub(crate) const POLICY: &str = r#"version = 1
[[cell]]
name = "qemu_uefi.amd64"
owner = "release team"
scenarios = ["boot.a", "boot.b", "update.apply"]
tags = ["smoke"]
[[cell]]
name = "qemu_bios.*"
required = false
owner = "bios team"
[results]
max-age = "7 days"
[baseline]
required = true
[flakes]
budget = "50 %"
worse = "block"
[[update-path]]
from = "3999.0.0"
cells = ["qemu_uefi.amd64"]
owner = "update team"
[image-diff]
required = true
rules = ["no-downgrade"]
[[manual]]
text = "payload signed"
owner = "release team"
"#;

pub(crate) const WAIVERS: &str = r#"
[[waiver]]
id = "W-1"
scenario = "boot.*"
signature = "known trouble"
owner = "kernel team"
tracker = "https://example.org/issues/1"
expires = 2026-03-31
reason = "fixed in 4001"
[[waiver]]
id = "L-1"
limit = "no-downgrade:openssl"
owner = "release team"
tracker = "https://example.org/issues/2"
expires = 2026-03-31
reason = "3.2 broke it"
"#;

/// What comes of a case.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum What {
    Pass,
    Flaky,
    Fail(&'static str),
    Infra,
    Skip,
    NotRun,
}

/// A run in the making.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    pub(crate) name: String,
    pub(crate) image: Image,
    pub(crate) created: Timestamp,
    pub(crate) cases: Vec<(&'static str, &'static str, What)>,
    pub(crate) fault: Option<&'static str>,
    pub(crate) selected: Option<Vec<usize>>,
    pub(crate) defect: Option<&'static str>,
    pub(crate) interrupted: bool,
    /// Whether it has gone to its end, and whether that is sealed.
    pub(crate) end: Option<bool>,
}

impl Spec {
    pub(crate) fn new(name: &str, version: &str, cases: &[(&'static str, &'static str)]) -> Self {
        let cases = cases.iter().map(|(scenario, cell)| (*scenario, *cell, What::Pass)).collect();
        let image = Image {
            name: "flatcar:stable".into(),
            digest: version[..2].repeat(32),
            version: version.into(),
            profile: "flatcar".into(),
            ..Image::default()
        };
        Self {
            name: name.into(),
            image,
            created: "2026-01-31T12:00:00Z".parse().unwrap(),
            cases,
            fault: None,
            selected: None,
            defect: None,
            interrupted: false,
            end: Some(true),
        }
    }

    fn plan(&self) -> Plan {
        let mut cells: Vec<&str> = self.cases.iter().map(|(_, cell, _)| *cell).collect();
        cells.sort_unstable();
        cells.dedup();
        let planned = |(scenario, cell, what): &(&str, &str, What)| PlannedCase {
            id: CaseId::new(*scenario, *cell),
            summary: format!("What {scenario} is about"),
            claims: Vec::new(),
            tags: if *scenario == "boot.a" { vec!["smoke".into()] } else { Vec::new() },
            faults: self.fault.iter().map(|fault| (*fault).to_owned()).collect(),
            skip: (*what == What::Skip).then(|| "no TPM".to_owned()),
        };
        Plan {
            version: wheeltap_reports::FORMAT_VERSION,
            run: self.name.clone(),
            created: self.created,
            image: self.image.clone(),
            seed: None,
            repeat: None,
            cells: cells
                .into_iter()
                .map(|name| Cell {
                    name: name.into(),
                    platform: "qemu".into(),
                    arch: name.rsplit('.').next().unwrap().into(),
                    firmware: None,
                    variant: None,
                })
                .collect(),
            cases: self.cases.iter().map(planned).collect(),
        }
    }

    fn events(&self, plan: &Plan) -> Vec<Event> {
        let host = Host {
            name: "builder".into(),
            os: "Debian GNU/Linux 12 (bookworm)".into(),
            arch: "amd64".into(),
            cpus: 2,
            memory_mib: 7950,
            accelerator: "kvm".into(),
        };
        let mut events = vec![Event::RunStarted {
            run: self.name.clone(),
            wheeltap: "0.1.0".into(),
            command: vec!["wheeltap".into(), "run".into()],
            host,
            image: self.image.clone(),
            plan: plan.digest(),
            partition: self.selected.as_ref().map(|_| "slice:1/2".into()),
            selected: self.selected.clone(),
        }];
        for (scenario, cell, what) in &self.cases {
            let case = || CaseId::new(*scenario, *cell);
            let mut attempt = |attempt: u32, failure: Option<Failure>| {
                let dir = format!("cells/{cell}/{scenario}/attempt-{attempt}");
                let evidence = vec![format!("{dir}/m0/console.log")];
                let verdict = failure.as_ref().map_or(Verdict::Pass, |it| it.class.verdict());
                events.push(Event::AttemptStarted { case: case(), attempt, dir });
                events.push(Event::AttemptEnded {
                    case: case(),
                    attempt,
                    verdict,
                    failure,
                    seconds: 1.0,
                    evidence,
                });
            };
            let failure = |class, headline: &str| {
                let kind = "check".into();
                let (phase, detail) = (Phase::Check, String::new());
                Some(Failure { phase, class, kind, headline: headline.into(), detail })
            };
            let verdict = match what {
                What::Pass => {
                    attempt(1, None);
                    Verdict::Pass
                }
                What::Flaky => {
                    attempt(1, failure(FailureClass::Product, "a race"));
                    attempt(2, None);
                    Verdict::Flaky
                }
                What::Fail(headline) => {
                    attempt(1, failure(FailureClass::Product, headline));
                    Verdict::Fail
                }
                What::Infra => {
                    attempt(1, failure(FailureClass::Infra, "no room"));
                    Verdict::Infra
                }
                What::Skip | What::NotRun => continue,
            };
            events.push(Event::CaseEnded { case: case(), verdict, reason: None, seconds: 1.0 });
        }
        if let Some(text) = self.defect {
            events.push(Event::HarnessDefect { text: text.into() });
        }
        if self.interrupted {
            events.push(Event::RunInterrupted { signal: "SIGINT".into() });
        }
        if self.end.is_some() {
            // What it says doesn't matter; what it is is computed.
            events.push(Event::RunEnded { outcome: Outcome::AllPassed });
        }
        events
    }

    pub(crate) fn write(&self, dir: &Path) {
        fs::create_dir_all(dir).unwrap();
        let plan = self.plan();
        let json = serde_json::to_string_pretty(&plan).unwrap() + "\n";
        fs::write(dir.join("plan.json"), json).unwrap();
        let (mut log, mut at) = (String::new(), self.created);
        for event in self.events(&plan) {
            at += SignedDuration::from_millis(500);
            let is_end = matches!(event, Event::RunEnded { .. });
            let mut line = serde_json::to_value(Record { at, event, log: None }).unwrap();
            if is_end && self.end == Some(true) {
                line["log"] = hex::encode(Sha256::digest(&log)).into();
            }
            log += &line.to_string();
            log.push('\n');
        }
        fs::write(dir.join("events.jsonl"), log).unwrap();
    }
}

/// All inputs.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) policy: String,
    pub(crate) results: Vec<Spec>,
    pub(crate) baseline: Vec<Spec>,
    pub(crate) waivers: Option<String>,
    pub(crate) diff: Option<Value>,
    pub(crate) as_of: Date,
}

impl Setup {
    /// Everything is good.
    pub(crate) fn good() -> Self {
        let cases = [("boot.a", UEFI), ("boot.b", UEFI), ("update.apply", UEFI), ("boot.a", BIOS)];
        let mut update = Spec::new("update", "3999.0.0", &[("update.apply", UEFI)]);
        update.image.update =
            Some(UpdateTarget { version: "4000.0.0".into(), digest: Some("40".repeat(32)) });
        Self {
            policy: POLICY.to_owned(),
            results: vec![Spec::new("new", "4000.0.0", &cases), update],
            baseline: vec![Spec::new("old", "3999.0.0", &cases)],
            waivers: None,
            diff: Some(diff(&[])),
            as_of: "2026-02-02".parse().unwrap(),
        }
    }

    /// What comes of a case of the new image.
    pub(crate) fn set(&mut self, scenario: &str, cell: &str, what: What) {
        set(&mut self.results[0], scenario, cell, what);
    }

    /// Writes everything into a directory.
    pub(crate) fn write(&self, dir: &Path) -> Sources {
        let file = |name: &str, text: &str| {
            fs::write(dir.join(name), text).unwrap();
            dir.join(name)
        };
        let runs = |specs: &[Spec]| -> Vec<PathBuf> {
            specs
                .iter()
                .map(|spec| {
                    let path = dir.join(&spec.name);
                    spec.write(&path);
                    path
                })
                .collect()
        };
        Sources {
            policy: file("gate.toml", &self.policy),
            results: runs(&self.results),
            baseline: runs(&self.baseline),
            waivers: self.waivers.as_ref().map(|text| file("waivers.toml", text)),
            image_diff: self
                .diff
                .as_ref()
                .map(|json| file("diff.json", &serde_json::to_string_pretty(json).unwrap())),
            as_of: self.as_of,
        }
    }

    pub(crate) fn decide(&self) -> Decision {
        let dir = TempDir::new().unwrap();
        judge(&self.write(dir.path()), dir.path())
    }
}

pub(crate) fn judge(sources: &Sources, dir: &Path) -> Decision {
    let place = Place::new(&dir.join("gate")).unwrap();
    decide(&Inputs::load(sources).unwrap(), &place)
}

pub(crate) fn set(spec: &mut Spec, scenario: &str, cell: &str, what: What) {
    let case = spec.cases.iter_mut().find(|case| (case.0, case.1) == (scenario, cell));
    case.unwrap().2 = what;
}

/// A comparison with these hits of `no-downgrade`: subjects, and who accepted them until when.
pub(crate) fn diff(hits: &[(&str, Option<&str>)]) -> Value {
    let side = |version: &str| json!({"name": version, "origin": "listings", "version": version});
    let allowed = hits.iter().filter(|(_, allowed)| allowed.is_some()).count();
    let hits: Vec<_> = hits
        .iter()
        .map(|(subject, allowed)| {
            let mut hit = json!({
                "id": format!("no-downgrade:{subject}"),
                "message": format!("{subject} is older than before"),
            });
            if let Some(expires) = allowed {
                hit["allowed"] = json!({"owner": "QA", "reason": "known", "expires": expires});
            }
            hit
        })
        .collect();
    json!({
        "version": 1, "old": side("3999.0.0"), "new": side("4000.0.0"),
        "errors": hits.len() - allowed, "warnings": 0, "allowed": allowed,
        "judgement": {"limits": "built-in", "remarks": [], "rules": [
            {"name": "no-downgrade", "kind": "no-downgrade", "severity": "error", "hits": hits},
        ]},
        "changes": [], "incomparable": [],
    })
}
