//! What comes from elsewhere, and how it gets here.

use super::{judge, urls};
use crate::{
    path::Path,
    report::Report,
    schema::{Spec, TypeName},
    tree::Object,
};

pub(super) fn check(resource: &Object, spec: Spec, path: &Path, report: &mut Report) {
    if !matches!(resource.text_or_empty("compression"), "" | "gzip") {
        report.error(path.key("compression"), "invalid compression method");
    }
    let source = resource.text("source");
    // The first version checks this of files only.
    let first = spec.ignition() == 0 && resource.ty.name == TypeName::Reference;
    if source.is_none()
        && !first
        && resource.object("verification").is_some_and(|check| check.get("hash").is_some())
    {
        report.error(
            path.key("verification").key("hash"),
            "source must be specified if verification is specified",
        );
    }
    // An empty one is none.
    if let Some(source) = source.filter(|source| !source.is_empty()) {
        judge(report, path.key("source"), urls::check(source, spec));
    }
    if !resource.list("http_headers").is_empty() {
        let verdict = match source.filter(|source| !source.is_empty()).map(urls::scheme) {
            None | Some(Err(_)) => Err("unable to parse url"),
            Some(Ok(scheme)) if matches!(scheme.as_str(), "http" | "https") => Ok(()),
            Some(Ok(_)) => Err("cannot use HTTP headers with this source scheme"),
        };
        judge(report, path.key("http_headers"), verdict);
    }
}

/// Checks what has to have a source.
pub(super) fn check_required(
    object: &Object,
    name: &'static str,
    spec: Spec,
    path: &Path,
    report: &mut Report,
) {
    // The first version merges nothing without a word.
    if spec.ignition() == 0 && name == "merge" {
        return;
    }
    for (index, resource) in object.objects(name).enumerate() {
        let verdict = match resource.filled("source") {
            None => Err("source is required"),
            Some(source) => urls::check(source, spec),
        };
        judge(report, path.key(name).index(index), verdict);
    }
}

pub(super) fn check_hash(verification: &Object, spec: Spec, path: &Path, report: &mut Report) {
    let Some(hash) = verification.text("hash") else { return };
    let verdict = match hash.split_once('-') {
        None => Err("malformed hash specifier"),
        Some((function, sum)) => {
            let length = match function {
                "sha512" => Some(128),
                "sha256" if spec.ignition() >= 1 => Some(64),
                _ => None,
            };
            match length {
                None => Err("unrecognized hash function"),
                Some(length) if sum.len() != length => Err("incorrect size for hash sum"),
                Some(_) => Ok(()),
            }
        }
    };
    judge(report, path.key("hash"), verdict);
}

pub(super) fn check_header(header: &Object, path: &Path, report: &mut Report) {
    if header.filled("name").is_none() {
        report.error(path.key("name"), "HTTP header name can't be empty");
    }
    if header.text("value") == Some("") {
        report.error(path.key("value"), "unable to parse HTTP header");
    }
}

pub(super) fn check_proxy(proxy: &Object, path: &Path, report: &mut Report) {
    for name in ["http_proxy", "https_proxy"] {
        let Some(url) = proxy.text(name) else { continue };
        match urls::scheme(url).as_deref() {
            Err(message) => report.error(path.key(name), *message),
            Ok("https") => {}
            Ok("http") if name == "http_proxy" => {}
            Ok("http") => report.warn(
                path.key(name),
                "insecure plaintext HTTP proxy specified for HTTPS resources",
            ),
            Ok(_) => report.error(path.key(name), "proxies must be http(s)"),
        }
    }
}
