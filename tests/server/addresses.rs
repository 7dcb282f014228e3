//! The addresses on which the program listens if the system has no IPv6.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    process::Command,
    thread,
};

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};
use support::{
    client::{Client, first_image},
    program::{self, Program},
    reviews::fixture,
    server::await_ready,
    tls::Protocol,
    volume::Volume,
};

/// Returns a filter that refuses IPv6 sockets like a kernel without IPv6.
fn without_ipv6() -> BpfProgram {
    let is_ipv6 = SeccompCondition::new(
        0,
        SeccompCmpArgLen::Dword,
        SeccompCmpOp::Eq,
        u64::try_from(libc::AF_INET6).unwrap(),
    );
    let rule = SeccompRule::new(vec![is_ipv6.unwrap()]).unwrap();
    let refused = SeccompAction::Errno(libc::EAFNOSUPPORT.unsigned_abs());
    let architecture = std::env::consts::ARCH.try_into().unwrap();
    let rules = [(libc::SYS_socket, vec![rule])].into_iter().collect();
    SeccompFilter::new(rules, SeccompAction::Allow, refused, architecture)
        .unwrap()
        .try_into()
        .unwrap()
}

#[tokio::test]
async fn without_ipv6_the_unspecified_address_is_that_of_ipv4() {
    let mut volume = Volume::new();
    volume.write(&[("maps.conf", b"default::d.io")]);
    let map = volume.directory().join("maps.conf").to_str().unwrap().to_owned();
    let filter = without_ipv6();
    // A filter applies to its thread, and to the programs that the thread starts.
    let start = move || {
        seccompiler::apply_filter(&filter).unwrap();
        let any_port = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0);
        let arguments = ["--maps", &map, "--tls-mode", "self-signed"];
        Program::launch(Command::new(program::path()), [any_port; 2], &arguments)
    };
    let program = thread::spawn(start).join().unwrap();
    for address in [program.address, program.admin_address] {
        assert_eq!(address.ip(), Ipv4Addr::UNSPECIFIED);
    }
    let on_loopback =
        |address: SocketAddr| SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port());
    await_ready(on_loopback(program.admin_address)).await;
    let mut client = Client::connect(on_loopback(program.address), Protocol::Http1).await.unwrap();
    let answer = client.post(fixture("00-create-pod")).await.unwrap();
    assert_eq!(first_image(&answer), "d.io/library/busybox:1.36");
    program.await_log("IPv6 is not available, listening on IPv4").await;
}
