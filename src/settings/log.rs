//! The settings of the log.

use tracing::level_filters::LevelFilter;

use super::{LogArguments, SettingsError, or, value::Setting};

/// What is logged, and how.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LogSettings {
    /// The least severe level that is logged.
    pub level: LevelFilter,
    /// How log lines look.
    pub format: LogFormat,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// A JSON object a line.
    Json,
    /// For people.
    Text,
}

const LOG_LEVEL: Setting =
    Setting::new("IMAGESWAP_LOG_LEVEL", "it is DEBUG, INFO, WARNING, ERROR or OFF");
const LOG_FORMAT: Setting = Setting::new("IMAGESWAP_LOG_FORMAT", "it is auto, json or text");

/// Python's names of the levels, which the original took, and Rust's.
const LOG_LEVELS: [(&str, LevelFilter); 8] = [
    ("DEBUG", LevelFilter::DEBUG),
    ("INFO", LevelFilter::INFO),
    ("WARNING", LevelFilter::WARN),
    ("WARN", LevelFilter::WARN),
    ("ERROR", LevelFilter::ERROR),
    ("CRITICAL", LevelFilter::ERROR),
    ("TRACE", LevelFilter::TRACE),
    ("OFF", LevelFilter::OFF),
];

const LOG_FORMATS: [(&str, LogFormat); 3] =
    [("auto", LogFormat::Auto), ("json", LogFormat::Json), ("text", LogFormat::Text)];

impl LogArguments {
    pub(super) fn parse(&self) -> Result<LogSettings, SettingsError> {
        Ok(LogSettings {
            level: LOG_LEVEL.choose(or(&self.log_level, "INFO"), &LOG_LEVELS)?,
            format: LOG_FORMAT.choose(or(&self.log_format, "auto"), &LOG_FORMATS)?,
        })
    }
}
