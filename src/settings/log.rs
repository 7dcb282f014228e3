//! Settings of the log.

use tracing::level_filters::LevelFilter;

use super::{LogArguments, SettingsError, table};

/// Settings of the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LogSettings {
    /// Minimum severity of log messages.
    pub level: LevelFilter,
    /// Format of log lines.
    pub format: LogFormat,
}

/// Format of log lines.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// One JSON object per line.
    Json,
    /// Text for people.
    Text,
}

/// Names of the log levels: those of Python, which the Python ImageSwap accepted, and those of Rust.
const LOG_LEVELS: [(&str, LevelFilter); 10] = [
    ("DEBUG", LevelFilter::DEBUG),
    ("INFO", LevelFilter::INFO),
    ("WARNING", LevelFilter::WARN),
    ("WARN", LevelFilter::WARN),
    ("ERROR", LevelFilter::ERROR),
    ("CRITICAL", LevelFilter::ERROR),
    ("FATAL", LevelFilter::ERROR),
    // In Python it is below all levels.
    ("NOTSET", LevelFilter::DEBUG),
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
