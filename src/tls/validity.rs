//! The validity of a certificate.

use std::time::Duration;

use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio_rustls::rustls::pki_types::UnixTime;
use x509_parser::certificate::X509Certificate;

/// The period in which a certificate is valid.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Validity {
    /// Start of the validity.
    pub not_before: OffsetDateTime,
    /// Expiry time.
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

    /// Returns true if the validity has expired.
    #[must_use]
    pub fn has_expired(&self, now: OffsetDateTime) -> bool {
        self.not_after <= now
    }

    /// Returns true if half of the validity is over, at which the certificate is renewed. This is late enough to be
    /// rare, and early enough to notice a failing renewal long before the expiry.
    #[must_use]
    pub fn is_half_expired(&self, now: OffsetDateTime) -> bool {
        self.not_before + (self.not_after - self.not_before) / 2 <= now
    }

    /// Returns the expiry time, formatted according to RFC 3339.
    #[must_use]
    pub fn expiry(&self) -> String {
        self.not_after.format(&Rfc3339).unwrap_or_default()
    }

    /// Returns the number of whole days until the expiry; 0 after it.
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
    fn a_certificate_is_half_expired_in_the_middle_of_its_validity() {
        let not_before = OffsetDateTime::UNIX_EPOCH;
        let validity = Validity { not_before, not_after: not_before + Duration::days(100) };
        for (day, is_half_expired, has_expired, days_left) in [
            (0, false, false, 100),
            (49, false, false, 51),
            (50, true, false, 50),
            (100, true, true, 0),
            (200, true, true, 0),
        ] {
            let now = not_before + Duration::days(day);
            assert_eq!(validity.is_half_expired(now), is_half_expired, "day {day}");
            assert_eq!(validity.has_expired(now), has_expired, "day {day}");
            assert_eq!(validity.days_left(now), days_left, "day {day}");
        }
    }
}
