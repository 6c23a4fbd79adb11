//! JSON schemas (draft 2020-12) of what programs read. Tests hold them against every golden report, in
//! both directions: what is written is as they say, and what they don't know isn't written.

/// A document with a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// The JSON report.
    Report,
    /// `plan.json`.
    Plan,
    /// A line of `events.jsonl`.
    Event,
}

impl Schema {
    /// The schema's text.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Report => include_str!("../../docs/schemas/report.schema.json"),
            Self::Plan => include_str!("../../docs/schemas/plan.schema.json"),
            Self::Event => include_str!("../../docs/schemas/event.schema.json"),
        }
    }
}
