//! Targets: validity, hosts in a path, and images that are already there (sections 1.7, 3.5 and 5).

use super::{Case, case};

/// 240 letters, for names of almost the maximum size.
macro_rules! a240 {
    () => {
        concat!(a60!(), a60!(), a60!(), a60!())
    };
}

macro_rules! a60 {
    () => {
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    };
}

/// The cases.
#[rustfmt::skip]
pub(super) const CASES: &[Case] = &[
    // Rules with an invalid target leave their images alone. No other rule applies to them.
    case("default::d.io\ndocker.io::https://h.io", "nginx", None, "invalid-target"),
    case("default::d.io\nq.io/a::h.io/Upper", "q.io/a/b", None, "invalid-target"),
    case("default::d.io\nq.io/a::h.io/Upper", "q.io/c/b", Some("d.io/c/b"), "default"),
    case("default::d.io\n[EXACT]a::h.io/Upper", "a", None, "invalid-target"),
    case("default::d.io\n[EXACT]a::h.io/x:", "a", None, "invalid-target"),
    case("default::d.io\n[REPLACE]a*::h.io/Upper", "ab", None, "invalid-target"),
    case("default::https://d.io", "nginx", None, "invalid-target"),
    case("default::https://d.io\nq.io::h.io", "q.io/a", Some("h.io/a"), "registry"),
    case("default::d.io\n[REPLACE]a*::x:1-", "ab", None, "invalid-target"),
    case("default::d.io\nq.io::a_b", "q.io/a", Some("a_b/a"), "registry"),
    case("default::d.io\nq.io::a_b", "q.io:80/a", None, "unrepresentable"),
    case("default::D.io/Upper-", "nginx", None, "invalid-target"),
    case("default::d.io\nq.io::h.io/Upper", "h.io/Upper/x", Some("d.io/Upper/x"), "default"),

    // Where the host is in a path, it is in lower case, and no IPv6 address.
    case("default::m.io/x-", "Quay.io/a", Some("m.io/x-quay.io/a"), "default"),
    case("default::m.io/x-", "MYREG:80/a", Some("m.io/x-myreg/a"), "default"),
    case("default::m.io/x-", "[::1]:80/a", None, "unrepresentable"),
    case("default::mirror-", "[::1]/a", None, "unrepresentable"),
    case("default::[::1]/x-", "q.io/a", Some("[::1]/x-q.io/a"), "default"),
    case("default::d.io\nQuay.io::m.io/x-", "QUAY.io/a", Some("m.io/x-quay.io/a"), "registry"),
    case("default::d.io\n[::1]::m.io/x-", "[::1]:80/a", None, "unrepresentable"),
    case("default::d.io\n[::1]/team::m.io/x-", "[::1]/team/a", None, "unrepresentable"),
    case("default::d.io\n[REPLACE]*::m.io/x-", "[::1]:80/a", Some("m.io/x-a"), "replace"),
    case("default::d.io\nq.io::M.io", "q.io/a", Some("M.io/a"), "registry"),
    case("default::d.io\nq.io::M.io/x-", "q.io/a", Some("M.io/x-q.io/a"), "registry"),
    case("default::d.io\nq.io::M.io", "q.io:80/a", Some("M.io:80/a"), "registry"),
    case("default::d.io\n[::1]::M.io", "[::1]:80/a", Some("M.io:80/a"), "registry"),
    case("default::d.io\nq.io::[::1]", "q.io:80/a", Some("[::1]/a"), "registry"),

    // A path prefix that is the whole path needs a target with a path.
    case("default::d.io\nq.io/a::h.io", "q.io/a", None, "unrepresentable"),
    case("default::d.io\nq.io/a::h.io", "q.io/a:1", None, "unrepresentable"),
    case("default::d.io\nq.io/a::h.io/", "q.io/a:1", None, "unrepresentable"),
    case("default::d.io\nq.io/a::h.io:80", "q.io/a", None, "unrepresentable"),
    case("default::d.io\nq.io/a::m", "q.io/a:1", None, "unrepresentable"),
    case("default::d.io\ndocker.io/library/nginx::h.io", "nginx:1", None, "unrepresentable"),
    case("default::d.io\nq.io/a::h.io", "q.io/a/b:1", Some("h.io/b:1"), "registry"),
    case("default::d.io\nq.io/a::h.io/x/", "q.io/a:1", Some("h.io/x:1"), "registry"),
    case("default::d.io\nq.io/a::h.io/m-", "q.io/a:1", Some("h.io/m-q.io/a:1"), "registry"),
    case("default::d.io\nq.io/a::h.io-", "q.io/a:1", Some("h.io-q.io/a:1"), "registry"),
    case("default::d.io\nq.io/a::", "q.io/a:1", None, "registry"),
    case("default::d.io\nq.io/a::h.io", "h.io/a:1", None, "already-swapped"),

    // A name has at most 255 bytes, without tag and digest.
    case("default::d.io", concat!("", a240!(), "aaaaaaaaaa"), Some(concat!("d.io/", a240!(), "aaaaaaaaaa")), "default"),
    case("default::d.io", concat!("", a240!(), "aaaaaaaaaaa"), None, "unrepresentable"),
    case("default::d.io", concat!("", a240!(), "aaaaaaaaaa:1.27@sha256:15d3b5c4f521a84896ed1ead1b14e4774d02202d5c65ab68f30eeaf310a3b1a7"), Some(concat!("d.io/", a240!(), "aaaaaaaaaa:1.27@sha256:15d3b5c4f521a84896ed1ead1b14e4774d02202d5c65ab68f30eeaf310a3b1a7")), "default"),
    case("default::d.io", concat!("", a240!(), "aaaaaaaaaaa:1.27@sha256:15d3b5c4f521a84896ed1ead1b14e4774d02202d5c65ab68f30eeaf310a3b1a7"), None, "unrepresentable"),
    case("default::d.io", concat!("q.io/", a240!(), "aaaaaaaaaaa"), None, "unrepresentable"),
    case("default::d.io", concat!("registry.io/", a240!(), "aaaaaaaaaa"), Some(concat!("d.io/", a240!(), "aaaaaaaaaa")), "default"),
    case("default::d.io/{path}", concat!("q.io/", a240!(), "aaaaaaaaaa:1"), Some(concat!("d.io/", a240!(), "aaaaaaaaaa:1")), "default"),
    case("default::d.io/{path}", concat!("", a240!(), "aaa:1"), None, "unrepresentable"),
    case("default::d.io/{path}", concat!("", a240!(), "aa:1"), Some(concat!("d.io/library/", a240!(), "aa:1")), "default"),
    case("default::d.io/{registry}", concat!("q.io/", a240!(), "aaaaa:1"), Some(concat!("d.io/q.io/", a240!(), "aaaaa:1")), "default"),
    case("default::d.io/{registry}", concat!("q.io/", a240!(), "aaaaaa:1"), None, "unrepresentable"),
    case("default::d.io/m-", concat!("q.io/", a240!(), "aaa:1"), Some(concat!("d.io/m-q.io/", a240!(), "aaa:1")), "default"),
    case("default::d.io/m-", concat!("q.io/", a240!(), "aaaa:1"), None, "unrepresentable"),
    case("default::d.io\nq.io::h.io/x", concat!("q.io/", a240!(), "aaaaaaaa:1"), Some(concat!("h.io/x/", a240!(), "aaaaaaaa:1")), "registry"),
    case("default::d.io\nq.io::h.io/x", concat!("q.io/", a240!(), "aaaaaaaaa:1"), None, "unrepresentable"),
    case("default::d.io\nq.io/x::h.io/m", concat!("q.io/x/", a240!(), "aaaaaaaa:1"), Some(concat!("h.io/m/", a240!(), "aaaaaaaa:1")), "registry"),
    case("default::d.io\nq.io/x::h.io/mm", concat!("q.io/x/", a240!(), "aaaaaaaa:1"), None, "unrepresentable"),
    case("default::d.io\n*.io::h.x", concat!("q.io/", a240!(), "aaaaaaaaaa"), Some(concat!("h.x/", a240!(), "aaaaaaaaaa")), "registry"),
    case("default::d.io\n*.io::h.x/xx", concat!("q.io/", a240!(), "aaaaaaaaaa"), None, "unrepresentable"),
    case("default::d.io\n[REPLACE]*::h.io", concat!("q.io/b/", a240!(), "aaaaaaaaaa:1"), Some(concat!("h.io/", a240!(), "aaaaaaaaaa:1")), "replace"),
    case("default::d.io\n[REPLACE]*::h.io", concat!("q.io/b/", a240!(), "aaaaaaaaaaa:1"), None, "unrepresentable"),
    case("default::d.io\n[REPLACE]*::h.io/m-", concat!("q.io/b/", a240!(), "aaaaaaaa:1"), Some(concat!("h.io/m-", a240!(), "aaaaaaaa:1")), "replace"),
    case("default::d.io\n[REPLACE]*::h.io/m-", concat!("q.io/b/", a240!(), "aaaaaaaaa:1"), None, "unrepresentable"),
    case("default::d.io", concat!("d.io/", a240!(), "aaaaaaaaaa"), None, "already-swapped"),
    case("default::", concat!("q.io/", a240!(), "aaaaaaaaaaa"), None, "default"),
    case(concat!("default::d.io\n[EXACT]a::h.io/", a240!(), "aaaaaaaaaa"), "a", Some(concat!("h.io/", a240!(), "aaaaaaaaaa")), "exact"),
    case(concat!("default::d.io\n[EXACT]a::h.io/", a240!(), "aaaaaaaaaaa"), "a", None, "invalid-target"),

    // Under a target: the host is compared without case, the path is not.
    case("default::D.io", "d.io/a", None, "already-swapped"),
    case("default::d.io", "D.io/a", None, "already-swapped"),
    case("default::d.io", "D.io:80/a", None, "already-swapped"),
    case("default::D.io/x", "d.io/x/a", None, "already-swapped"),
    case("default::d.io/x", "D.io/x/a", None, "already-swapped"),
    case("default::d.io/x", "D.io/X/a", Some("d.io/x/X/a"), "default"),
    case("default::D.io:80", "d.io:80/a", None, "already-swapped"),
    case("default::d.io:80", "D.io/a", Some("d.io:80/a"), "default"),
    case("default::D.io/x-", "d.io/x-a/b", None, "already-swapped"),
    case("default::d.io/x-", "D.io/x-a/b", None, "already-swapped"),
    case("default::[FD00::A]", "[fd00::a]/x", None, "already-swapped"),
    case("default::MYREG", "MYREG/a", None, "already-swapped"),
    case("default::MYREG", "MyReg/a", None, "already-swapped"),
    case("default::MYREG", "nginx", Some("MYREG/nginx"), "default"),
    case("default::Mirror-", "nginx", Some("Mirror-docker.io/nginx"), "default"),
    case("default::Mirror-", "mirror-docker.io/nginx", None, "already-swapped"),
    case("default::d.io\nq.io::M.io/x", "m.io/x/a", None, "already-swapped"),
    case("default::d.io\nm.io::M.io/x", "m.io/x/a", None, "already-swapped"),
    case("default::d.io\nq.io/a::M.io/x", "m.io/x:1", None, "already-swapped"),
    case("default::d.io\nq.io/a::m.io/x", "M.io/x@sha256:ab", None, "already-swapped"),
    case("default::d.io\nq.io/a::m.io/x", "m.io/X:1", Some("d.io/X:1"), "default"),
    case("default::d.io\n[REPLACE]*a::M.io/x", "m.io/x/a", None, "already-swapped"),
    case("default::d.io\n*.q.io::M.io/x", "m.io/x/a", None, "already-swapped"),

    // A shorthand has no host. Its text is compared as it is written.
    case("default::mirror-", "mirror-docker.io/nginx", None, "already-swapped"),
    case("default::d.io\n[REPLACE]a*::m-", "m-a", None, "already-swapped"),
    case("default::docker.io", "Docker.io/nginx", None, "already-swapped"),
    case("default::Docker.io", "nginx", None, "already-swapped"),

    // The target of `[EXACT]` counts letter by letter.
    case("default::d.io\n[EXACT]a::p.io/a:1", "p.io/a:1", None, "already-swapped"),
    case("default::d.io\n[EXACT]a::p.io/a:1", "P.io/a:1", Some("d.io/a:1"), "default"),
    case("default::d.io\n[EXACT]a::P.io/a:1", "p.io/a:1", Some("d.io/a:1"), "default"),
    case("default::d.io\n[EXACT]a::p.io/a", "p.io/a:1", Some("d.io/a:1"), "default"),
    case("default::d.io\n[EXACT]a::p.io/m-a", "p.io/m-ab", Some("d.io/m-ab"), "default"),
];
