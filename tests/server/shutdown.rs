//! Shutdown: SIGTERM under load loses no request.

use std::{
    net::SocketAddr,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use imageswap::{
    sources::{Loaded, Source, Timing, keep_fresh},
    state::{Live, LoadError, Subject},
};
use support::{
    client::{Client, NoAnswer, admin_get, stalled_requests},
    program::Program,
    reviews::fixture,
    server::await_ready,
    tls::{PROTOCOLS, Protocol},
    wait::{DEADLINE, eventually},
};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// Number of clients of each protocol that post without pause.
const CLIENTS: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_under_load_loses_no_request() {
    let mut program = Program::start(&["--dev", "--shutdown-delay", "3s"]);
    let answered = Arc::new(AtomicUsize::new(0));
    let gone = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = PROTOCOLS
        .into_iter()
        .flat_map(|protocol| std::iter::repeat_n(protocol, CLIENTS))
        .map(|protocol| {
            let (answered, gone) = (answered.clone(), gone.clone());
            tokio::spawn(ask_until_gone(program.address, protocol, answered, gone))
        })
        .collect();
    eventually("load", async || (answered.load(Ordering::Relaxed) > 500).then_some(())).await;
    program.terminate();
    // A load balancer learns of the shutdown at once. The kubelet does not, because the process can still serve.
    let mut balancer = Client::connect(program.address, Protocol::Http2).await.unwrap();
    let body = eventually("not ready", async || {
        let answer = balancer.get("/readyz").await;
        (answer.status == 503).then_some(answer.body)
    })
    .await;
    assert!(body.contains("shutting down"), "{body}");
    assert_eq!(admin_get(program.admin_address, "/readyz").await.status, 200);
    let before = answered.load(Ordering::Relaxed);
    eventually("still answering while not ready", async || {
        (answered.load(Ordering::Relaxed) > before + 20).then_some(())
    })
    .await;
    for client in clients {
        let lost = client.await.unwrap();
        assert!(lost.is_empty(), "{lost:?}");
    }
    let status = program.child.wait().unwrap();
    assert_eq!(status.code(), Some(0));
    program.await_log("imageswap stopped").await;
}

/// As the kubelet, which probes until it has seen the process end. That takes it about a second.
#[tokio::test]
async fn no_readiness_probe_fails_before_the_end_is_noticed() {
    /// Less than the delay, so that there is a probe within it even if the first one comes before the signal.
    const PERIOD: Duration = Duration::from_secs(4);
    let mut program = Program::start(&["--dev", "--shutdown-delay", "5s"]);
    await_ready(program.admin_address).await;
    program.terminate();
    let mut probes = tokio::time::interval(PERIOD);
    let begun = Instant::now();
    let mut last = begun;
    let status = loop {
        assert!(begun.elapsed() < DEADLINE, "the process has not ended within {DEADLINE:?}");
        tokio::select! {
            _ = probes.tick() => {
                assert_eq!(admin_get(program.admin_address, "/readyz").await.status, 200);
                last = Instant::now();
            }
            () = tokio::time::sleep(Duration::from_millis(10)) => {}
        }
        if let Some(status) = program.child.try_wait().unwrap() {
            break status;
        }
    };
    assert_eq!(status.code(), Some(0));
    assert!(last.elapsed() < PERIOD / 2, "the next probe is close: {:?}", last.elapsed());
}

#[tokio::test]
async fn the_kubelet_is_not_told_of_the_shutdown() {
    let mut program = Program::start(&["--dev"]);
    let admin = program.admin_address;
    await_ready(admin).await;
    // A body that does not end keeps the process.
    let stalled = stalled_requests(program.address, "{", 1).await;
    program.terminate();
    eventually("a closed port", async || {
        Client::connect(program.address, Protocol::Http2).await.is_err().then_some(())
    })
    .await;
    for path in ["/readyz", "/livez"] {
        assert_eq!(admin_get(admin, path).await.status, 200, "{path}");
    }
    drop(stalled);
    assert_eq!(program.child.wait().unwrap().code(), Some(0));
}

/// Posts reviews until the server is gone, on a new connection whenever the old one was closed. Returns the
/// requests that were sent but not answered.
async fn ask_until_gone(
    address: SocketAddr,
    protocol: Protocol,
    answered: Arc<AtomicUsize>,
    gone: Arc<AtomicBool>,
) -> Vec<String> {
    let review = fixture("00-create-pod");
    let mut lost = Vec::new();
    while !gone.load(Ordering::Relaxed) {
        let Ok(mut client) = Client::connect(address, protocol).await else {
            // The port is closed, or was closed during the handshake, so nothing was sent.
            gone.store(true, Ordering::Relaxed);
            break;
        };
        loop {
            match client.post(review.clone()).await {
                Ok(answer) if answer.status == 200 => {
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                Ok(answer) => lost.push(format!("{answer:?}")),
                Err(NoAnswer::NotSent(_) | NoAnswer::GivenUp) => break,
                Err(NoAnswer::Lost(error)) => {
                    lost.push(error);
                    break;
                }
            }
        }
    }
    lost
}

#[tokio::test]
async fn a_second_signal_ends_the_process_at_once() {
    let mut program = Program::start(&["--dev", "--shutdown-delay", "60m"]);
    program.terminate();
    program.await_log("shutting down").await;
    program.terminate();
    let status = program.child.wait().unwrap();
    assert_eq!(status.code(), Some(1));
    program.await_log("imageswap stopped by an error").await;
}

#[tokio::test]
async fn sigint_ends_the_process() {
    let mut program = Program::start(&["--dev"]);
    let id = program.child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    assert_eq!(program.child.wait().unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_in_the_listen_queue_are_served_before_exit() {
    // More than the 128 that Tokio accepts without a pause.
    const QUEUED: usize = 140;
    let mut program = Program::start(&["--dev"]);
    await_ready(program.admin_address).await;
    let signal = |name: &str| {
        let id = program.child.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    };
    signal("-STOP");
    let mut streams = Vec::new();
    for _ in 0..QUEUED {
        streams.push(TcpStream::connect(program.address).await.unwrap());
    }
    signal("-TERM");
    let clients: Vec<_> = streams
        .into_iter()
        .map(|stream| {
            tokio::spawn(async move {
                let mut client = Client::over(stream, Protocol::Http1).await.unwrap();
                client.post(fixture("00-create-pod")).await.unwrap().status
            })
        })
        .collect();
    signal("-CONT");
    for client in clients {
        assert_eq!(client.await.unwrap(), 200);
    }
    assert_eq!(program.child.wait().unwrap().code(), Some(0));
}

#[tokio::test]
async fn a_reload_that_hangs_does_not_block_shutdown() {
    struct Hanging(std::path::PathBuf, std::sync::mpsc::Receiver<()>);

    impl Source for Hanging {
        type Value = ();

        fn directory(&self) -> &std::path::Path {
            &self.0
        }

        fn load(&mut self, _live: &Live<()>) -> Result<Loaded<()>, LoadError> {
            let _ = self.1.recv();
            Ok(Loaded::Unchanged)
        }
    }

    let (release, hang) = std::sync::mpsc::channel();
    let directory = tempfile::tempdir().unwrap();
    let stop = CancellationToken::new();
    let live = Arc::new(Live::new(Subject::Map, Arc::default()));
    let source = Hanging(directory.path().to_owned(), hang);
    let task = tokio::spawn(keep_fresh(source, live, Timing::default(), stop.clone()));
    stop.cancel();
    tokio::time::timeout(DEADLINE, task).await.unwrap().unwrap();
    drop(release);
}
