//! Parses the text of one setting into its value, or into an error that names the accepted values.

use std::{str::FromStr, time::Duration};

/// The longest time that a shutdown may take in each of its two phases.
const MAX_SHUTDOWN: Duration = Duration::from_hours(1);

/// A setting that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A value that is not valid.
    #[error("{variable} (--{flag}): `{value}` is not valid; it is {accepts}")]
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

/// A setting: its environment variable, its default and the values that it accepts.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    variable: &'static str,
    default: DefaultValue,
    development_default: Option<DefaultValue>,
    accepts: &'static str,
}

/// The value of a setting that is not given.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DefaultValue {
    /// A value that the program finds out, or the absence of one, in words.
    Described(&'static str),
    /// A text that is parsed as if it were given.
    Text(&'static str),
}

impl Setting {
    /// A setting whose default is parsed as if it were given.
    pub(super) const fn new(
        variable: &'static str,
        default: &'static str,
        accepts: &'static str,
    ) -> Self {
        let default = DefaultValue::Text(default);
        Self { variable, default, development_default: None, accepts }
    }

    /// A setting whose default is no text.
    pub(super) const fn described(
        variable: &'static str,
        default: &'static str,
        accepts: &'static str,
    ) -> Self {
        let default = DefaultValue::Described(default);
        Self { variable, default, development_default: None, accepts }
    }

    /// Sets the default with `serve --dev`.
    pub(super) const fn in_development(self, default: &'static str) -> Self {
        Self { development_default: Some(DefaultValue::Text(default)), ..self }
    }

    /// Sets the default with `serve --dev`, in words.
    pub(super) const fn in_development_described(self, default: &'static str) -> Self {
        Self { development_default: Some(DefaultValue::Described(default)), ..self }
    }

    /// The environment variable.
    #[must_use]
    pub fn variable(&self) -> &'static str {
        self.variable
    }

    /// The default.
    #[must_use]
    pub fn default(&self) -> DefaultValue {
        self.default
    }

    /// The default with `serve --dev`, if it differs.
    #[must_use]
    pub fn development_default(&self) -> Option<DefaultValue> {
        self.development_default
    }

    /// The accepted values, in words that continue "it is".
    #[must_use]
    pub fn accepts(&self) -> &'static str {
        self.accepts
    }

    /// The flag, without its dashes: the variable without its prefix, in kebab case.
    #[must_use]
    pub fn flag(&self) -> String {
        let flag = self.variable.strip_prefix("IMAGESWAP_").unwrap_or(self.variable);
        flag.to_ascii_lowercase().replace('_', "-")
    }

    /// Returns the given value, or the text of the default.
    #[expect(clippy::ref_option, reason = "the fields of the arguments are passed as they are")]
    pub(super) fn or_default<'a>(&self, value: &'a Option<String>) -> &'a str {
        given(value).unwrap_or_else(|| self.default.text())
    }

    /// Returns the given value, or the text of the default of a cluster or of development.
    #[expect(clippy::ref_option, reason = "the fields of the arguments are passed as they are")]
    pub(super) fn or_default_in<'a>(&self, value: &'a Option<String>, is_dev: bool) -> &'a str {
        let development = self.development_default.filter(|_| is_dev);
        given(value).unwrap_or_else(|| development.unwrap_or(self.default).text())
    }

    pub(super) fn error(self, value: &str) -> SettingsError {
        let Self { variable, accepts, .. } = self;
        SettingsError::Invalid { variable, flag: self.flag(), value: value.to_owned(), accepts }
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

    /// Parses the given value, or the default, as true or false.
    #[expect(clippy::ref_option, reason = "the fields of the arguments are passed as they are")]
    pub(super) fn boolean(self, value: &Option<String>) -> Result<bool, SettingsError> {
        const NAMES: [(&str, bool); 6] = [
            ("true", true),
            ("false", false),
            ("1", true),
            ("0", false),
            ("yes", true),
            ("no", false),
        ];
        self.choose(self.or_default(value), &NAMES)
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

impl DefaultValue {
    /// The text that is parsed; empty if there is none.
    fn text(self) -> &'static str {
        match self {
            Self::Described(_) => "",
            Self::Text(text) => text,
        }
    }
}

/// Returns the value unless it is empty: a ConfigMap often holds empty values for settings that are not set.
#[expect(clippy::ref_option, reason = "the fields of the arguments are passed as they are")]
pub(super) fn given(value: &Option<String>) -> Option<&str> {
    value.as_deref().map(str::trim).filter(|value| !value.is_empty())
}
