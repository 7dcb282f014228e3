//! The comparison of prefixes by `containers/image`, where it differs from that of a map
//! (<https://github.com/containers/image/blob/main/docs/containers-registries.conf.5.md>).
//!
//! The longest prefix decides, and a host without a port is a prefix of the same host with any port.

use super::{Redirect, Redirects, Source};
use crate::{
    export::Remark,
    image::{split_path, split_port},
    rules::{Key, RuleSet},
};

/// Leaves out the redirects that would take images of other rules.
pub(super) fn apply(rules: &RuleSet, redirects: &mut Redirects<'_>) {
    let hosts: Vec<_> = redirects.kept.iter().map(|redirect| redirect.source.clone()).collect();
    let with_ports = hosts_with_ports(rules);
    let mut left_out = Vec::new();
    redirects.kept.retain(|redirect| {
        match tie(redirect, &hosts).or_else(|| port(redirect, &with_ports)) {
            Some(reason) => {
                left_out.push(Remark::new(redirect.rule, reason));
                false
            }
            None => true,
        }
    });
    redirects.left_out.append(&mut left_out);
}

/// Returns the reason to leave out a wildcard host that is as long as the name of a host: then the wildcard decides, and
/// not the host.
fn tie(redirect: &Redirect<'_>, hosts: &[Source]) -> Option<String> {
    let Source::Domain(domain) = &redirect.source else { return None };
    let host = hosts.iter().map(Source::prefix).find(|prefix| {
        prefix.len() == domain.len() + 2
            && prefix.ends_with(&format!(".{domain}"))
            && !prefix.starts_with('*')
    })?;
    Some(format!("the form cannot prefer `{host}`, because both keys have the same length"))
}

/// Returns the reason to leave out a redirect of a host without a port, if a rule is for the host with a port, or images
/// are rewritten to it.
fn port(redirect: &Redirect<'_>, with_ports: &[(&str, u32)]) -> Option<String> {
    redirect.to.as_ref()?;
    let is_of = |host: &str| match &redirect.source {
        Source::Default => false,
        Source::Domain(domain) => host.strip_suffix(&**domain).is_some_and(|it| it.ends_with('.')),
        Source::Host { host: own, path } => path.is_empty() && host == own,
    };
    let (host, line) = with_ports.iter().find(|(host, _)| is_of(split_port(host).0))?;
    Some(format!("the form also redirects `{host}`, which is in line {line}"))
}

/// Returns the hosts with a port in keys and targets, with their lines.
fn hosts_with_ports(rules: &RuleSet) -> Vec<(&str, u32)> {
    let named = rules.rules().iter().flat_map(|rule| {
        let key = match &rule.key {
            Key::Registry(key) => &**key,
            _ => "",
        };
        [key, rule.target.text()].map(|text| (split_path(text).0, rule.line))
    });
    named.filter(|(host, _)| !split_port(host).1.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{export::redirects::Features, rules::MapFile};

    #[test]
    fn a_prefix_that_would_take_images_of_another_rule_is_left_out() {
        let features = Features { paths: true, domains: true, default: false, exceptions: true };
        for (map, expected) in [
            ("q.io::h.io/m", &["q.io"][..]),
            ("q.io::q.io:8443/proxy", &[]),
            ("q.io::m.io\nq.io:5000::", &["q.io:5000"]),
            ("q.io/a::m.io/a\nq.io:5000::", &["q.io/a", "q.io:5000"]),
            ("*.io::m.com\n*.io:5000::n.com", &[]),
            ("*.w.io::h.io/w\na.w.io:5000::", &["a.w.io:5000"]),
            // Without the tie, the shorter wildcard would take the images of the longer one.
            ("a.gcr.io::m.com/1\n*.gcr.io::m.com/2\n*.io::m.com/3", &["a.gcr.io"]),
        ] {
            let rules = RuleSet::compile(MapFile::parse(&format!("default::\n{map}")).0).unwrap();
            let redirects = Redirects::of(&rules, features);
            let kept: Vec<_> = redirects.kept.iter().map(|kept| kept.source.prefix()).collect();
            assert_eq!(kept, expected, "{map}");
        }
    }
}
