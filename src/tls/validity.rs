//! When a certificate is valid.

use std::time::Duration;

use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio_rustls::rustls::pki_types::UnixTime;
use x509_parser::certificate::X509Certificate;

/// The time in which a certificate is valid.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Validity {
    /// When it begins.
    pub not_before: OffsetDateTime,
    /// When it ends.
    pub not_after: OffsetDateTime,
}

impl Validity {
    pub(super) fn of(certificate: &X509Certificate<'_>) -> Self {
        let validity = certificate.validity();
        Self {
            not_before: validity.not_before.to_datetime(),
            not_after: validity.not_after.to_datetime(),
        }
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_over(&self, now: OffsetDateTime) -> bool {
        self.not_after <= now
    }

    /// Whether half of it is over, which is when a successor is due: late enough to be rare, and
    /// early enough that a failing renewal is noticed long before the end.
    #[must_use]
    pub fn is_half_over(&self, now: OffsetDateTime) -> bool {
        self.not_before + (self.not_after - self.not_before) / 2 <= now
    }

    /// When it ends, as in RFC 3339.
    #[must_use]
    pub fn end(&self) -> String {
        self.not_after.format(&Rfc3339).unwrap_or_default()
    }

    /// The whole days that are left; none once it has ended.
    #[must_use]
    pub fn days_left(&self, now: OffsetDateTime) -> i64 {
        (self.not_after - now).whole_days().max(0)
    }
}

/// Converts a time to that of rustls.
pub(super) fn unix_time(time: OffsetDateTime) -> UnixTime {
    let seconds = u64::try_from(time.unix_timestamp()).unwrap_or_default();
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;

    #[test]
    fn a_successor_is_due_at_half_of_the_life() {
        let not_before = OffsetDateTime::UNIX_EPOCH;
        let validity = Validity { not_before, not_after: not_before + Duration::days(100) };
        for (day, is_half_over, is_over, days_left) in [
            (0, false, false, 100),
            (49, false, false, 51),
            (50, true, false, 50),
            (100, true, true, 0),
            (200, true, true, 0),
        ] {
            let now = not_before + Duration::days(day);
            assert_eq!(validity.is_half_over(now), is_half_over, "day {day}");
            assert_eq!(validity.is_over(now), is_over, "day {day}");
            assert_eq!(validity.days_left(now), days_left, "day {day}");
        }
    }
}
