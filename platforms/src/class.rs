//! Whose fault a failure is.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Whose fault a failure is. Decides who is woken up, and whether an image is blamed.
///
/// Infrastructure failures are never counted as product failures, nor as passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// The image under test did something wrong.
    Product,
    /// The scenario itself is wrong.
    Test,
    /// The host, the network or a provider failed; the image was not judged.
    Infra,
    /// wheeltap has a defect.
    Harness,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Product => "product",
            Self::Test => "test",
            Self::Infra => "infra",
            Self::Harness => "harness",
        })
    }
}
