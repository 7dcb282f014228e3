//! The maps of the documentation, each with images and their results.

use std::fs;

/// The pages that have recipes.
const PAGES: [&str; 2] = ["recipes.md", "coming-from-other-tools.md"];

/// The head of a table of images.
const HEAD: &str = "| image | new image |";

/// A map of a page, and its images with their results.
pub struct Recipe {
    /// Heading of the section.
    pub title: String,
    /// Text of the map.
    pub map: String,
    /// Each image with the new image. `None` if it is left alone.
    pub images: Vec<(String, Option<String>)>,
}

/// Reads the recipes of all pages. Each is a block of the language `conf`, and a table.
pub fn recipes() -> Vec<Recipe> {
    PAGES.into_iter().flat_map(recipes_of).collect()
}

fn recipes_of(page: &str) -> Vec<Recipe> {
    let page = format!("{}/../../docs/{page}", env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(page).unwrap();
    let mut recipes: Vec<Recipe> = Vec::new();
    let mut title = "";
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(heading) = line.strip_prefix("##") {
            title = heading.trim_start_matches('#').trim_start();
        } else if line == "```conf" {
            let map: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
            let (title, map) = (title.to_owned(), map.join("\n"));
            recipes.push(Recipe { title, map, images: Vec::new() });
        } else if line == HEAD {
            let rows = lines.by_ref().skip(1).take_while(|line| !line.is_empty());
            recipes.last_mut().unwrap().images.extend(rows.map(row));
        }
    }
    recipes
}

/// Reads a row of a table of images.
fn row(line: &str) -> (String, Option<String>) {
    let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
    let [image, result] = *cells else { panic!("not two cells: {line}") };
    let quoted = |cell: &str| cell.trim_matches('`').to_owned();
    (quoted(image), (result != "left alone").then(|| quoted(result)))
}
