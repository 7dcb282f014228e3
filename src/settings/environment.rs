//! Environment variables that look like settings and are none.

/// Variables that begin like a setting but are none, with the nearest setting if one is near.
///
/// Kubernetes puts `IMAGESWAP_PORT…` and `IMAGESWAP_SERVICE_…` into the environment of every pod
/// beside a Service named `imageswap`
/// (<https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables>);
/// those are nobody's mistake.
#[must_use]
pub fn unknown_variables<'a>(
    variables: impl Iterator<Item = String>,
    known: &[&'a str],
) -> Vec<(String, Option<&'a str>)> {
    const PREFIX: &str = "IMAGESWAP_";
    /// The most edits between a typing error and what was meant: one for so many letters.
    const LETTERS_PER_EDIT: usize = 3;

    let is_injected = |name: &str| {
        name == "IMAGESWAP_PORT"
            || name.starts_with("IMAGESWAP_PORT_")
            || name.starts_with("IMAGESWAP_SERVICE_")
    };
    let mut unknown: Vec<_> = variables
        .filter(|name| name.starts_with(PREFIX))
        .filter(|name| !known.contains(&name.as_str()) && !is_injected(name))
        .map(|name| {
            let distance = |known: &&str| strsim::damerau_levenshtein(&name, known);
            let nearest = known.iter().copied().min_by_key(distance);
            let edits = (name.len() - PREFIX.len()) / LETTERS_PER_EDIT;
            let nearest = nearest.filter(|known| distance(known) <= edits);
            (name, nearest)
        })
        .collect();
    unknown.sort();
    unknown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_variables_are_told_with_the_nearest_name() {
        let variables = [
            "IMAGESWAP_MAP_FILE",
            "IMAGESWAP_PORT_443_TCP",
            "IMAGESWAP_SERVICE_HOST",
            "PATH",
            "IMAGESWAP_ZZZZZZZZ",
            "IMAGESWAP_FOO",
            "IMAGESWAP_MODES",
            "IMAGESWAP_MODE",
        ];
        let unknown = unknown_variables(
            variables.map(str::to_owned).into_iter(),
            &["IMAGESWAP_MAPS_FILE", "IMAGESWAP_MODE"],
        );
        let expected = [
            ("IMAGESWAP_FOO".to_owned(), None),
            ("IMAGESWAP_MAP_FILE".to_owned(), Some("IMAGESWAP_MAPS_FILE")),
            ("IMAGESWAP_MODES".to_owned(), Some("IMAGESWAP_MODE")),
            ("IMAGESWAP_ZZZZZZZZ".to_owned(), None),
        ];
        assert_eq!(unknown, expected);
    }
}
