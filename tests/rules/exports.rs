//! Exports decide like the map. Each form has a model of how its programs find an image, written from their
//! documentation.

use std::collections::{BTreeSet, HashMap};

use imageswap::{
    export::{Exported, Remark, containerd, idms, k3s, registries_conf},
    image::ImageReference,
    rules::{Key, Rule, RuleSet},
};
use proptest::prelude::*;
use serde_json::Value;
use support::{cases, grammar};

use crate::{
    compile,
    properties::{config, images, map},
};

/// The name of an image for a program that pulls it: with `docker.io` and `library/`, without tag and digest.
#[derive(Debug)]
struct Name {
    host: String,
    path: String,
}

/// Where a program looks for an image first; `None` if it is not redirected.
type Pull = Box<dyn Fn(&Name) -> Option<String>>;

impl Name {
    fn of(image: &str) -> Self {
        let image = ImageReference::parse(image);
        let host = image.registry().to_ascii_lowercase();
        Self { host, path: format!("{}{}", image.library_prefix(), image.repository()) }
    }

    fn full(&self) -> String {
        format!("{}/{}", self.host, self.path)
    }
}

/// Returns the values of the lines that assign a key, as in TOML.
fn values<'t>(text: &'t str, key: &str) -> Vec<&'t str> {
    let value = |line: &'t str| line.strip_prefix(key)?.strip_prefix(" = \"")?.strip_suffix('"');
    text.lines().filter_map(value).collect()
}

/// The longest prefix decides (containers-registries.conf(5), "Choosing a [[registry]] TOML table"): a host, a path or a
/// repository, at whose end a part of the name ends; or `*.` and a domain, which stand for the hosts below it.
fn by_prefix(entries: Vec<(String, String)>) -> Pull {
    Box::new(move |name| {
        let full = name.full();
        let rest = |prefix: &str| match prefix.strip_prefix('*') {
            Some(domain) => {
                let (host, _) = name.host.split_once(':').unwrap_or((&name.host, ""));
                let is_below = |host: &str| host.ends_with(domain);
                let end = if is_below(&name.host) { name.host.len() } else { host.len() };
                (is_below(&name.host) || is_below(host)).then(|| full[end..].to_owned())
            }
            None => {
                let rest = full.strip_prefix(prefix)?;
                // A host without a port is a prefix of the same host with a port.
                (rest.is_empty() || rest.starts_with(['/', ':'])).then(|| rest.to_owned())
            }
        };
        let matching = entries.iter().filter_map(|(prefix, to)| Some((prefix, to, rest(prefix)?)));
        let (_, to, rest) = matching.max_by_key(|(prefix, ..)| prefix.len())?;
        let redirected = format!("{to}{rest}");
        (redirected != full).then_some(redirected)
    })
}

fn registries_conf_model(exported: &Exported) -> Pull {
    let mut entries = Vec::new();
    for table in exported.files[0].text.split("[[registry]]\n").skip(1) {
        // A wildcard without a location is not redirected; it is an entry of its own so that it hides shorter ones.
        let location = values(table, "location").first().copied().unwrap_or("*");
        entries.push((values(table, "prefix")[0].to_owned(), location.to_owned()));
    }
    let pull = by_prefix(entries);
    Box::new(move |name| pull(name).filter(|redirected| !redirected.starts_with('*')))
}

/// The mirrors of a source take the place of the source, the longest source first (API of config.openshift.io/v1,
/// ImageDigestMirrorSet and ImageTagMirrorSet).
fn idms_model(exported: &Exported) -> Pull {
    let mut sets = exported.files[0].text.split("---\n").map(|document| {
        let set: Value = serde_saphyr::from_str(document).unwrap();
        let spec = set["spec"].as_object().unwrap();
        let mirrors = spec.values().next().unwrap().as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        mirrors
            .map(|entry| (text(&entry["source"]), text(&entry["mirrors"][0])))
            .collect::<Vec<_>>()
    });
    let (digests, tags) = (sets.next().unwrap(), sets.next().unwrap());
    assert_eq!(digests, tags, "both kinds of references have the same mirrors");
    by_prefix(digests)
}

/// The directory of the host decides, or else `_default`; with `override_path`, the path of the URL takes the place of
/// `/v2` (containerd, docs/hosts.md).
fn containerd_model(exported: &Exported) -> Pull {
    let files: HashMap<_, _> = exported
        .files
        .iter()
        .map(|file| (file.path.strip_suffix("/hosts.toml").unwrap().to_owned(), file.text.clone()))
        .collect();
    Box::new(move |name| {
        let text = files.get(&name.host).or_else(|| files.get("_default"))?;
        let (_, server) = values(text, "server")[0].split_once("://").unwrap();
        let (host, path) = server.split_once('/').unwrap_or((server, "v2"));
        assert_eq!(text.contains("override_path = true\n"), server.contains('/'));
        let host = if host == "registry-1.docker.io" { "docker.io" } else { host };
        let path = path.strip_prefix("v2").unwrap();
        let redirected = format!("{host}{path}/{}", name.path);
        (redirected != name.full()).then_some(redirected)
    })
}

/// The mirror of the host decides, or else that of `*`; a rewrite replaces what its expression matches in the path
/// (docs.k3s.io/installation/private-registry).
fn k3s_model(exported: &Exported) -> Pull {
    let file: Value = serde_saphyr::from_str(&exported.files[0].text).unwrap();
    Box::new(move |name| {
        let mirrors = &file["mirrors"];
        let mirror = mirrors.get(&name.host).or_else(|| mirrors.get("*"))?;
        let (_, host) = mirror.get("endpoint")?[0].as_str().unwrap().split_once("://").unwrap();
        let host = if host == "registry-1.docker.io" { "docker.io" } else { host };
        let path = match mirror.get("rewrite") {
            Some(rewrite) => rewrite["^(.*)$"].as_str().unwrap().replace("$1", &name.path),
            None => name.path.clone(),
        };
        let redirected = format!("{host}/{path}");
        (redirected != name.full()).then_some(redirected)
    })
}

type Form = (&'static str, fn(&RuleSet, &str) -> Exported, fn(&Exported) -> Pull);

const FORMS: [Form; 4] = [
    ("containerd", containerd::export, containerd_model),
    ("idms", idms::export, idms_model),
    ("k3s", k3s::export, k3s_model),
    ("registries.conf", registries_conf::export, registries_conf_model),
];

/// Returns true if the forms cannot know what the map says about the image, as the documentation tells.
fn is_exempt(rules: &RuleSet, image: &str, decided: Option<&Rule>) -> bool {
    let reference = ImageReference::parse(image);
    let is_shorthand = reference.is_shorthand();
    let normalized = format!("{}{image}", if is_shorthand { "docker.io/" } else { "" });
    let port = reference.port_suffix();
    let host = reference.host().to_ascii_lowercase();
    // A key without a port matches any port in a map.
    let names_port = |rule: &Rule| match &rule.key {
        Key::Registry(key) => key.split('/').next().unwrap().ends_with(port),
        _ => true,
    };
    // Neither is an image that a registry has.
    let reason = rules.decide(image).reason.as_str();
    let is_placeholder = image == "auto" || reason == "unrepresentable";
    // For these programs, a port makes another registry of the host of a target too.
    let is_port_of_target = !port.is_empty() && reason == "already-swapped";
    !grammar::is_reference(&normalized)
        || (!port.is_empty() && (host == "docker.io" || !decided.is_none_or(names_port)))
        || is_placeholder
        || is_port_of_target
}

/// A map with its exports.
struct Exports<'m> {
    map: &'m str,
    rules: RuleSet,
    forms: Vec<(&'static str, Exported, Pull)>,
}

impl<'m> Exports<'m> {
    fn of(map: &'m str) -> Self {
        let rules = compile(map);
        let forms = FORMS.map(|(form, export, model)| {
            let exported = export(&rules, "map");
            let pull = model(&exported);
            (form, exported, pull)
        });
        Self { map, forms: forms.into(), rules }
    }

    fn assert_decide_like_the_map(&self, image: &str) {
        let decision = self.rules.decide(image);
        if is_exempt(&self.rules, image, decision.rule) {
            return;
        }
        let name = Name::of(image);
        let result = decision.swapped.is_some().then(|| Name::of(&decision.result(image)).full());
        let is_official = name.host == "docker.io" && name.path.starts_with("library/");
        let line = decision.rule.map(|rule| rule.line);
        let has_line = |remarks: &[Remark]| remarks.iter().any(|remark| Some(remark.line) == line);
        for (form, exported, pull) in &self.forms {
            // The note on `library/`.
            if is_official && has_line(&exported.notes) {
                continue;
            }
            // An image without a decision is left alone, and so is one whose rule is left out.
            let expected = result.clone().filter(|_| !has_line(&exported.left_out));
            assert_eq!(pull(&name), expected, "{form}: {image}\n{}\n{exported:#?}", self.map);
        }
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn exports_decide_like_the_map(map in map(), images in images()) {
        let exports = Exports::of(&map);
        for image in &images {
            exports.assert_decide_like_the_map(image);
        }
    }
}

#[test]
fn exports_decide_like_the_maps_of_all_cases() {
    let images: Vec<_> = cases::all().map(|case| case.image).collect();
    let maps: BTreeSet<_> = cases::all().map(|case| case.map).collect();
    let mut redirected = 0;
    for map in maps {
        let exports = Exports::of(map);
        for image in &images {
            exports.assert_decide_like_the_map(image);
        }
        let names = images.iter().map(|image| Name::of(image));
        redirected += names.filter(|name| exports.forms[0].2(name).is_some()).count();
    }
    assert!(redirected > 1000, "the cases are of no use: {redirected}");
}
