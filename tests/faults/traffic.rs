//! Ordinary traffic during a fault: every request is accounted for.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use support::{
    client::{Client, NoAnswer, first_image},
    reviews::fixture,
    tls::{PROTOCOLS, Protocol},
    wait::eventually,
};
use tokio::{net::TcpSocket, task::JoinHandle};

/// Number of clients of each protocol.
const CLIENTS_OF_A_PROTOCOL: usize = 3;

/// Number of all clients. Each has at most one request in flight.
pub(crate) const CLIENTS: usize = CLIENTS_OF_A_PROTOCOL * PROTOCOLS.len();

/// Number of requests on a connection before the client opens a new one.
const REQUESTS_OF_A_CONNECTION: usize = 50;

/// Pause of a client between two requests, so that the clients leave processor time for the fault and the server.
const PACE: Duration = Duration::from_millis(3);

/// Source address of the clients. It differs from that of the server, so that no client gets the port of the server
/// while the server is down, not even by a connection to itself.
const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// The image that replaces the first image with the sample map of `serve --dev`.
pub(crate) const SAMPLE_IMAGE: &str = "registry.example.com/official/busybox:1.36";

/// Clients that post reviews until they are stopped.
pub(crate) struct Traffic {
    tally: Arc<Tally>,
    clients: Vec<JoinHandle<()>>,
}

/// The results of the requests.
#[derive(Default)]
pub(crate) struct Report {
    /// Duration of each answered request, ascending.
    pub(crate) latencies: Vec<Duration>,
    /// Requests that were sent and got no answer, or a wrong one.
    pub(crate) lost: Vec<String>,
    /// Connections that failed.
    pub(crate) unreachable: usize,
}

struct Tally {
    is_expected: Box<dyn Fn(&str) -> bool + Send + Sync>,
    report: Mutex<Report>,
    answered: AtomicUsize,
    stop: AtomicBool,
}

impl Traffic {
    /// Starts the clients. The first image of each answer must be `image`.
    pub(crate) fn start(address: SocketAddr, image: &'static str) -> Self {
        Self::checked(address, move |answer| answer == image)
    }

    /// Starts the clients. `is_expected` checks the first image of each answer.
    pub(crate) fn checked(
        address: SocketAddr,
        is_expected: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Self {
        let tally = Arc::new(Tally {
            is_expected: Box::new(is_expected),
            report: Mutex::default(),
            answered: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
        });
        let clients = PROTOCOLS
            .into_iter()
            .flat_map(|protocol| std::iter::repeat_n(protocol, CLIENTS_OF_A_PROTOCOL))
            .map(|protocol| tokio::spawn(ask(address, protocol, tally.clone())))
            .collect();
        Self { tally, clients }
    }

    /// Waits until so many more requests were answered.
    pub(crate) async fn await_answers(&self, requests: usize) {
        let wanted = self.tally.answered.load(Ordering::Relaxed) + requests;
        eventually("answers", async || {
            (self.tally.answered.load(Ordering::Relaxed) >= wanted).then_some(())
        })
        .await;
    }

    /// Takes the results so far. The traffic continues.
    pub(crate) fn take(&self) -> Report {
        let mut report = std::mem::take(&mut *self.tally.report.lock().unwrap());
        report.latencies.sort_unstable();
        report
    }

    /// Stops the traffic after the requests in flight.
    pub(crate) async fn finish(self) -> Report {
        self.tally.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.await.unwrap();
        }
        let mut report = std::mem::take(&mut *self.tally.report.lock().unwrap());
        report.latencies.sort_unstable();
        report
    }
}

impl Report {
    /// Returns the number of answered requests.
    pub(crate) fn answered(&self) -> usize {
        self.latencies.len()
    }

    /// Returns the time within which 99 of 100 requests were answered.
    pub(crate) fn p99(&self) -> Duration {
        let place = (self.latencies.len() * 99).div_ceil(100);
        self.latencies[place.saturating_sub(1)]
    }

    /// Checks that every connection and every request succeeded.
    #[track_caller]
    pub(crate) fn assert_complete(&self) {
        assert!(self.lost.is_empty(), "{} lost: {:?}", self.lost.len(), self.lost);
        assert_eq!(self.unreachable, 0, "connections that could not be made");
        assert!(self.answered() > 0, "nothing was asked");
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (answered, lost, p99) = (self.answered(), self.lost.len(), self.p99());
        write!(formatter, "{answered} requests answered, {lost} lost, p99 {p99:.1?}")
    }
}

/// Posts reviews until the stop, on a new connection from time to time.
async fn ask(address: SocketAddr, protocol: Protocol, tally: Arc<Tally>) {
    let review = fixture("00-create-pod");
    while !tally.stop.load(Ordering::Relaxed) {
        let Ok(mut client) = connect(address, protocol).await else {
            tally.report.lock().unwrap().unreachable += 1;
            tokio::time::sleep(PACE).await;
            continue;
        };
        for _ in 0..REQUESTS_OF_A_CONNECTION {
            if tally.stop.load(Ordering::Relaxed) {
                break;
            }
            let begun = Instant::now();
            let answer = client.post(review.clone()).await;
            let elapsed = begun.elapsed();
            match answer {
                Ok(answer)
                    if answer.status == 200 && (tally.is_expected)(&first_image(&answer)) =>
                {
                    tally.report.lock().unwrap().latencies.push(elapsed);
                    tally.answered.fetch_add(1, Ordering::Relaxed);
                }
                Ok(answer) => tally.report.lock().unwrap().lost.push(format!("{answer:?}")),
                Err(NoAnswer::NotSent(_) | NoAnswer::GivenUp) => break,
                Err(NoAnswer::Lost(error)) => {
                    tally.report.lock().unwrap().lost.push(error);
                    break;
                }
            }
            tokio::time::sleep(PACE).await;
        }
    }
}

async fn connect(address: SocketAddr, protocol: Protocol) -> Result<Client, NoAnswer> {
    let not_sent = |error: std::io::Error| NoAnswer::NotSent(error.to_string());
    let socket = TcpSocket::new_v4().map_err(not_sent)?;
    socket.bind(SocketAddr::new(SOURCE, 0)).map_err(not_sent)?;
    let stream = socket.connect(address).await.map_err(not_sent)?;
    Client::over(stream, protocol).await
}
