//! The map file: lines, keys, duplicates and manifests (section 1).

use super::{Case, case};

/// The cases.
#[rustfmt::skip]
pub(super) const CASES: &[Case] = &[
    // A colon between brackets separates nothing.
    case("default::d.io\ndocker.io::[fd00::5]:5000/m", "nginx", Some("[fd00::5]:5000/m/nginx"), "registry"),
    case("default::d.io\ndocker.io:[fd00::5]/m", "nginx", Some("[fd00::5]/m/nginx"), "registry"),
    case("default::d.io\n[fd00::5]:5000::m.io/x", "[fd00::5]:5000/a", Some("m.io/x/a"), "registry"),
    case("default::d.io\n[fd00::5]:5000::m.io/x", "[fd00::5]/a", Some("d.io/a"), "default"),
    case("default::d.io\n[fd00::5]:m.io/x", "[fd00::5]:5000/a", Some("m.io/x/a"), "registry"),
    case("default::d.io\n[fd00::5]:5000::[fd00::6]:5000", "[fd00::5]:5000/a", Some("[fd00::6]:5000/a"), "registry"),
    case("default::d.io\n[FD00::A]::m.io", "[fd00::a]/x", Some("m.io/x"), "registry"),
    case("default::d.io\n[fd00::a]::m.io", "[FD00::A]/x", Some("m.io/x"), "registry"),
    case("default::d.io\n[fd00::5]::m.io", "[fd00:0::5]/x", Some("d.io/x"), "default"),
    case("default::d.io\n[REPLACE]x[:@]*::m.io", "x:1", Some("m.io/x:1"), "replace"),
    case("default::d.io\n[REPLACE]x[:@]*::m.io", "xy:1", Some("d.io/xy:1"), "default"),
    case("default::d.io\n[REPLACE]x[::]*:m.io", "x:1", Some("m.io/x:1"), "replace"),
    case("default::d.io\n[EXACT][fd00::5]/x::m.io/x", "[fd00::5]/x", Some("m.io/x"), "exact"),
    case("default::d.io\nq.io[::h.io", "q.io/a", Some("d.io/a"), "default"),
    case("default::d.io\nq.io::[h.io", "q.io/a", None, "invalid-target"),
    case("default::d.io\nq.io[::]h.io", "q.io/a", Some("d.io/a"), "default"),
    case("default::d.io\nq.io[[::]h.io", "q.io/a", Some("d.io/a"), "default"),
    case("default::d.io\n[REPLACE]q[[:]*::h.io", "q:1", Some("h.io/q:1"), "replace"),
    case("default::d.io\nq.io:::[::1]", "q.io/a", Some("d.io/a"), "default"),

    // A separator is there once.
    case("default::d.io\nq.io::h.io::x.io", "q.io/a", Some("d.io/a"), "default"),
    case("default::d.io\nq.io:::h.io", "q.io/a", Some("d.io/a"), "default"),
    case("default::d.io\nq.io:8443:h.io", "q.io:8443/a", Some("d.io/a"), "default"),
    case("default::d.io\n::h.io", "q.io/a", Some("d.io/a"), "default"),
    case("default::d.io\nq.io", "q.io/a", Some("d.io/a"), "default"),
    case("\u{feff}default::d.io\r\n q.io :: h.io # :: x.io", "q.io/a", Some("h.io/a"), "registry"),

    // A star belongs in front of a domain. A line with one elsewhere is no rule.
    case("default::d.io\na.*.io::h.io", "a.b.io/x", Some("d.io/x"), "default"),
    case("default::d.io\ndocker.io/*::h.io", "nginx", Some("d.io/nginx"), "default"),
    case("default::d.io\n*::h.io", "q.io/a", Some("d.io/a"), "default"),
    case("default::d.io\n*.::h.io", "q.io/a", Some("d.io/a"), "default"),
    case("default::d.io\n*q.io::h.io", "a.q.io/a", Some("d.io/a"), "default"),
    case("default::d.io\n*.*.io::h.io", "a.q.io/a", Some("d.io/a"), "default"),
    case("default::d.io\n*.q.io/*::h.io", "a.q.io/a/b", Some("d.io/a/b"), "default"),
    case("default::d.io\n*.q.io:*::h.io", "a.q.io:80/a", Some("d.io/a"), "default"),
    case("default::d.io\ndocker.io/*::\ndocker.io::h.io", "nginx", Some("h.io/nginx"), "registry"),

    // A key twice: the last value wins.
    case("default::d.io\nq.io::1.io\nq.io::2.io", "q.io/a", Some("2.io/a"), "registry"),
    case("default::d.io\nq.io::1.io\nq.io/::2.io", "q.io/a", Some("2.io/a"), "registry"),
    case("default::1.io\ndefault::d.io\n", "nginx", Some("d.io/nginx"), "default"),
    case("default::d.io\n[REPLACE]*a*::1.io\n[REPLACE]*b*::2.io\n[REPLACE]*a*::3.io", "ab", Some("3.io/ab"), "replace"),
    case("default::d.io\n[EXACT]A/b::1.io/x\n[EXACT]a/b::2.io/x", "A/b", Some("1.io/x"), "exact"),
    case("default::d.io\n[REPLACE]A*::1.io\n[REPLACE]a*::2.io", "A/b", Some("1.io/b"), "replace"),

    // Keys that are one in canonical form: the one that is written so wins, otherwise the last.
    case("default::d.io\nQuay.io::1.io\nquay.io::2.io", "quay.io/a", Some("2.io/a"), "registry"),
    case("default::d.io\nquay.io::2.io\nQuay.io::1.io", "quay.io/a", Some("2.io/a"), "registry"),
    case("default::d.io\nquay.io::2.io\nQuay.io::1.io", "QUAY.io/a", Some("2.io/a"), "registry"),
    case("default::d.io\nQuay.io::1.io\nQUAY.io::2.io", "quay.io/a", Some("2.io/a"), "registry"),
    case("default::d.io\nQUAY.io::2.io\nQuay.io::1.io", "quay.io/a", Some("1.io/a"), "registry"),
    case("default::d.io\nquay.io::1.io\nQuay.io::2.io\nquay.io::3.io\nQUAY.io::4.io", "quay.io/a", Some("3.io/a"), "registry"),
    case("default::d.io\nquay.io::\nQuay.io::1.io", "quay.io/a", None, "registry"),
    case("default::d.io\nquay.io::https://x\nQuay.io::1.io", "quay.io/a", None, "invalid-target"),
    case("default::d.io\ndocker.io::1.io\nindex.docker.io::2.io", "nginx", Some("1.io/nginx"), "registry"),
    case("default::d.io\nindex.docker.io::2.io\ndocker.io::1.io", "nginx", Some("1.io/nginx"), "registry"),
    case("default::d.io\nindex.docker.io::1.io\nDocker.io::2.io", "nginx", Some("2.io/nginx"), "registry"),
    case("default::d.io\nindex.docker.io/library::1.io\ndocker.io/library/::2.io", "nginx", Some("2.io/nginx"), "registry"),
    case("default::d.io\nQuay.io/a::1.io\nquay.io::2.io", "quay.io/a/b", Some("1.io/b"), "registry"),
    case("default::d.io\nQuay.io/A::1.io\nquay.io/a::2.io", "quay.io/a/b", Some("2.io/b"), "registry"),
    case("default::d.io\nQuay.io:80::1.io\nquay.io::2.io", "quay.io:80/b", Some("1.io/b"), "registry"),
    case("default::d.io\n*.Q.io::1.io\n*.q.io::2.io", "a.q.io/b", Some("2.io/b"), "registry"),
    case("default::d.io\n*.q.io::2.io\n*.Q.io::1.io", "a.q.io/b", Some("2.io/b"), "registry"),

    // A manifest is not a map.
    case("apiVersion: v1\ndefault: d.io", "nginx", None, "no-default"),
];
