//! How single values are written.

use std::{fmt, num::NonZeroU32, time::Duration};

use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor, value::MapAccessDeserializer},
};
use toml::Spanned;

use super::file::RetriesTable;
use crate::engine::Jobs;

/// A duration as people write it: `500ms`, `60s`, `90m`, `1h30m`. Longer than nothing.
///
/// # Errors
/// A sentence that says how it's written.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration; write it such as 500ms, 60s, 90m or 1h30m");
    // Also takes ISO 8601 (`PT90M`), which is no less clear.
    let parsed: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    match Duration::try_from(parsed) {
        Ok(Duration::ZERO) => Err(format!("`{text}` is no time at all; give a longer duration")),
        Ok(duration) => Ok(duration),
        Err(_) => Err(wrong()),
    }
}

/// A duration longer than nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Period(pub(super) Duration);

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Period;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration in quotes, such as \"60s\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Period, E> {
                parse_duration(text).map(Period).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Text)
    }
}

/// `retries`: a number or a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct RetriesValue(RetriesTable);

impl RetriesValue {
    /// Leaves these counts to whoever is asked next.
    pub(super) fn forget(&mut self, product: bool, infra: bool) {
        self.0.product = self.0.product.filter(|_| !product);
        self.0.infra = self.0.infra.filter(|_| !infra);
    }
}

impl std::ops::Deref for RetriesValue {
    type Target = RetriesTable;

    fn deref(&self) -> &RetriesTable {
        &self.0
    }
}

impl<'de> Deserialize<'de> for RetriesValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrTable;
        impl<'de> Visitor<'de> for NumberOrTable {
            type Value = RetriesValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, or a table such as { product = 0, infra = 1 }")
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<RetriesValue, E> {
                let count = u32::try_from(number).map_err(|_| too(number, &self))?;
                let (product, infra) = (Some(count), Some(count));
                Ok(RetriesValue(RetriesTable { product, infra, ..RetriesTable::default() }))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<RetriesValue, A::Error> {
                RetriesTable::deserialize(MapAccessDeserializer::new(map)).map(RetriesValue)
            }
        }
        deserializer.deserialize_any(NumberOrTable)
    }
}

/// `jobs`: a number or `"auto"`.
#[derive(Clone, Copy, Debug)]
pub(super) struct JobsValue(pub(super) Jobs);

impl<'de> Deserialize<'de> for JobsValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = deserializer.deserialize_any(CountOr("auto"))?;
        Ok(Self(value.map_or(Jobs::Auto, |count| {
            Jobs::Count(usize::try_from(count.get()).unwrap_or(usize::MAX))
        })))
    }
}

/// `max-fail`: a number or `"all"`, which is no limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct MaxFail(pub(super) Option<u32>);

impl<'de> Deserialize<'de> for MaxFail {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(deserializer.deserialize_any(CountOr("all"))?.map(NonZeroU32::get)))
    }
}

/// A number from 1, or this word (`None`).
struct CountOr(&'static str);

impl Visitor<'_> for CountOr {
    type Value = Option<NonZeroU32>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a number from 1, or \"{}\"", self.0)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
        let count = u32::try_from(number).ok().and_then(NonZeroU32::new);
        count.map(Some).ok_or_else(|| too(number, &self))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        let unexpected = de::Unexpected::Str(text);
        (text == self.0).then_some(None).ok_or_else(|| E::invalid_value(unexpected, &self))
    }
}

/// Too small or too large a number.
fn too<'a, E: de::Error>(number: i64, expected: &impl Visitor<'a>) -> E {
    E::invalid_value(de::Unexpected::Signed(number), expected)
}

/// One name or several, each with its place in the file.
#[derive(Clone, Debug)]
pub(super) struct Names(pub(super) Vec<Spanned<String>>);

impl Names {
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|name| name.get_ref().as_str())
    }
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;
        impl<'de> Visitor<'de> for OneOrMany {
            type Value = Vec<Spanned<String>>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name in quotes, or a list of such")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                // Its place is that of the whole value, which is set below.
                Ok(vec![Spanned::new(0..0, text.to_owned())])
            }

            fn visit_seq<A: de::SeqAccess<'de>>(
                self,
                mut list: A,
            ) -> Result<Self::Value, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = list.next_element()? {
                    names.push(name);
                }
                Ok(names)
            }
        }
        struct Value(Vec<Spanned<String>>);
        impl<'de> Deserialize<'de> for Value {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(OneOrMany).map(Self)
            }
        }
        let value = Spanned::<Value>::deserialize(deserializer)?;
        let whole = value.span();
        let names = value.into_inner().0.into_iter().map(|name| {
            if name.span().is_empty() {
                Spanned::new(whole.clone(), name.into_inner())
            } else {
                name
            }
        });
        Ok(Self(names.collect()))
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("500ms", 500)]
    #[test_case("60s", 60_000)]
    #[test_case("90m", 5_400_000)]
    #[test_case("1h30m", 5_400_000)]
    #[test_case("1h 30m 5s", 5_405_000)]
    #[test_case("1.5s", 1_500)]
    fn durations(text: &str, millis: u64) {
        assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)));
    }

    #[test_case("60"; "no unit")]
    #[test_case(""; "nothing")]
    #[test_case("0s"; "no time")]
    #[test_case("-5s"; "negative")]
    #[test_case("5s ago"; "in the past")]
    #[test_case("soon"; "a word")]
    #[test_case("1 fortnight"; "unknown unit")]
    #[test_case("99999999999999999999s"; "too long")]
    fn no_durations(text: &str) {
        let error = parse_duration(text).unwrap_err();
        assert!(error.contains(&format!("`{text}`")), "{error}");
    }
}
