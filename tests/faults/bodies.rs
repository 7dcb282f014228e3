//! Bodies of all sizes and shapes: each gets the right status, and the process survives.

use hyper::Method;
use support::{
    body::Pieces,
    client::{Client, NoAnswer, first_image},
    program::Program,
    reviews::fixture,
    tls::{PROTOCOLS, Protocol},
};

use crate::{
    alone,
    process::Usage,
    report,
    traffic::{SAMPLE_IMAGE, Traffic},
};

/// Default maximum size of a body in bytes.
const MAX_BODY_BYTES: usize = 8 * 1024 * 1024;

/// Depth of nested arrays and objects: far deeper than a stack allows.
const DEPTH: usize = 100_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_at_the_limit_is_answered_and_one_byte_more_gets_413() {
    let _alone = alone().await;
    let program = Program::start(&["--dev"]);
    let traffic = Traffic::start(program.address, SAMPLE_IMAGE);
    let (mut answered, mut refused, mut cut_off) = (0, 0, 0);
    for protocol in PROTOCOLS {
        for length in [MAX_BODY_BYTES, MAX_BODY_BYTES + 1] {
            let mut body = fixture("00-create-pod").into_bytes();
            body.resize(length, b' ');
            let pieces = Pieces::chunked(body.chunks(100_000).map(<[u8]>::to_vec));
            for body in [Pieces::from(body.clone()), pieces] {
                let mut client = Client::connect(program.address, protocol).await.unwrap();
                match client.post(body).await {
                    Ok(answer) if length == MAX_BODY_BYTES => {
                        assert_eq!(first_image(&answer), SAMPLE_IMAGE);
                        answered += 1;
                    }
                    Ok(answer) => {
                        assert_eq!(answer.status, 413);
                        refused += 1;
                    }
                    // A client over HTTP/1.1 that still writes may see the close before the answer.
                    Err(NoAnswer::Lost(error)) => {
                        assert!(length > MAX_BODY_BYTES && protocol == Protocol::Http1, "{error}");
                        cut_off += 1;
                    }
                    Err(NoAnswer::NotSent(error)) => panic!("{protocol:?} {length}: {error}"),
                    Err(NoAnswer::GivenUp) => panic!("{protocol:?} {length}: given up"),
                }
            }
        }
    }
    assert_eq!(answered, 4);
    let seen = traffic.finish().await;
    seen.assert_complete();
    let usage = Usage::of(&program);
    usage.assert_peak_below(128);
    report(
        "a_body_at_the_limit_is_answered_and_one_byte_more_gets_413",
        format!(
            "{answered} answered, {refused} refused with 413, {cut_off} saw the connection end; \
             beside them {seen}; {usage}"
        ),
    );
}

/// Returns a review whose object has the additional field `more`.
fn review(more: &[u8]) -> Vec<u8> {
    let mut review =
        br#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u",
        "kind":{"group":"","version":"v1","kind":"Pod"},"operation":"CREATE","object":{"#
            .to_vec();
    review.extend(more);
    review.extend(br#","spec":{"containers":[{"name":"a","image":"nginx"}]}}}}"#);
    review
}

fn nested(open: &str, close: &str) -> Vec<u8> {
    let value = [open.repeat(DEPTH), "1".to_owned(), close.repeat(DEPTH)].concat();
    review(format!("\"x\":{value}").as_bytes())
}

/// Returns named bodies, each with the expected status.
fn cases() -> Vec<(&'static str, Vec<u8>, u16)> {
    let digits = "9".repeat(1_000_000);
    let keys: Vec<_> = (0..100_000).map(|number| format!("\"k{number}\":1,")).collect();
    let keys = keys.concat();
    vec![
        ("as usual", review(b"\"x\":1"), 200),
        ("100,000 arrays", nested("[", "]"), 200),
        ("100,000 objects", nested("{\"a\":", "}"), 200),
        ("100,000 arrays that do not end", nested("[", ""), 400),
        ("100,000 arrays that end as objects", nested("[", "}"), 400),
        ("nothing but open brackets", vec![b'['; 1_000_000], 400),
        ("nothing but open braces", b"{\"request\":".repeat(DEPTH), 400),
        ("a number of a million digits", review(format!("\"x\":{digits}").as_bytes()), 200),
        ("a number beyond all types", review(b"\"x\":-1e999999999"), 200),
        ("a number with a zero too many", review(b"\"x\":01"), 400),
        ("no number", review(b"\"x\":NaN"), 400),
        ("100,000 keys", review(format!("{keys}\"x\":1").as_bytes()), 200),
        ("a key twice", review(b"\"x\":1,\"x\":2"), 200),
        ("a key twice that matters", review(b"\"spec\":{\"containers\":[]}"), 200),
        ("unpaired surrogate", review(br#""x":"\ud800""#), 400),
        ("a surrogate pair the wrong way round", review(br#""x":"\udc00\ud800""#), 400),
        ("a surrogate pair", review(br#""x":"\ud83d\ude00""#), 200),
        ("an escaped NUL", review(br#""x":"\u0000""#), 200),
        ("a NUL in a string", review(b"\"x\":\"\0\""), 400),
        ("a NUL between values", review(b"\"x\":\0 1"), 400),
        ("no UTF-8", review(b"\"x\":\"\xff\xfe\""), 400),
        ("a string that does not end", review(b"\"x\":\""), 400),
        ("two values", [review(b"\"x\":1"), review(b"\"x\":1")].concat(), 400),
        ("nothing", Vec::new(), 400),
        (
            "an image of a megabyte",
            review(
                format!("\"spec\":{{\"containers\":[{{\"image\":\"{}\"}}]}}", "a".repeat(1 << 20))
                    .as_bytes(),
            ),
            200,
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strange_json_gets_the_right_status() {
    let _alone = alone().await;
    let cases = cases();
    let program = Program::start(&["--dev"]);
    let traffic = Traffic::start(program.address, SAMPLE_IMAGE);
    for protocol in PROTOCOLS {
        for (name, body, status) in &cases {
            let mut client = Client::connect(program.address, protocol).await.unwrap();
            let pieces = body.chunks(10_000).map(<[u8]>::to_vec);
            for body in [Pieces::from(body.clone()), Pieces::chunked(pieces)] {
                let json = Some("application/json");
                let answer = client.send(Method::POST, "/", json, body).await.unwrap();
                assert_eq!(answer.status, *status, "{name} over {protocol:?}: {}", answer.body);
            }
        }
    }
    let seen = traffic.finish().await;
    seen.assert_complete();
    let usage = Usage::of(&program);
    usage.assert_peak_below(128);
    report(
        "strange_json_gets_the_right_status",
        format!("{} bodies: {seen}; {usage}", 4 * cases.len()),
    );
}
