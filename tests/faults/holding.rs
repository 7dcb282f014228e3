//! Peers that hold resources: connections, streams, and answers that they do not read.

use std::time::Duration;

use support::{
    client::{Client, first_image},
    program::Program,
    reviews::fixture,
    server::metric,
    tls::Protocol,
    wait::{DEADLINE, eventually},
};
use tokio::time::timeout;

use crate::{
    alone,
    frames::{
        DATA, END_HEADERS, END_STREAM, HEADERS, Http2, INITIAL_WINDOW_SIZE, append, header_block,
    },
    process::Usage,
    report, scaled,
    traffic::{SAMPLE_IMAGE, Traffic},
};

/// Maximum number of open streams of a connection.
const STREAMS: u32 = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_beyond_the_limit_wait_until_another_closes() {
    const PLACES: usize = 4;
    const WAITING: usize = 12;
    let _alone = alone().await;
    let places = PLACES.to_string();
    let program = Program::start(&["--dev", "--max-connections", &places]);
    let address = program.address;
    let ask = move || async move {
        let mut client = Client::connect(address, Protocol::Http2).await.unwrap();
        let answer = client.post(fixture("00-create-pod")).await.unwrap();
        assert_eq!(first_image(&answer), SAMPLE_IMAGE);
        client
    };
    let mut inside = Vec::new();
    for _ in 0..PLACES {
        inside.push(ask().await);
    }
    let mut waiting: Vec<_> = (0..WAITING).map(|_| Box::pin(ask())).collect();
    for client in &mut waiting {
        // Each client has begun to connect, and gets no answer.
        assert!(timeout(Duration::from_millis(20), client).await.is_err());
    }
    let handshakes = metric(program.admin_address, "imageswap_connections").await.unwrap();
    assert!(handshakes <= 5.0, "{handshakes} with that of the metrics");
    for client in &mut inside {
        let answer = client.post(fixture("00-create-pod")).await.unwrap();
        assert_eq!(first_image(&answer), SAMPLE_IMAGE);
    }
    drop(inside);
    // Each served client makes room for the next.
    let served: Vec<_> =
        waiting.into_iter().map(|client| tokio::spawn(async { drop(client.await) })).collect();
    for client in served {
        timeout(DEADLINE, client).await.unwrap().unwrap();
    }
    report(
        "connections_beyond_the_limit_wait_until_another_closes",
        format!("{PLACES} places, {WAITING} more clients wait, {WAITING} served later"),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unread_answers_are_bounded_in_memory() {
    let _alone = alone().await;
    let review = fixture("00-create-pod").into_bytes();
    let pages = ("pages of metrics", "GET", "/metrics", &[][..], scaled(12, 400));
    let reviews = ("answered reviews", "POST", "/", &review[..], scaled(12, 200));
    for (name, method, path, body, peers) in [pages, reviews] {
        let program = Program::start(&["--dev"]);
        let traffic = Traffic::start(program.address, SAMPLE_IMAGE);
        traffic.await_answers(100).await;
        let before = Usage::of(&program);
        let mut held = Vec::new();
        for _ in 0..peers {
            // A window of zero: the server may send headers, but no byte of a body.
            let mut peer = Http2::open_with(program.address, &[(INITIAL_WINDOW_SIZE, 0)]).await;
            peer.round_trip().await.unwrap();
            let mut frames = Vec::new();
            for stream in (0..STREAMS).map(|number| 2 * number + 1) {
                append(&mut frames, HEADERS, END_HEADERS, stream, &header_block(method, path, &[]));
                append(&mut frames, DATA, END_STREAM, stream, body);
            }
            peer.writer.write(&frames).await.unwrap();
            peer.round_trip().await.unwrap();
            held.push(peer);
        }
        traffic.await_answers(200).await;
        let seen = traffic.finish().await;
        let usage = Usage::of(&program);
        let each = usage.peak.saturating_sub(before.peak) / u64::try_from(peers).unwrap();
        report(
            "unread_answers_are_bounded_in_memory",
            format!("{peers} peers with {STREAMS} {name} each: {seen}; {usage}, {each} KiB a peer"),
        );
        seen.assert_complete();
        usage.assert_peak_below(256);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endless_streams_are_bounded_in_memory_and_time() {
    let _alone = alone().await;
    let peers = scaled(50, 250);
    let program = Program::start(&["--dev"]);
    let traffic = Traffic::start(program.address, SAMPLE_IMAGE);
    let mut held = Vec::new();
    for _ in 0..peers {
        let mut peer = Http2::open(program.address).await;
        for number in 0..STREAMS {
            let mut frames = Vec::new();
            let block = header_block("POST", "/", &[]);
            append(&mut frames, HEADERS, END_HEADERS, 2 * number + 1, &block);
            append(&mut frames, DATA, 0, 2 * number + 1, b"{\"request\":");
            peer.writer.write(&frames).await.unwrap();
        }
        peer.round_trip().await.unwrap();
        held.push(peer);
    }
    let ended = async |status: u16| {
        let name = format!("imageswap_http_request_total{{method=\"POST\",status=\"{status}\"}}");
        metric(program.admin_address, &name).await.unwrap_or_default()
    };
    let expected = f64::from(u32::try_from(peers).unwrap() * STREAMS);
    let (timed_out, refused) = eventually("an answer for each stream", async || {
        let (timed_out, refused) = (ended(408).await, ended(503).await);
        (timed_out + refused >= expected).then_some((timed_out, refused))
    })
    .await;
    let seen = traffic.finish().await;
    let usage = Usage::of(&program);
    report(
        "endless_streams_are_bounded_in_memory_and_time",
        format!(
            "{peers} peers with {STREAMS} streams each: {timed_out} answered with 408, {refused} \
             with 503: {seen}; {usage}"
        ),
    );
    seen.assert_complete();
    usage.assert_peak_below(256);
    drop(held);
}
