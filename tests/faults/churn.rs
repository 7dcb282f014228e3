//! Many connections, opened and closed in all ways: the process releases all of them.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Instant,
};

use hyper::Method;
use support::{
    body::Pieces, client::Client, program::Program, reviews::fixture, server::metric,
    tls::PROTOCOLS, wait::eventually,
};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpSocket, TcpStream},
    task::JoinSet,
};

use crate::{
    alone,
    process::Usage,
    report, scaled,
    traffic::{SAMPLE_IMAGE, Traffic},
};

/// Number of connections from one address. Each takes one of its 28,000 ports for a minute.
const CONNECTIONS_OF_AN_ADDRESS: usize = 10_000;

/// Number of connections that are opened at once.
const AT_ONCE: usize = 32;

/// Maximum growth of memory from the first tenth of the connections to the end, in KiB: less than 4 KiB for each
/// connection of the ordinary test, and what an allocator keeps.
const GROWTH: u64 = 16 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closed_connections_release_memory_and_files() {
    let _alone = alone().await;
    let total = scaled(5_000, 100_000);
    let program = Program::start(&["--dev"]);
    let traffic = Traffic::start(program.address, SAMPLE_IMAGE);
    let begun = Instant::now();
    open_and_close(program.address, 0..total / 10).await;
    let first = at_rest(&program).await;
    open_and_close(program.address, total / 10..total).await;
    let took = begun.elapsed();
    let seen = traffic.finish().await;
    seen.assert_complete();
    let last = at_rest(&program).await;
    assert!(last.resident < first.resident + GROWTH, "{first}, then {last}");
    assert!(last.open_files <= first.open_files, "{first}, then {last}");
    last.assert_peak_below(256);
    report(
        "closed_connections_release_memory_and_files",
        format!(
            "{total} connections in {took:.0?}: {first} after a tenth of them, {last} after all; \
             beside them {seen}"
        ),
    );
}

/// Returns the usage of the process when only the traffic is left.
async fn at_rest(program: &Program) -> Usage {
    eventually("the connections are closed", async || {
        let connections = metric(program.admin_address, "imageswap_connections").await;
        // The connections of the traffic, with old ones that are about to close, and that of the metrics.
        (connections.unwrap() < 20.0).then_some(())
    })
    .await;
    eventually("the files are closed", async || {
        let usage = Usage::of(program);
        (usage.open_files < 50).then_some(usage)
    })
    .await
}

async fn open_and_close(address: SocketAddr, numbers: std::ops::Range<usize>) {
    let mut running = JoinSet::new();
    for number in numbers {
        if running.len() >= AT_ONCE {
            running.join_next().await.unwrap().unwrap();
        }
        running.spawn(open_and_close_one(address, number));
    }
    while let Some(ended) = running.join_next().await {
        ended.unwrap();
    }
}

/// Opens a connection and closes it in one of several ways.
async fn open_and_close_one(address: SocketAddr, number: usize) {
    let mut stream = connect(address, number).await;
    match number % 10 {
        // A reset, immediately or in the handshake.
        0 | 1 => stream.set_zero_linger().unwrap(),
        2 => {
            stream.write_all(b"\x16\x03\x01").await.unwrap();
            stream.set_zero_linger().unwrap();
        }
        // Bytes that are not TLS.
        3 => stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap(),
        // A close without a message.
        4..=7 => stream.shutdown().await.unwrap(),
        // A request, over HTTP/1.1 or HTTP/2.
        way => {
            let mut client = Client::over(stream, PROTOCOLS[way - 8]).await.unwrap();
            let answer = if number % 20 < 10 {
                client.post(fixture("00-create-pod")).await.unwrap()
            } else {
                client.send(Method::GET, "/livez", None, Pieces::default()).await.unwrap()
            };
            assert_eq!(answer.status, 200);
        }
    }
}

async fn connect(address: SocketAddr, number: usize) -> TcpStream {
    let host = u8::try_from(10 + number / CONNECTIONS_OF_AN_ADDRESS).unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, host)), 0)).unwrap();
    socket.connect(address).await.unwrap()
}
