//! Real messages, goldens, hostile input, and properties of both directions.

mod hostile;
mod messages;
mod round_trip;
