//! Invalid reviews: each is refused with the error and its position, and none panics.

use imageswap::admission::{Review, ReviewError};

#[test]
fn an_invalid_review_is_refused_with_the_position() {
    let truncated = &crate::fixture("00-create-pod").to_string()[..200];
    for (body, place, message) in [
        ("", "line 1 column 0", "unexpected end"),
        ("not json", "line 1 column 2", "expected"),
        ("{\"request\": {\"uid\": \"a\",}}", "line 1 column 25", "trailing comma"),
        (truncated, "line 1 column 200", "unexpected end"),
        ("[]", "request", "no `request` object"),
        ("null", "request", "no `request` object"),
        ("{}", "request", "no `request` object"),
        ("{\"kind\":\"Pod\",\"spec\":{}}", "request", "post an AdmissionReview"),
        ("{\"request\":[]}", "request", "no `request` object"),
        ("{\"request\":{}}", "request.uid", "is missing"),
        ("{\"request\":{\"uid\":\"\"}}", "request.uid", "is missing"),
        ("{\"request\":{\"uid\":7}}", "request.uid", "is missing"),
        (
            "{\"apiVersion\":\"v2\",\"request\":{\"uid\":\"a\"}}",
            "apiVersion",
            "`v2` is not supported",
        ),
        ("{\"request\":{\"uid\":\"a\"}} x", "line 1 column 25", "trailing"),
    ] {
        let error = Review::from_slice(body.as_bytes()).unwrap_err();
        let told = format!("{error}; {}", error.hint());
        assert!(told.contains(place), "{body}: {told}");
        assert!(told.contains(message), "{body}: {told}");
    }
}

#[test]
fn invalid_utf_8_is_refused() {
    let body = b"{\"request\":{\"uid\":\"\xff\"}}";
    assert!(matches!(Review::from_slice(body), Err(ReviewError::Json(_))));
}

#[test]
fn deep_nesting_is_skipped_without_recursion() {
    let depth = 100_000;
    let nested = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    let body = format!("{{\"x\":{nested},\"request\":{{\"uid\":\"a\",\"y\":{nested}}}}}");
    assert_eq!(Review::from_slice(body.as_bytes()).unwrap().request().uid(), "a");
}

/// A list takes far more memory than its text.
#[test]
fn too_many_containers_are_refused() {
    let review = |containers: usize, old_volumes: usize| {
        let list = |length: usize| vec!["{}"; length].join(",");
        format!(
            "{{\"request\":{{\"uid\":\"a\",\
             \"object\":{{\"spec\":{{\"containers\":[{}]}}}},\
             \"oldObject\":{{\"spec\":{{\"volumes\":[{}]}}}}}}}}",
            list(containers),
            list(old_volumes)
        )
    };
    assert!(Review::from_slice(review(20_000, 12_768).as_bytes()).is_ok());
    for (containers, volumes) in [(20_000, 12_769), (32_769, 0), (0, 1_000_000)] {
        let body = review(containers, volumes);
        let error = Review::from_slice(body.as_bytes()).unwrap_err();
        assert!(
            error.to_string().contains("more than 32768 containers, volumes and pull secrets"),
            "{error}"
        );
    }
}

#[test]
fn the_last_of_duplicate_fields_counts() {
    let review = Review::from_slice(b"{\"request\":{\"uid\":\"a\",\"uid\":\"b\"}}").unwrap();
    assert_eq!(review.request().uid(), "b");
}

#[test]
fn a_review_without_a_version_is_read_as_v1() {
    let review = Review::from_slice(b"{\"request\":{\"uid\":\"a\"}}").unwrap();
    assert_eq!(review.api_version(), "admission.k8s.io/v1");
}
