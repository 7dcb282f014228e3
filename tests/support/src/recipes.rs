//! The maps of `docs/recipes.md`, each with images and their results.

use std::fs;

/// A map of the page, and its images with their results.
pub struct Recipe {
    /// Heading of the section.
    pub title: String,
    /// Text of the map.
    pub map: String,
    /// Each image with the new image. `None` if it is left alone.
    pub images: Vec<(String, Option<String>)>,
}

/// Reads the recipes of the page. Each is a block of the language `conf`, and a table.
pub fn recipes() -> Vec<Recipe> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/recipes.md");
    let page = fs::read_to_string(page).unwrap();
    let mut recipes: Vec<Recipe> = Vec::new();
    let mut title = "";
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(heading) = line.strip_prefix("### ") {
            title = heading;
        } else if line == "```conf" {
            let map: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
            let (title, map) = (title.to_owned(), map.join("\n"));
            recipes.push(Recipe { title, map, images: Vec::new() });
        } else if line.starts_with("| `") {
            let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
            let [image, result] = *cells else { panic!("not two cells: {line}") };
            let quoted = |cell: &str| cell.trim_matches('`').to_owned();
            let result = (result != "left alone").then(|| quoted(result));
            recipes.last_mut().unwrap().images.push((quoted(image), result));
        }
    }
    recipes
}
