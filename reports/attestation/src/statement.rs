//! What is said about an image: in-toto's Statement v1 with the predicate test-result v0.1.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The `_type` of a statement.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// The `predicateType` of test results.
pub const PREDICATE_TYPE: &str = "https://in-toto.io/attestation/test-result/v0.1";

/// A statement about the result of tests. Fields that others have added are ignored, as the framework demands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// [`STATEMENT_TYPE`].
    #[serde(rename = "_type")]
    pub statement_type: String,
    /// What was tested.
    pub subject: Vec<Subject>,
    /// [`PREDICATE_TYPE`].
    #[serde(rename = "predicateType")]
    pub predicate_type: String,
    /// What came of it.
    pub predicate: Tested,
}

/// Something that was tested.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Subject {
    /// Its name, such as that of an image.
    pub name: String,
    /// Its digests in hex, by the algorithm's name.
    pub digest: BTreeMap<String, String>,
}

/// The predicate test-result v0.1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tested {
    /// In one word.
    pub result: TestResult,
    /// By what it was tested and judged.
    pub configuration: Vec<Resource>,
    /// Passed, with nothing to say about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed_tests: Vec<String>,
    /// Passed, and somebody should look: flaky, or accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warned_tests: Vec<String>,
    /// Failed, or promised and not judged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed_tests: Vec<String>,
}

/// The result as a whole; the worst is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum TestResult {
    /// All passed.
    Passed,
    /// All passed or was accepted.
    Warned,
    /// Something failed, or can't be told.
    Failed,
}

impl fmt::Display for TestResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Passed => "PASSED",
            Self::Warned => "WARNED",
            Self::Failed => "FAILED",
        })
    }
}

/// A file or another thing by its digest: in-toto's ResourceDescriptor, as far as it is used here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// Its name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its digests in hex, by the algorithm's name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub digest: BTreeMap<String, String>,
    /// What else is known about it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// Why a payload is no statement about test results.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// It is another kind of statement.
    #[error("it is a statement of the type {found}, and not {STATEMENT_TYPE}")]
    OtherType {
        /// Its `_type`.
        found: String,
    },
    /// It says something else.
    #[error("its predicate is {found}, which says nothing about tests; expected {PREDICATE_TYPE}")]
    OtherPredicate {
        /// Its `predicateType`.
        found: String,
    },
    /// It names nothing that was tested.
    #[error("it names no subject, so it is about nothing")]
    NoSubject,
    /// It isn't JSON, or lacks something.
    #[error("it is no in-toto statement: {0}")]
    Json(#[from] serde_json::Error),
}

impl Statement {
    /// A statement about these subjects. Everything is sorted, so that the same results have the same bytes.
    #[must_use]
    pub fn new(mut subject: Vec<Subject>, mut predicate: Tested) -> Self {
        subject.sort();
        subject.dedup();
        for tests in
            [&mut predicate.passed_tests, &mut predicate.warned_tests, &mut predicate.failed_tests]
        {
            tests.sort();
            tests.dedup();
        }
        Self {
            statement_type: STATEMENT_TYPE.to_owned(),
            subject,
            predicate_type: PREDICATE_TYPE.to_owned(),
            predicate,
        }
    }

    /// Its bytes: JSON in one line. This is what is signed.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a statement is strings, lists and maps of strings")
    }

    /// Reads a statement.
    ///
    /// # Errors
    /// If it is of another type, or has another predicate or no subject.
    pub fn parse(bytes: &[u8]) -> Result<Self, StatementError> {
        /// What every statement has. The predicate is looked at when it is known which it is.
        #[derive(Deserialize)]
        struct Head {
            #[serde(rename = "_type")]
            statement_type: String,
            #[serde(rename = "predicateType")]
            predicate_type: String,
        }

        let head: Head = serde_json::from_slice(bytes)?;
        if head.statement_type != STATEMENT_TYPE {
            return Err(StatementError::OtherType { found: head.statement_type });
        }
        if head.predicate_type != PREDICATE_TYPE {
            return Err(StatementError::OtherPredicate { found: head.predicate_type });
        }
        let statement: Self = serde_json::from_slice(bytes)?;
        if statement.subject.is_empty() {
            return Err(StatementError::NoSubject);
        }
        Ok(statement)
    }

    /// The subject with this sha256, in hex.
    #[must_use]
    pub fn subject_of(&self, sha256: &str) -> Option<&Subject> {
        self.subject
            .iter()
            .find(|subject| subject.digest.get("sha256").is_some_and(|it| it == sha256))
    }
}

impl Subject {
    /// Something with this sha256, in hex.
    #[must_use]
    pub fn new(name: &str, sha256: &str) -> Self {
        Self { name: name.to_owned(), digest: digest(sha256) }
    }
}

impl Resource {
    /// Something with this sha256, in hex.
    #[must_use]
    pub fn new(name: &str, sha256: &str) -> Self {
        Self { name: name.to_owned(), digest: digest(sha256), annotations: BTreeMap::new() }
    }

    /// With something else that is known about it.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.to_owned(), value.to_owned());
        self
    }
}

fn digest(sha256: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("sha256".to_owned(), sha256.to_owned())])
}
