//! `SHA256SUMS`: everything that the decision rests on, and what was written. `sha256sum -c` checks it from the directory.

use std::collections::BTreeMap;

use crate::Decision;

/// One line for each file that could be read.
pub(super) fn render(decision: &Decision, written: &[(String, String)]) -> String {
    let inputs =
        decision.inputs.iter().filter_map(|file| Some((&file.path, file.sha256.as_ref()?)));
    let written = written.iter().map(|(name, digest)| (name, digest));
    let all: BTreeMap<_, _> = inputs.chain(written).collect();
    all.into_iter().map(|(name, digest)| line(name, digest)).collect()
}

/// As coreutils writes it: a backslash before the digest says that there are escapes in the name.
fn line(name: &str, digest: &str) -> String {
    let escaped = name.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r");
    let mark = if escaped == name { "" } else { "\\" };
    format!("{mark}{digest}  {escaped}\n")
}
