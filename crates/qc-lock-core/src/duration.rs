//! Time spans as people write them.

use std::time::Duration;

/// The longest duration: deadlines and points in the past are computed from it.
const LONGEST: f64 = 36_500.0 * 86_400.0;

/// Reads a number with a unit: `500ms`, `30s`, `5m`, `24h`, `7d`; without a unit, seconds. At most
/// a hundred years.
///
/// # Errors
/// A sentence saying what is accepted.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let refused = || format!("`{text}` is not a valid duration; write 500ms, 30s, 5m or 24h");
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..split].parse().map_err(|_| refused())?;
    let unit = match &text[split..] {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return Err(refused()),
    };
    let seconds = Some(number * unit).filter(|seconds| *seconds <= LONGEST).ok_or_else(refused)?;
    Duration::try_from_secs_f64(seconds).map_err(|_| refused())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        for (text, milliseconds) in
            [("500ms", 500), ("30s", 30_000), ("10", 10_000), ("1.5m", 90_000), ("24h", 86_400_000)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "s", "-1s", "1x", "1 s", "1e99d", ".", "36501d", "99999999999999999999"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
