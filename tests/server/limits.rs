//! Limits of size and time for the data of a peer.

use std::time::Duration;

use imageswap::server::Limits;
use support::{
    body::Pieces,
    client::{Client, NoAnswer, first_image, stalled_requests, unread_answer, unread_pages},
    reviews::fixture,
    server::{metric, started},
    tls::{PROTOCOLS, Protocol, tls},
    wait::{DEADLINE, eventually},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// A timeout that is long enough for a step, and short enough to wait for.
const SHORT: Duration = Duration::from_millis(300);

#[tokio::test]
async fn a_body_at_the_limit_is_read_and_one_byte_more_is_refused() {
    let limits = Limits { max_body_bytes: 50_000, ..Limits::default() };
    let app = started(limits).await;
    for protocol in PROTOCOLS {
        for (length, status) in [(50_000, 400), (50_001, 413), (200_000, 413)] {
            let body = vec![b' '; length];
            let pieces = body.chunks(7_000).map(<[u8]>::to_vec);
            for body in [Pieces::from(body.clone()), Pieces::chunked(pieces)] {
                let mut client = Client::connect(app.address(), protocol).await.unwrap();
                match client.post(body).await {
                    Ok(answer) => assert_eq!(answer.status, status, "{protocol:?} {length}"),
                    // The server answers and closes while the client still writes. Over HTTP/1.1 the client may see
                    // the close first.
                    Err(NoAnswer::Lost(error)) => {
                        assert_eq!(status, 413, "{protocol:?} {length}: {error}");
                    }
                    Err(NoAnswer::NotSent(error)) => panic!("{protocol:?} {length}: {error}"),
                    Err(NoAnswer::GivenUp) => panic!("{protocol:?} {length}: given up"),
                }
            }
        }
    }
    let admin = app.admin_address();
    let refused = "imageswap_http_request_total{method=\"POST\",status=\"413\"}";
    assert_eq!(metric(admin, refused).await, Some(8.0));
}

#[tokio::test]
async fn large_bodies_beyond_the_buffer_limit_are_refused_and_small_ones_answered() {
    // The hog keeps its memory until the end of the test. It asks again if the other client had that memory at first.
    let body_timeout = 2 * DEADLINE;
    let limits = Limits { max_buffered_bytes: 100_000, body_timeout, ..Limits::default() };
    let app = started(limits).await;
    let mut hog = Client::connect(app.address(), Protocol::Http2).await.unwrap();
    let mut client = Client::connect(app.address(), Protocol::Http2).await.unwrap();
    let hog = tokio::spawn(async move {
        while hog.post(Pieces::stalled(vec![b' '; 90_000])).await.unwrap().status == 503 {}
    });
    eventually("the memory is used up", async || {
        let body = Pieces::chunked([vec![b' '; 20_000], vec![b' '; 20_000]]);
        (client.post(body).await.unwrap().status == 503).then_some(())
    })
    .await;
    let answer = client.post(fixture("05-create-cronjob")).await.unwrap();
    assert_eq!(first_image(&answer), "d.io/python:3.12-slim");
    hog.abort();
}

#[tokio::test]
async fn a_declared_length_alone_takes_no_memory() {
    let limits = Limits { max_buffered_bytes: 200_000, ..Limits::default() };
    let app = started(limits).await;
    let mut hogs = Vec::new();
    for _ in 0..10 {
        let mut hog = tls(app.address(), Protocol::Http1).await.unwrap();
        let head = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                    Content-Length: 8000000\r\n\r\n{";
        hog.write_all(head.as_bytes()).await.unwrap();
        hogs.push(hog);
    }
    let mut client = Client::connect(app.address(), Protocol::Http2).await.unwrap();
    let body = vec![b' '; 100_000];
    let answer =
        client.post(Pieces::chunked(body.chunks(10_000).map(<[u8]>::to_vec))).await.unwrap();
    assert_eq!(answer.status, 400, "{answer:?}");
}

#[tokio::test]
async fn unread_answers_count_towards_the_buffer_limit() {
    let limits = Limits { max_buffered_bytes: 3_000_000, ..Limits::default() };
    let app = started(limits).await;
    let containers = "{\"image\":\"a\"},".repeat(20_000);
    let review = format!(
        "{{\"request\":{{\"uid\":\"u\",\"operation\":\"CREATE\",\"kind\":{{\"kind\":\"Pod\"}},\
         \"object\":{{\"spec\":{{\"containers\":[{containers}{{}}]}}}}}}}}"
    );
    let mut client = Client::connect(app.address(), Protocol::Http2).await.unwrap();
    let answer = client.post(review.clone()).await.unwrap();
    assert_eq!(answer.status, 200);
    assert!(answer.body.len() > 1_500_000, "{} bytes", answer.body.len());
    let mut unread = Vec::new();
    eventually("an answer that does not fit", async || {
        unread.push(unread_answer(app.address(), review.clone()).await);
        (client.post(review.clone()).await.unwrap().status == 503).then_some(())
    })
    .await;
    drop(unread);
    eventually("memory again", async || {
        (client.post(review.clone()).await.unwrap().status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn requests_beyond_the_limit_for_waiting_requests_are_refused() {
    let app = started(Limits { max_waiting: 2, ..Limits::default() }).await;
    let refused = "imageswap_http_request_total{method=\"POST\",status=\"503\"}";
    for first in ["", "{\"request\":"] {
        let before = metric(app.admin_address(), refused).await.unwrap_or_default();
        let hogs = stalled_requests(app.address(), first, 10).await;
        // A connection may always have four waiting requests.
        eventually("six of the ten are refused", async || {
            (metric(app.admin_address(), refused).await == Some(before + 6.0)).then_some(())
        })
        .await;
        // Requests of other connections are still answered.
        for protocol in PROTOCOLS {
            let mut client = Client::connect(app.address(), protocol).await.unwrap();
            let pieces = fixture("00-create-pod").into_bytes();
            let pieces = pieces.chunks(100).map(<[u8]>::to_vec);
            let answer = client.post(Pieces::chunked(pieces)).await.unwrap();
            assert_eq!(answer.status, 200, "{answer:?}");
        }
        assert_eq!(metric(app.admin_address(), refused).await, Some(before + 6.0));
        drop(hogs);
        eventually("no connection but that of the metrics", async || {
            let connections = metric(app.admin_address(), "imageswap_connections").await;
            (connections == Some(1.0)).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn unread_metrics_pages_take_no_memory_from_reviews() {
    let app = started(Limits { max_buffered_bytes: 100_000, ..Limits::default() }).await;
    let mut unread = Vec::new();
    let refused = "imageswap_http_request_total{method=\"GET\",status=\"503\"}";
    eventually("a page that does not fit", async || {
        unread.push(unread_pages(app.address()).await);
        metric(app.admin_address(), refused).await.filter(|&count| count > 0.0)
    })
    .await;
    let mut client = Client::connect(app.address(), Protocol::Http2).await.unwrap();
    let body = Pieces::chunked(fixture("00-create-pod").as_bytes().chunks(100).map(<[u8]>::to_vec));
    assert_eq!(client.post(body).await.unwrap().status, 200);
    assert_eq!(client.get("/livez").await.status, 200);
    drop(unread);
    eventually("pages again", async || {
        let mut client = Client::connect(app.address(), Protocol::Http2).await.unwrap();
        (client.get("/metrics").await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_stalled_body_is_answered_with_408() {
    let app = started(Limits { body_timeout: SHORT, ..Limits::default() }).await;
    for protocol in PROTOCOLS {
        let mut client = Client::connect(app.address(), protocol).await.unwrap();
        let answer = client.post(Pieces::stalled("{\"request\":")).await.unwrap();
        assert_eq!(answer.status, 408, "{answer:?}");
        assert!(answer.body.contains("0.3 s"), "{answer:?}");
    }
}

#[tokio::test]
async fn a_stalled_handshake_is_dropped() {
    let app = started(Limits { handshake_timeout: SHORT, ..Limits::default() }).await;
    for first_bytes in [&b""[..], b"\x16\x03\x01"] {
        let mut stream = TcpStream::connect(app.address()).await.unwrap();
        stream.write_all(first_bytes).await.unwrap();
        assert_closed(&mut stream).await;
    }
}

#[tokio::test]
async fn stalled_headers_are_dropped() {
    let app = started(Limits { header_timeout: SHORT, ..Limits::default() }).await;
    let mut slow = tls(app.address(), Protocol::Http1).await.unwrap();
    slow.write_all(b"POST / HTTP/1.1\r\nHost: local").await.unwrap();
    assert_closed(&mut slow).await;
    let mut silent = tls(app.address(), Protocol::Http2).await.unwrap();
    assert_closed(&mut silent).await;
}

#[tokio::test]
async fn stalled_headers_after_a_request_are_dropped() {
    let limits = Limits { idle_timeout: SHORT, close_timeout: SHORT, ..Limits::default() };
    let app = started(limits).await;
    let mut slow = tls(app.address(), Protocol::Http1).await.unwrap();
    slow.write_all(
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\nGET /livez HTTP/1.1\r\nHost: local",
    )
    .await
    .unwrap();
    assert_closed(&mut slow).await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_gracefully() {
    let app = started(Limits { idle_timeout: SHORT, ..Limits::default() }).await;
    for protocol in PROTOCOLS {
        let mut client = Client::connect(app.address(), protocol).await.unwrap();
        client.post(fixture("00-create-pod")).await.unwrap();
        timeout(DEADLINE, client.ended).await.unwrap().unwrap().unwrap();
    }
    let admin = app.admin_address();
    eventually("no connection but that of the metrics", async || {
        (metric(admin, "imageswap_connections").await == Some(1.0)).then_some(())
    })
    .await;
}

/// The API server keeps connections for 90 s, and does not repeat a review that is lost in a close by the server.
#[tokio::test]
async fn the_header_timeout_spares_a_connection_that_has_sent_a_request() {
    let app = started(Limits { header_timeout: SHORT, ..Limits::default() }).await;
    for protocol in PROTOCOLS {
        let mut client = Client::connect(app.address(), protocol).await.unwrap();
        client.post(fixture("00-create-pod")).await.unwrap();
        // Opened later, and closed by the server after the idle timeout.
        let mut silent = tls(app.address(), protocol).await.unwrap();
        assert_closed(&mut silent).await;
        assert_eq!(client.post(fixture("00-create-pod")).await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn headers_beyond_the_limit_are_refused() {
    let app = started(Limits::default()).await;
    let mut stream = tls(app.address(), Protocol::Http1).await.unwrap();
    let padding = "x".repeat(64 * 1024);
    let request = format!("POST / HTTP/1.1\r\nHost: localhost\r\nX-Padding: {padding}\r\n\r\n");
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = timeout(DEADLINE, stream.read_to_end(&mut answer)).await.unwrap();
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_until_another_closes() {
    let app = started(Limits { max_connections: 2, ..Limits::default() }).await;
    let address = app.address();
    let mut clients = Vec::new();
    for _ in 0..2 {
        let mut client = Client::connect(address, Protocol::Http2).await.unwrap();
        client.post(fixture("00-create-pod")).await.unwrap();
        clients.push(client);
    }
    let mut third = tokio::spawn(async move {
        let mut client = Client::connect(address, Protocol::Http2).await.unwrap();
        client.post(fixture("00-create-pod")).await.unwrap()
    });
    assert!(timeout(SHORT, &mut third).await.is_err(), "there is no place yet");
    clients.pop();
    let answer = timeout(DEADLINE, third).await.unwrap().unwrap();
    assert_eq!(answer.status, 200);
}

/// Waits until the server closes the connection, with or without an error.
async fn assert_closed(stream: &mut (impl tokio::io::AsyncRead + Unpin)) {
    let mut rest = Vec::new();
    let _ = timeout(DEADLINE, stream.read_to_end(&mut rest)).await.unwrap();
}
