//! The report as HTML.
//!
//! The page is one document with its style sheet, without scripts, images and links to other hosts. The template
//! escapes all text; `Shown` has bounded it before.

use std::{fmt::Display, sync::LazyLock, time::Duration};

use askama::Template;
use base64::{Engine, engine::general_purpose::STANDARD};
use ring::digest::{SHA256, digest};

use super::{
    followed::FollowedState,
    report::{Report, ShadowMode, Validity},
    times::{in_words, readable},
};

/// The style sheet of the page.
const STYLE: &str = include_str!("../../templates/status.css");

/// The header `Content-Security-Policy` of the page. Only its own style sheet applies, which the hash names.
pub static CONTENT_SECURITY_POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
});

/// The page.
#[derive(Template)]
#[template(path = "status.html")]
struct Page<'a> {
    style: &'static str,
    uptime: String,
    report: &'a Report,
}

/// Returns a number with its noun in the singular or plural.
fn counted(count: impl Display, noun: &str) -> String {
    let count = count.to_string();
    let plural = if count == "1" { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// Returns the name of a state as words.
fn words(name: &str) -> String {
    name.replace('-', " ")
}

impl Report {
    /// Returns the report as HTML.
    ///
    /// # Errors
    /// If the template cannot be rendered, which does not happen.
    pub fn to_html(&self) -> Result<String, askama::Error> {
        let uptime = in_words(Duration::from_secs(self.uptime_seconds));
        Page { style: STYLE, uptime, report: self }.render()
    }
}
