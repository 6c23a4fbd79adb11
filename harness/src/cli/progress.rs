//! What a run shows while it runs: a line for each case that ended, and on a terminal what is running.

use std::{
    collections::BTreeSet,
    io::IsTerminal as _,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use wheeltap_reports::{CaseId, Event, Record};

use super::out;
use crate::engine::Progress;

pub(super) struct Screen {
    running: Mutex<BTreeSet<CaseId>>,
    /// `None` without a terminal: then only what has ended is worth a line.
    bar: Option<ProgressBar>,
}

impl Screen {
    pub(super) fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            // The template is fixed, and a test of indicatif's own would be the only thing that could reject it.
            if let Ok(style) = ProgressStyle::with_template("{spinner} [{elapsed}] {msg}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Self { running: Mutex::default(), bar }
    }

    fn update(&self, change: impl FnOnce(&mut BTreeSet<CaseId>)) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut running);
        if let Some(bar) = &self.bar {
            let names: Vec<&str> = running.iter().map(|case| case.scenario.as_str()).collect();
            bar.set_message(names.join(", "));
        }
    }
}

impl Progress for Screen {
    fn event(&self, record: &Record) {
        match &record.event {
            Event::AttemptStarted { case, .. } => self.update(|running| {
                running.insert(case.clone());
            }),
            Event::CaseEnded { case, verdict, seconds, .. } => {
                self.update(|running| {
                    running.remove(case);
                });
                let verdict = verdict.word().to_uppercase();
                let line = format!("{verdict:>8} [{seconds:>7.1}s] {case}");
                match &self.bar {
                    Some(bar) => bar.println(line),
                    None => out::line(line),
                }
            }
            _ => {}
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
