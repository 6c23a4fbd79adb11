//! URLs, as far as Ignition and Go's net/url refuse them.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::Verdict;
use crate::schema::Spec;

const UNPARSABLE: &str = "unable to parse url";
const BAD_ARN: &str = "invalid S3 ARN format";
const BAD_VERSION: &str = "invalid S3 object VersionId";

#[derive(Debug)]
struct Url<'a> {
    scheme: String,
    /// What follows the scheme, without query and fragment.
    rest: &'a str,
    query: &'a str,
}

/// Where something may be fetched from.
pub(super) fn check(url: &str, spec: Spec) -> Verdict {
    let parsed = parse(url)?;
    match parsed.scheme.as_str() {
        "http" | "https" | "tftp" => Ok(()),
        "gs" if spec.ignition() >= 2 => Ok(()),
        "s3" => check_version_id(parsed.query),
        "arn" if spec.ignition() >= 4 => check_arn(&parsed),
        "data" => check_data(url),
        _ => Err("invalid url scheme"),
    }
}

/// The scheme in lower case; empty if there is none.
pub(super) fn scheme(url: &str) -> Result<String, &'static str> {
    parse(url).map(|url| url.scheme)
}

fn parse(url: &str) -> Result<Url<'_>, &'static str> {
    if url.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
        return Err(UNPARSABLE);
    }
    let (url, fragment) = url.split_once('#').unwrap_or((url, ""));
    if !is_escaped_well(fragment) {
        return Err(UNPARSABLE);
    }
    let (scheme, rest) = split_scheme(url)?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let parsed = Url { scheme: scheme.to_ascii_lowercase(), rest, query };
    if !rest.starts_with('/') {
        let first = rest.split('/').next().unwrap_or_default();
        return match scheme.is_empty() && first.contains(':') {
            true => Err(UNPARSABLE),
            false => Ok(parsed),
        };
    }
    let path = match rest.strip_prefix("//") {
        Some(authority) if !(scheme.is_empty() && rest.starts_with("///")) => {
            let end = authority.find('/').unwrap_or(authority.len());
            if !is_authority(&authority[..end]) {
                return Err(UNPARSABLE);
            }
            &authority[end..]
        }
        _ => rest,
    };
    if is_escaped_well(path) { Ok(parsed) } else { Err(UNPARSABLE) }
}

fn split_scheme(url: &str) -> Result<(&str, &str), &'static str> {
    for (index, byte) in url.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if index > 0 => {}
            b':' if index == 0 => return Err(UNPARSABLE),
            b':' => return Ok((&url[..index], &url[index + 1..])),
            _ => break,
        }
    }
    Ok(("", url))
}

fn is_escaped_well(text: &str) -> bool {
    text.split('%').skip(1).all(|after| {
        after.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

/// `user:password@host:port`
fn is_authority(authority: &str) -> bool {
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (user, host),
        None => ("", authority),
    };
    let user_fits = user
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&byte));
    let is_port = |port: &str| {
        port.is_empty()
            || port
                .strip_prefix(':')
                .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let (host, port_fits) = if host.starts_with('[') {
        match host.rfind(']') {
            Some(end) => (&host[..=end], is_port(&host[end + 1..])),
            None => return false,
        }
    } else {
        match host.rfind(':') {
            Some(colon) => (&host[..colon], is_port(&host[colon..])),
            None => (host, true),
        }
    };
    let host_fits = host.bytes().all(|byte| {
        !byte.is_ascii()
            || byte.is_ascii_alphanumeric()
            || b"-_.~!$&'()*+,;=:[]<>\"%".contains(&byte)
    });
    user_fits && is_escaped_well(user) && port_fits && host_fits && is_escaped_well(host)
}

fn check_version_id(query: &str) -> Verdict {
    let values = query.split('&').filter_map(|pair| match pair.split_once('=') {
        Some(("versionId", value)) => Some(value),
        None if pair == "versionId" => Some(""),
        _ => None,
    });
    // Of several, the first counts.
    if values.take(1).any(str::is_empty) { Err(BAD_VERSION) } else { Ok(()) }
}

/// `arn:PARTITION:s3:REGION:ACCOUNT:RESOURCE`
fn check_arn(url: &Url<'_>) -> Verdict {
    let full = format!("arn:{}", url.rest);
    let parts: Vec<&str> = full.splitn(6, ':').collect();
    let [_, _, service, _, _, resource] = parts[..] else { return Err(BAD_ARN) };
    let needed = if resource.starts_with("accesspoint/") { 3 } else { 2 };
    if url.rest.starts_with('/') || service != "s3" || full.split('/').count() < needed {
        return Err(BAD_ARN);
    }
    check_version_id(url.query)
}

/// RFC 2397, as the package dataurl reads it.
fn check_data(url: &str) -> Verdict {
    let Some((head, data)) = url["data:".len()..].split_once(',') else {
        return Err("missing comma before data");
    };
    let mut parameters = head.split(';');
    let media = parameters.next().unwrap_or_default();
    let is_token = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&byte))
    };
    if !media.is_empty()
        && !media.split_once('/').is_some_and(|(kind, sub)| is_token(kind) && is_token(sub))
    {
        return Err("invalid media type");
    }
    let mut base64 = false;
    for parameter in parameters {
        match parameter.split_once('=') {
            Some((name, _)) if is_token(name) && !base64 => {}
            None if parameter == "base64" && !base64 => base64 = true,
            _ => return Err("invalid parameter"),
        }
    }
    if base64 {
        let fits = |byte: u8| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'\n' | b'\r')
        };
        if !data.bytes().all(fits) {
            return Err("invalid data character");
        }
        return STANDARD.decode(data).map(drop).map_err(|_| "illegal base64 data");
    }
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.!~*'();/?:@&=+$,%".contains(&byte);
    if data.bytes().all(fits) && is_escaped_well(data) {
        Ok(())
    } else {
        Err("invalid data character")
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::{check, scheme};
    use crate::schema::Spec;

    #[test_case("http://a/b", 0 => true)]
    #[test_case("https://user:pass@a:8080/b?c#d", 0 => true)]
    #[test_case("HTTPS://a", 0 => true; "upper case")]
    #[test_case("tftp://a/b", 0 => true)]
    #[test_case("s3://b/o", 0 => true)]
    #[test_case("s3://b/o?versionId=1", 0 => true)]
    #[test_case("s3://b/o?versionId=", 0 => false)]
    #[test_case("gs://b/o", 1 => false; "gs is not known yet")]
    #[test_case("gs://b/o", 2 => true)]
    #[test_case("arn:aws:s3:::b/o", 4 => false; "arn is not known yet")]
    #[test_case("arn:aws:s3:::b/o", 5 => true)]
    #[test_case("arn:aws:s3:::b", 5 => false; "no object")]
    #[test_case("arn:aws:s3:r:1:accesspoint/p/object/o", 5 => true)]
    #[test_case("arn:aws:s3:r:1:accesspoint/p", 5 => false; "no object of an access point")]
    #[test_case("arn:aws:ec2:::b/o", 5 => false; "another service")]
    #[test_case("ftp://a", 6 => false)]
    #[test_case("", 6 => false; "nothing")]
    #[test_case("/a", 6 => false; "a path")]
    #[test_case("http://a b/", 6 => false; "a space in the host")]
    #[test_case("http://a/b c", 6 => true; "a space in the path")]
    #[test_case("http://a:b/", 6 => false; "a port of letters")]
    #[test_case("http://[::1]:80/", 6 => true)]
    #[test_case("http://[::1", 6 => false; "an open bracket")]
    #[test_case("http://a/%zz", 6 => false; "a bad escape")]
    #[test_case("data:,a%20b", 6 => true)]
    #[test_case("data:,", 6 => true; "an empty file")]
    #[test_case("data:,a b", 6 => false; "a space in data")]
    #[test_case("data:a", 6 => false; "no comma")]
    #[test_case("data:text/plain;charset=utf-8,a", 6 => true)]
    #[test_case("data:text,a", 6 => false; "half a media type")]
    #[test_case("data:;base64,YQ==", 6 => true)]
    #[test_case("data:;base64,YQ", 6 => false; "no padding")]
    #[test_case("data:;base64,@@", 6 => false; "no base64")]
    #[test_case("data:;x,a", 6 => false; "no parameter")]
    fn sources(url: &str, fcos: u8) -> bool {
        let spec = Spec::ALL.into_iter().find(|spec| spec.is_fcos(fcos)).unwrap();
        check(url, spec).is_ok()
    }

    #[test_case("http://x" => Some("http".to_owned()))]
    #[test_case("x" => Some(String::new()); "no scheme")]
    #[test_case(":x" => None)]
    #[test_case("a:b" => Some("a".to_owned()); "no slashes")]
    #[test_case("1a:b" => None; "a digit first")]
    #[test_case("http://x\u{7f}" => None; "a control character")]
    fn schemes(url: &str) -> Option<String> {
        scheme(url).ok()
    }
}
