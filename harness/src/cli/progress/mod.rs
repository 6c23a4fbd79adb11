//! What a run shows while it runs.
//!
//! `screen` has the terminal to itself, on a thread of its own; `state` folds the run's events; `lines` words what stays on the
//! screen, and `frame` what is drawn again and again below it, with a guess by `estimate`; `keys` keeps keys from being echoed
//! into that. All but `screen` and `keys` are pure: the same events, time and size give the same text.

mod estimate;
mod frame;
mod keys;
mod lines;
mod screen;
mod state;
#[cfg(test)]
mod tests;

pub(super) use lines::Level;
pub(super) use screen::{Options, Screen};
