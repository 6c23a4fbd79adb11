use test_case::test_case;

use super::{code, in_table, link, quoted};

#[test_case("plain", "`plain`")]
#[test_case("@team #12 <b>", "`@team #12 <b>`"; "what would be a mention")]
#[test_case("a `b` c", "`` a `b` c ``"; "backticks")]
#[test_case("```", "```` ``` ````"; "a fence")]
#[test_case("", "`  `"; "nothing")]
fn text_is_code(text: &str, expected: &str) {
    assert_eq!(code(text), expected);
}

#[test]
fn a_bar_ends_no_cell() {
    assert_eq!(in_table("a|b"), r"`a\|b`");
}

#[test_case("run", "run")]
#[test_case("boot.*", "'boot.*'")]
#[test_case("it's", r"'it'\''s'")]
#[test_case("", "''"; "nothing")]
fn words_are_quoted_for_a_shell(word: &str, expected: &str) {
    assert_eq!(quoted(word), expected);
}

#[test_case("https://example.org/issues/12", "<https://example.org/issues/12>")]
#[test_case("javascript:alert(1)", "`javascript:alert(1)`"; "no address")]
#[test_case("https://x/<b>", "`https://x/<b>`"; "what would end it")]
fn links(url: &str, expected: &str) {
    assert_eq!(link(url), expected);
}
