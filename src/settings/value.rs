//! From the text of one setting to its value, or to an error that says what would be right.

use std::{str::FromStr, time::Duration};

/// The longest time that a shutdown may take in each of its two phases.
const MAX_SHUTDOWN: Duration = Duration::from_hours(1);

/// A setting that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A value that is not valid.
    #[error("{variable} (--{flag}): `{value}` is not valid; {accepts}")]
    Invalid {
        /// The setting's environment variable.
        variable: &'static str,
        /// Its flag.
        flag: String,
        /// The value.
        value: String,
        /// What would be valid.
        accepts: &'static str,
    },
}

/// The name of a setting's environment variable, and what it accepts.
#[derive(Clone, Copy)]
pub(super) struct Setting {
    variable: &'static str,
    accepts: &'static str,
}

impl Setting {
    pub(super) const fn new(variable: &'static str, accepts: &'static str) -> Self {
        Self { variable, accepts }
    }

    pub(super) fn error(self, value: &str) -> SettingsError {
        let Self { variable, accepts } = self;
        SettingsError::Invalid { variable, flag: self.flag(), value: value.to_owned(), accepts }
    }

    fn flag(self) -> String {
        let flag = self.variable.strip_prefix("IMAGESWAP_").unwrap_or(self.variable);
        flag.to_ascii_lowercase().replace('_', "-")
    }

    pub(super) fn parse<T: FromStr>(self, value: &str) -> Result<T, SettingsError> {
        value.trim().parse().map_err(|_| self.error(value))
    }

    /// Finds `value` in a list of names, whatever the case.
    pub(super) fn choose<T: Copy>(
        self,
        value: &str,
        names: &[(&str, T)],
    ) -> Result<T, SettingsError> {
        names
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(value.trim()))
            .map(|(_, choice)| *choice)
            .ok_or_else(|| self.error(value))
    }

    pub(super) fn within<T: FromStr + PartialOrd>(
        self,
        value: &str,
        range: std::ops::RangeInclusive<T>,
    ) -> Result<T, SettingsError> {
        let number = self.parse(value)?;
        if range.contains(&number) { Ok(number) } else { Err(self.error(value)) }
    }

    pub(super) fn duration(self, value: &str) -> Result<Duration, SettingsError> {
        let text = value.trim();
        let (number, unit) = match text.find(|character: char| !character.is_ascii_digit()) {
            Some(unit) => text.split_at(unit),
            None => (text, "s"),
        };
        let number: u64 = number.parse().map_err(|_| self.error(value))?;
        let duration = match unit {
            "ms" => Duration::from_millis(number),
            "s" => Duration::from_secs(number),
            "m" => Duration::from_secs(number.saturating_mul(60)),
            _ => return Err(self.error(value)),
        };
        if duration <= MAX_SHUTDOWN { Ok(duration) } else { Err(self.error(value)) }
    }

    /// Parses the name of a label
    /// (<https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/>).
    pub(super) fn label(self, value: &str) -> Result<&str, SettingsError> {
        let label = value.trim();
        let (prefix, name) = label.rsplit_once('/').unwrap_or(("", label));
        let is_part = |part: &str, limit: usize, extra: &[char]| {
            part.len() <= limit
                && part.starts_with(|first: char| first.is_ascii_alphanumeric())
                && part.ends_with(|last: char| last.is_ascii_alphanumeric())
                && part.chars().all(|c| c.is_ascii_alphanumeric() || extra.contains(&c))
        };
        let is_prefix = !label.contains('/') || is_part(prefix, 253, &['-', '.']);
        if is_prefix && is_part(name, 63, &['-', '_', '.']) {
            Ok(label)
        } else {
            Err(self.error(value))
        }
    }
}
