//! Cases of the swap rules: a map, an image, and the decision. They cover every example in the specification, its
//! statements without an example, and the test maps of the Python ImageSwap.

mod examples;
mod hosts;
mod images;
mod lines;
mod original;
mod placeholders;
mod targets;

/// A map, an image, and the expected decision.
pub struct Case {
    /// Text of the map.
    pub map: &'static str,
    /// The image.
    pub image: &'static str,
    /// The new image; `None` if the image is left alone.
    pub result: Option<&'static str>,
    /// Name of the reason.
    pub reason: &'static str,
}

/// Returns all cases.
pub fn all() -> impl Iterator<Item = &'static Case> {
    [
        examples::CASES,
        lines::CASES,
        images::CASES,
        hosts::CASES,
        targets::CASES,
        placeholders::CASES,
        original::CASES,
    ]
    .into_iter()
    .flatten()
}

const fn case(
    map: &'static str,
    image: &'static str,
    result: Option<&'static str>,
    reason: &'static str,
) -> Case {
    Case { map, image, result, reason }
}
