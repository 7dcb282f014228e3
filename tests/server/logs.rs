//! Influence of a peer on the log: amount, characters and frequency.

use hyper::Method;
use serde_json::{Value, json};
use support::{
    body::Pieces,
    client::Client,
    program::Program,
    reviews::fixture,
    server::await_ready,
    tls::{Protocol, tls},
    volume::Volume,
    wait::eventually,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Maximum length of a line, in bytes.
const MAX_LINE_BYTES: usize = 1024;

const REFUSED: &str = "review refused";

/// Waits until the program has logged a message with a value of a field.
pub(crate) async fn await_log_with(
    program: &Program,
    message: &str,
    field: &str,
    value: impl Into<Value>,
) {
    let value = value.into();
    eventually(&format!("{message} {field}={value}"), async || {
        let is_found = |line: &Value| line["message"] == message && line[field] == value;
        program.lines().iter().any(is_found).then_some(())
    })
    .await;
}

async fn serve(level: &str) -> (Program, Volume) {
    let mut volume = Volume::new();
    volume.write(&[("maps.conf", b"default::d.io")]);
    let file = volume.directory().join("maps.conf");
    let maps = ["--maps", file.to_str().unwrap(), "--tls-mode", "self-signed"];
    let program = Program::start(&[&maps[..], &["--log-level", level]].concat());
    await_ready(program.admin_address).await;
    (program, volume)
}

async fn post(program: &Program, content_type: &str, body: impl Into<Pieces>) -> u16 {
    let mut client = Client::connect(program.address, Protocol::Http1).await.unwrap();
    client.send(Method::POST, "/", Some(content_type), body.into()).await.unwrap().status.into()
}

fn review_of_version(version: &str) -> String {
    json!({ "apiVersion": version, "request": { "uid": "a" } }).to_string()
}

/// Checks that no line is too long or contains a terminal control character.
fn assert_bounded(program: &Program) {
    for line in program.lines() {
        let text = line.to_string();
        assert!(text.len() <= MAX_LINE_BYTES, "{} bytes: {text}", text.len());
        let values = line.as_object().unwrap().values().filter_map(Value::as_str);
        for value in values {
            let is_plain = |c: char| !c.is_control() && !('\u{202a}'..='\u{202e}').contains(&c);
            assert!(value.chars().all(is_plain), "{value:?}");
        }
    }
}

#[tokio::test]
async fn the_log_line_about_a_refused_review_is_short() {
    for filler in ["x", "\"", "\\", "é", "\u{300}", "\u{9b}", "\u{1b}[2J", "\n"] {
        let (program, _volume) = serve("INFO").await;
        let version = filler.repeat(200_000 / filler.len());
        assert_eq!(post(&program, "application/json", review_of_version(&version)).await, 400);
        await_log_with(&program, REFUSED, "status", json!(400)).await;
        // A header cannot contain C0 characters.
        let media_type = format!("x{filler}").replace(|c: char| c < ' ', "");
        let media_type = media_type.repeat(8000 / media_type.len());
        assert_eq!(post(&program, &media_type, "{}").await, 415);
        await_log_with(&program, REFUSED, "status", json!(415)).await;
        assert_bounded(&program);
    }
}

#[tokio::test]
async fn terminal_control_sequences_are_escaped() {
    let (program, _volume) = serve("INFO").await;
    assert_eq!(post(&program, "\u{9b}31mRED", "{}").await, 415);
    assert_eq!(post(&program, "application/json", review_of_version("v\u{202e}1\r\n")).await, 400);
    await_log_with(&program, REFUSED, "error", json!("Content-Type is \\u{9b}31mRED")).await;
    let error = "apiVersion `v\\u{202e}1\\u{d}\\u{a}` is not supported";
    await_log_with(&program, REFUSED, "error", json!(error)).await;
    assert_bounded(&program);
}

#[tokio::test]
async fn a_frequent_message_hides_no_other() {
    let (program, _volume) = serve("INFO").await;
    for _ in 0..20 {
        assert_eq!(post(&program, "text/plain", "{}").await, 415);
    }
    assert_eq!(post(&program, "application/json", "{").await, 400);
    let mut stranger = TcpStream::connect(program.address).await.unwrap();
    stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    await_log_with(&program, REFUSED, "status", json!(400)).await;
    program.await_log("TLS handshake failed").await;
}

#[tokio::test]
async fn log_lines_about_a_review_are_short() {
    let (program, _volume) = serve("DEBUG").await;
    let mut review: Value = serde_json::from_str(&fixture("00-create-pod")).unwrap();
    let request = review["request"].as_object_mut().unwrap();
    for (field, filler) in [("uid", "\""), ("namespace", "\u{300}"), ("name", "\u{9b}")] {
        request.insert(field.to_owned(), json!(filler.repeat(1000)));
    }
    request.insert("kind".to_owned(), json!({ "kind": "Pod" }));
    let image = format!("a:{}", "b".repeat(3900));
    let containers = (0..200).map(|n| json!({ "name": n.to_string(), "image": image }));
    review["request"]["object"]["spec"]["containers"] = containers.collect();
    assert_eq!(post(&program, "application/json", review.to_string()).await, 200);
    program.await_log("reviewed").await;
    program.await_log("image swapped").await;
    assert_eq!(post(&program, "application/json", "{").await, 400);
    program.await_log(REFUSED).await;
    assert_bounded(&program);
    let lines = program.lines();
    assert_eq!(lines.iter().filter(|line| line["message"] == "image swapped").count(), 64);
    await_log_with(&program, "more images swapped", "more", 200 + 2 - 64).await;
}

/// The HTTP/2 library once logged a line for each of these frames.
#[tokio::test]
async fn frames_of_an_attacker_are_not_logged() {
    let (program, _volume) = serve("INFO").await;
    let mut stream = tls(program.address, Protocol::Http2).await.unwrap();
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let ping_ack = [0, 0, 8, 6, 1, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    stream.write_all(&settings).await.unwrap();
    stream.write_all(&ping_ack.repeat(100)).await.unwrap();
    // The answer to a ping shows that the server has read all frames before it.
    let ping = [0, 0, 8, 6, 0, 0, 0, 0, 0, 9, 9, 9, 9, 9, 9, 9, 9];
    stream.write_all(&ping).await.unwrap();
    let mut received = Vec::new();
    while !received.windows(8).any(|window| window == [9; 8]) {
        assert_ne!(stream.read_buf(&mut received).await.unwrap(), 0, "the connection has ended");
    }
    // A warning of this program comes after all lines about those frames.
    assert_eq!(post(&program, "text/plain", "{}").await, 415);
    await_log_with(&program, REFUSED, "status", 415).await;
    assert!(program.lines().iter().all(|line| line["target"] != "h2::proto::ping_pong"));
}
