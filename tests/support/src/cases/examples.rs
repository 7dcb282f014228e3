//! The examples of section 4.

use super::{Case, case};

const LIBRARY: &str = "default::\ndocker.io::\ndocker.io/library::h.io/library";
const ACME: &str = "default::d.io\nghcr.io/acme::h.io/acme-proxy";
const HUB_PREFIX: &str = "default::d.io\ndocker.io::my.io/mirror-";
const HOSTS: &str = "default::d.io/{registry}";
const HUB_PATH: &str = "default::d.io\ndocker.io::h.io/hub/{path}";
const GCR: &str = "default::\n*.gcr.io::h.io/gcr/{registry}";

/// The cases.
#[rustfmt::skip]
pub(super) const CASES: &[Case] = &[
    case("default::d.io", "nginx:1.27", Some("d.io/nginx:1.27"), "default"),
    case("default::d.io", "gcr.io:443/istio/istiod:1", Some("d.io/istio/istiod:1"), "default"),
    case(HUB_PREFIX, "alpine", Some("my.io/mirror-docker.io/alpine"), "registry"),
    case(HUB_PREFIX, "docker.io/a/b/c:1", Some("my.io/mirror-docker.io/a/b/c:1"), "registry"),
    case(HUB_PREFIX, "my.io/mirror-docker.io/alpine", None, "already-swapped"),
    case("default::mirror-", "quay.io/a/b", Some("mirror-quay.io/a/b"), "default"),
    case("default::d.io\nin.twr.io::e.io", "in.twr.io:443/a/b", Some("e.io:443/a/b"), "registry"),
    case("default::d.io\nf.io::localhost:30003/foo", "f.io:443/a", Some("localhost:30003/foo/a"), "registry"),
    case(LIBRARY, "nginx", Some("h.io/library/nginx"), "registry"),
    case(LIBRARY, "docker.io/nginx", Some("h.io/library/nginx"), "registry"),
    case(LIBRARY, "docker.io/library/nginx", Some("h.io/library/nginx"), "registry"),
    case(LIBRARY, "index.docker.io/nginx", Some("h.io/library/nginx"), "registry"),
    case(LIBRARY, "tmobile/magtape", None, "registry"),
    case("default::d.io\ndocker.io/library::h.io/library", "tmobile/magtape", Some("d.io/tmobile/magtape"), "default"),
    case(ACME, "ghcr.io/acme/tools/x:1", Some("h.io/acme-proxy/tools/x:1"), "registry"),
    case(ACME, "ghcr.io/acmeco/x:1", Some("d.io/acmeco/x:1"), "default"),
    case("default::d.io\nnoswap_wildcards::twr.io,", "a.twr.io/x", None, "noswap-wildcard"),
    case("default::d.io\nnoswap_wildcards::twr.io,", "b.io/x", Some("d.io/x"), "default"),
    case("default::d.io", "localhost:5000/x", Some("d.io/x"), "default"),
    case("default::d.io\n[REPLACE]*nvidia:*::h.io/base/", "nvcr.io/nvidia:v1", Some("h.io/base/nvidia:v1"), "replace"),
    case("default::d.io/proxy", "d.io/proxy/nginx", None, "already-swapped"),
    case(HOSTS, "nginx:1", Some("d.io/docker.io/library/nginx:1"), "default"),
    case(HOSTS, "quay.io/a/b@sha256:15d3b5c4f521a84896ed1ead1b14e4774d02202d5c65ab68f30eeaf310a3b1a7", Some("d.io/quay.io/a/b@sha256:15d3b5c4f521a84896ed1ead1b14e4774d02202d5c65ab68f30eeaf310a3b1a7"), "default"),
    case(HOSTS, "nexus.corp:8082/app", Some("d.io/nexus.corp-8082/app"), "default"),
    case(HOSTS, "d.io/docker.io/library/nginx:1", None, "already-swapped"),
    case(HUB_PATH, "nginx:1", Some("h.io/hub/library/nginx:1"), "registry"),
    case(HUB_PATH, "bitnami/redis:7", Some("h.io/hub/bitnami/redis:7"), "registry"),
    case(GCR, "eu.gcr.io/p/app:1", Some("h.io/gcr/eu.gcr.io/p/app:1"), "registry"),
    case(GCR, "gcr.io/p/app:1", None, "default"),
    case("default::d.io\n[REPLACE]*/charts/*::h.io/{path}", "quay.io/charts/a/b:1", Some("h.io/charts/a/b:1"), "replace"),
    case("default::d.io", "auto", None, "placeholder"),
    case("default::d.io", " nginx", None, "malformed"),
    case("default::d.io", "MYREG/team/app:1", Some("d.io/team/app:1"), "default"),
    case("default::d.io\nGHCR.io::h.io", "ghcr.io/a/b", Some("h.io/a/b"), "registry"),
    case("default::\ndocker.io::https://h.io", "nginx", None, "invalid-target"),
];
