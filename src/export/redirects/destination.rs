//! The destination of a redirect: the text that replaces the start of a name.

use super::{Redirect, Source};
use crate::{
    image::{DOCKER_HUB, canonical_registry, is_registry, split_path, split_port},
    rules::{Effect, Rule},
};

/// Returns the destination of a rule; `None` if it leaves its images alone.
///
/// # Errors
/// If the new name is more than a text before the rest of the old one.
pub(super) fn of(rule: &Rule, source: &Source) -> Result<Option<String>, String> {
    if rule.effect() != Effect::Swap {
        return Ok(None);
    }
    let target = &rule.target;
    let to = if let Some(pattern) = target.pattern() {
        let pattern = if pattern.contains("{registry}") {
            pattern.replace("{registry}", &host_in_path(source)?.replace(':', "-"))
        } else {
            pattern
        };
        let start = pattern.strip_suffix("/{path}").filter(|start| !start.contains('{'));
        let start = start.ok_or("the path of the image has to be the end of the target")?;
        with_path(start, source)
    } else if target.is_prefix() {
        let host = split_port(host_in_path(source)?).0;
        with_path(&format!("{}{host}", target.text()), source)
    } else {
        target.base().to_owned()
    };
    let (host, path) = split_path(&to);
    let host = canonical_registry(host);
    if !is_registry(&host) {
        return Err("the target names no registry; begin it with `docker.io/` if it is Docker Hub"
            .to_owned());
    }
    let to = format!("{host}{path}");
    if to == DOCKER_HUB {
        return Err("the form cannot add `library/`, which Docker Hub needs".to_owned());
    }
    if is_below_itself(rule, source) {
        return Err(
            "some of its images are already at its target, and the form cannot tell them apart"
                .to_owned(),
        );
    }
    Ok(Some(to))
}

/// Returns true if official images of Docker Hub get another name by the redirect than by the map.
pub(super) fn differs_by_library(redirect: &Redirect<'_>) -> bool {
    let target = &redirect.rule.target;
    let Some(_) = &redirect.to else { return false };
    let is_library = matches!(
        &redirect.source,
        Source::Host { host, path } if host == DOCKER_HUB && path == "library"
    );
    target.pattern().is_none()
        && (redirect.source.has_official_images() || (is_library && target.is_prefix()))
}

/// Returns the host of the images, which becomes part of their path.
fn host_in_path(source: &Source) -> Result<&str, String> {
    match source {
        Source::Host { host, .. } if host.starts_with('[') => {
            Err("an IPv6 address cannot be part of a path".to_owned())
        }
        Source::Host { host, .. } => Ok(host),
        Source::Default | Source::Domain(_) => {
            Err("the host of the image is part of the target; add a rule for each host".to_owned())
        }
    }
}

/// Appends the path of the source, which a redirect replaces.
fn with_path(start: &str, source: &Source) -> String {
    match source {
        Source::Host { path, .. } if !path.is_empty() => format!("{start}/{path}"),
        _ => start.to_owned(),
    }
}

/// Returns true if an image can be among those of the source and under the target.
fn is_below_itself(rule: &Rule, source: &Source) -> bool {
    let (base, _) = rule.target.covered_prefix();
    let (host, path) = split_path(base);
    let full = format!("{}{path}", canonical_registry(host));
    match source {
        Source::Default => false,
        Source::Domain(domain) => split_port(host).0.ends_with(&format!(".{domain}")),
        Source::Host { .. } => {
            let prefix = format!("{}/", source.prefix());
            let overlaps =
                |text: &str| prefix.starts_with(text) || format!("{text}/").starts_with(&prefix);
            overlaps(base) || overlaps(&full)
        }
    }
}
