use std::cmp::Ordering::{self, Equal, Greater, Less};

use proptest::prelude::{ProptestConfig, prop_assert_eq, prop_assert_ne, proptest};
use test_case::test_case;

use super::Scheme;

// Portage's own cases (lib/portage/tests/versions/test_vercmp.py), and the rules of PMS 3.3 one by one.
#[test_case("6.0", "5.0" => Some(Greater))]
#[test_case("5.0", "5" => Some(Greater); "more numbers")]
#[test_case("1.0-r1", "1.0-r0" => Some(Greater))]
#[test_case("1.0-r1", "1.0" => Some(Greater); "a revision")]
#[test_case("1.0-r0", "1.0" => Some(Equal); "revision 0 is none")]
#[test_case("999999999999999999999999999999", "999999999999999999999999999998" => Some(Greater); "numbers of any length")]
#[test_case("1.0.0", "1.0b" => Some(Greater); "numbers before letters")]
#[test_case("1b", "1" => Some(Greater); "a letter")]
#[test_case("1b_p1", "1_p1" => Some(Greater); "letters before suffixes")]
#[test_case("12.2.5", "12.2b" => Some(Greater))]
#[test_case("4.0", "5.0" => Some(Less))]
#[test_case("1.0_pre2", "1.0_p2" => Some(Less))]
#[test_case("1.0_alpha2", "1.0_p2" => Some(Less))]
#[test_case("1.0_alpha1", "1.0_beta1" => Some(Less))]
#[test_case("1.0_beta3", "1.0_rc3" => Some(Less))]
#[test_case("1.0_rc3", "1.0" => Some(Less); "a candidate")]
#[test_case("1.0_p1", "1.0" => Some(Greater); "a patch")]
#[test_case("1.001000000000000000001", "1.001000000000000000002" => Some(Less); "digits of a fraction")]
#[test_case("1.00100000000", "1.001000000000000000001" => Some(Less); "zeros at their end don't count")]
#[test_case("1.01", "1.1" => Some(Less); "a zero before")]
#[test_case("1.010", "1.01" => Some(Equal); "a fraction with a zero at its end")]
#[test_case("1_p", "1_p0" => Some(Equal); "a suffix without a number")]
#[test_case("1_alpha", "1_alpha1" => Some(Less))]
#[test_case("1_p1_beta2", "1_p1" => Some(Less); "a suffix of a suffix")]
#[test_case("1_rc1_p1", "1_rc1" => Some(Greater))]
#[test_case("9.7_p1-r6", "9.7_p1-r10" => Some(Less); "revisions are numbers")]
#[test_case("1.2.3", "1.2.10" => Some(Less); "numbers, not text")]
#[test_case("1.0", "1.0-1" => None; "no revision")]
#[test_case("", "1" => None)]
#[test_case("1.0_foo", "1" => None; "no suffix")]
#[test_case("1.0ab", "1" => None; "two letters")]
#[test_case("1.", "1" => None)]
#[test_case("é", "1" => None)]
fn gentoo(one: &str, other: &str) -> Option<Ordering> {
    Scheme::Gentoo.compare(one, other)
}

#[test_case("1.0~beta1", "1.0" => Less; "before the release")]
#[test_case("1.0~~", "1.0~" => Less)]
#[test_case("1:0.9", "1.0" => Greater; "an epoch")]
#[test_case("1.0-1", "1.0-2" => Less)]
#[test_case("1.0-1", "1.0" => Greater)]
#[test_case("1.0-0", "1.0" => Equal; "revision 0 is none")]
#[test_case("1.10", "1.9" => Greater)]
#[test_case("1.0a", "1.0" => Greater)]
#[test_case("1.0+b1", "1.0a" => Greater; "letters before signs")]
#[test_case("2.36-9+deb12u10", "2.36-9+deb12u9" => Greater)]
#[test_case("1.0a-b-2", "1.0a-b-10" => Less; "the last hyphen")]
fn debian(one: &str, other: &str) -> Ordering {
    Scheme::Debian.compare(one, other).unwrap()
}

// From RPM's tests/rpmvercmp.at.
#[test_case("1.0", "1.0" => Equal)]
#[test_case("2.0.1a", "2.0.1" => Greater)]
#[test_case("5.5p1", "5.5p10" => Less)]
#[test_case("10xyz", "10.1xyz" => Less)]
#[test_case("xyz.4", "8" => Less; "letters before numbers")]
#[test_case("5.5p2", "5.6p1" => Less)]
#[test_case("6.0.rc1", "6.0" => Greater)]
#[test_case("10b2", "10a1" => Greater)]
#[test_case("1.0aa", "1.0a" => Greater)]
#[test_case("10.0001", "10.1" => Equal)]
#[test_case("4.999.9", "5.0" => Less)]
#[test_case("20101121", "20101122" => Less)]
#[test_case("2_0", "2.0" => Equal; "separators are alike")]
#[test_case("1.0~rc1", "1.0" => Less)]
#[test_case("1.0~rc1~git123", "1.0~rc1" => Less)]
#[test_case("1.0^", "1.0" => Greater)]
#[test_case("1.0^git1", "1.01" => Less)]
#[test_case("1.0^20160101", "1.0.1" => Less)]
#[test_case("1.0~rc1^git1", "1.0~rc1" => Greater)]
#[test_case("1.0^git1~pre", "1.0^git1" => Less)]
#[test_case("1:1.0-1", "2.0-1" => Greater; "an epoch")]
#[test_case("1.0-1.azl3", "1.0-2.azl3" => Less)]
fn rpm(one: &str, other: &str) -> Ordering {
    Scheme::Rpm.compare(one, other).unwrap()
}

const GENTOO: &str =
    "[0-3]{1,2}(\\.[0-3]{1,2}){0,2}[ab]?(_(alpha|beta|pre|rc|p)[0-2]?){0,2}(-r[0-2])?";
const LOOSE: &str = "([0-2]:)?[0-2ab.~^+]{0,6}(-[0-2a~]{1,2})?";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn gentoo_is_an_order(one in GENTOO, two in GENTOO, three in GENTOO) {
        is_an_order(Scheme::Gentoo, [&one, &two, &three])?;
    }

    #[test]
    fn debian_is_an_order(one in LOOSE, two in LOOSE, three in LOOSE) {
        is_an_order(Scheme::Debian, [&one, &two, &three])?;
    }

    #[test]
    fn rpm_is_an_order(one in LOOSE, two in LOOSE, three in LOOSE) {
        is_an_order(Scheme::Rpm, [&one, &two, &three])?;
    }

    #[test]
    fn any_text_is_compared_without_a_panic(one in "\\PC{0,12}", two in "\\PC{0,12}") {
        for scheme in [Scheme::Gentoo, Scheme::Debian, Scheme::Rpm] {
            prop_assert_eq!(scheme.compare(&one, &two), scheme.compare(&two, &one).map(Ordering::reverse));
        }
    }
}

fn is_an_order(
    scheme: Scheme,
    [one, two, three]: [&str; 3],
) -> Result<(), proptest::test_runner::TestCaseError> {
    let compare = |one, other| scheme.compare(one, other).unwrap();
    prop_assert_eq!(compare(one, one), Equal);
    prop_assert_eq!(compare(one, two), compare(two, one).reverse());
    if compare(one, two) != Greater && compare(two, three) != Greater {
        prop_assert_ne!(compare(one, three), Greater);
    }
    if compare(one, two) == Equal {
        prop_assert_eq!(compare(one, three), compare(two, three));
    }
    Ok(())
}
