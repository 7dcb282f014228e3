//! Sites of custom resources: from pointers and an object to the images at them.
//!
//! An input begins with [`OF_TEXTS`] and consists of two texts, or its bytes choose pointers and parts of an object.
//! The images are compared with those that `serde_json`'s pointers find.

use std::sync::Arc;

use imageswap::{
    admission::{AdmissionSettings, Edit, Review, Sites, World, plan},
    rules::{LoadedMap, Policy},
};
use serde_json::Value;

use crate::inputs;

/// The pieces of pointers and objects in texts.
pub const PIECES: &[&str] = &[
    "a.io/Kind ",
    "/spec",
    "/*",
    "/a",
    "/~0",
    "/~1",
    "/0",
    "/imagePullPolicy",
    "~2",
    "#",
    " ",
    "\n",
    "{\"spec\":",
    "{\"a\":",
    "\"a\":\"x:1\"",
    "[",
    "]",
    "{",
    "}",
    ",",
    "\"nginx:1\"",
    "null",
];

/// The first byte of an input that consists of texts.
const OF_TEXTS: u8 = 0;

/// The names of fields, as in JSON and in a pointer.
const NAMES: [(&str, &str); 8] = [
    ("a", "a"),
    ("b", "b"),
    ("0", "0"),
    ("a/b", "a~1b"),
    ("~", "~0"),
    ("", ""),
    ("imagePullPolicy", "imagePullPolicy"),
    ("\\u0061", "a"),
];

const VALUES: [&str; 7] =
    ["\"nginx:1\"", "\"d.io/x\"", "\"Never\"", "\"q.io\\/a\"", "5", "null", "\"{{x}}\""];

/// Maximum depth of an object.
const MAX_DEPTH: usize = 5;

/// Maximum size of a text in bytes.
const MAX_BYTES: usize = 4096;

/// Reads the object of an input with its pointers.
///
/// # Panics
/// If other images are found than by the pointers of `serde_json`.
pub fn run(data: &[u8]) {
    let (sites, object) = match data.split_first() {
        Some((&OF_TEXTS, rest)) => {
            let mut texts = inputs::texts(rest, PIECES, MAX_BYTES).into_iter();
            (texts.next().unwrap_or_default(), texts.next().unwrap_or_default())
        }
        _ => {
            let mut choices = Choices(data);
            let pointers: Vec<_> = (0..=choices.below(3)).map(|_| choices.pointer()).collect();
            let mut spec = String::new();
            choices.value(&mut spec, 0);
            (format!("a.io/Kind {}", pointers.join(" ")), format!("{{\"spec\":{spec}}}"))
        }
    };
    assert_images(&sites, &object);
}

/// Texts with what matters, and bytes.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        ["a.io/Kind /spec/*/image", r#"{"spec":[{"image":"nginx:1"}]}"#],
        ["a.io/Kind /spec/a /spec/*", r#"{"spec":{"a":"nginx:1","b":"nginx:2"}}"#],
        ["a.io/Kind /spec/a", r#"{"spec":{"a":"nginx:1","a":5}}"#],
        ["a.io/Kind /spec/a~1b # c", r#"{"spec":{"imagePullPolicy":"Never","a/b":"nginx:1"}}"#],
    ];
    let texts = texts.map(|texts| [&[OF_TEXTS][..], &inputs::of_texts(&texts)].concat());
    texts.into_iter().chain((1..8).map(|byte| vec![byte; 24])).collect()
}

fn assert_images(text: &str, object: &str) {
    let mut sites = Sites::default();
    let mistakes = sites.add(text);
    assert!(mistakes.kept().len() <= text.lines().count(), "{text:?}");
    // What is a mistake is a matter of the unit tests.
    let skipped: Vec<_> = mistakes.kept().iter().filter_map(|mistake| mistake.line).collect();
    let pointers = pointers(text, &skipped);
    let Ok(value) = serde_json::from_str::<Value>(object) else { return };
    let Ok(map) = LoadedMap::from_text("default::d.io") else { return };
    let policy = Policy::Maps(Box::new(map.rules));
    let world =
        World { sites: Arc::new(sites), ..World::new(policy, AdmissionSettings::default()) };
    let body = format!(
        "{{\"request\":{{\"uid\":\"1\",\"kind\":{{\"group\":\"a.io\",\"kind\":\"Kind\"}},\
         \"namespace\":\"n\",\"operation\":\"CREATE\",\"object\":{object}}}}}"
    );
    let Ok(review) = Review::with_sites(body.as_bytes(), &world.sites) else { return };
    if pointers.is_empty() {
        return;
    }
    let plan = plan(&review, &world);
    let edits = plan.edits.iter();
    let found = edits.map(|Edit::Image { at, from, .. }| (at.to_string(), (*from).to_owned()));
    let mut found: Vec<_> = found.collect();
    found.sort_unstable();
    assert_eq!(found, expected(&value, &pointers, &world), "{text:?}: {object}");
}

/// Returns the pointers of the lines that are not skipped.
fn pointers<'t>(text: &'t str, skipped: &[u32]) -> Vec<&'t str> {
    let mut pointers = Vec::new();
    for (number, line) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
        let mut words = line.split_whitespace().take_while(|word| !word.starts_with('#'));
        if !skipped.contains(&number) && words.next() == Some("a.io/Kind") {
            pointers.extend(words);
        }
    }
    pointers
}

/// Returns the images that are swapped, with their pointers, in order.
fn expected(value: &Value, pointers: &[&str], world: &World) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for pointer in pointers {
        let tokens: Vec<_> = pointer.split('/').skip(1).collect();
        expand(value, "", &tokens, &mut found);
    }
    found.sort_unstable();
    found.dedup();
    let is_swapped = |pointer: &str| {
        let parent = pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
        let policy = value.pointer(&format!("{parent}/imagePullPolicy"));
        let is_never = policy.is_some_and(|policy| policy == "Never");
        let image = value.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let swapped = world.policy.decide_with(None, image).swapped.is_some();
        // A policy is no image, and there are no images in it.
        let is_image = !pointer.split('/').any(|name| name == "imagePullPolicy");
        (swapped && is_image && !is_never).then(|| (pointer.to_owned(), image.to_owned()))
    };
    found.iter().filter_map(|pointer| is_swapped(pointer)).collect()
}

/// Adds the pointers of the strings that `tokens` lead to.
fn expand(value: &Value, at: &str, tokens: &[&str], found: &mut Vec<String>) {
    let Some((token, rest)) = tokens.split_first() else {
        found.extend(value.is_string().then(|| at.to_owned()));
        return;
    };
    match (value, *token) {
        (Value::Object(fields), "*") => {
            for (name, value) in fields {
                let name = name.replace('~', "~0").replace('/', "~1");
                expand(value, &format!("{at}/{name}"), rest, found);
            }
        }
        (Value::Array(elements), "*") => {
            for (index, value) in elements.iter().enumerate() {
                expand(value, &format!("{at}/{index}"), rest, found);
            }
        }
        _ => {
            if let Some(value) = value.pointer(&format!("/{token}")) {
                expand(value, &format!("{at}/{token}"), rest, found);
            }
        }
    }
}

/// The bytes of an input as choices.
struct Choices<'d>(&'d [u8]);

impl Choices<'_> {
    fn below(&mut self, limit: usize) -> usize {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(*first) % limit
    }

    fn pointer(&mut self) -> String {
        let mut pointer = "/spec".to_owned();
        for _ in 0..=self.below(4) {
            let names = NAMES.len();
            pointer.push('/');
            match self.below(2 * names) {
                name if name < names => pointer.push_str(NAMES[name].1),
                _ => pointer.push('*'),
            }
        }
        pointer
    }

    fn value(&mut self, text: &mut String, depth: usize) {
        let kind = self.below(3);
        if kind == 0 || depth == MAX_DEPTH {
            text.push_str(VALUES[self.below(VALUES.len())]);
            return;
        }
        text.push_str(if kind == 1 { "{" } else { "[" });
        for number in 0..self.below(4) {
            if number > 0 {
                text.push(',');
            }
            if kind == 1 {
                text.push('"');
                text.push_str(NAMES[self.below(NAMES.len())].0);
                text.push_str("\":");
            }
            self.value(text, depth + 1);
        }
        text.push_str(if kind == 1 { "}" } else { "]" });
    }
}
