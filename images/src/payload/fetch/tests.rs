//! Addresses and digest files. How servers behave is tested with the command.

use test_case::test_case;

use super::*;

#[test_case("https://update.release.flatcar-linux.net/amd64-usr/4593.2.3/flatcar_production_update.gz", "https://update.release.flatcar-linux.net/amd64-usr/4593.2.3/flatcar_production_update.gz.sha256"; "as published")]
#[test_case("http://127.0.0.1:80/a.gz?token=x/y", "http://127.0.0.1:80/a.gz.sha256?token=x/y"; "with a query")]
fn digests_are_beside_files(url: &str, digest: &str) {
    let address = Address::of(url).unwrap();
    assert_eq!(address.neighbour(), digest);
}

#[test_case("ftp://host/a.gz", "it does not begin with http:// or https://"; "another protocol")]
#[test_case("a.gz", "it does not begin with http:// or https://"; "a file")]
#[test_case("http://host", "it names no file"; "no path")]
#[test_case("http://host/dir/", "it names no file"; "a directory")]
#[test_case("http://host/?a.gz", "it names no file"; "only a query")]
#[test_case("http://host/a%20b.gz", "the name of the file has characters that no package may have"; "escapes")]
#[test_case("http://host/..", "the name of the file has characters that no package may have"; "a parent")]
#[test_case("http://ho st/a", "it is no URL"; "a space")]
fn bad_addresses(url: &str, expected: &str) {
    match Address::of(url) {
        Err(FetchError::BadUrl { problem, .. }) => assert_eq!(problem, expected),
        other => panic!("{other:?}"),
    }
}

const DIGEST: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

#[test_case(DIGEST => true; "alone")]
#[test_case(&format!("{DIGEST}  update.gz\n") => true; "as sha256sum writes it")]
#[test_case(&DIGEST.to_uppercase() => true; "upper case")]
#[test_case(&DIGEST[1..] => false; "too short")]
#[test_case("<html>login</html>" => false; "another page")]
#[test_case("" => false; "empty")]
fn digest_files(text: &str) -> bool {
    digest_in(text).is_some_and(|digest| digest == DIGEST)
}
