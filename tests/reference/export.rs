//! `export.md`: the forms of `export`, from their descriptions.

use imageswap::export::{FEATURES, FORMS, FormDescription, kubernetes};

use crate::markdown::{self, literal};

const INTRODUCTION: &str = "\
The forms of `imageswap export`, which [Export](../export.md) explains, and the rules that each can express.

";

/// Number of columns of the table with a column for each form.
const COLUMNS: usize = FORMS.len() + 1;

pub(crate) fn page() -> String {
    let rows = FORMS
        .iter()
        .map(|form| [literal(form.name), form.programs.to_owned(), form.fallback.to_owned()]);
    let forms = markdown::table(["form", "programs", "if the mirror does not have an image"], rows);
    let rows = FEATURES.iter().enumerate().map(|(feature, name)| {
        let has = |form: &FormDescription| if form.features[feature] { "yes" } else { "no" };
        columns(name, has).map(str::to_owned)
    });
    let rules = markdown::table(columns("rules", |form| form.name), rows);
    let rows = [
        ("rules", kubernetes::MAX_RULES),
        ("`[REPLACE]` rules", kubernetes::MAX_GLOBS),
        ("bytes in their regular expressions", kubernetes::MAX_GLOB_BYTES),
        ("substrings in `noswap_wildcards`", kubernetes::MAX_SUBSTRINGS),
        ("bytes in these substrings", kubernetes::MAX_SUBSTRING_BYTES),
        (
            "containers and image volumes of a pod, with images of 250 characters and the largest map",
            kubernetes::MAX_CONTAINERS,
        ),
    ];
    let rows = rows.map(|(what, maximum)| [what.to_owned(), maximum.to_string()]);
    let limits = markdown::table(["limit of `kubernetes`", "maximum"], rows);
    let blocks = [forms, rules, limits].join("\n");
    markdown::page("Forms of export") + INTRODUCTION + &blocks
}

/// Returns a row with a cell for each form.
fn columns<'t>(first: &'t str, cell: impl Fn(&FormDescription) -> &'t str) -> [&'t str; COLUMNS] {
    std::array::from_fn(|column| match column.checked_sub(1) {
        Some(form) => cell(&FORMS[form]),
        None => first,
    })
}
