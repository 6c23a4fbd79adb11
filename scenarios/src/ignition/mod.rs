//! Ignition configs: bytes in, types out. No network, no clock.
//!
//! A config is read and judged before anything boots ([`Config`]), and put together with the harness's own additions
//! by Ignition's `merge`, so that the guest gets the user's bytes unchanged ([`Merge`]).

mod config;
mod excerpt;
mod fragment;
mod merge;
mod version;

pub use config::{Config, ConfigError};
pub use fragment::{Entry, Fragment, directory, disk, dropin, file, filesystem, link, unit, user};
pub use merge::{Merge, data_url};
pub use version::{SpecRange, SpecVersion, VersionError};
