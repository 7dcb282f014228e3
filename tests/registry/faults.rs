//! Servers that are slow, silent, endless, or not there. Each check ends within its timeout.

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::{Duration, Instant},
};

use imageswap::registry::{CHECK_TIMEOUT, CheckResult};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    join,
    net::{TcpListener, TcpStream},
    task::yield_now,
    time::interval,
};

use crate::{
    fixture::{Pki, check, expect},
    scripted::{RawServer, Server, answer},
};

/// Interval between two bytes of a slow answer.
const TRICKLE: Duration = Duration::from_millis(50);

/// Time by which a check may be late on a busy machine. With the double timeout, it would be over.
const SLACK: Duration = Duration::from_secs(4);

/// Reads a request, and returns true if it is HEAD. `None` if the client closes the connection.
async fn request(stream: &mut TcpStream) -> Option<bool> {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        read.push(stream.read_u8().await.ok()?);
    }
    Some(read.starts_with(b"HEAD"))
}

/// Writes a text again and again, until the client closes the connection.
async fn trickle(stream: &mut TcpStream, text: &[u8]) {
    let mut ticks = interval(TRICKLE);
    while stream.write_all(text).await.is_ok() {
        ticks.tick().await;
    }
}

/// Writes a text for ever, as fast as the client reads.
async fn flood(stream: &mut TcpStream, text: &[u8]) {
    while stream.write_all(text).await.is_ok() {}
}

async fn slow_headers(mut stream: TcpStream) {
    request(&mut stream).await;
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nX-Slow: ").await;
    trickle(&mut stream, b"a").await;
}

async fn slow_body(mut stream: TcpStream) {
    while let Some(is_head) = request(&mut stream).await {
        let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 9999\r\n\r\n").await;
        if !is_head {
            trickle(&mut stream, b" ").await;
        }
    }
}

async fn silence(mut stream: TcpStream) {
    // Reads, so that the end of the connection is noticed, and never answers.
    let mut sink = [0; 1024];
    while stream.read(&mut sink).await.is_ok_and(|count| count > 0) {}
}

async fn interim_answers(mut stream: TcpStream) {
    request(&mut stream).await;
    trickle(&mut stream, b"HTTP/1.1 103 Early Hints\r\n\r\n").await;
}

#[tokio::test]
async fn a_slow_server_is_left_after_the_timeout() {
    let pki = Pki::new();
    let headers = RawServer::start(slow_headers).await;
    let body = RawServer::start(slow_body).await;
    let silent = RawServer::start(silence).await;
    let interim = RawServer::start(interim_answers).await;
    let hosts = [&headers, &body, &silent, &interim].map(|server| server.address.to_string());
    let hosts: Vec<_> = hosts.iter().map(String::as_str).collect();
    let client = pki.client(&json!({}), &[], &hosts);
    let secure = pki.anonymous();
    let image = |server: &RawServer| format!("{}/a:1", server.address);
    let images = [&headers, &body, &silent, &interim].map(image);
    let timed_out = (CheckResult::TimedOut, "no answer within 5 s");
    let begun = Instant::now();
    join!(
        expect("slow headers", &client, &images[0], timed_out),
        expect("slow body", &client, &images[1], timed_out),
        expect("half-open connection", &client, &images[2], timed_out),
        expect("endless interim answers", &client, &images[3], timed_out),
        // The handshake has a timeout of its own.
        expect("half-open, with TLS", &secure, &images[2], (CheckResult::TimedOut, "within 3 s")),
    );
    assert!(begun.elapsed() < CHECK_TIMEOUT + SLACK, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_flood_of_interim_answers_ends_and_leaves_time_for_others() {
    let pki = Pki::new();
    let short = RawServer::start(async |mut stream: TcpStream| {
        request(&mut stream).await;
        flood(&mut stream, &b"HTTP/1.1 103 E\r\n\r\n".repeat(1000)).await;
    })
    .await;
    let long = RawServer::start(async |mut stream: TcpStream| {
        request(&mut stream).await;
        let answer = format!("HTTP/1.1 103 E\r\nX-Long: {}\r\n\r\n", "a".repeat(4000));
        flood(&mut stream, answer.repeat(10).as_bytes()).await;
    })
    .await;
    let hosts = [&short, &long].map(|server| server.address.to_string());
    let client = pki.client(&json!({}), &[], &[&hosts[0], &hosts[1]]);
    let images = hosts.map(|host| format!("{host}/a:1"));
    // A busy machine needs so much time for these that they stay below the limit, and the check times out.
    let checked = check("flood of short interim answers", &client, &images[0]).await;
    let ends = [CheckResult::Unavailable, CheckResult::TimedOut];
    assert!(ends.contains(&checked.result), "{checked:?}");

    // A task that is always ready.
    let turns = Arc::new(AtomicUsize::new(0));
    let counted = turns.clone();
    let others = tokio::spawn(poll_fn(move |context| {
        counted.fetch_add(1, Ordering::Relaxed);
        context.waker().wake_by_ref();
        Poll::<()>::Pending
    }));
    let result = (CheckResult::Unavailable, "it sends too much data");
    expect("flood of long interim answers", &client, &images[1], result).await;
    others.abort();
    let turns = turns.load(Ordering::Relaxed);
    // A connection may send 2 MiB at once. After each 32 KiB of them, others have their turn.
    assert!(turns >= 60, "{turns}");
}

#[tokio::test]
async fn everything_that_is_read_has_a_limit() {
    let pki = Pki::new();
    let long_header = RawServer::start(async |mut stream: TcpStream| {
        request(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nX-Long: ").await;
        flood(&mut stream, &[b'a'; 4096]).await;
    })
    .await;
    let many_headers = RawServer::start(async |mut stream: TcpStream| {
        request(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
        let _ = stream.write_all(&b"A: b\r\n".repeat(1000)).await;
        let _ = stream.write_all(b"\r\n").await;
        silence(stream).await;
    })
    .await;
    let endless_body = RawServer::start(async |mut stream: TcpStream| {
        while let Some(is_head) = request(&mut stream).await {
            let head = b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n";
            let _ = stream.write_all(head).await;
            if !is_head {
                let chunk = format!("1000\r\n{}\r\n", "a".repeat(0x1000));
                flood(&mut stream, chunk.as_bytes()).await;
            }
        }
    })
    .await;
    let garbage = RawServer::start(async |mut stream: TcpStream| {
        request(&mut stream).await;
        let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n\r\n").await;
        silence(stream).await;
    })
    .await;
    for (case, server, detail) in [
        ("endless header", &long_header, "message head is too large"),
        ("too many headers", &many_headers, ""),
        ("endless body", &endless_body, "larger than 65536 bytes"),
        ("not HTTP", &garbage, ""),
    ] {
        let host = server.address.to_string();
        let client = pki.client(&json!({}), &[], &[&host]);
        expect(case, &client, &format!("{host}/a:1"), (CheckResult::Invalid, detail)).await;
    }
}

#[tokio::test]
async fn without_a_connection_a_registry_is_unreachable() {
    let pki = Pki::new();
    let server = Server::start(&pki, |_| answer(200, &[], "")).await;
    let image = format!("{}/a:1", server.registry());
    let stranger = Pki::of("another CA").anonymous();
    let detail = "add the CA of the registry to IMAGESWAP_REGISTRY_CA_FILE";
    expect("TLS of another CA", &stranger, &image, (CheckResult::Unreachable, detail)).await;
    assert!(server.seen().is_empty());
    let closing = RawServer::start(async |mut stream: TcpStream| {
        request(&mut stream).await;
    })
    .await;
    let host = closing.address.to_string();
    let client = pki.client(&json!({}), &[], &[&host]);
    let unreachable = (CheckResult::Unreachable, "");
    expect("connection closed", &client, &format!("{host}/a:1"), unreachable).await;
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    expect("nobody listens", &client, &format!("{nobody}/a:1"), unreachable).await;
    expect("port over 65535", &client, "h.io:99999/a:1", (CheckResult::Invalid, "host:port")).await;
}

#[tokio::test]
async fn a_request_is_sent_again_if_a_kept_connection_breaks() {
    let pki = Pki::new();
    let requests = Arc::new(AtomicUsize::new(0));
    let count = requests.clone();
    // Each connection answers one request, and is closed when the next one arrives.
    let server = RawServer::start(move |mut stream: TcpStream| {
        let count = count.clone();
        async move {
            request(&mut stream).await;
            count.fetch_add(1, Ordering::Relaxed);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
            if request(&mut stream).await.is_some() {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    })
    .await;
    let (host, present) = (server.address.to_string(), (CheckResult::Present, ""));
    let (client, image) = (pki.client(&json!({}), &[], &[&host]), format!("{host}/a:1"));
    expect("kept connection", &client, &image, present).await;
    // The tasks of the client put the connection where the next request finds it.
    for _ in 0..100 {
        yield_now().await;
    }
    expect("kept connection breaks", &client, &image, present).await;
    assert_eq!(requests.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_unreachable() {
    let client = Pki::new().anonymous();
    let checked = check("unknown name", &client, "registry.invalid/a:1").await;
    // Without a network, a resolver may wait for its servers.
    let expected = [CheckResult::Unreachable, CheckResult::TimedOut];
    assert!(expected.contains(&checked.result), "{checked:?}");
}
