//! Times and durations, as the page shows them.

use std::time::Duration;

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Returns a time in UTC, to the second, as in RFC 3339.
pub(super) fn utc(time: OffsetDateTime) -> String {
    let time = time.to_offset(time::UtcOffset::UTC);
    time.replace_nanosecond(0).unwrap_or(time).format(&Rfc3339).unwrap_or_default()
}

/// Returns a time of [`utc`] for people.
pub(super) fn readable(utc: &str) -> String {
    utc.replace('T', " ").replace('Z', " UTC")
}

/// Returns a duration in its two largest units, such as `3 d 4 h`.
pub(super) fn in_words(duration: Duration) -> String {
    const UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)];
    let seconds = duration.as_secs();
    let first = UNITS.iter().position(|(_, length)| seconds >= *length).unwrap_or(UNITS.len() - 1);
    let mut rest = seconds;
    let parts = UNITS[first..].iter().take(2).map(|(unit, length)| {
        let count = rest / length;
        rest %= length;
        format!("{count} {unit}")
    });
    parts.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_given_in_its_two_largest_units() {
        for (seconds, expected) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min 0 s"),
            (3_725, "1 h 2 min"),
            (86_400 * 3 + 4 * 3_600 + 5, "3 d 4 h"),
        ] {
            assert_eq!(in_words(Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn a_time_is_given_to_the_second() {
        let time = OffsetDateTime::from_unix_timestamp_nanos(1_700_000_000_123_456_789).unwrap();
        assert_eq!(utc(time), "2023-11-14T22:13:20Z");
        assert_eq!(readable(&utc(time)), "2023-11-14 22:13:20 UTC");
    }
}
