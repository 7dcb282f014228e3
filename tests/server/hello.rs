//! The first message of a TLS client, byte by byte, to offer parameters that no current client library offers.

use std::{net::SocketAddr, ops::RangeInclusive};

use support::wait::DEADLINE;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

pub(crate) const TLS_1_0: u16 = 0x0301;
pub(crate) const TLS_1_1: u16 = 0x0302;
pub(crate) const TLS_1_2: u16 = 0x0303;
pub(crate) const TLS_1_3: u16 = 0x0304;

/// The end of the random bytes of a server that supports TLS 1.3 and has negotiated TLS 1.2. A client detects a
/// downgrade attack by it (RFC 8446, section 4.1.3).
pub(crate) const DOWNGRADE: &[u8] = b"DOWNGRD\x01";

/// The curves P-256, P-384 and X25519.
const GROUPS: [u16; 3] = [23, 24, 29];

/// The signature schemes of ECDSA, RSA and Ed25519, with all hashes from SHA-1 on.
const SIGNATURES: [u16; 13] = [
    0x0203, 0x0403, 0x0503, 0x0603, 0x0201, 0x0401, 0x0501, 0x0601, 0x0804, 0x0805, 0x0806, 0x0807,
    0x0202,
];

/// The offer of a client.
#[derive(Clone, Debug)]
pub(crate) struct Hello {
    /// The version in the field that all versions have.
    pub(crate) version: u16,
    /// The versions in the extension of TLS 1.3; empty for an older client.
    pub(crate) versions: Vec<u16>,
    pub(crate) suites: Vec<u16>,
    pub(crate) compressions: Vec<u8>,
    pub(crate) groups: Vec<u16>,
    pub(crate) protocols: Vec<&'static str>,
}

impl Hello {
    /// Returns the offer of a client of TLS 1.2.
    pub(crate) fn tls12(suites: &[u16]) -> Self {
        Self {
            version: TLS_1_2,
            versions: Vec::new(),
            suites: suites.to_vec(),
            compressions: vec![0],
            groups: GROUPS.to_vec(),
            protocols: Vec::new(),
        }
    }

    /// Returns the offer of a client that supports only TLS 1.3.
    pub(crate) fn tls13(suites: &[u16]) -> Self {
        Self { versions: vec![TLS_1_3], ..Self::tls12(suites) }
    }

    /// Returns the handshake message.
    pub(crate) fn message(&self) -> Vec<u8> {
        let mut body = self.version.to_be_bytes().to_vec();
        body.extend([7; 32]);
        // No session.
        body.push(0);
        body.extend(sized_16(&list(&self.suites)));
        body.extend(sized_8(&self.compressions));
        body.extend(sized_16(&self.extensions()));
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        [&[1], &length[1..], &body].concat()
    }

    fn extensions(&self) -> Vec<u8> {
        // A key of X25519: almost all byte strings are valid.
        let share = [&[0, 29][..], &sized_16(&[9; 32])].concat();
        let protocols: Vec<_> =
            self.protocols.iter().flat_map(|protocol| sized_8(protocol.as_bytes())).collect();
        let mut extensions = vec![
            (10, sized_16(&list(&self.groups))),
            (11, sized_8(&[0])),
            (13, sized_16(&list(&SIGNATURES))),
            // Secure renegotiation (RFC 5746).
            (0xff01, sized_8(&[])),
        ];
        if !self.protocols.is_empty() {
            extensions.push((16, sized_16(&protocols)));
        }
        if !self.versions.is_empty() {
            extensions.push((43, sized_8(&list(&self.versions))));
            extensions.push((51, sized_16(&share)));
        }
        let extensions = extensions.into_iter().flat_map(|(kind, content): (u16, _)| {
            [kind.to_be_bytes().to_vec(), sized_16(&content)].concat()
        });
        extensions.collect()
    }

    /// Sends the message to a server and reads the reply.
    pub(crate) async fn send(&self, address: SocketAddr) -> Reply {
        let message = self.message();
        send(address, &[&[22, 3, 1][..], &sized_16(&message)].concat()).await
    }
}

/// The reply of a server to the first message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Reply {
    /// The server continues the handshake.
    Agreed(Agreed),
    /// The server refuses the handshake with an alert.
    Refused(Alert),
    /// The server closes the connection without an alert.
    Closed,
}

/// An alert, by its number (RFC 8446, section 6).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Alert(pub(crate) u8);

pub(crate) const HANDSHAKE_FAILURE: Alert = Alert(40);
pub(crate) const ILLEGAL_PARAMETER: Alert = Alert(47);
pub(crate) const PROTOCOL_VERSION: Alert = Alert(70);
pub(crate) const NO_APPLICATION_PROTOCOL: Alert = Alert(120);

/// The choices of a server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Agreed {
    pub(crate) version: u16,
    pub(crate) suite: u16,
    pub(crate) compression: u8,
    pub(crate) random: Vec<u8>,
    /// The extensions, by kind.
    pub(crate) extensions: Vec<(u16, Vec<u8>)>,
}

impl Agreed {
    pub(crate) fn extension(&self, kind: u16) -> Option<&[u8]> {
        let extension = self.extensions.iter().find(|(found, _)| *found == kind)?;
        Some(&extension.1)
    }

    /// Returns the application protocol.
    pub(crate) fn protocol(&self) -> Option<String> {
        Some(String::from_utf8(self.extension(16)?[3..].to_vec()).unwrap())
    }
}

/// Sends bytes to a server and reads its first record.
pub(crate) async fn send(address: SocketAddr, bytes: &[u8]) -> Reply {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut head = [0; 5];
        if stream.read_exact(&mut head).await.is_err() {
            return Reply::Closed;
        }
        let mut record = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
        stream.read_exact(&mut record).await.unwrap();
        match head[0] {
            21 => Reply::Refused(Alert(record[1])),
            22 => Reply::Agreed(agreed(&record)),
            other => panic!("a record of the type {other}"),
        }
    };
    timeout(DEADLINE, exchange).await.unwrap()
}

/// Parses the first message of a server.
fn agreed(message: &[u8]) -> Agreed {
    assert_eq!(message[0], 2, "{message:?}");
    let number = |at: usize| u16::from_be_bytes([message[at], message[at + 1]]);
    let random = message[6..38].to_vec();
    let at = 39 + usize::from(message[38]);
    let (suite, compression) = (number(at), message[at + 2]);
    let end = at + 5 + usize::from(number(at + 3));
    let mut extensions = Vec::new();
    let mut at = at + 5;
    while at < end {
        let (kind, length) = (number(at), usize::from(number(at + 2)));
        extensions.push((kind, message[at + 4..][..length].to_vec()));
        at += 4 + length;
    }
    let chosen = extensions.iter().find(|(kind, _)| *kind == 43);
    let version =
        chosen.map_or(number(4), |(_, chosen)| u16::from_be_bytes([chosen[0], chosen[1]]));
    Agreed { version, suite, compression, random, extensions }
}

/// Returns the numbers of a range that a server chooses: offers all of them again and again, without those chosen
/// before.
pub(crate) async fn chosen_of(
    range: RangeInclusive<u16>,
    hello: impl Fn(&[u16]) -> Hello,
    address: SocketAddr,
) -> Vec<u16> {
    /// As many as fit into one record with the rest of the message.
    const AT_ONCE: usize = 8000;

    let mut chosen = Vec::new();
    for offered in range.collect::<Vec<_>>().chunks(AT_ONCE) {
        let mut offered = offered.to_vec();
        loop {
            match hello(&offered).send(address).await {
                Reply::Agreed(Agreed { suite, .. }) => {
                    assert!(offered.contains(&suite), "{suite:#06x}");
                    offered.retain(|other| *other != suite);
                    chosen.push(suite);
                }
                reply => {
                    assert_eq!(reply, Reply::Refused(HANDSHAKE_FAILURE));
                    break;
                }
            }
        }
    }
    chosen.sort_unstable();
    chosen
}

fn list(numbers: &[u16]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}

/// Returns bytes with their number before them, in one byte.
fn sized_8(bytes: &[u8]) -> Vec<u8> {
    [&[u8::try_from(bytes.len()).unwrap()], bytes].concat()
}

/// Returns bytes with their number before them, in two bytes.
fn sized_16(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}
