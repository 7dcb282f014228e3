//! Parser for the text of one setting. It returns the value, or an error with the accepted values.

use std::{ops::RangeInclusive, str::FromStr, time::Duration};

use crate::sources::FollowedFile;

/// Maximum duration of each of the two phases of a shutdown.
const MAX_SHUTDOWN: Duration = Duration::from_hours(1);

/// An error in the value of a setting.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The command line has a map and the mode that reads none.
    #[error("--maps-file and --mode LEGACY exclude each other; LEGACY mode reads no map")]
    MapAndLegacy,
    /// No namespace can have this name.
    #[error(
        "--namespace: `{0}` is not valid; expected the name of a namespace, such as kube-system"
    )]
    Namespace(String),
    /// The value is not valid.
    #[error("{variable} (--{flag}): `{value}` is not valid; expected {accepts}")]
    Invalid {
        /// Environment variable of the setting.
        variable: &'static str,
        /// Flag of the setting, without its dashes.
        flag: String,
        /// The value.
        value: String,
        /// The accepted values.
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

/// The default of a setting.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DefaultValue {
    /// A value that is determined at run time, or no value, in words.
    Described(&'static str),
    /// A text that is parsed like a given value.
    Text(&'static str),
}

impl Setting {
    /// Creates a setting with a default that is parsed like a given value.
    pub(super) const fn new(
        variable: &'static str,
        default: &'static str,
        accepts: &'static str,
    ) -> Self {
        let default = DefaultValue::Text(default);
        Self { variable, default, development_default: None, accepts }
    }

    /// Creates a setting with a default in words.
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

    /// Returns the environment variable.
    #[must_use]
    pub fn variable(&self) -> &'static str {
        self.variable
    }

    /// Returns the default.
    #[must_use]
    pub fn default(&self) -> DefaultValue {
        self.default
    }

    /// Returns the default with `serve --dev`, if it differs.
    #[must_use]
    pub fn development_default(&self) -> Option<DefaultValue> {
        self.development_default
    }

    /// Returns the accepted values, in words that follow "expected".
    #[must_use]
    pub fn accepts(&self) -> &'static str {
        self.accepts
    }

    /// Returns the flag without its dashes: the variable without its prefix, in kebab case.
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

    /// Returns the given file, or the one at the default path, which need not exist.
    #[expect(clippy::ref_option, reason = "the fields of the arguments are passed as they are")]
    pub(super) fn followed_file(&self, value: &Option<String>) -> FollowedFile {
        match given(value) {
            Some(file) => FollowedFile::Named(file.into()),
            None => FollowedFile::Default(self.default.text().into()),
        }
    }

    /// Returns the given value, or the text of the default, which depends on `--dev`.
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

    /// Finds `value` in a list of names. Upper and lower case are equal.
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

    /// Parses the given value, or the default, as a boolean.
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
        range: RangeInclusive<T>,
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

    /// Checks the name of a label (<https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/>).
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
    /// Returns the text to parse. Empty if the default is in words.
    fn text(self) -> &'static str {
        match self {
            Self::Described(_) => "",
            Self::Text(text) => text,
        }
    }
}

/// Returns the value unless it is empty. ConfigMaps often contain empty values for settings that are not set.
#[expect(clippy::ref_option, reason = "the fields of the arguments are passed as they are")]
pub(super) fn given(value: &Option<String>) -> Option<&str> {
    value.as_deref().map(str::trim).filter(|value| !value.is_empty())
}
