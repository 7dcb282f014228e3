//! The image and the order of decision (sections 2 and 3).

use super::{Case, case};

/// The cases.
#[rustfmt::skip]
pub(super) const CASES: &[Case] = &[
    // Statements of section 3 without an example.
    case("default::d.io", "", None, "empty"),
    case("quay.io::q.io", "quay.io/a", None, "no-default"),
    case("[EXACT]a::b.io/a", "a", Some("b.io/a"), "exact"),
    case("default::d.io\n[EXACT]a::", "a", None, "exact"),
    case("default::d.io\n[REPLACE]a*::", "ab", None, "replace"),
    case("default::d.io\n[REPLACE]*x*::a.io/m-", "q.io/b/x:1", Some("a.io/m-x:1"), "replace"),
    case("default::d.io\n[REPLACE]*x*::a.io/m-", "a.io/m-x:1", None, "already-swapped"),
    case("default::d.io\n[REPLACE]*a*::1.io\n[REPLACE]*b*::2.io", "ab", Some("1.io/ab"), "replace"),
    case("default::d.io\na.io:8443::p.io\na.io::h.io", "a.io:8443/x", Some("p.io/x"), "registry"),
    case("default::d.io\na.io:8443::p.io\na.io/team::h.io", "a.io:8443/team/x", Some("p.io/team/x"), "registry"),
    case("default::d.io\na.io::h.io", "a.io:8443/x", Some("h.io:8443/x"), "registry"),
    case("default::d.io\na.io::h.io/", "a.io:8443/x", Some("h.io:8443/x"), "registry"),
    case("default::d.io\na.io/team::h.io", "a.io:8443/team/x", Some("h.io/x"), "registry"),
    case("default::d.io\na.io::h.io", "h.io:8443/x", None, "already-swapped"),
    case("default::d.io\n[1:2:3:4:5:6:7:8]::h.io", "[1:2:3:4:5:6:7:8]:5000/x", Some("h.io:5000/x"), "registry"),
    case("default::d.io/\nq.io::p.io/x/", "nginx", Some("d.io/nginx"), "default"),
    case("default::d.io/\nq.io::p.io/x/", "q.io/nginx", Some("p.io/x/nginx"), "registry"),
    case("default::d.io\nnoswap_wildcards::q.io\nq.io::p.io", "q.io/x", Some("p.io/x"), "registry"),
    case("default::\nq.io::p.io", "nginx", None, "default"),
    case("default::d.io\nq.io::p.io", "p.io/x", None, "already-swapped"),
    case("default::d.io\n[EXACT]a::p.io/a", "p.io/a", None, "already-swapped"),
    case("default::d.io\n[EXACT]a::p.io/a", "p.io/a/b", Some("d.io/a/b"), "default"),
    case("default::docker.io", "nginx", None, "already-swapped"),

    // Images that are always left alone.
    case("default::d.io", "auto", None, "placeholder"),
    case("default::d.io", "auto:1", Some("d.io/auto:1"), "default"),
    case("default::d.io", "docker.io/auto", Some("d.io/auto"), "default"),
    case("default::d.io\n[EXACT]auto::d.io/proxy:1", "auto", Some("d.io/proxy:1"), "exact"),
    case("default::d.io\n[EXACT]auto::", "auto", None, "exact"),
    case("default::d.io\n[REPLACE]a*::r.io", "auto", None, "placeholder"),
    case("quay.io::q.io", "auto", None, "placeholder"),
    case("default::d.io", " ", None, "malformed"),
    case("default::d.io", " nginx", None, "malformed"),
    case("default::d.io", "nginx ", None, "malformed"),
    case("default::d.io", "ngi nx", None, "malformed"),
    case("default::d.io", "$(params.image)", None, "malformed"),
    case("default::d.io", "quay.io/a:$(params.tag)", None, "malformed"),
    case("default::d.io", "{{inputs.parameters.image}}", None, "malformed"),
    case("default::d.io", "${IMAGE}", None, "malformed"),
    case("default::d.io", "q.io/é", None, "malformed"),
    case("default::d.io\n[REPLACE]*::r.io", "{{image}}", None, "malformed"),
    case("default::d.io\n[EXACT]${IMAGE}::r.io/x", "${IMAGE}", None, "malformed"),
    case("default::d.io", "q.io/a+b", Some("d.io/a+b"), "default"),

    // A key that names a whole repository, without tag and digest.
    case("default::d.io\ndocker.io/library/nginx::h.io/web", "nginx:1.27", Some("h.io/web:1.27"), "registry"),
    case("default::d.io\ndocker.io/library/nginx::h.io/web", "nginx@sha256:ab", Some("h.io/web@sha256:ab"), "registry"),
    case("default::d.io\ndocker.io/library/nginx::h.io/web", "nginx", Some("h.io/web"), "registry"),
    case("default::d.io\ndocker.io/library/nginx::h.io/web", "h.io/web:1.27", None, "already-swapped"),

    // A first segment with an upper-case letter is a registry.
    case("default::d.io\ndocker.io::h.io", "MYREG/app", Some("d.io/app"), "default"),
    case("default::d.io\ndocker.io::h.io", "myreg/app", Some("h.io/myreg/app"), "registry"),
    case("default::d.io\ndocker.io::h.io", "myReg/team/app:1", Some("d.io/team/app:1"), "default"),
    case("default::d.io\ndocker.io::h.io", "MYREG", Some("h.io/MYREG"), "registry"),
    case("default::d.io\ndocker.io::h.io", "LOCALHOST/app", Some("d.io/app"), "default"),
    case("default::d.io\nmyreg::h.io", "MYREG/app", Some("h.io/app"), "registry"),
    case("default::d.io\nMYREG::h.io", "MyReg/app", Some("h.io/app"), "registry"),

    // Hosts have no case, paths have.
    case("default::d.io\nghcr.io::h.io", "GHCR.io/a/b", Some("h.io/a/b"), "registry"),
    case("default::d.io\nghcr.io:80::h.io", "GHCR.io:80/a/b", Some("h.io/a/b"), "registry"),
    case("default::d.io\nGHCR.io/a::h.io", "ghcr.io/a/b", Some("h.io/b"), "registry"),
    case("default::d.io\nghcr.io/A::h.io", "ghcr.io/a/b", Some("d.io/a/b"), "default"),
    case("default::d.io\n[EXACT]GHCR.io/a::h.io/a", "ghcr.io/a", Some("d.io/a"), "default"),
    case("default::d.io\n[EXACT]GHCR.io/a::h.io/a", "GHCR.io/a", Some("h.io/a"), "exact"),
    case("default::d.io\n[REPLACE]GHCR.io/*::h.io", "ghcr.io/a", Some("d.io/a"), "default"),
    case("default::d.io\nnoswap_wildcards::GHCR.io", "ghcr.io/a", None, "noswap-wildcard"),
    case("default::d.io\nnoswap_wildcards::ghcr.io", "GHCR.io/a", None, "noswap-wildcard"),
    case("default::d.io\nnoswap_wildcards::a:V1", "q.io/a:v1", None, "noswap-wildcard"),
    case("default::d.io\nnoswap_wildcards::{path}", "q.io/path", Some("d.io/path"), "default"),

    // `index.docker.io` is `docker.io`. With a port it is not Docker Hub.
    case("default::d.io\ndocker.io/library::h.io/l", "DOCKER.io/nginx", Some("h.io/l/nginx"), "registry"),
    case("default::d.io\ndocker.io/library::h.io/l", "Index.Docker.IO/nginx", Some("h.io/l/nginx"), "registry"),
    case("default::d.io\ndocker.io/library::h.io/l", "docker.io:443/nginx", Some("d.io/nginx"), "default"),
    case("default::d.io\ndocker.io/library::h.io/l", "docker.io:443/library/nginx", Some("h.io/l/nginx"), "registry"),
    case("default::d.io\ndocker.io::h.io", "index.docker.io:443/nginx", Some("h.io:443/nginx"), "registry"),
    case("default::d.io\ndocker.io:443::h.io", "index.docker.io:443/nginx", Some("h.io/nginx"), "registry"),
    case("default::d.io\nindex.docker.io:443::h.io", "docker.io:443/nginx", Some("h.io/nginx"), "registry"),
    case("default::d.io\nindex.docker.io:443::h.io", "nginx", Some("d.io/nginx"), "default"),
    case("default::m.io/x-", "index.docker.io:443/nginx", Some("m.io/x-docker.io/nginx"), "default"),
    case("default::m.io/{registry}", "index.docker.io/nginx", Some("m.io/docker.io/library/nginx"), "default"),
    case("default::m.io/{registry}", "index.docker.io:443/nginx", Some("m.io/docker.io-443/nginx"), "default"),
    case("default::d.io\nindex.docker.io::h.io", "nginx", Some("h.io/nginx"), "registry"),
];
