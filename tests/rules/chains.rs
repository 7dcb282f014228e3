//! Chains: `check` names each pair of rules, the one that makes an image and the one that rewrites it again.

use imageswap::rules::{Code, LoadedMap};

/// The line of the rule that makes an image, the line of the rule that rewrites it again, and the code.
type Chain = (u32, u32, Code);

/// Returns the chains of a map.
fn chains(map: &str) -> Vec<Chain> {
    let diagnostics = LoadedMap::from_text(map).unwrap().diagnostics;
    let chains = diagnostics.kept().iter().filter_map(|diagnostic| {
        let is_chain = [Code::Chain, Code::CaseChain].contains(&diagnostic.code);
        let to = diagnostic.related.as_ref().map(|related| related.line);
        is_chain.then(|| (diagnostic.line.unwrap(), to.unwrap(), diagnostic.code))
    });
    chains.collect()
}

#[test]
fn every_pair_of_rules_is_named() {
    use Code::{CaseChain, Chain};

    let cases: [(&str, &[self::Chain]); 21] = [
        // Every rule that makes the image, not only the first.
        (
            "default::h.io\nquay.io::h.io/p\n[EXACT]h.io/p/x::e.io/x",
            &[(1, 3, Chain), (2, 3, Chain)],
        ),
        (
            "default::h.io\nquay.io::h.io\nghcr.io::h.io\n[EXACT]h.io/x::e.io/x",
            &[(1, 4, Chain), (2, 4, Chain), (3, 4, Chain)],
        ),
        // Registries above and below the target.
        ("default::d.io\na.io::b.io/x\nb.io::c.io", &[(2, 3, Chain)]),
        ("default::d.io\na.io::b.io\nb.io/x::c.io", &[(2, 3, Chain)]),
        ("default::d.io\na.io::b.io/x\nb.io/y::c.io", &[]),
        ("default::d.io\na.io::b.io\nB.IO::c.io", &[(2, 3, Chain)]),
        ("default::d.io\na.io::index.docker.io/x\ndocker.io::c.io", &[(2, 3, Chain)]),
        // A port that the new image keeps.
        ("default::d.io\na.io::b.io\nb.io:443::c.io", &[(2, 3, Chain)]),
        ("default::d.io\na.io/x::b.io\nb.io:443::c.io", &[]),
        // The rule leaves `a.io/x:1` alone, because `b.io:1` would have no path.
        ("default::d.io\na.io/x::b.io\ndocker.io::c.io", &[]),
        // Wildcard hosts.
        ("default::d.io\na.io::x.b.io/y\n*.b.io::c.io", &[(2, 3, Chain)]),
        ("default::d.io\na.io::x.b.io\n*.b.io/y::c.io", &[(2, 3, Chain)]),
        ("default::d.io\na.io::b.io\n*.b.io::c.io", &[]),
        ("default::m-\n*.b.io::c.io", &[(1, 2, Chain)]),
        ("default::d.io\na.io::m-\nm-a.io::c.io\nm-e.io::c.io", &[(2, 3, Chain)]),
        // Placeholders.
        ("default::d.io/{registry}\nd.io/quay.io::c.io", &[(1, 2, Chain)]),
        ("default::d.io/x/{path}\nd.io/x/library::c.io", &[(1, 2, Chain)]),
        ("default::d.io/x/{path}\n[REPLACE]*/x/library/*::c.io", &[(1, 2, Chain)]),
        // A host in capitals matches no glob at first. In the new image it is in lower case.
        ("default::d.io/{registry}\n[REPLACE]*quay*::c.io", &[(1, 2, CaseChain)]),
        // The digits of a port do not match a glob that contains no `-`.
        ("default::d.io/{registry}\n[REPLACE]*:8080/*::c.io", &[]),
        ("default::d.io/{registry}\n[REPLACE]*-8080/*::c.io", &[(1, 2, Chain)]),
    ];
    for (map, expected) in cases {
        assert_eq!(chains(map), expected, "{map}");
    }
}
