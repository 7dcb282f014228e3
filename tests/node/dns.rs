//! The DNS server of the cluster, which knows the Services and the mirror: `helm test` looks up a Service, and ImageSwap the
//! mirror.
//!
//! It answers what a resolver asks for, addresses of IPv4, and nothing else of the protocol.

use std::net::{Ipv4Addr, UdpSocket};

use hyper::Request;
use kube::Client;
use serde_json::Value;
use support::api::Api;
use tokio::runtime::Handle;

use crate::registry::MIRROR;

/// The port of DNS, on the address that machine/kubelet.yaml names.
const PORT: u16 = 53;

/// The address of the tests in the network of the node, which machine/on sets.
const TESTS: Ipv4Addr = Ipv4Addr::new(10, 123, 0, 1);

/// Maximum size of a message over UDP (RFC 1035, section 4.2.1).
const MAX_MESSAGE_BYTES: usize = 512;

const HEADER_BYTES: usize = 12;
/// The offset of the name, as a pointer to it has it.
const NAME_OFFSET: u8 = 12;
const NAME_ERROR: u8 = 3;
/// The type of an IPv4 address.
const A: [u8; 2] = [0, 1];

/// Serves until the process ends.
pub(crate) fn serve(api: &Api) {
    let (client, runtime) = (api.client(), api.runtime().handle().clone());
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT)).unwrap();
    std::thread::spawn(move || {
        let mut message = [0; MAX_MESSAGE_BYTES];
        loop {
            let (length, peer) = socket.recv_from(&mut message).unwrap();
            let address = |name: &str| address(&client, &runtime, name);
            if let Some(answer) = answer(&message[..length], address) {
                socket.send_to(&answer, peer).unwrap();
            }
        }
    });
}

/// Returns the answer to a message with one question; `None` if it is not one.
fn answer(message: &[u8], address: impl Fn(&str) -> Option<Ipv4Addr>) -> Option<Vec<u8>> {
    let (mut labels, mut rest) = (Vec::new(), message.get(HEADER_BYTES..)?);
    loop {
        let (&length, after) = rest.split_first()?;
        rest = after;
        if length == 0 {
            break;
        }
        let (label, after) = rest.split_at_checked(length.into())?;
        labels.push(String::from_utf8_lossy(label));
        rest = after;
    }
    let (kind, after) = rest.split_first_chunk::<2>()?;
    let question = &message[HEADER_BYTES..message.len() - after.len() + 2];
    let found = address(&labels.join("."));
    let octets = found.filter(|_| *kind == A).map(|found| found.octets());
    let mut answer = message[..2].to_vec();
    // A response, with recursion, and the code of the error.
    answer.extend([0x81, 0x80 | if found.is_some() { 0 } else { NAME_ERROR }]);
    answer.extend([0, 1, 0, u8::from(octets.is_some()), 0, 0, 0, 0]);
    answer.extend(question);
    if let Some(octets) = octets {
        // The name of the question, type, class, seconds to keep it, and length.
        answer.extend([0xc0, NAME_OFFSET, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4]);
        answer.extend(octets);
    }
    Some(answer)
}

/// Returns the address of the mirror, or the cluster IP of the Service with this name.
fn address(client: &Client, runtime: &Handle, name: &str) -> Option<Ipv4Addr> {
    if name == MIRROR {
        return Some(TESTS);
    }
    let (service, namespace) = name.strip_suffix(".svc.cluster.local")?.split_once('.')?;
    let path = format!("/api/v1/namespaces/{namespace}/services/{service}");
    let request = Request::get(path).body(Vec::new()).ok()?;
    let service: Value = runtime.block_on(client.request(request)).ok()?;
    service["spec"]["clusterIP"].as_str()?.parse().ok()
}
