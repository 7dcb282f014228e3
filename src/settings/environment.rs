//! Detection of environment variables that look like settings but are not.

/// Returns the variables that start like a setting but are not in `known`, each with the setting of a similar name, if
/// there is one.
///
/// Kubernetes sets `IMAGESWAP_PORT…` and `IMAGESWAP_SERVICE_…` in every pod in the namespace of a Service named
/// `imageswap` (<https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables>). They are not
/// returned.
#[must_use]
pub fn unknown_variables<'a>(
    variables: impl Iterator<Item = String>,
    known: &[&'a str],
) -> Vec<(String, Option<&'a str>)> {
    const PREFIX: &str = "IMAGESWAP_";
    /// Number of letters of a name for which one edit counts as a typing error.
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
    fn unknown_variables_are_returned_with_the_nearest_setting() {
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
