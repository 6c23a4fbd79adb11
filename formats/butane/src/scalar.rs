//! What a scalar means, by the rules of Go's yaml.v3: those of YAML 1.2, with the octal numbers and the words for booleans
//! of 1.1.

use base64::{Engine as _, alphabet, engine::GeneralPurpose, engine::general_purpose::PAD};

use crate::yaml::Scalar;

/// A scalar by its tag, or by its looks.
#[derive(Debug, PartialEq)]
pub(crate) enum Meaning {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text,
    Binary(Vec<u8>),
    Time,
}

impl Meaning {
    /// Errors say why the tag doesn't fit.
    pub(crate) fn of(scalar: &Scalar) -> Result<Self, String> {
        let text = scalar.text.as_str();
        match scalar.tag.as_deref() {
            None if scalar.plain => Ok(Self::by_looks(text)),
            None | Some("!" | "!!str") => Ok(Self::Text),
            Some("!!binary") => binary(text).map(Self::Binary),
            Some(tag @ ("!!null" | "!!bool" | "!!int" | "!!float" | "!!timestamp")) => {
                let meaning = Self::by_looks(text);
                let fits = match &meaning {
                    Self::Null => tag == "!!null",
                    Self::Bool(_) => tag == "!!bool",
                    Self::Int(_) => matches!(tag, "!!int" | "!!float"),
                    Self::Float(_) => tag == "!!float",
                    Self::Time => tag == "!!timestamp",
                    Self::Text | Self::Binary(_) => false,
                };
                if fits { Ok(meaning) } else { Err(format!("`{text}` is no {tag}")) }
            }
            // Tags of an application mean nothing here.
            Some(_) => Ok(Self::Text),
        }
    }

    fn by_looks(text: &str) -> Self {
        match text {
            "" | "~" | "null" | "Null" | "NULL" => return Self::Null,
            "true" | "True" | "TRUE" => return Self::Bool(true),
            "false" | "False" | "FALSE" => return Self::Bool(false),
            ".nan" | ".NaN" | ".NAN" => return Self::Float(f64::NAN),
            ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
                return Self::Float(f64::INFINITY);
            }
            "-.inf" | "-.Inf" | "-.INF" => return Self::Float(f64::NEG_INFINITY),
            _ => {}
        }
        let first = text.as_bytes()[0];
        if !(first.is_ascii_digit() || matches!(first, b'+' | b'-' | b'.')) {
            return Self::Text;
        }
        if first != b'.' && is_time(text) {
            return Self::Time;
        }
        let digits = text.replace('_', "");
        match integer(&digits) {
            Some(number) if first != b'.' => Self::Int(number),
            _ if is_float(&digits) => digits.parse().map_or(Self::Text, Self::Float),
            _ => Self::Text,
        }
    }

    /// How a message calls it.
    pub(crate) fn tag(&self) -> &'static str {
        match self {
            Self::Null => "!!null",
            Self::Bool(_) => "!!bool",
            Self::Int(_) => "!!int",
            Self::Float(_) => "!!float",
            Self::Text => "!!str",
            Self::Binary(_) => "!!binary",
            Self::Time => "!!timestamp",
        }
    }

    pub(crate) fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            #[expect(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                reason = "as Go does it"
            )]
            Self::Float(number) if *number <= i64::MAX as f64 => Some(*number as i64),
            _ => None,
        }
    }

    pub(crate) fn as_bool(&self, text: &str) -> Option<bool> {
        match (self, text) {
            (Self::Bool(value), _) => Some(*value),
            (Self::Text, "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON") => Some(true),
            (Self::Text, "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF") => Some(false),
            _ => None,
        }
    }
}

fn integer(digits: &str) -> Option<i64> {
    let (sign, rest) = match digits.as_bytes().first()? {
        b'-' => ("-", &digits[1..]),
        b'+' => ("", &digits[1..]),
        _ => ("", digits),
    };
    let (base, rest) = match rest.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &rest[2..]),
        [b'0', b'b' | b'B', ..] => (2, &rest[2..]),
        [b'0', b'o' | b'O', ..] => (8, &rest[2..]),
        [b'0', _, ..] => (8, &rest[1..]),
        _ => (10, rest),
    };
    // A second sign is none.
    if !rest.as_bytes().first()?.is_ascii_alphanumeric() {
        return None;
    }
    i64::from_str_radix(&format!("{sign}{rest}"), base).ok()
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_float(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (number, exponent) = match text.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, Some(exponent)),
        None => (text, None),
    };
    let all_digits =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number_fits = match number.split_once('.') {
        Some(("", fraction)) => all_digits(fraction),
        Some((whole, fraction)) => {
            all_digits(whole) && (fraction.is_empty() || all_digits(fraction))
        }
        None => all_digits(number),
    };
    let exponent_fits = exponent
        .is_none_or(|exponent| all_digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent)));
    number_fits && exponent_fits
}

/// A date, perhaps with a time; years have four digits.
fn is_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() < 8 || !bytes[..4].iter().all(u8::is_ascii_digit) || bytes[4] != b'-' {
        return false;
    }
    let date_end = text.find(['T', 't', ' ']).unwrap_or(text.len());
    let (date, time) = text.split_at(date_end);
    let mut parts = date[5..].split('-').map(str::parse::<u8>);
    let (Some(Ok(month @ 1..=12)), Some(Ok(day @ 1..=31)), None) =
        (parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let _ = (month, day);
    time.is_empty() || time[1..].trim_start().split(':').count() >= 3
}

fn binary(text: &str) -> Result<Vec<u8>, String> {
    // Line breaks are part of the form.
    let text: String = text.chars().filter(|letter| !matches!(letter, '\n' | '\r')).collect();
    GeneralPurpose::new(&alphabet::STANDARD, PAD)
        .decode(text)
        .map_err(|_| "!!binary value contains invalid base64 data".to_owned())
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::Meaning;
    use crate::yaml::Scalar;

    fn plain(text: &str) -> Meaning {
        Meaning::of(&Scalar { text: text.to_owned(), tag: None, plain: true }).unwrap()
    }

    #[test_case("0644" => Some(0o644))]
    #[test_case("0o644" => Some(0o644))]
    #[test_case("-0755" => Some(-0o755))]
    #[test_case("+12" => Some(12))]
    #[test_case("0x1F" => Some(31))]
    #[test_case("0b11" => Some(3))]
    #[test_case("1_000" => Some(1000))]
    #[test_case("12.0" => Some(12))]
    #[test_case("1000.7" => Some(1000))]
    #[test_case("1e3" => Some(1000))]
    #[test_case(".5" => Some(0))]
    #[test_case("09" => Some(9))]
    #[test_case("99999999999999999999" => None; "too large")]
    #[test_case(".nan" => None)]
    #[test_case("--1" => None)]
    #[test_case("0x" => None)]
    #[test_case("." => None; "a dot")]
    #[test_case("1.2.3" => None; "a version")]
    #[test_case("2024-01-02" => None; "a date")]
    #[test_case("ten" => None)]
    fn numbers(text: &str) -> Option<i64> {
        plain(text).as_int()
    }

    #[test_case("true" => Some(true))]
    #[test_case("FALSE" => Some(false))]
    #[test_case("yes" => Some(true))]
    #[test_case("On" => Some(true))]
    #[test_case("N" => Some(false))]
    #[test_case("yEs" => None)]
    #[test_case("t" => None)]
    #[test_case("1" => None)]
    fn booleans(text: &str) -> Option<bool> {
        plain(text).as_bool(text)
    }

    #[test]
    fn a_quoted_word_is_a_boolean_only_in_the_old_way() {
        let quoted = |text: &str| {
            let scalar = Scalar { text: text.to_owned(), tag: None, plain: false };
            Meaning::of(&scalar).unwrap().as_bool(text)
        };
        assert_eq!((quoted("yes"), quoted("true")), (Some(true), None));
    }

    #[test_case("" ; "empty")]
    #[test_case("~")]
    #[test_case("Null")]
    fn nothing(text: &str) {
        assert_eq!(plain(text), Meaning::Null);
    }

    #[test]
    fn a_tag_has_to_fit() {
        let tagged = |tag: &str, text: &str| {
            Meaning::of(&Scalar { text: text.to_owned(), tag: Some(tag.to_owned()), plain: true })
        };
        assert_eq!(tagged("!!str", "1"), Ok(Meaning::Text));
        assert_eq!(tagged("!!binary", "AP8="), Ok(Meaning::Binary(vec![0, 255])));
        assert!(tagged("!!binary", "?").is_err());
        assert!(tagged("!!int", "x").is_err());
        assert_eq!(tagged("!own", "1"), Ok(Meaning::Text));
    }
}
