//! Formats of updates: Omaha requests and responses, and CrAU payloads. Bytes in, types out; no network, no clock.

pub mod omaha;
pub mod payload;
