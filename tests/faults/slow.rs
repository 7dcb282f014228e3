//! Peers that are slow on purpose: in the handshake, in the headers, and in the body.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use imageswap::server::Limits;
use support::{
    program::Program,
    server::{metric, started},
    tls::{Protocol, tls},
    wait::{DEADLINE, eventually},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::timeout,
};

use crate::{
    alone,
    frames::{DATA, END_HEADERS, HEADERS, Http2, header_block},
    process::Usage,
    report, scaled,
    traffic::{SAMPLE_IMAGE, Traffic},
};

/// The resources of a slow peer, which are released on drop.
type Held = Box<dyn Send>;

/// Kinds of slow peers: each opens a connection and stops half way.
const WAYS: usize = 5;

async fn slow_peer(address: SocketAddr, way: usize) -> Held {
    match way % WAYS {
        0 => Box::new(TcpStream::connect(address).await.unwrap()),
        1 => {
            let mut stream = TcpStream::connect(address).await.unwrap();
            // The beginning of a ClientHello.
            stream.write_all(b"\x16\x03\x01\x02\x00\x01").await.unwrap();
            Box::new(stream)
        }
        2 => half_written(address, "POST / HTTP/1.1\r\nHost: local").await,
        3 => {
            let head = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                        Content-Length: 4000\r\n\r\n{\"request\":";
            half_written(address, head).await
        }
        _ => {
            let mut peer = Http2::open(address).await;
            peer.send(HEADERS, END_HEADERS, 1, &header_block("POST", "/", &[])).await.unwrap();
            peer.send(DATA, 0, 1, b"{\"request\":").await.unwrap();
            Box::new(peer)
        }
    }
}

async fn half_written(address: SocketAddr, text: &str) -> Held {
    let mut stream = tls(address, Protocol::Http1).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    Box::new(stream)
}

async fn slow_peers(address: SocketAddr, count: usize) -> Vec<Held> {
    let mut opening = JoinSet::new();
    let mut held = Vec::new();
    for number in 0..count {
        if opening.len() >= 32 {
            held.push(opening.join_next().await.unwrap().unwrap());
        }
        opening.spawn(slow_peer(address, number));
    }
    held.extend(opening.join_all().await);
    held
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_slow_peers_do_not_slow_the_others() {
    const PEERS: usize = 1000;
    let _alone = alone().await;
    let requests = scaled(1000, 5000);
    let program = Program::start(&["--dev"]);
    let traffic = Traffic::start(program.address, SAMPLE_IMAGE);
    traffic.await_answers(100).await;
    traffic.take().assert_complete();
    traffic.await_answers(requests).await;
    let before = traffic.take();
    let opened = Instant::now();
    let held = slow_peers(program.address, PEERS).await;
    let opened = opened.elapsed();
    let connections = metric(program.admin_address, "imageswap_connections").await.unwrap();
    traffic.await_answers(1).await;
    let opening = traffic.take();
    traffic.await_answers(requests).await;
    let during = traffic.take();
    let usage = Usage::of(&program);
    for seen in [&before, &opening, &during] {
        seen.assert_complete();
    }
    // On an idle machine both are a few milliseconds. The constant is for a busy machine.
    let bound = before.p99() * 5 + Duration::from_millis(250);
    assert!(during.p99() < bound, "p99 {:?}, and {:?} before", during.p99(), before.p99());
    assert!(opening.p99() < bound * 2, "p99 {:?}, and {:?} before", opening.p99(), before.p99());
    usage.assert_peak_below(256);
    report(
        "a_thousand_slow_peers_do_not_slow_the_others",
        format!(
            "before: {before}; while {PEERS} connect in {opened:.1?}: {opening}; then: \
             {during}; {connections} connections; {usage}"
        ),
    );
    drop(held);
    traffic.finish().await.assert_complete();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_peers_are_cut_off_by_the_timeouts() {
    const SHORT: Duration = Duration::from_secs(3);
    let _alone = alone().await;
    let limits = Limits {
        handshake_timeout: SHORT,
        header_timeout: SHORT,
        body_timeout: SHORT,
        idle_timeout: SHORT,
        close_timeout: SHORT,
        ..Limits::default()
    };
    let app = started(limits).await;
    let traffic = Traffic::start(app.address(), "d.io/library/busybox:1.36");
    let peers = scaled(250, 1000);
    let held = slow_peers(app.address(), peers).await;
    let seen = traffic.finish().await;
    seen.assert_complete();
    // All peers still hold their connections, so the server closes them.
    eventually("no connection but that of the metrics", async || {
        (metric(app.admin_address(), "imageswap_connections").await == Some(1.0)).then_some(())
    })
    .await;
    drop(held);
    report("slow_peers_are_cut_off_by_the_timeouts", format!("{peers} peers cut off: {seen}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_sends_single_bytes_is_cut_off() {
    const SHORT: Duration = Duration::from_millis(500);
    let _alone = alone().await;
    let app =
        started(Limits { header_timeout: SHORT, body_timeout: SHORT, ..Limits::default() }).await;
    for head in [
        "",
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                      Content-Length: 4000\r\n\r\n",
    ] {
        let mut stream = tls(app.address(), Protocol::Http1).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let begun = Instant::now();
        // A byte from time to time, until the server closes the connection.
        let mut answer = [0; 1024];
        let ended = loop {
            if stream.write_all(b"P").await.is_err() {
                break true;
            }
            match timeout(Duration::from_millis(20), stream.read(&mut answer)).await {
                Ok(Ok(0) | Err(_)) => break true,
                Ok(Ok(length)) => {
                    assert!(answer[..length].starts_with(b"HTTP/1.1 408"));
                    break true;
                }
                Err(_) if begun.elapsed() > DEADLINE => break false,
                Err(_) => {}
            }
        };
        assert!(ended, "still there after {DEADLINE:?}");
    }
}
