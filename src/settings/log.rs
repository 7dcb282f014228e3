//! The settings of the log.

use tracing::level_filters::LevelFilter;

use super::{LogArguments, SettingsError, table};

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
            level: table::LOG_LEVEL
                .choose(table::LOG_LEVEL.or_default(&self.log_level), &LOG_LEVELS)?,
            format: table::LOG_FORMAT
                .choose(table::LOG_FORMAT.or_default(&self.log_format), &LOG_FORMATS)?,
        })
    }
}
