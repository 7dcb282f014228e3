//! Reviews captured from a real API server.

/// Text of each captured review, in the order of their numbers.
pub const CAPTURED: [&str; 8] = [
    include_str!("../../fixtures/reviews/00-create-pod.json"),
    include_str!("../../fixtures/reviews/01-update-pod.json"),
    include_str!("../../fixtures/reviews/02-update-pod.json"),
    include_str!("../../fixtures/reviews/03-update-pod-ephemeralcontainers.json"),
    include_str!("../../fixtures/reviews/04-create-deployment.json"),
    include_str!("../../fixtures/reviews/05-create-cronjob.json"),
    include_str!("../../fixtures/reviews/06-create-pod.json"),
    include_str!("../../fixtures/reviews/07-delete-pod.json"),
];

/// Reads a file of `tests/fixtures/reviews`, given without `.json`.
pub fn fixture(name: &str) -> String {
    let path = format!("{}/../fixtures/reviews/{name}.json", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}
