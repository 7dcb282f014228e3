//! The test maps of the Python ImageSwap.

use super::{Case, case};

/// A map from the tests of the Python ImageSwap, with every kind of line, valid and invalid.
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

/// The cases.
#[rustfmt::skip]
pub(super) const CASES: &[Case] = &[
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
