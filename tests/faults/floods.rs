//! Floods of HTTP/2 frames, as in known attacks: the server closes the connection, or bounds its cost.

use std::net::SocketAddr;

use support::program::Program;

use crate::{
    alone,
    frames::{
        CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, Http2, PING, PRIORITY,
        RST_STREAM, SETTINGS, WINDOW_UPDATE, append, append_text, header_block,
    },
    process::Usage,
    report, scaled,
    traffic::{SAMPLE_IMAGE, Traffic},
};

/// Number of frames that are written at once.
const BATCH: usize = 64;

/// The end of a flood.
#[derive(Debug, Eq, PartialEq)]
enum Ending {
    /// The server closed the connection with this error code.
    GoneAway(u32),
    /// The server closed the connection without an error code, or the code was lost.
    Closed,
    /// The server read everything and still serves the connection.
    Served,
}

/// A flood: its name, the frames at its beginning, and the frames of round `n`.
struct Flood {
    name: &'static str,
    opening: fn(&mut Vec<u8>),
    frames: fn(&mut Vec<u8>, u32),
    /// True if the server may still serve the connection after all frames.
    may_survive: bool,
}

const FLOODS: [Flood; 11] = [
    Flood {
        name: "rapid reset (CVE-2023-44487)",
        opening: |_| {},
        frames: |to, n| {
            let block = header_block("POST", "/", &[]);
            append(to, HEADERS, END_HEADERS, 2 * n + 1, &block);
            append(to, RST_STREAM, 0, 2 * n + 1, &8_u32.to_be_bytes());
        },
        may_survive: true,
    },
    Flood {
        name: "reset by the server (CVE-2025-8671)",
        opening: |_| {},
        frames: |to, n| {
            append(to, HEADERS, END_HEADERS, 2 * n + 1, &header_block("POST", "/", &[]));
            // An increment of zero is an error of the stream.
            append(to, WINDOW_UPDATE, 0, 2 * n + 1, &[0; 4]);
        },
        may_survive: false,
    },
    Flood {
        name: "CONTINUATION (CVE-2024-27316)",
        opening: |to| append(to, HEADERS, 0, 1, &header_block("POST", "/", &[])),
        frames: |to, n| {
            let mut block = vec![0];
            append_text(&mut block, &format!("x-{n}"));
            append_text(&mut block, &"x".repeat(1000));
            append(to, CONTINUATION, 0, 1, &block);
        },
        may_survive: false,
    },
    Flood {
        name: "empty CONTINUATION",
        opening: |to| append(to, HEADERS, 0, 1, &header_block("POST", "/", &[])),
        frames: |to, _| append(to, CONTINUATION, 0, 1, &[]),
        may_survive: false,
    },
    Flood {
        name: "SETTINGS (CVE-2019-9515)",
        opening: |_| {},
        frames: |to, n| {
            let mut setting = vec![0, 4];
            setting.extend((65_535 - n % 1000).to_be_bytes());
            append(to, SETTINGS, 0, 0, &setting);
        },
        may_survive: true,
    },
    Flood {
        name: "PING (CVE-2019-9512)",
        opening: |_| {},
        frames: |to, n| append(to, PING, 0, 0, &u64::from(n).to_be_bytes()),
        may_survive: true,
    },
    Flood {
        name: "empty DATA (CVE-2019-9518)",
        opening: |to| append(to, HEADERS, END_HEADERS, 1, &header_block("POST", "/", &[])),
        frames: |to, _| append(to, DATA, 0, 1, &[]),
        may_survive: false,
    },
    Flood {
        name: "PRIORITY (CVE-2019-9513)",
        opening: |_| {},
        frames: |to, n| append(to, PRIORITY, 0, 2 * (n % 1000) + 1, &[0, 0, 0, 0, 16]),
        may_survive: true,
    },
    Flood {
        name: "WINDOW_UPDATE",
        opening: |_| {},
        frames: |to, _| append(to, WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes()),
        may_survive: true,
    },
    Flood {
        name: "headers of 64 KiB",
        opening: |_| {},
        frames: |to, n| {
            let padding = "x".repeat(16_000);
            append(
                to,
                HEADERS,
                END_STREAM,
                2 * n + 1,
                &header_block("POST", "/", &[("a", &padding)]),
            );
            for part in 1..=3 {
                let mut block = vec![0];
                append_text(&mut block, "b");
                append_text(&mut block, &padding);
                append(
                    to,
                    CONTINUATION,
                    if part == 3 { END_HEADERS } else { 0 },
                    2 * n + 1,
                    &block,
                );
            }
        },
        may_survive: true,
    },
    Flood {
        name: "headers that unpack to 16 MiB",
        opening: |_| {},
        frames: |to, n| {
            let mut block = header_block("POST", "/", &[]);
            // A header of 4,000 bytes for the table of the connection, and 4,000 references to it.
            block.push(0x40);
            append_text(&mut block, "bomb");
            append_text(&mut block, &"x".repeat(4000));
            block.resize(block.len() + 4000, 0xbe);
            append(to, HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, &block);
        },
        may_survive: true,
    },
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_frames_ends_no_other_connection() {
    let _alone = alone().await;
    let frames = u32::try_from(scaled(5_000, 200_000)).unwrap();
    let bytes = scaled(30 << 20, 1 << 30);
    for flood in FLOODS {
        let program = Program::start(&["--dev"]);
        let traffic = Traffic::start(program.address, SAMPLE_IMAGE);
        traffic.await_answers(50).await;
        let (ending, sent) = run(&flood, program.address, frames, bytes).await;
        traffic.await_answers(50).await;
        let seen = traffic.finish().await;
        let usage = Usage::of(&program);
        let name = flood.name;
        report(
            "a_flood_of_frames_ends_no_other_connection",
            format!("{name}: {ending:?} after {sent} times; {seen}; {usage}"),
        );
        seen.assert_complete();
        assert!(flood.may_survive || ending != Ending::Served, "{name}: {ending:?}");
        usage.assert_peak_below(128);
    }
}

/// Floods until so many frames or bytes are sent, or the server has closed the connection.
async fn run(flood: &Flood, address: SocketAddr, frames: u32, bytes: usize) -> (Ending, u32) {
    let Http2 { mut reader, mut writer } = Http2::open(address).await;
    let mut opening = Vec::new();
    (flood.opening)(&mut opening);
    writer.write(&opening).await.unwrap();
    let ending = tokio::spawn(async move {
        while let Some(frame) = reader.next().await {
            if frame.kind == GOAWAY {
                return Ending::GoneAway(frame.error_code());
            }
            if frame.is_end_of_round_trip() {
                return Ending::Served;
            }
        }
        Ending::Closed
    });
    let (mut sent, mut written) = (0, 0);
    let mut batch = Vec::new();
    while sent < frames && written < bytes && !ending.is_finished() {
        batch.clear();
        for _ in 0..BATCH {
            (flood.frames)(&mut batch, sent);
            sent += 1;
        }
        if writer.write(&batch).await.is_err() {
            break;
        }
        written += batch.len();
    }
    let _ = writer.ask().await;
    (ending.await.unwrap(), sent)
}
