//! The update server as its clients meet it, over real connections.

#![expect(clippy::unwrap_used, reason = "a test says what it expected by panicking")]

mod answers;
mod client;
mod downloads;
mod lifecycle;
mod misbehaviour;
mod tls;
