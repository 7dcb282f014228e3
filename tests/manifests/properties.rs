//! Random manifests in random notations: only the images change, and they change as the map says.

use std::fmt::Write;

use imageswap::rules::Policy;
use proptest::{collection::vec, prelude::*, sample::select};

use super::{MAP, compare::differences, rewrite, world};

/// A container of a random pod.
#[derive(Clone, Debug)]
struct Container {
    image: &'static str,
    list: &'static str,
    /// Choices of the notation.
    style: [u8; 4],
}

/// A random document.
#[derive(Clone, Debug)]
struct Object {
    kind: &'static str,
    containers: Vec<Container>,
    style: [u8; 4],
}

fn containers() -> impl Strategy<Value = Container> {
    let image = select(&[
        "nginx",
        "quay.io/a/b:1.2",
        "left.io/c",
        "d.io/x@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "Up.IO:5000/case",
        "$(params.image)",
        "not an image",
        "grüße",
        "it's",
        "",
    ]);
    let list = select(&["initContainers", "containers", "ephemeralContainers"]);
    (image, list, any::<[u8; 4]>()).prop_map(|(image, list, style)| Container {
        image,
        list,
        style,
    })
}

fn objects() -> impl Strategy<Value = Object> {
    let kind = select(&["Pod", "Deployment", "CronJob", "ConfigMap", "Note"]);
    (kind, vec(containers(), 0..5), any::<[u8; 4]>()).prop_map(|(kind, containers, style)| Object {
        kind,
        containers,
        style,
    })
}

/// Writes a text in one of the notations that can hold it.
fn scalar(text: &str, style: u8, indentation: &str) -> String {
    let is_plain = !text.is_empty() && !text.contains('\'') && !text.starts_with('$');
    match style % 7 {
        0 if is_plain => text.to_owned(),
        1 => format!("'{}'", text.replace('\'', "''")),
        2 => format!("\"{}\"", text.replace('n', "\\x6e")),
        3 if !text.is_empty() => format!("|-\n{indentation}  {text}"),
        4 if !text.is_empty() => format!(">-\n\n{indentation}  {text}").replace("\n\n", "\n"),
        5 if is_plain => format!("  {text}   # {text}"),
        6 => format!("!!str \"{text}\""),
        _ => format!("\"{text}\""),
    }
}

/// Writes a document, in block style with flow style in between.
fn document(object: &Object) -> String {
    let mut text = String::new();
    let [comments, indentless, lists, order] = object.style;
    if comments % 2 == 0 {
        text += "# image: nginx\n\n";
    }
    let (version, path) = match object.kind {
        "Deployment" => ("apps/v1", &["spec", "template", "spec"][..]),
        "CronJob" => ("batch/v1", &["spec", "jobTemplate", "spec", "template", "spec"][..]),
        "Pod" => ("v1", &["spec"][..]),
        "ConfigMap" => ("v1", &["data"][..]),
        _ => ("example.com/v1", &["image"][..]),
    };
    let _ = write!(text, "kind: {}\napiVersion: {}\n", object.kind, scalar(version, order, ""));
    let mut indentation = String::new();
    for key in path {
        let _ =
            writeln!(text, "{indentation}{key}:{}", if comments % 3 == 0 { " # n" } else { "" });
        indentation += "  ";
    }
    let _ = writeln!(text, "{indentation}other: nginx");
    for list in ["containers", "initContainers", "ephemeralContainers"] {
        let of_list = object.containers.iter().filter(|container| container.list == list);
        let of_list: Vec<_> = of_list.collect();
        if of_list.is_empty() {
            continue;
        }
        let _ = writeln!(text, "{indentation}{list}:");
        let item =
            if indentless % 2 == 0 { indentation.clone() } else { format!("{indentation}  ") };
        for (number, container) in of_list.into_iter().enumerate() {
            let [flow, image, name, gap] = container.style;
            if flow % 4 == 0 {
                let image = container.image.replace('\'', "''");
                let _ = writeln!(text, "{item}- {{name: c{number}, image: '{image}', x: [1, ~]}}");
                continue;
            }
            let name = scalar(&format!("c{number}"), name % 3, "");
            let image = scalar(container.image, image, &format!("{item}    "));
            let _ = match lists % 2 {
                0 => writeln!(text, "{item}- name: {name}\n{item}  image: {image}"),
                _ => writeln!(text, "{item}-   image: {image}\n{item}    name: {name}"),
            };
            if gap % 3 == 0 {
                text += "\n";
            }
        }
    }
    text
}

proptest! {
    #[test]
    fn only_images_change_and_they_change_as_the_map_says(
        objects in vec(objects(), 1..5),
        windows in any::<bool>(),
        marked in any::<bool>(),
    ) {
        let documents: Vec<_> = objects.iter().map(document).collect();
        let mut text = documents.join("---\n");
        if windows {
            text = text.replace('\n', "\r\n");
        }
        if marked {
            text.insert(0, '\u{feff}');
        }
        let world = world(MAP);
        let Policy::Maps(rules) = &*world.policy else { unreachable!() };
        let mut expected = Vec::new();
        for object in objects.iter().filter(|object| !["ConfigMap", "Note"].contains(&object.kind)) {
            for list in ["containers", "initContainers", "ephemeralContainers"] {
                let of_list = object.containers.iter().filter(|container| container.list == list);
                for Container { image, .. } in of_list {
                    let result = rules.decide(image).result(image);
                    if result != *image {
                        expected.push(((*image).to_owned(), result));
                    }
                }
            }
        }
        let rewritten = rewrite(&text);
        prop_assert_eq!(differences(&text, &rewritten.text), expected);
        prop_assert_eq!(rewritten.changes.is_empty(), rewritten.text == text);
    }
}
