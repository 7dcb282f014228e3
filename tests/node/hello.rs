//! The first messages of the API server on its connections to the webhook, as the network of the node sees them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    os::fd::AsFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use rustix::{
    net::{
        AddressFamily, RecvFlags, SocketFlags, SocketType, eth, recv, socket_with,
        sockopt::{Timeout, set_socket_timeout},
    },
    thread::{LinkNameSpaceType, move_into_link_name_space},
};
use tokio_rustls::rustls::server::Acceptor;

/// The network namespace of the node.
const NETWORK: &str = "/run/netns/node";

/// The port of the webhook in its pods.
const PORT: u16 = 5000;

/// Maximum size of a packet. The interfaces of the node pass large ones on in one piece.
const MAX_PACKET_BYTES: usize = 65_536;

/// Interval at which the capture checks whether it has to end.
const INTERVAL: Duration = Duration::from_millis(100);

/// The server name (SNI) and the protocols (ALPN) of a `ClientHello`.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Hello {
    pub(crate) server_name: Option<String>,
    pub(crate) protocols: Vec<String>,
}

/// A capture of the packets to the webhook.
pub(crate) struct Capture {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Streams>,
}

/// The data of each connection, by the port of the client: the segments by their sequence numbers. An interface and the
/// bridge behind it see the same segment.
type Streams = BTreeMap<[u8; 2], BTreeMap<u32, Vec<u8>>>;

impl Capture {
    /// Starts to capture.
    pub(crate) fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        // Only the thread of the capture enters the network of the node.
        let thread = thread::spawn(move || captured(&stopped));
        Self { stop, thread }
    }

    /// Stops the capture. Returns the number of connections, and their different first messages.
    pub(crate) fn end(self) -> (usize, BTreeSet<Hello>) {
        self.stop.store(true, Ordering::SeqCst);
        let streams = self.thread.join().unwrap();
        let hellos: Vec<_> = streams.values().filter_map(hello).collect();
        (hellos.len(), hellos.into_iter().collect())
    }
}

fn captured(stopped: &AtomicBool) -> Streams {
    let network = File::open(NETWORK).unwrap();
    move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
    // Of this type, the packets begin with the header of IP.
    let (family, kind) = (AddressFamily::PACKET, SocketType::DGRAM);
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC, Some(eth::ALL)).unwrap();
    set_socket_timeout(&socket, Timeout::Recv, Some(INTERVAL)).unwrap();
    let mut streams = Streams::new();
    let mut packet = vec![0; MAX_PACKET_BYTES];
    while !stopped.load(Ordering::SeqCst) {
        // Without a packet within the interval, it fails.
        let Ok((length, _)) = recv(&socket, &mut packet[..], RecvFlags::empty()) else { continue };
        if let Some((client, sequence, data)) = segment(&packet[..length]) {
            streams.entry(client).or_default().insert(sequence, data.to_owned());
        }
    }
    streams
}

/// Returns the port of the client, the sequence number and the data of a segment of TCP to the webhook.
fn segment(packet: &[u8]) -> Option<([u8; 2], u32, &[u8])> {
    const TCP: u8 = 6;
    if packet.first()? >> 4 != 4 || *packet.get(9)? != TCP {
        return None;
    }
    // Both headers give their length in words of four bytes. The packet may be padded.
    let length = u16::from_be_bytes(*packet.get(2..)?.first_chunk()?);
    let tcp = packet.get(usize::from(packet[0] & 0xf) * 4..usize::from(length))?;
    let (client, rest) = tcp.split_first_chunk()?;
    let (server, rest) = rest.split_first_chunk()?;
    let (sequence, _) = rest.split_first_chunk()?;
    let data = tcp.get(usize::from(tcp.get(12)? >> 4) * 4..)?;
    let is_data = u16::from_be_bytes(*server) == PORT && !data.is_empty();
    is_data.then(|| (*client, u32::from_be_bytes(*sequence), data))
}

/// Returns the first message of a connection; `None` if the capture has missed it.
fn hello(segments: &BTreeMap<u32, Vec<u8>>) -> Option<Hello> {
    let data: Vec<u8> = segments.values().flatten().copied().collect();
    let mut acceptor = Acceptor::default();
    let mut rest = &*data;
    while !rest.is_empty() {
        acceptor.read_tls(&mut rest).ok()?;
        if let Some(accepted) = acceptor.accept().ok()? {
            let hello = accepted.client_hello();
            let protocols = hello.alpn().into_iter().flatten();
            return Some(Hello {
                server_name: hello.server_name().map(ToOwned::to_owned),
                protocols: protocols
                    .map(|name| String::from_utf8_lossy(name).into_owned())
                    .collect(),
            });
        }
    }
    None
}
