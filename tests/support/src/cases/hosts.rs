//! Wildcard hosts (sections 1.3 and 3.5).

use super::{Case, case};

/// The cases.
#[rustfmt::skip]
pub(super) const CASES: &[Case] = &[
    // Every host with something before the domain.
    case("default::d.io\n*.gcr.io::h.io", "eu.gcr.io/a", Some("h.io/a"), "registry"),
    case("default::d.io\n*.gcr.io::h.io", "a.b.gcr.io/a", Some("h.io/a"), "registry"),
    case("default::d.io\n*.gcr.io::h.io", "gcr.io/a", Some("d.io/a"), "default"),
    case("default::d.io\n*.gcr.io::h.io", ".gcr.io/a", Some("d.io/a"), "default"),
    case("default::d.io\n*.gcr.io::h.io", "xgcr.io/a", Some("d.io/a"), "default"),
    case("default::d.io\n*.gcr.io::h.io", "eu.gcr.io.b/a", Some("d.io/a"), "default"),
    case("default::d.io\n*.gcr.io::h.io", "eu/gcr.io/a", Some("d.io/eu/gcr.io/a"), "default"),
    case("default::d.io\n*.gcr.io::h.io", "EU.GCR.io/a", Some("h.io/a"), "registry"),
    case("default::d.io\n*.GCR.io::h.io", "eu.gcr.io/a", Some("h.io/a"), "registry"),
    case("default::d.io\n*.gcr.io::", "eu.gcr.io/a", None, "registry"),
    case("default::d.io\n*.gcr.io::https://h.io", "eu.gcr.io/a", None, "invalid-target"),
    case("default::d.io\n*.gcr.io::h.io", "h.io/a", None, "already-swapped"),
    case("default::d.io\n*.gcr.io/::h.io", "eu.gcr.io/a", Some("h.io/a"), "registry"),
    case("default::d.io\n*.gcr.io:h.io", "eu.gcr.io/a", Some("h.io/a"), "registry"),
    case("default::d.io\n*.gcr.io::h.io/m-", "eu.gcr.io/a:1", Some("h.io/m-eu.gcr.io/a:1"), "registry"),
    case("default::d.io\n*.gcr.io::h.io/x", "eu.gcr.io/a:1", Some("h.io/x/a:1"), "registry"),
    case("default::d.io\n*.dkr.ecr.eu-west-1.amazonaws.com::h.io", "123.dkr.ecr.eu-west-1.amazonaws.com/a", Some("h.io/a"), "registry"),

    // Docker Hub is a host like others, and its short paths are canonical.
    case("default::d.io\n*.io::h.x", "nginx", Some("h.x/nginx"), "registry"),
    case("default::d.io\n*.io/library::h.x", "nginx:1", Some("h.x/nginx:1"), "registry"),
    case("default::d.io\n*.docker.io::h.x", "index.docker.io/a/b", Some("d.io/a/b"), "default"),
    case("default::d.io\n*.docker.io::h.x", "registry-1.docker.io/nginx", Some("h.x/nginx"), "registry"),

    // With a path prefix.
    case("default::d.io\n*.pkg.dev/acme::h.io", "eu.pkg.dev/acme/a:1", Some("h.io/a:1"), "registry"),
    case("default::d.io\n*.pkg.dev/acme::h.io/x", "eu.pkg.dev/acme:1", Some("h.io/x:1"), "registry"),
    case("default::d.io\n*.pkg.dev/acme::h.io/x", "h.io/x:1", None, "already-swapped"),
    case("default::d.io\n*.pkg.dev/acme::h.io", "eu.pkg.dev/acme:1", None, "unrepresentable"),
    case("default::d.io\n*.pkg.dev/acme::h.io", "eu.pkg.dev/acmeco/a:1", Some("d.io/acmeco/a:1"), "default"),
    case("default::d.io\n*.pkg.dev/acme::1.io\n*.pkg.dev::2.io\n*.pkg.dev/acme/b::3.io", "eu.pkg.dev/acme/a", Some("1.io/a"), "registry"),
    case("default::d.io\n*.pkg.dev/acme::1.io\n*.pkg.dev::2.io\n*.pkg.dev/acme/b::3.io", "eu.pkg.dev/acme/b/c", Some("3.io/c"), "registry"),
    case("default::d.io\n*.pkg.dev/acme::1.io\n*.pkg.dev::2.io\n*.pkg.dev/acme/b::3.io", "eu.pkg.dev/a/b", Some("2.io/a/b"), "registry"),

    // With a port. Keys that name it are tried first.
    case("default::d.io\n*.q.io:80::h.io", "a.q.io:80/x", Some("h.io/x"), "registry"),
    case("default::d.io\n*.q.io:80::h.io", "a.q.io/x", Some("d.io/x"), "default"),
    case("default::d.io\n*.q.io:80::h.io", "a.q.io:81/x", Some("d.io/x"), "default"),
    case("default::d.io\n*.q.io:80::1.io\n*.q.io/team::2.io", "a.q.io:80/team/x", Some("1.io/team/x"), "registry"),
    case("default::d.io\n*.q.io:80/other::1.io\n*.q.io/team::2.io", "a.q.io:80/team/x", Some("2.io/x"), "registry"),
    case("default::d.io\n*.q.io::h.io", "a.q.io:80/x", Some("h.io:80/x"), "registry"),
    case("default::d.io\n*.q.io::h.io/m", "a.q.io:80/x", Some("h.io/m/x"), "registry"),
    case("default::d.io\n*.q.io:80/team::h.io", "a.q.io:80/team/x", Some("h.io/x"), "registry"),

    // The longest domain comes first, with or without port and path.
    case("default::d.io\n*.io::1.x\n*.q.io::2.x", "a.q.io/x", Some("2.x/x"), "registry"),
    case("default::d.io\n*.q.io::2.x\n*.io::1.x", "a.q.io/x", Some("2.x/x"), "registry"),
    case("default::d.io\n*.q.io::2.x\n*.io::1.x", "q.io/x", Some("1.x/x"), "registry"),
    case("default::d.io\n*.io:80/team::1.x\n*.q.io::2.x", "a.q.io:80/team/x", Some("2.x:80/team/x"), "registry"),
    case("default::d.io\n*.io::1.x\n*.q.io/team::2.x", "a.q.io/x", Some("1.x/x"), "registry"),
    case("default::d.io\n*.io::1.x\n*.q.io::", "a.q.io/x", None, "registry"),

    // A key with the whole host beats every wildcard host, even without the port.
    case("default::d.io\n*.q.io::1.x\na.q.io::2.x", "a.q.io/x", Some("2.x/x"), "registry"),
    case("default::d.io\n*.q.io:80::1.x\na.q.io::2.x", "a.q.io:80/x", Some("2.x:80/x"), "registry"),
    case("default::d.io\n*.q.io/team::1.x\na.q.io::2.x", "a.q.io/team/x", Some("2.x/team/x"), "registry"),
    case("default::d.io\n*.q.io::1.x\na.q.io::", "a.q.io/x", None, "registry"),
    case("default::d.io\n*.q.io::1.x\na.q.io/team::2.x", "a.q.io/x", Some("1.x/x"), "registry"),
    case("default::d.io\n*.q.io::1.x\na.q.io:80::2.x", "a.q.io/x", Some("1.x/x"), "registry"),

    // The other steps have the same order as without wildcard hosts.
    case("*.q.io::h.io", "a.q.io/x", None, "no-default"),
    case("default::d.io\n*.q.io::h.io\nnoswap_wildcards::q.io", "a.q.io/x", Some("h.io/x"), "registry"),
    case("default::d.io\n*.q.io::1.x\n[REPLACE]a.q.io/*::2.x", "a.q.io/x", Some("2.x/x"), "replace"),
    case("default::d.io\n[EXACT]*.q.io/x::h.io/x", "a.q.io/x", Some("d.io/x"), "default"),
    // Of two ports, the first is not a part of the host.
    case("default::d.io\n[fd00::5]:5000::m.io/x", "[fd00::5]:5000:80/a", Some("d.io/a"), "default"),
];
