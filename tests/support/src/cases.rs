//! Cases of the swap rules: a map, an image, and the decision. They cover every example in the specification and the
//! test maps of the Python version.

/// A map, an image, and the expected decision.
pub struct Case {
    /// Text of the map.
    pub map: &'static str,
    /// The image.
    pub image: &'static str,
    /// The new image; `None` if the image is left alone.
    pub result: Option<&'static str>,
    /// Name of the reason.
    pub reason: &'static str,
}

const fn case(
    map: &'static str,
    image: &'static str,
    result: Option<&'static str>,
    reason: &'static str,
) -> Case {
    Case { map, image, result, reason }
}

const LIBRARY: &str = "default::\ndocker.io::\ndocker.io/library::h.io/library";
const ACME: &str = "default::d.io\nghcr.io/acme::h.io/acme-proxy";
const HUB_PREFIX: &str = "default::d.io\ndocker.io::my.io/mirror-";

/// A map from the tests of the Python version, with every kind of line, valid and invalid.
const ORIGINAL: &str = "\
default:default.example.com
docker.io:my.example.com/mirror-
quay.io:quay.example3.com
gitlab.com:registry.example.com/gitlab
#gcr.io: # This is a comment
cool.io:
registry.internal.twr.io:registry.example.com
harbor.geo.pks.twr.io:harbor2.com ###### This is a comment with many symbols
registry.waldo.com:8443::registry.garply.com # Swap map key that includes a port
registry.foo.com::localhost:30003/foo # Swap map value that includes a port
registry.bar.com:8443::registry.baz.com:30003/bar # Swap map key & value that include a port
registry2.bar.com:registry2.baz.com:30003/bar # Bad config (port in value)
registry3.bar.com:8443:registry.internal.baz.com:30003/bar # Bad config (port in both)
registry4.bar.com;registry.internal.baz.com/bar # Bad config with invalid separator
noswap_wildcards:twr.io, walrus.io";

const ORIGINAL_EXACT: &str = "\
default:default.example.com
nvcr.io:harbor.example.com

[EXACT]hello-world::myownrepo.example.com/base/public-image-cache:hello-world
[EXACT]ubutun:18.04::myownrepo.example.com/base/public-image-cache:ubuntu_18.04
[EXACT]mysql/mysql-server::myownrepo.example.com/base/public-image-cache:mysql_mysql-server
[EXACT]mysql/mysql-server:5.6::myownrepo.example.com/base/public-image-cache:mysql_5.6
[EXACT]nvcr.io/nvidia:k8s-device-plugin_v0.9.0::myownrepo.example.com/base/cache:plugin
[EXACT]auto::auto";

const ORIGINAL_REPLACE: &str = "\
default:default.example.com
nvcr.io:harbor.example.com

[EXACT]redis::myownrepo.example.com/base/public-image-cache:redis
[REPLACE]hello-*::myownrepo.example.com/base/public-image-cache
[REPLACE]ubut*18.04::myownrepo.example.com/base
[REPLACE]*mysql-server:5.6::myownrepo.example.com/base/public-image-cache
[REPLACE]*nvidia:k8s-device-plugin_*::myownrepo.example.com/base/
[REPLACE]hello:v1.?::myownrepo.example.com/base/public-image-cache
[REPLACE]auto::";

const ORIGINAL_LIBRARY: &str = "\
default:default.example.com
docker.io:harbor.example.com
docker.io/library:harbor.example.com/library";

/// All cases.
#[rustfmt::skip]
pub const CASES: &[Case] = &[
    // Section 4 of the swap rules.
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

    // Rules with an invalid target leave their images alone. No other rule applies to them.
    case("default::d.io\ndocker.io::https://h.io", "nginx", None, "invalid-target"),
    case("default::d.io\nq.io/a::h.io/Upper", "q.io/a/b", None, "invalid-target"),
    case("default::d.io\nq.io/a::h.io/Upper", "q.io/c/b", Some("d.io/c/b"), "default"),
    case("default::d.io\n[EXACT]a::h.io/Upper", "a", None, "invalid-target"),
    case("default::d.io\n[EXACT]a::h.io/x:", "a", None, "invalid-target"),
    case("default::d.io\n[REPLACE]a*::h.io/Upper", "ab", None, "invalid-target"),
    case("default::https://d.io", "nginx", None, "invalid-target"),
    case("default::https://d.io\nq.io::h.io", "q.io/a", Some("h.io/a"), "registry"),
    case("default::D.io/Upper-", "nginx", None, "invalid-target"),
    case("default::d.io\nq.io::h.io/Upper", "h.io/Upper/x", Some("d.io/Upper/x"), "default"),

    // A manifest is not a map.
    case("apiVersion: v1\ndefault: d.io", "nginx", None, "no-default"),

    // A key that names a whole repository, without tag and digest.
    case("default::d.io\ndocker.io/library/nginx::h.io/web", "nginx:1.27", Some("h.io/web:1.27"), "registry"),
    case("default::d.io\ndocker.io/library/nginx::h.io/web", "nginx@sha256:ab", Some("h.io/web@sha256:ab"), "registry"),
    case("default::d.io\ndocker.io/library/nginx::h.io/web", "nginx", Some("h.io/web"), "registry"),
    case("default::d.io\ndocker.io/library/nginx::h.io/web", "h.io/web:1.27", None, "already-swapped"),

    // The test maps of the Python version.
    case(ORIGINAL, "registry2.bar.com/jmsearcy/twrtools:latest", Some("default.example.com/jmsearcy/twrtools:latest"), "default"),
    case(ORIGINAL, "registry3.bar.com:8443/jmsearcy/twrtools:latest", Some("default.example.com/jmsearcy/twrtools:latest"), "default"),
    case(ORIGINAL, "default.io/paulbower/hello-kubernetes:1.5", Some("default.example.com/paulbower/hello-kubernetes:1.5"), "default"),
    case(ORIGINAL, "docker.io/tmobile/magtape:latest", Some("my.example.com/mirror-docker.io/tmobile/magtape:latest"), "registry"),
    case(ORIGINAL, "gitlab.com/tmobile/pie/proxyman:latest", Some("registry.example.com/gitlab/tmobile/pie/proxyman:latest"), "registry"),
    case(ORIGINAL, "cool.io:443/istio/istiod:latest", None, "registry"),
    case(ORIGINAL, "registry.external.twr.io:443/istio/istiod:latest", None, "noswap-wildcard"),
    case(ORIGINAL, "registry.internal.twr.io:443/istio/istiod:latest", Some("registry.example.com:443/istio/istiod:latest"), "registry"),
    case(ORIGINAL, "walrus.io/test/test:latest", None, "noswap-wildcard"),
    case(ORIGINAL, "registry.waldo.com:8443/jmsearcy/twrtools:latest", Some("registry.garply.com/jmsearcy/twrtools:latest"), "registry"),
    case(ORIGINAL, "registry.foo.com/jmsearcy/twrtools:latest", Some("localhost:30003/foo/jmsearcy/twrtools:latest"), "registry"),
    case(ORIGINAL, "registry.bar.com:8443/jmsearcy/twrtools:latest", Some("registry.baz.com:30003/bar/jmsearcy/twrtools:latest"), "registry"),
    case(ORIGINAL, "alpine", Some("my.example.com/mirror-docker.io/alpine"), "registry"),
    case(ORIGINAL, "nginx:latest", Some("my.example.com/mirror-docker.io/nginx:latest"), "registry"),
    case(ORIGINAL, "ubuntu/ubuntu", Some("my.example.com/mirror-docker.io/ubuntu/ubuntu"), "registry"),
    case(ORIGINAL, "ubuntu/ubuntu:latest", Some("my.example.com/mirror-docker.io/ubuntu/ubuntu:latest"), "registry"),
    case(ORIGINAL, "quay.io/solo/gloo", Some("quay.example3.com/solo/gloo"), "registry"),
    case(ORIGINAL, "quay.io/solo/gloo:v1.0", Some("quay.example3.com/solo/gloo:v1.0"), "registry"),
    case(ORIGINAL, "gcr.io:443/istio/istiod:latest", Some("default.example.com/istio/istiod:latest"), "default"),
    case(ORIGINAL, "some/random/test/without/registry-or-tag", Some("my.example.com/mirror-docker.io/some/random/test/without/registry-or-tag"), "registry"),
    case(ORIGINAL, "some/random/test/without/registry-or-tag:latest", Some("my.example.com/mirror-docker.io/some/random/test/without/registry-or-tag:latest"), "registry"),
    case(ORIGINAL, "myregistry.com/some/random/test/with/registry:latest", Some("default.example.com/some/random/test/with/registry:latest"), "default"),
    case(ORIGINAL, "harbor.geo.k8s.twr.io/stuff/magtape:latest", None, "noswap-wildcard"),
    case(ORIGINAL, "kindest/node@sha256:15d3b5c4f521a84896ed1ead1b14e4774d02202d5c65ab68f30eeaf310a3b1a7", Some("my.example.com/mirror-docker.io/kindest/node@sha256:15d3b5c4f521a84896ed1ead1b14e4774d02202d5c65ab68f30eeaf310a3b1a7"), "registry"),
    case(ORIGINAL, "rabbitmq:3.8.18-management", Some("my.example.com/mirror-docker.io/rabbitmq:3.8.18-management"), "registry"),
    case("docker.io:my.example.com/mirror-\ncool.io:\nnoswap_wildcards:twr.io, walrus.io", "default.io/paulbower/hello-kubernetes:1.5", None, "no-default"),
    case("default:\ndocker.io:my.example.com/mirror-\nnoswap_wildcards:twr.io, walrus.io", "john.io/paulbower/hello-kubernetes:1.5", None, "default"),
    case(ORIGINAL_LIBRARY, "nginx:latest", Some("harbor.example.com/library/nginx:latest"), "registry"),
    case(ORIGINAL_LIBRARY, "rabbitmq:3.8.18-management", Some("harbor.example.com/library/rabbitmq:3.8.18-management"), "registry"),
    case(ORIGINAL_EXACT, "any-image", Some("default.example.com/any-image"), "default"),
    case(ORIGINAL_EXACT, "nvcr.io/any-image", Some("harbor.example.com/any-image"), "registry"),
    case(ORIGINAL_EXACT, "hello-world", Some("myownrepo.example.com/base/public-image-cache:hello-world"), "exact"),
    case(ORIGINAL_EXACT, "ubutun:18.04", Some("myownrepo.example.com/base/public-image-cache:ubuntu_18.04"), "exact"),
    case(ORIGINAL_EXACT, "mysql/mysql-server", Some("myownrepo.example.com/base/public-image-cache:mysql_mysql-server"), "exact"),
    case(ORIGINAL_EXACT, "mysql/mysql-server:5.6", Some("myownrepo.example.com/base/public-image-cache:mysql_5.6"), "exact"),
    case(ORIGINAL_EXACT, "nvcr.io/nvidia:k8s-device-plugin_v0.9.0", Some("myownrepo.example.com/base/cache:plugin"), "exact"),
    case(ORIGINAL_EXACT, "auto", None, "exact"),
    case(ORIGINAL_REPLACE, "any-image", Some("default.example.com/any-image"), "default"),
    case(ORIGINAL_REPLACE, "nvcr.io/any-image", Some("harbor.example.com/any-image"), "registry"),
    case(ORIGINAL_REPLACE, "redis", Some("myownrepo.example.com/base/public-image-cache:redis"), "exact"),
    case(ORIGINAL_REPLACE, "hello-world", Some("myownrepo.example.com/base/public-image-cache/hello-world"), "replace"),
    case(ORIGINAL_REPLACE, "ubutun:18.04", Some("myownrepo.example.com/base/ubutun:18.04"), "replace"),
    case(ORIGINAL_REPLACE, "mysql/mysql-server:5.6", Some("myownrepo.example.com/base/public-image-cache/mysql-server:5.6"), "replace"),
    case(ORIGINAL_REPLACE, "nvcr.io/nvidia:k8s-device-plugin_v0.9.0", Some("myownrepo.example.com/base/nvidia:k8s-device-plugin_v0.9.0"), "replace"),
    case(ORIGINAL_REPLACE, "hello:v1.1", Some("myownrepo.example.com/base/public-image-cache/hello:v1.1"), "replace"),
    case(ORIGINAL_REPLACE, "auto", None, "placeholder"),
];
