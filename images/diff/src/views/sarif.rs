//! SARIF 2.1.0 (OASIS): what hit the limits, for GitHub's code scanning and others. Accepted hits are suppressed, not left out.

use serde_json::{Value, json};

use super::{RenderError, json::plain};
use crate::limits::{Hit, JudgedRule, Judgement, Severity};
use crate::{Diff, visible};

pub(super) fn render(diff: &Diff<'_>, judgement: &Judgement) -> Result<String, RenderError> {
    let rules: Vec<Value> = judgement.rules.iter().map(rule).collect();
    let results: Vec<Value> =
        judgement.hits().map(|(rule, hit)| result(diff, judgement, rule, hit)).collect();
    let report = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "wheeltap image diff",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            // Of two comparisons of one image the later counts.
            "automationDetails": { "id": "wheeltap/image-diff/" },
            "properties": {
                "old": visible(&diff.old.name),
                "new": visible(&diff.new.name),
                "limits": visible(&judgement.limits),
            },
            "results": results,
        }],
    });
    let text =
        serde_json::to_string_pretty(&report).map_err(|error| RenderError::new("SARIF", error))?;
    Ok(plain(&text) + "\n")
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warn => "warning",
    }
}

fn rule(rule: &JudgedRule) -> Value {
    json!({
        "id": rule.name,
        "shortDescription": { "text": rule.summary },
        "defaultConfiguration": { "level": level(rule.severity) },
        "properties": { "kind": rule.kind },
    })
}

fn result(diff: &Diff<'_>, judgement: &Judgement, rule: &JudgedRule, hit: &Hit) -> Value {
    // GitHub shows no result without a place. One that is about no file is about the image.
    let uri = match &hit.path {
        Some(path) => encoded(path.trim_start_matches('/')),
        None => encoded(diff.new.name.trim_start_matches('/')),
    };
    let mut result = json!({
        "ruleId": rule.name,
        "ruleIndex": judgement.rules.iter().position(|other| other.name == rule.name),
        "level": level(rule.severity),
        "message": { "text": hit.message },
        "locations": [{
            "physicalLocation": { "artifactLocation": { "uri": uri } },
            "logicalLocations": [{ "fullyQualifiedName": hit.id }],
        }],
        // By this a hit is known again in the next comparison.
        "partialFingerprints": { "wheeltapHit/v1": hit.id },
    });
    if let Some(allowed) = &hit.allowed {
        let why = format!("{} ({}, until {})", allowed.reason, allowed.owner, allowed.expires);
        result["suppressions"] =
            json!([{ "kind": "external", "status": "accepted", "justification": visible(&why) }]);
    }
    result
}

/// A relative URI reference (RFC 3986): whatever isn't plain is a `%NN`.
fn encoded(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.extend([byte >> 4, byte & 15].map(|digit| {
                char::from_digit(digit.into(), 16).unwrap_or('0').to_ascii_uppercase()
            }));
        }
    }
    out
}
