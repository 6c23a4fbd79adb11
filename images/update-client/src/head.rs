//! What stands before the body of an HTTP answer, as curl passes it on.

use std::io::{self, BufRead, Read as _};

/// A head has less than this, in bytes; more is not read.
const MAX_HEAD: u64 = 64 << 10;

/// Status and headers of the answer that counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// Bytes of the body, if the server says.
    pub(crate) length: Option<u64>,
    /// Where the body starts in the file, in bytes; 0 unless it is a part.
    pub(crate) start: u64,
    /// Bytes of the whole file, if the server says.
    pub(crate) total: Option<u64>,
    redirects: bool,
}

impl Head {
    /// Reads heads up to the one that the body belongs to: those of redirects, which curl follows, and interim answers
    /// come before it. `None` if the transfer ends before.
    pub(crate) fn read(from: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut from = from.take(MAX_HEAD);
        loop {
            match Self::read_one(&mut from)? {
                Some(head) if head.status < 200 || head.redirects => {}
                head => return Ok(head),
            }
        }
    }

    fn read_one(from: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut head: Option<Self> = None;
        let mut line = Vec::new();
        loop {
            line.clear();
            if from.read_until(b'\n', &mut line)? == 0 {
                return Ok(None);
            }
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end();
            match &mut head {
                Some(_) if text.is_empty() => return Ok(head),
                Some(head) => head.add(text),
                None => head = Some(Self { status: status(text)?, ..Self::default() }),
            }
        }
    }

    fn add(&mut self, line: &str) {
        let Some((name, value)) = line.split_once(':') else { return };
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => {
                self.length = value.parse().ok();
                self.total = self.total.or(self.length);
            }
            "content-range" => {
                if let Some((start, total)) = range(value) {
                    self.start = start;
                    self.total = total;
                }
            }
            "location" => self.redirects = (300..400).contains(&self.status),
            _ => {}
        }
    }
}

fn status(line: &str) -> io::Result<u16> {
    let number = line.strip_prefix("HTTP/").and_then(|rest| rest.split(' ').nth(1));
    number
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| io::Error::other(format!("{line:?} is not the start of an HTTP answer")))
}

/// `bytes 100-199/1000`: where it starts, and the size of the whole.
fn range(value: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.parse().ok()?, total.parse().ok()))
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    fn read(text: &str) -> (Option<Head>, String) {
        let mut rest = text.as_bytes();
        let head = Head::read(&mut rest).unwrap();
        (head, String::from_utf8(rest.to_vec()).unwrap())
    }

    #[test]
    fn the_body_is_left() {
        let (head, body) = read("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX: y\r\n\r\nbody");
        let expected = Head { status: 200, length: Some(4), total: Some(4), ..Head::default() };
        assert_eq!((head, body.as_str()), (Some(expected), "body"));
    }

    #[test_case("Content-Range: bytes 100-199/1000\r\nContent-Length: 100\r\n"; "range first")]
    #[test_case("content-length: 100\r\ncontent-range: bytes 100-199/1000\r\n"; "length first")]
    fn a_part(headers: &str) {
        let (head, _) = read(&format!("HTTP/1.1 206 Partial Content\r\n{headers}\r\n"));
        let head = head.unwrap();
        assert_eq!((head.status, head.start, head.total), (206, 100, Some(1000)));
    }

    #[test]
    fn redirects_are_passed_over() {
        let (head, body) = read(
            "HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 9\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\n\r\nx",
        );
        assert_eq!((head.unwrap().status, body.as_str()), (404, "x"));
    }

    #[test]
    fn a_redirect_to_nowhere_counts() {
        assert_eq!(read("HTTP/1.1 304 Not Modified\r\n\r\n").0.unwrap().status, 304);
    }

    #[test_case(""; "nothing")]
    #[test_case("HTTP/1.1 200 OK\r\nContent-Le"; "cut")]
    #[test_case("HTTP/1.1 302 Found\r\nLocation: /b\r\n\r\n"; "redirect without an end")]
    fn no_head(text: &str) {
        assert_eq!(read(text).0, None);
    }

    #[test]
    fn another_protocol() {
        let error = Head::read(&mut &b"SSH-2.0-OpenSSH_9.2\r\n"[..]).unwrap_err();
        insta::assert_snapshot!(error, @r#""SSH-2.0-OpenSSH_9.2" is not the start of an HTTP answer"#);
    }
}
