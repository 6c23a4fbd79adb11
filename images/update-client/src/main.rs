//! A stand-in for Flatcar's update_engine, for the reference image.
//!
//! It is not update_engine, and nothing of it was taken from there. It answers to the same names, so that a scenario can
//! drive either: the daemon `update_engine` and the command `update_engine_client`, Flatcar's configuration files, the
//! Omaha protocol with update_engine's attributes, events and error codes, signed CrAU payloads, and the two slots. It
//! talks to the command over a socket instead of D-Bus, and leaves HTTP to the image's `curl`.
//!
//! Facts about update_engine come from `update_attempter.cc`, `omaha_request_action.cc`, `omaha_request_params.cc`,
//! `update_engine_client.cc` and `main.cc` of flatcar/update_engine, and about the slots from `flatcar-postinst` of
//! flatcar/init.

mod attempt;
mod client;
mod curl;
mod download;
mod engine;
mod error;
mod head;
mod identity;
mod install;
mod journal;
mod offer;
mod prefs;
mod request;
mod schedule;
mod settings;
mod slots;
mod socket;
mod status;

use std::env;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = env::args();
    let name = arguments.next().unwrap_or_default();
    match Path::new(&name).file_name().and_then(|name| name.to_str()) {
        Some("update_engine_client") => client::run(arguments),
        _ => engine::run(),
    }
}
