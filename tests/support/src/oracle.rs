//! A naive implementation of the swap rules, without index or automaton: each step is a pass over all rules. Tests
//! compare the compiled rule set with it. It shares no code with the program.

use crate::grammar;

/// A decision about an image.
#[derive(Debug, Eq, PartialEq)]
pub struct Decision {
    /// The image after the decision.
    pub result: String,
    /// Name of the reason.
    pub reason: &'static str,
}

/// The rules of a map as pairs of key and target, in file order.
pub struct Oracle {
    rules: Vec<(String, String)>,
}

/// An image split at its registry.
pub struct Image {
    /// The reference as it is written.
    pub text: String,
    /// The registry, `docker.io` by default.
    pub registry: String,
    /// The registry without its port.
    pub host: String,
    /// The port of the registry.
    pub port: Option<String>,
    /// The part after the registry.
    pub path: String,
    /// True if the reference names no registry.
    pub shorthand: bool,
}

impl Image {
    /// Splits a reference.
    pub fn parse(text: &str) -> Self {
        let mut registry = "docker.io".to_owned();
        let mut path = text.to_owned();
        let mut shorthand = true;
        if let Some(slash) = text.find('/') {
            let first = &text[..slash];
            let follows = &text[slash + 1..];
            let is_registry = first.contains('.') || first.contains(':') || first == "localhost";
            if is_registry && !follows.is_empty() {
                shorthand = false;
                follows.clone_into(&mut path);
                if first != "index.docker.io" {
                    first.clone_into(&mut registry);
                }
            }
        }
        let (host, port) = match registry.rfind(':') {
            Some(colon) if !registry.ends_with(']') => {
                (registry[..colon].to_owned(), Some(registry[colon + 1..].to_owned()))
            }
            _ => (registry.clone(), None),
        };
        Self { text: text.to_owned(), registry, host, port, path, shorthand }
    }

    /// The path, with `library/` for an official image of Docker Hub.
    pub fn canonical_path(&self) -> String {
        if self.registry == "docker.io" && !self.path.contains('/') {
            format!("library/{}", self.path)
        } else {
            self.path.clone()
        }
    }
}

impl Oracle {
    /// Reads a map.
    pub fn new(text: &str) -> Self {
        let mut rules: Vec<(String, String)> = Vec::new();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if is_manifest(text) {
            return Self { rules };
        }
        for line in text.split('\n') {
            let line: String =
                line.split('#').next().unwrap().chars().filter(|c| !c.is_whitespace()).collect();
            if line.is_empty() {
                continue;
            }
            let doubles = line.as_bytes().windows(2).filter(|pair| pair == b"::").count();
            let singles = line.matches(':').count();
            let (mut key, target) = match (doubles, singles) {
                (1, _) => line.split_once("::").unwrap(),
                (0, 1) => line.split_once(':').unwrap(),
                _ => continue,
            };
            let is_too_long = key.len().max(target.len()) > 4096;
            if !key.starts_with("[EXACT]") && !key.starts_with("[REPLACE]") {
                key = key.trim_end_matches('/');
            }
            let is_wildcards = key == "noswap_wildcards";
            if ["", "[EXACT]", "[REPLACE]"].contains(&key) || (is_too_long && !is_wildcards) {
                continue;
            }
            match rules.iter_mut().find(|rule| rule.0 == key) {
                Some(rule) => target.clone_into(&mut rule.1),
                None => rules.push((key.to_owned(), target.to_owned())),
            }
        }
        Self { rules }
    }

    fn target(&self, key: &str) -> Option<&str> {
        self.rules.iter().find(|rule| rule.0 == key).map(|rule| rule.1.as_str())
    }

    /// Decides about an image.
    pub fn decide(&self, text: &str) -> Decision {
        if let Some(reason) = reason_to_skip(text) {
            return leave(text, reason);
        }
        if let Some(decision) = self.exact(text) {
            return decision;
        }
        if text == "auto" {
            return leave(text, "placeholder");
        }
        let image = Image::parse(text);
        if let Some(decision) = self.replace(&image) {
            return decision;
        }
        let Some(default) = self.target("default") else { return leave(text, "no-default") };
        if let Some(decision) = self.registry(&image) {
            return decision;
        }
        if let Some(substrings) = self.target("noswap_wildcards")
            && substrings.split(',').any(|part| !part.is_empty() && text.contains(part))
        {
            return leave(text, "noswap-wildcard");
        }
        self.default(default, &image)
    }

    fn exact(&self, text: &str) -> Option<Decision> {
        let key = format!("[EXACT]{text}");
        let target = self.target(&key)?;
        Some(match () {
            () if target.is_empty() => leave(text, "exact"),
            () if !is_valid(&key, target) => leave(text, "invalid-target"),
            () => swap(target.into(), "exact"),
        })
    }

    fn replace(&self, image: &Image) -> Option<Decision> {
        let text = &image.text;
        let (key, target) = self.rules.iter().find(|(key, _)| {
            key.strip_prefix("[REPLACE]").is_some_and(|glob| fnmatch(glob, text))
        })?;
        if target.is_empty() {
            return Some(leave(text, "replace"));
        }
        if !is_valid(key, target) {
            return Some(leave(text, "invalid-target"));
        }
        if under(image, target) {
            return Some(leave(text, "already-swapped"));
        }
        let last = text.rsplit('/').next().unwrap();
        let joint = if target.ends_with('-') { "" } else { "/" };
        Some(swap(format!("{}{joint}{last}", target.trim_end_matches('/')), "replace"))
    }

    fn registry(&self, image: &Image) -> Option<Decision> {
        let (key, target, rest) = self.registry_rule(image)?;
        if target.is_empty() {
            return Some(leave(&image.text, "registry"));
        }
        if !is_valid(key, target) {
            return Some(leave(&image.text, "invalid-target"));
        }
        if under(image, target) || (key.contains('/') && repository_of(image, target)) {
            return Some(leave(&image.text, "already-swapped"));
        }
        let base = target.trim_end_matches('/');
        let result = if target.ends_with('-') {
            format!("{target}{}/{}", image.host, image.path)
        } else if key.contains('/') {
            format!("{base}{rest}")
        } else if let Some(port) = &image.port
            && *key == image.host
            && bare_host(base)
        {
            format!("{base}:{port}/{}", image.path)
        } else {
            format!("{base}/{}", image.path)
        };
        Some(swap(result, "registry"))
    }

    fn default(&self, target: &str, image: &Image) -> Decision {
        if target.is_empty() {
            return leave(&image.text, "default");
        }
        if !is_valid("default", target) {
            return leave(&image.text, "invalid-target");
        }
        if self.under_any_target(image) {
            return leave(&image.text, "already-swapped");
        }
        if target.ends_with('-') {
            return swap(format!("{target}{}/{}", image.host, image.path), "default");
        }
        swap(format!("{}/{}", target.trim_end_matches('/'), image.path), "default")
    }

    /// Returns key and target of the registry rule that applies, and the rest of the canonical path after the key.
    fn registry_rule(&self, image: &Image) -> Option<(&str, &str, String)> {
        let mut names = vec![image.registry.clone()];
        if image.port.is_some() {
            names.push(image.host.clone());
        }
        for name in names {
            let full = format!("{name}/{}", image.canonical_path());
            let bare = without_tag_and_digest(&full);
            let longest = self
                .rules
                .iter()
                .filter(|(key, _)| !key.starts_with("[EXACT]") && !key.starts_with("[REPLACE]"))
                .filter(|(key, _)| key != "default" && key != "noswap_wildcards")
                .filter(|(key, _)| bare == *key || bare.starts_with(&format!("{key}/")))
                // The first segment of a key must be the whole registry, `name`.
                .filter(|(key, _)| *key == name || key.starts_with(&format!("{name}/")))
                .max_by_key(|(key, _)| key.len());
            if let Some((key, target)) = longest {
                return Some((key, target, full[key.len()..].to_owned()));
            }
        }
        None
    }

    fn under_any_target(&self, image: &Image) -> bool {
        self.rules.iter().filter(|rule| !rule.1.is_empty()).any(|(key, target)| {
            if key == "noswap_wildcards" || !is_valid(key, target) {
                false
            } else if key.starts_with("[EXACT]") {
                image.text == *target
            } else {
                under(image, target)
                    || (!key.starts_with("[REPLACE]")
                        && key.contains('/')
                        && repository_of(image, target))
            }
        })
    }
}

fn leave(image: &str, reason: &'static str) -> Decision {
    Decision { result: image.to_owned(), reason }
}

fn swap(result: String, reason: &'static str) -> Decision {
    Decision { result, reason }
}

/// Returns the reason to leave an image alone before any rule is tried, if there is one.
fn reason_to_skip(text: &str) -> Option<&'static str> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "._-:/@+[]".contains(c);
    match () {
        () if text.is_empty() => Some("empty"),
        () if !text.chars().all(is_allowed) => Some("malformed"),
        () if text.len() > 4096 => Some("too-long"),
        () => None,
    }
}

/// Returns true if the first line with content starts a YAML or JSON document (section 1a).
pub fn is_manifest(text: &str) -> bool {
    let mut lines = text.split('\n').map(|line| line.split('#').next().unwrap().trim());
    let Some(first) = lines.find(|line| !line.is_empty()) else { return false };
    let is_field = first.starts_with("apiVersion:") || first.starts_with("kind:");
    first == "---" || first.starts_with('{') || (is_field && first.matches(':').count() == 1)
}

/// Returns true if the target gives a valid reference with the shortest image.
fn is_valid(key: &str, target: &str) -> bool {
    let base = target.trim_end_matches('/');
    grammar::is_reference(&if key.starts_with("[EXACT]") {
        target.to_owned()
    } else if !target.ends_with('-') {
        format!("{base}/a")
    } else if key.starts_with("[REPLACE]") {
        format!("{target}a")
    } else {
        format!("{target}a/a")
    })
}

/// Returns true if the image is already at the target (section 5).
fn under(image: &Image, target: &str) -> bool {
    let base = target.trim_end_matches('/');
    (target.ends_with('-') && image.text.starts_with(target))
        || image.text == base
        || image.text.starts_with(&format!("{base}/"))
        || (bare_host(base) && base == image.host)
}

/// Returns true if the image is the target with a tag or digest.
fn repository_of(image: &Image, target: &str) -> bool {
    let base = target.trim_end_matches('/');
    image.text.starts_with(&format!("{base}:")) || image.text.starts_with(&format!("{base}@"))
}

fn bare_host(base: &str) -> bool {
    !base.contains('/') && !base.contains(':')
}

/// Removes tag and digest.
pub fn without_tag_and_digest(name: &str) -> &str {
    let slash = name.find('/').unwrap();
    let name = match name[slash..].find('@') {
        Some(at) => &name[..slash + at],
        None => name,
    };
    let last = name.rfind('/').unwrap();
    match name[last..].rfind(':') {
        Some(colon) => &name[..last + colon],
        None => name,
    }
}

/// Returns true if a shell glob matches the whole text.
pub fn fnmatch(glob: &str, text: &str) -> bool {
    let glob: Vec<char> = glob.chars().collect();
    let text: Vec<char> = text.chars().collect();
    // `reachable[i]` is true if the glob up to here matches the first `i` characters.
    let mut reachable = vec![false; text.len() + 1];
    reachable[0] = true;
    let mut at = 0;
    while at < glob.len() {
        let (class, next) = match glob[at] {
            '*' => {
                let first = reachable.iter().position(|&reached| reached);
                if let Some(first) = first {
                    reachable[first..].fill(true);
                }
                at += 1;
                continue;
            }
            '[' => class(&glob, at),
            _ => (None, at + 1),
        };
        let matches = |character: char| match (&class, glob[at]) {
            (Some(class), _) => class(character),
            (None, '?') => true,
            (None, literal) => literal == character,
        };
        let stepped: Vec<bool> = (0..=text.len())
            .map(|end| end > 0 && reachable[end - 1] && matches(text[end - 1]))
            .collect();
        reachable = stepped;
        at = next;
    }
    reachable[text.len()]
}

type Class = Box<dyn Fn(char) -> bool>;

/// Returns the character class that starts at `open`, if there is one, and the index after it.
fn class(glob: &[char], open: usize) -> (Option<Class>, usize) {
    let mut start = open + 1;
    let negated = glob.get(start) == Some(&'!');
    if negated {
        start += 1;
    }
    let search_from = if glob.get(start) == Some(&']') { start + 1 } else { start };
    let Some(length) = glob.get(search_from..).and_then(|g| g.iter().position(|&c| c == ']'))
    else {
        return (None, open + 1);
    };
    let end = search_from + length;
    let mut ranges = Vec::new();
    let mut at = start;
    while at < end {
        if at + 2 < end && glob[at + 1] == '-' {
            ranges.push((glob[at], glob[at + 2]));
            at += 3;
        } else {
            ranges.push((glob[at], glob[at]));
            at += 1;
        }
    }
    let contains = move |character: char| {
        ranges.iter().any(|&(low, high)| low <= character && character <= high) != negated
    };
    (Some(Box::new(contains)), end + 1)
}
