//! A process without free file descriptors, because of a low limit and too many clients.

use std::{net::SocketAddr, process::Command, time::Duration};

use support::{
    client::{Client, admin_get, first_image},
    program::{self, ANY_PORT, Program},
    reviews::fixture,
    server::metric,
    tls::{PROTOCOLS, Protocol},
    wait::{DEADLINE, eventually},
};
use tokio::{net::TcpStream, time::timeout};

use crate::{alone, process::Usage, report, traffic::SAMPLE_IMAGE};

/// Limit of open files of the process.
const LIMIT: usize = 64;

/// Number of clients that connect and stay: several times the limit.
const HOARDERS: usize = 200;

/// Timeout for a probe: the kubelet's default of a second, which the manifests do not change, and time for a busy
/// machine.
const PROBE_PATIENCE: Duration = Duration::from_secs(5);

/// Starts the program with a limit, which the shell's `ulimit` sets with these options.
fn limited(options: &str) -> Program {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("ulimit {options} {LIMIT}; exec \"$0\" \"$@\""), &program::path()]);
    Program::launch(shell, [ANY_PORT; 2], &["--dev"])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_free_file_descriptors_probes_are_answered_and_clients_wait() {
    let _alone = alone().await;
    let program = limited("-n");
    assert!(program.logged("connection limit lowered to fit the limit of open files"));
    let mut known = Vec::new();
    for protocol in PROTOCOLS {
        known.push(Client::connect(program.address, protocol).await.unwrap());
    }
    let hoarders = hoard(program.address).await;
    // The last one is in the listen queue, behind the accepted ones.
    let places = eventually("no place is left", async || {
        let now = metric(program.admin_address, "imageswap_connections").await.unwrap();
        let then = metric(program.admin_address, "imageswap_connections").await.unwrap();
        #[expect(clippy::float_cmp, reason = "both are whole numbers")]
        (now == then && now > 10.0).then_some(now)
    })
    .await;
    for client in &mut known {
        let answer = client.post(fixture("00-create-pod")).await.unwrap();
        assert_eq!(first_image(&answer), SAMPLE_IMAGE);
    }
    for path in ["/livez", "/readyz", "/metrics"].into_iter().cycle().take(30) {
        let probe = timeout(PROBE_PATIENCE, admin_get(program.admin_address, path));
        assert_eq!(probe.await.unwrap().status, 200);
    }
    let held = Usage::of(&program);
    assert!(held.open_files <= LIMIT, "{held}");
    assert!(
        !program.logged("cannot accept connections"),
        "descriptors were left for the admin port"
    );

    let address = program.address;
    let waiting = tokio::spawn(async move {
        let mut client = Client::connect(address, Protocol::Http2).await.unwrap();
        client.post(fixture("00-create-pod")).await.unwrap()
    });
    drop(hoarders);
    let answer = timeout(DEADLINE, waiting).await.unwrap().unwrap();
    assert_eq!(first_image(&answer), SAMPLE_IMAGE);
    let after = eventually("closed files", async || {
        let usage = Usage::of(&program);
        (usage.open_files + HOARDERS / 20 < held.open_files).then_some(usage)
    })
    .await;
    after.assert_peak_below(128);
    report(
        "without_free_file_descriptors_probes_are_answered_and_clients_wait",
        format!(
            "ulimit -n {LIMIT}, {HOARDERS} clients stay: {places} connections served, 30 of 30 \
             probes answered, {} open files, {} when they had left",
            held.open_files, after.open_files
        ),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_admin_port_cannot_take_the_file_descriptors_of_the_webhook() {
    let _alone = alone().await;
    let program = limited("-n");
    let hoarders = hoard(program.admin_address).await;
    for protocol in PROTOCOLS {
        let mut client = Client::connect(program.address, protocol).await.unwrap();
        let answer = client.post(fixture("00-create-pod")).await.unwrap();
        assert_eq!(first_image(&answer), SAMPLE_IMAGE);
    }
    drop(hoarders);
    let probe = timeout(DEADLINE, admin_get(program.admin_address, "/livez"));
    assert_eq!(probe.await.unwrap().status, 200);
    assert!(!program.logged("cannot accept connections"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_soft_limit_of_file_descriptors_is_raised() {
    let _alone = alone().await;
    let program = limited("-Sn");
    let mut hoarders = hoard(program.address).await;
    eventually("more connections than the soft limit", async || {
        (Usage::of(&program).open_files > HOARDERS).then_some(())
    })
    .await;
    assert!(!program.logged("fewer connections"));
    hoarders.clear();
}

async fn hoard(address: SocketAddr) -> Vec<TcpStream> {
    let mut hoarders = Vec::new();
    for _ in 0..HOARDERS {
        hoarders.push(TcpStream::connect(address).await.unwrap());
    }
    hoarders
}
