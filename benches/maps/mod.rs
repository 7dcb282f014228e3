//! Maps of any size for the benchmarks, and images for their rules.

use std::fmt::Write;

use imageswap::rules::Reason;

/// Name, reason, and image for the rule with a number.
pub(crate) type Kind = (&'static str, Reason, fn(usize) -> String);

/// Kinds of decisions of a mixed map.
pub(crate) const KINDS: [Kind; 6] = [
    ("exact", Reason::Exact, |n| format!("exact-{n}.example.com/team/app:1.27.3")),
    ("registry", Reason::Registry, |n| format!("registry-{n}.example.com/team/app:1.27.3")),
    ("path-prefix", Reason::Registry, |n| format!("path-{n}.example.com/team/app:1.27.3")),
    ("default", Reason::Default, |n| format!("other-{n}.example.com/team/app:1.27.3")),
    ("noswap-wildcard", Reason::NoswapWildcard, |n| format!("internal-{n}/team/app:1.27.3")),
    ("already-swapped", Reason::AlreadySwapped, |n| {
        format!("mirror.example.com/{n}/registry/team/app:1.27.3")
    }),
];

/// Returns a map with `rules` rules: a third each are exact images, registries and path prefixes.
pub(crate) fn mixed_map(rules: usize) -> String {
    let mut map = "default::mirror.example.com/other\nnoswap_wildcards::internal-\n".to_owned();
    for line in 2..rules {
        let number = line / 3;
        let (key, target) = match line % 3 {
            0 => (format!("[EXACT]exact-{number}.example.com/team/app:1.27.3"), "exact:1"),
            1 => (format!("registry-{number}.example.com"), "registry"),
            _ => (format!("path-{number}.example.com/team"), "path"),
        };
        writeln!(map, "{key}::mirror.example.com/{number}/{target}").unwrap();
    }
    map
}

/// Returns a map with `hosts` rules for wildcard hosts, whose targets have placeholders.
pub(crate) fn wildcard_hosts(hosts: usize) -> String {
    let mut map = "default::mirror.example.com/other\n".to_owned();
    for number in 1..=hosts {
        writeln!(map, "*.domain-{number}.example.com::mirror.example.com/{{registry}}").unwrap();
    }
    map
}

/// Returns an image of a host that the wildcard host with a number includes.
pub(crate) fn image_of_wildcard_host(number: usize) -> String {
    format!("registry.eu.domain-{number}.example.com:8443/team/app:1.27.3")
}

/// Returns a map with `globs` globs. The last is `*/app:*`; all before it also have its literal.
pub(crate) fn globs_before_star_app(globs: usize) -> String {
    let mut map = "default::mirror.example.com/other\n".to_owned();
    for number in 1..globs {
        writeln!(map, "[REPLACE]registry-{number:05}.example.com/*/app:*::a.example.com").unwrap();
    }
    map + "[REPLACE]*/app:*::b.example.com\n"
}

/// Returns a map with `globs` globs whose only literal is `/app:`, for the numbers from 1 on.
pub(crate) fn class_globs(globs: usize) -> String {
    let mut map = "default::mirror.example.com/other\n".to_owned();
    for number in 1..=globs {
        writeln!(map, "[REPLACE]*{}/app:*::a.example.com", classes(number, "x")).unwrap();
    }
    map
}

/// Returns the part of a glob for a number. Each digit is a class, with `other` as an additional member.
pub(crate) fn classes(number: usize, other: &str) -> String {
    let mut glob = String::new();
    for digit in format!("{number:05}").chars() {
        write!(glob, "[{digit}{other}]").unwrap();
    }
    glob
}
