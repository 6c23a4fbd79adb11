//! GO or NO-GO: results of runs, judged by a policy.
//!
//! ```text
//! Sources ─▶ Inputs::load ─▶ decide ─▶ Decision ─▶ Files::render ─▶ write
//! ```
//! [`Inputs::load`] reads files, and [`write`] writes them; all between is pure: no clock, no network. The day of judgement
//! is an input, so the same inputs have the same bytes.
//!
//! The verdict is a function of [`Finding`]s, and of nothing else. What is found by looking at an input can block, or can
//! leave something open; nothing that is absent can make up for it. `docs/gate.md` is the reference.

mod decide;
mod decision;
mod explain;
mod inputs;
mod place;
mod policy;
mod views;
mod write;

pub use decide::decide;
pub use decision::{
    CellSummary, Checkbox, Decision, Effect, FORMAT_VERSION, Finding, Flakes, ImageSummary,
    InputFile, Rate, Role, Verdict, WaiverSummary,
};
pub use explain::{Explanation, explain};
pub use inputs::{DiffHit, ImageDiff, InputError, Inputs, Loaded, Sources};
pub use place::Place;
pub use policy::{DEFAULT_POLICY, Policy, PolicyError};
pub use views::{Files, html, markdown};
pub use write::{GATE_FILE, WriteError, write};
