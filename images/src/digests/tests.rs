//! Files as Flatcar publishes them, and some that are damaged.

use proptest::prelude::*;

use super::*;

#[test]
fn sha512_only() {
    let (a, b) = ("0A".repeat(64), "b".repeat(128));
    let md5 = "c".repeat(32);
    let text = format!(
        "# MD5 HASH\n{md5}  x.bz2\n# SHA1 HASH\nanything\n# SHA512 HASH\r\n{a}  x.bz2\r\n{b} *y.DIGESTS\n\n# NEW HASH\n?\n"
    );
    let files = parse(&text).unwrap();
    assert_eq!(files.keys().collect::<Vec<_>>(), ["x.bz2", "y.DIGESTS"]);
    assert_eq!(files["x.bz2"].sha512, "0a".repeat(64));
}

#[test]
fn damaged() {
    let (a, b) = ("a".repeat(128), "b".repeat(128));
    let head = "# SHA512 HASH\n";
    for text in ["", "<html>", head, "# MD5 HASH\nabc  x\n"] {
        assert_eq!(parse(text).unwrap_err(), DigestsError::NoSha512, "{text}");
    }
    let bad = ["x", &a, &format!("{a}  "), &format!("{a}  ../x"), &format!("{a}  .x")];
    for line in bad.map(str::to_owned).into_iter().chain([format!("{}  x", &a[1..])]) {
        let error = parse(&format!("{head}{line}\n")).unwrap_err();
        assert_eq!(error, DigestsError::BadLine { line: 2 }, "{line}");
    }
    assert_eq!(parse(&format!("{head}{a}  x\n{a}  x\n")).unwrap().len(), 1);
    let error = parse(&format!("{head}{a}  x\n{b}  x\n")).unwrap_err();
    assert_eq!(error, DigestsError::Contradiction { name: "x".to_owned() });
    assert_eq!(parse(&" ".repeat(MAX_DIGESTS + 1)).unwrap_err(), DigestsError::TooLarge);
}

proptest! {
    #[test]
    fn arbitrary_texts(text in "(# SHA512 HASH\n)?(.|\n){0,200}") {
        for (name, digests) in parse(&text).unwrap_or_default() {
            prop_assert_eq!(digests.sha512.len(), 128);
            prop_assert!(!name.contains('/'));
        }
    }
}
