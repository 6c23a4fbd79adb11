//! The Omaha protocol, version 3: what an update client asks and reports, what a server answers.
//!
//! Both directions of both messages: [`Request::parse`] and [`Request::to_xml`],
//! [`Response::parse`] and [`Response::to_xml`]. What is written parses to the same value.
//! Attributes and elements that are unknown here are skipped, as every client and server does; a
//! known attribute with a value of the wrong type is an error, and so is what makes readers
//! disagree, such as two of an element of which one counts.
//!
//! An attribute that is absent is `None` and one that is empty is `Some("")`, because update_engine
//! sends empty ones (`hardware_class=""`) and go-omaha leaves them out.

mod element;
mod error;
mod error_code;
mod event;
mod reader;
mod request;
mod response;
mod status;
mod writer;

#[cfg(test)]
mod tests;

pub use error::OmahaError;
pub use error_code::ErrorCode;
pub use event::{Event, EventResult, EventType};
pub use reader::MAX_MESSAGE;
pub use request::{AppRequest, Os, Ping, Request, UpdateCheckRequest};
pub use response::{Action, AppResponse, Manifest, Package, Response, UpdateCheckResponse};
pub use status::{AckStatus, ActionEvent, AppStatus, InstallSource, UpdateStatus};

/// The only version of the protocol, as the `protocol` attribute spells it.
pub const PROTOCOL: &str = "3.0";
