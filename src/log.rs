//! Log of `serve`, `init` and `uninstall`, on standard error.

use std::io::{self, IsTerminal};

use tracing::{level_filters::LevelFilter, warn};
use tracing_subscriber::{Layer, filter::Targets, layer::SubscriberExt, util::SubscriberInitExt};

use crate::{
    color::is_colored,
    settings::{LogFormat, LogSettings, RuleWarning, text_of_rule_warning, unknown_variables},
};

/// Starts logging. Call it once in a process.
///
/// Libraries log only warnings and errors: their messages about every frame would hide the reviews. The client of the
/// API server does not log, because the controller logs a failed call once. HTTP/2 does not log, because a client could
/// cause a line with every frame, without a limit.
pub(crate) fn init(LogSettings { level, format }: LogSettings) {
    let is_text = match format {
        LogFormat::Auto => io::stderr().is_terminal(),
        LogFormat::Json => false,
        LogFormat::Text => true,
    };
    let filter = Targets::new()
        .with_target(env!("CARGO_CRATE_NAME"), level)
        .with_target("h2", LevelFilter::OFF)
        .with_target("kube_client", LevelFilter::OFF)
        .with_default(level.min(LevelFilter::WARN));
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let lines = if is_text {
        lines.with_ansi(is_colored(&io::stderr())).with_target(false).boxed()
    } else {
        lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed()
    };
    tracing_subscriber::registry().with(lines.with_filter(filter)).init();
}

/// Logs a warning about the flags that select the rules.
pub(crate) fn warn_of_rules(warning: RuleWarning) {
    warn!("{}", text_of_rule_warning(warning));
}

/// Logs a warning for each environment variable that looks like a setting but is not one of `known`.
pub(crate) fn warn_of_unknown_variables(known: &[&str]) {
    let variables = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    for (variable, nearest) in unknown_variables(variables, known) {
        match nearest {
            Some(nearest) => {
                warn!(variable, hint = format!("did you mean {nearest}?"), "unknown setting");
            }
            None => {
                warn!(variable, hint = "`imageswap serve --help` lists them", "unknown setting");
            }
        }
    }
}
