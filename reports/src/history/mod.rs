//! The history: what every case did in every run, in one SQLite file that several processes share.
//!
//! ```text
//! Run ─▶ History::record ─▶ runs, cases, results, attempts ─▶ expected   durations, for planning
//!                                                          ├▶ cases      what a case did, and its Summary
//!                                                          └▶ bisection  which build broke a case
//! ```
//!
//! `store` opens the file and knows its schema, `write` records, `read` queries. All that is said
//! about the rows is pure: `statistics`, `summary`, `bisect`; `text` and `json` are its views.

mod bisect;
mod error;
mod json;
mod read;
mod statistics;
mod store;
mod summary;
mod text;
mod version;
mod write;

pub use bisect::{Ambiguity, Bisection, Build, BuildOrder, BuildVerdict, Finding};
pub use error::{HistoryError, HistoryResult};
pub use json::{bisection as bisection_json, details as details_json, overview as overview_json};
pub use read::{CaseHistory, Durations, PastAttempt, PastResult, PastRun};
pub use statistics::{Glyphs, Interval, median, percentile, sparkline, wilson};
pub use store::{History, SCHEMA_VERSION};
pub use summary::{FirstPass, Summary, Timing, Trouble};
pub use text::{bisection as bisection_text, details as details_text, overview as overview_text};
