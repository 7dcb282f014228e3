//! HTTP/2 frame by frame (RFC 9113), for requests that no client library sends.

use std::{io, net::SocketAddr};

use support::{
    tls::{Protocol, tls},
    wait::DEADLINE,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::client::TlsStream;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

/// The ACK flag of SETTINGS and PING frames.
const ACK: u8 = 1;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// The setting for the initial window of the streams on which the server sends.
pub(crate) const INITIAL_WINDOW_SIZE: u16 = 4;

/// The payload of the PING of a round trip.
const ROUND_TRIP: [u8; 8] = *b"faults:1";

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame from the server.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// Returns the error code of a GOAWAY frame.
    pub(crate) fn error_code(&self) -> u32 {
        u32::from_be_bytes(self.payload[4..8].try_into().unwrap())
    }

    /// Returns the last stream of a GOAWAY frame that may still be answered.
    pub(crate) fn last_stream(&self) -> u32 {
        u32::from_be_bytes(self.payload[..4].try_into().unwrap())
    }

    /// Returns true if a HEADERS frame begins an answer with the status 200, as all encoders write it: number 8 of the
    /// static table (RFC 7541).
    pub(crate) fn is_status_200(&self) -> bool {
        self.kind == HEADERS && self.payload.first() == Some(&0x88)
    }
}

/// A connection over HTTP/2.
pub(crate) struct Http2 {
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
}

pub(crate) struct Reader(ReadHalf<TlsStream<TcpStream>>);

pub(crate) struct Writer(WriteHalf<TlsStream<TcpStream>>);

impl Http2 {
    /// Connects with the default settings.
    pub(crate) async fn open(address: SocketAddr) -> Self {
        Self::open_with(address, &[]).await
    }

    /// Connects with these settings.
    pub(crate) async fn open_with(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let (reader, writer) = tokio::io::split(tls(address, Protocol::Http2).await.unwrap());
        let mut peer = Self { reader: Reader(reader), writer: Writer(writer) };
        let mut payload = Vec::new();
        for (name, value) in settings {
            payload.extend(name.to_be_bytes());
            payload.extend(value.to_be_bytes());
        }
        let mut opening = PREFACE.to_vec();
        append(&mut opening, SETTINGS, 0, 0, &payload);
        peer.writer.write(&opening).await.unwrap();
        peer
    }

    pub(crate) async fn send(
        &mut self,
        kind: u8,
        flags: u8,
        stream: u32,
        payload: &[u8],
    ) -> io::Result<()> {
        let mut frame = Vec::new();
        append(&mut frame, kind, flags, stream, payload);
        self.writer.write(&frame).await
    }

    pub(crate) async fn next(&mut self) -> Option<Frame> {
        self.reader.next().await
    }

    /// Returns the next frame of a kind; `None` if the connection is closed before.
    pub(crate) async fn next_of(&mut self, kind: u8) -> Option<Frame> {
        loop {
            let frame = self.next().await?;
            if frame.kind == kind {
                return Some(frame);
            }
        }
    }

    /// Waits until the server has read everything sent so far; `None` if the connection is closed.
    pub(crate) async fn round_trip(&mut self) -> Option<()> {
        self.send(PING, 0, 0, &ROUND_TRIP).await.ok()?;
        loop {
            let frame = self.next().await?;
            if frame.is_end_of_round_trip() {
                return Some(());
            }
        }
    }
}

impl Frame {
    /// Returns true if the server has read everything up to [`Writer::ask`].
    pub(crate) fn is_end_of_round_trip(&self) -> bool {
        self.kind == PING && self.flags & ACK != 0 && self.payload == ROUND_TRIP
    }
}

impl Reader {
    /// Returns the next frame; `None` if the connection is closed.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        timeout(DEADLINE, self.0.read_exact(&mut head)).await.unwrap().ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length.try_into().unwrap()];
        timeout(DEADLINE, self.0.read_exact(&mut payload)).await.unwrap().ok()?;
        let stream = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }
}

impl Writer {
    /// Sends encoded frames.
    pub(crate) async fn write(&mut self, frames: &[u8]) -> io::Result<()> {
        let written = async {
            self.0.write_all(frames).await?;
            self.0.flush().await
        };
        timeout(DEADLINE, written).await.unwrap()
    }

    /// Sends a PING. Its answer shows that the server has read everything before.
    pub(crate) async fn ask(&mut self) -> io::Result<()> {
        let mut frame = Vec::new();
        append(&mut frame, PING, 0, 0, &ROUND_TRIP);
        self.write(&frame).await
    }
}

/// Appends a frame.
pub(crate) fn append(to: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    to.extend(&length[1..]);
    to.extend([kind, flags]);
    to.extend(stream.to_be_bytes());
    to.extend(payload);
}

/// Returns the headers of a request without compression: each is a literal without indexing.
pub(crate) fn header_block(method: &str, path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    let common = [
        (":method", method),
        (":scheme", "https"),
        (":path", path),
        (":authority", "localhost"),
        ("content-type", "application/json"),
    ];
    for (name, value) in common.iter().chain(more) {
        block.push(0);
        append_text(&mut block, name);
        append_text(&mut block, value);
    }
    block
}

/// Appends a text with its length (RFC 7541, section 5).
pub(crate) fn append_text(block: &mut Vec<u8>, text: &str) {
    const PREFIX: usize = 127;
    if text.len() < PREFIX {
        block.push(u8::try_from(text.len()).unwrap());
    } else {
        block.push(0x7f);
        let mut rest = text.len() - PREFIX;
        while rest >= 128 {
            block.push(u8::try_from(rest % 128).unwrap() | 0x80);
            rest /= 128;
        }
        block.push(u8::try_from(rest).unwrap());
    }
    block.extend(text.as_bytes());
}
