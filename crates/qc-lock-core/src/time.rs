//! Times in records and in the history.

use chrono::{
    DateTime, FixedOffset, Local, NaiveDate, NaiveDateTime, SecondsFormat, TimeDelta, TimeZone,
};
use qc_process::visible;

/// Returns the current local time with its offset, as records and the history have it.
pub(crate) fn now() -> String {
    Local::now().to_rfc3339_opts(SecondsFormat::Micros, false)
}

/// Reads a time: ISO 8601, where one without an offset is local time, as the old module wrote it; or
/// seconds or milliseconds since 1970, as scripts write. `process_lock.py` reads exactly the same,
/// so that both judge an old record alike: the vectors in `time/vectors.json` are tested with both.
pub(crate) fn parse_time(text: &str) -> Option<DateTime<FixedOffset>> {
    match read(text.trim())? {
        Moment::At(time) => Some(time),
        // Where the clock was set back, one local time happened twice: the later one keeps more
        // alive. Where it was set forward, some never happened.
        Moment::Local(naive) => {
            Local.from_local_datetime(&naive).latest().map(|time| time.fixed_offset())
        }
    }
}

/// Returns a time of a record or the history as text shows it: local, `2026-11-28 22:37:24`. What is
/// no time stays as it is written.
pub fn local_time(text: &str) -> String {
    match parse_time(text) {
        Some(time) => time.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S").to_string(),
        None => visible(text),
    }
}

/// A time as it is written.
#[derive(Debug, PartialEq)]
enum Moment {
    /// A point in time.
    At(DateTime<FixedOffset>),
    /// A local time, which the time zone makes a point in time.
    Local(NaiveDateTime),
}

fn read(text: &str) -> Option<Moment> {
    if let Some(time) = since_1970(text) {
        return Some(Moment::At(time.fixed_offset()));
    }
    let mut rest = Rest(text);
    let (year, month, day) =
        (rest.number(4)?, rest.after("-")?.number(2)?, rest.after("-")?.number(2)?);
    let (hour, minute) = (rest.after("Tt ")?.number(2)?, rest.after(":")?.number(2)?);
    let (mut second, mut nanos) = (0, 0);
    if rest.after(":").is_some() {
        second = rest.number(2)?;
        if rest.after(".,").is_some() {
            nanos = rest.fraction()?;
        }
    }
    let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
    let naive = date.and_hms_nano_opt(hour, minute, second, nanos)?;
    if !(1971..=2999).contains(&year) {
        return None;
    }
    if rest.0.is_empty() {
        return Some(Moment::Local(naive));
    }
    let offset = rest.offset()?;
    offset.from_local_datetime(&naive).single().map(Moment::At)
}

/// Reads ten digits of seconds, with or without a fraction, or thirteen of milliseconds.
fn since_1970(text: &str) -> Option<DateTime<chrono::Utc>> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let number: i64 = whole.parse().ok()?;
    match whole.len() {
        10 => {
            let nanos = Rest(fraction).fraction()?;
            Some(DateTime::from_timestamp(number, 0)? + TimeDelta::nanoseconds(nanos.into()))
        }
        13 if whole == text => DateTime::from_timestamp_millis(number),
        _ => None,
    }
}

/// The part of a text that is still to be read.
struct Rest<'a>(&'a str);

impl Rest<'_> {
    /// Reads exactly `digits` digits.
    fn number(&mut self, digits: usize) -> Option<u32> {
        let (number, rest) = self.0.split_at_checked(digits)?;
        let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
        self.0 = rest;
        number.parse().ok().filter(|_| is_number)
    }

    /// Reads one of the characters.
    fn after(&mut self, one_of: &str) -> Option<&mut Self> {
        self.0 = self.0.strip_prefix(|c| one_of.contains(c))?;
        Some(self)
    }

    /// Reads all digits that follow, as a fraction of a second in nanoseconds.
    fn fraction(&mut self) -> Option<u32> {
        let end = self.0.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.0.split_at(end);
        self.0 = rest;
        let nine = format!("{:0<9}", &digits[..end.min(9)]);
        nine.parse().ok().filter(|_| end > 0)
    }

    /// Reads `Z`, `+01:00` or `+0100`, with or without a blank before it, and nothing after it.
    fn offset(&mut self) -> Option<FixedOffset> {
        let _ = self.after(" ");
        if self.after("Zz").is_some() {
            return FixedOffset::east_opt(0).filter(|_| self.0.is_empty());
        }
        let sign = if self.0.starts_with('-') { -1 } else { 1 };
        let hours = self.after("+-")?.number(2)?;
        let _ = self.after(":");
        let minutes = self.number(2)?;
        let seconds = i32::try_from(hours * 3600 + minutes * 60).ok()?;
        let is_real = hours < 24 && minutes < 60 && self.0.is_empty();
        FixedOffset::east_opt(sign * seconds).filter(|_| is_real)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// The same vectors that `process_lock.py` is tested with.
    const VECTORS: &str = include_str!("time/vectors.json");

    #[test]
    fn each_time_is_read_in_one_way() {
        let vectors: Value = serde_json::from_str(VECTORS).unwrap();
        for one in vectors.as_array().unwrap() {
            let text = one["text"].as_str().unwrap();
            let read = match read(text.trim()) {
                Some(Moment::At(time)) => ("at", Some(time.timestamp())),
                Some(Moment::Local(naive)) => ("local", Some(naive.and_utc().timestamp())),
                None => ("none", None),
            };
            assert_eq!(read, (one["is"].as_str().unwrap(), one["seconds"].as_i64()), "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_reading_a_time_fail(text: String) {
            parse_time(&text);
        }

        #[test]
        fn what_is_written_is_read(seconds in 40_000_000_i64..30_000_000_000, hours in -23..=23) {
            let zone = FixedOffset::east_opt(hours * 3600).unwrap();
            let time = DateTime::from_timestamp(seconds, 123_456_000).unwrap().with_timezone(&zone);
            let text = time.to_rfc3339_opts(SecondsFormat::Micros, false);
            proptest::prop_assert_eq!(parse_time(&text), Some(time));
        }
    }
}
