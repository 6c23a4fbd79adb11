//! HTTP answers.

use std::{io, ops::Range};

use http_body_util::{BodyExt as _, Full};
use hyper::{
    Response, StatusCode,
    header::{self, HeaderValue},
};

use super::transfer::Body;

/// An answer with a body of `length` bytes.
pub(super) fn whole(
    status: StatusCode,
    content_type: &'static str,
    length: u64,
    body: Body,
) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CONTENT_LENGTH, length.into());
    response
}

/// The bytes in `range` of a package, which has `size` of them; all of them unless the answer is partial.
pub(super) fn package(
    status: StatusCode,
    range: &Range<u64>,
    size: u64,
    body: Body,
) -> Response<Body> {
    let mut response = whole(status, "application/octet-stream", range.end - range.start, body);
    let headers = response.headers_mut();
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if status == StatusCode::PARTIAL_CONTENT {
        let text = format!("bytes {}-{}/{size}", range.start, range.end - 1);
        insert(&mut response, header::CONTENT_RANGE, &text);
    }
    response
}

/// The answer to a range beyond the end of a package, which has `size` bytes.
pub(super) fn unsatisfiable(size: u64) -> Response<Body> {
    let status = StatusCode::RANGE_NOT_SATISFIABLE;
    let mut response = sentence(status, "the package ends before the range starts");
    insert(&mut response, header::CONTENT_RANGE, &format!("bytes */{size}"));
    response
}

/// A redirect. A target that can't stand in a header is left out.
pub(super) fn redirect(to: &str) -> Response<Body> {
    let mut response = sentence(StatusCode::FOUND, "it is elsewhere");
    insert(&mut response, header::LOCATION, to);
    response
}

/// A sentence for people.
pub(super) fn sentence(status: StatusCode, text: &str) -> Response<Body> {
    let body = format!("{text}\n");
    let length = body.len() as u64;
    let body = Full::new(body.into()).map_err(io::Error::other).boxed_unsync();
    whole(status, "text/plain; charset=utf-8", length, body)
}

fn insert(response: &mut Response<Body>, name: header::HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        response.headers_mut().insert(name, value);
    }
}
