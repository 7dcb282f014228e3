//! SIGKILL and SIGTERM under load.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use support::{
    program::{self, Program},
    reviews::fixture,
    tls::{Protocol, tls},
    wait::{DEADLINE, eventually},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    alone,
    frames::{DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, Http2, header_block},
    report, scaled,
    traffic::{CLIENTS, SAMPLE_IMAGE, Traffic},
};

/// Number of answers between two restarts, so that each restart hits a server under load.
const ANSWERS_BETWEEN: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_loses_only_requests_in_flight() {
    let _alone = alone().await;
    let rounds = scaled(3, 30);
    let mut program = Program::start(&["--dev"]);
    let addresses = [program.address, program.admin_address];
    let traffic = Traffic::start(program.address, SAMPLE_IMAGE);
    let mut longest = Duration::ZERO;
    for _ in 0..rounds {
        traffic.await_answers(ANSWERS_BETWEEN).await;
        program.child.kill().unwrap();
        program.child.wait().unwrap();
        let killed = Instant::now();
        program = Program::launch(Command::new(program::path()), addresses, &["--dev"]);
        traffic.await_answers(1).await;
        longest = longest.max(killed.elapsed());
    }
    traffic.await_answers(ANSWERS_BETWEEN).await;
    let seen = traffic.finish().await;
    assert!(seen.lost.len() <= rounds * CLIENTS, "{:?}", seen.lost);
    report(
        "a_killed_process_loses_only_requests_in_flight",
        format!("{rounds} times killed: {seen}; first answer after at most {longest:.0?}"),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_loses_no_request() {
    let _alone = alone().await;
    let rounds = scaled(3, 30);
    let (mut answered, mut lost) = (0, 0);
    for _ in 0..rounds {
        let mut program = Program::start(&["--dev", "--shutdown-delay", "100ms"]);
        let traffic = Traffic::start(program.address, SAMPLE_IMAGE);
        traffic.await_answers(ANSWERS_BETWEEN).await;
        program.terminate();
        assert_eq!(exit_code(&mut program).await, Some(0));
        let seen = traffic.finish().await;
        assert!(seen.lost.is_empty(), "{:?}", seen.lost);
        (answered, lost) = (answered + seen.answered(), lost + seen.lost.len());
    }
    report(
        "sigterm_loses_no_request",
        format!("{rounds} times told to end: {answered} requests answered, {lost} lost"),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_in_flight_are_answered_after_goaway() {
    const STREAMS: u32 = 50;
    let _alone = alone().await;
    let mut program = Program::start(&["--dev"]);
    let mut peer = Http2::open(program.address).await;
    // The server has opened its window for all bodies by then.
    peer.round_trip().await.unwrap();
    let review = fixture("00-create-pod").into_bytes();
    let (first, rest) = review.split_at(review.len() / 2);
    let streams: Vec<u32> = (0..STREAMS).map(|number| 2 * number + 1).collect();
    for &stream in &streams {
        peer.send(HEADERS, END_HEADERS, stream, &header_block("POST", "/", &[])).await.unwrap();
        peer.send(DATA, 0, stream, first).await.unwrap();
    }
    peer.round_trip().await.unwrap();
    program.terminate();
    let goaway = peer.next_of(GOAWAY).await.expect("GOAWAY comes before the end");
    assert_eq!(goaway.error_code(), 0, "GOAWAY without an error");
    assert!(goaway.last_stream() >= 2 * STREAMS - 1, "no stream is given up: {goaway:?}");
    for &stream in &streams {
        peer.send(DATA, END_STREAM, stream, rest).await.unwrap();
    }
    let mut answered = Vec::new();
    while let Some(frame) = peer.next().await {
        match frame.kind {
            HEADERS => {
                assert!(frame.is_status_200(), "{frame:?}");
                answered.push(frame.stream);
            }
            GOAWAY => assert_eq!(frame.error_code(), 0, "{frame:?}"),
            _ => {}
        }
    }
    answered.sort_unstable();
    assert_eq!(answered, streams);
    assert_eq!(exit_code(&mut program).await, Some(0));
    report(
        "requests_in_flight_are_answered_after_goaway",
        format!("{STREAMS} streams with half a body: GOAWAY, then {} answers", answered.len()),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_in_flight_over_http_1_is_answered_before_exit() {
    let _alone = alone().await;
    let mut program = Program::start(&["--dev"]);
    let review = fixture("00-create-pod").into_bytes();
    let (first, rest) = review.split_at(review.len() / 2);
    let mut peer = tls(program.address, Protocol::Http1).await.unwrap();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        review.len()
    );
    peer.write_all(head.as_bytes()).await.unwrap();
    peer.write_all(first).await.unwrap();
    // A request that is sent before the signal may be read after it. It is answered in both cases.
    program.terminate();
    program.await_log("shutting down").await;
    peer.write_all(rest).await.unwrap();
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(DEADLINE, peer.read_to_end(&mut answer)).await.unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.to_lowercase().contains("connection: close"), "{answer}");
    assert_eq!(exit_code(&mut program).await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endless_request_does_not_block_shutdown() {
    let _alone = alone().await;
    let mut program = Program::start(&["--dev", "--shutdown-timeout", "500ms"]);
    let mut peer = Http2::open(program.address).await;
    peer.send(HEADERS, END_HEADERS, 1, &header_block("POST", "/", &[])).await.unwrap();
    peer.round_trip().await.unwrap();
    program.terminate();
    assert_eq!(exit_code(&mut program).await, Some(0));
    program.await_log("shutdown timeout expired with requests in flight").await;
}

/// Waits for the exit code of a program.
async fn exit_code(program: &mut Program) -> Option<i32> {
    eventually("the end", async || program.child.try_wait().unwrap()).await.code()
}
