//! Where machines that were saved are kept for this user, and how much room they may take.

use wheeltap_images::Cache;
use wheeltap_platforms::states::{DEFAULT_LIMIT, States};

use crate::UserError;

/// Says how much room they may take.
const LIMIT_VARIABLE: &str = "WHEELTAP_STATE_CACHE";

/// The states of this user; nothing if there is no place for them, or they are to take no room.
///
/// # Errors
/// If `WHEELTAP_STATE_CACHE` isn't a size.
pub fn of_user() -> Result<Option<States>, UserError> {
    let limit = match std::env::var(LIMIT_VARIABLE) {
        Ok(text) if !text.is_empty() => size(&text).ok_or_else(|| {
            UserError::usage(format!("{LIMIT_VARIABLE}={text} is not a size"))
                .with_help("give bytes, or a number with K, M, G or T, such as 8G; 0 keeps nothing")
        })?,
        _ => DEFAULT_LIMIT,
    };
    let cache = Cache::of_user().ok().filter(|_| limit > 0);
    Ok(cache.map(|cache| States::at(cache.states(), limit)))
}

/// Bytes, or a number of KiB, MiB, GiB or TiB: `8G`.
fn size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_uppercase().trim_end_matches("IB") {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("0" => Some(0))]
    #[test_case("4096" => Some(4096))]
    #[test_case("8G" => Some(8 << 30))]
    #[test_case(" 500m " => Some(500 << 20))]
    #[test_case("2GiB" => Some(2 << 30))]
    #[test_case("lots" => None)]
    #[test_case("-1" => None)]
    #[test_case("8 G" => None)]
    #[test_case("99999999999T" => None; "too much")]
    #[test_case("" => None; "nothing")]
    fn sizes(text: &str) -> Option<u64> {
        size(text)
    }
}
