# The container image of ImageSwap: one static program, public CAs, and nothing else.
#
#   docker build --build-arg "REVISION=$(git rev-parse HEAD)" --tag registry.example.com/imageswap .
#
# For several platforms each is built natively, which is slow where it has to be emulated:
#
#   docker buildx build --platform linux/amd64,linux/arm64 --tag registry.example.com/imageswap --push .

# Any Debian image with rustup, cargo and a C compiler. A release names it by digest.
ARG RUST_IMAGE=rust:1.95-slim-bookworm

FROM ${RUST_IMAGE} AS build
WORKDIR /src
# Linked with musl, the program needs no library of the image; ring and mimalloc have parts in C.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates musl-tools \
    && rm -rf /var/lib/apt/lists/* \
    && rustup target add "$(uname -m)-unknown-linux-musl"

# The dependencies, in a layer that stays until they change. Cargo wants the files that Cargo.toml
# names, benchmarks and test support too, so that empty ones stand in for the sources.
COPY Cargo.toml Cargo.lock ./
COPY tests/support/Cargo.toml tests/support/
RUN mkdir src benches load-tests tests/support/src \
    && echo 'fn main() {}' >src/main.rs \
    && touch src/lib.rs load-tests/floor.rs tests/support/src/lib.rs \
    && sed -n '/^\[\[bench\]\]/,/^$/s|^name = "\(.*\)"|benches/\1.rs|p' Cargo.toml | xargs touch \
    && cargo build --release --locked --target "$(uname -m)-unknown-linux-musl" --bin imageswap

COPY build.rs ./
COPY config config
COPY templates templates
COPY src src
# The git commit, for `--version` and the metric imageswap_build_info: there is no .git here.
ARG REVISION=unknown
# Cargo goes by times, and the sources may be older than what was built of the empty ones. The links are the commands in
# the manifests of the Python ImageSwap, which then work with this image. The CAs are those of Mozilla, without any that
# the administrator of the build stage has added.
RUN touch src/main.rs src/lib.rs \
    && export IMAGESWAP_REVISION="$REVISION" \
    && cargo build --release --locked --target "$(uname -m)-unknown-linux-musl" --bin imageswap \
    && mkdir -p /image/app /image/etc/ssl/certs /image/usr/local/bin \
    && cp "target/$(uname -m)-unknown-linux-musl/release/imageswap" /image/imageswap \
    && LC_ALL=C sh -c 'cat /usr/share/ca-certificates/mozilla/*.crt' >/image/etc/ssl/certs/ca-certificates.crt \
    && ln -s /imageswap /image/app/imageswap-init.py \
    && ln -s /imageswap /image/usr/local/bin/gunicorn

# No shell, no package manager and no user database. The public CAs are for the registries that are asked for verified
# targets. Kubernetes mounts the CA of the API server.
FROM scratch
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="ImageSwap" \
      org.opencontainers.image.description="Kubernetes admission webhook that rewrites container images" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY LICENSE /
COPY --from=build /image/ /
# The runtime finds `gunicorn` by this path. Without it, the runtime would choose a path itself.
ENV PATH=/usr/local/bin
# A number, because the kubelet cannot check `runAsNonRoot` for a name. As in deploy/manifests.
USER 1898:1898
# The webhook over TLS; probes and metrics over plain HTTP.
EXPOSE 5000 8080
ENTRYPOINT ["/imageswap"]
CMD ["serve"]
