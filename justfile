# `cargo-deny` is where `.ci/run` installs it, unless it is elsewhere on the path.
export PATH := justfile_directory() / "target/tools/bin:" + env("PATH")

# List the recipes
default:
    @{{ just_executable() }} --list --unsorted

# Format the code
fmt:
    cargo fmt --all

# Find mistakes in the code, and dependencies that are not allowed
lint:
    cargo clippy --workspace --all-targets --all-features --locked -- -D warnings
    cargo deny --locked check -D warnings licenses sources
    cargo deny --locked --exclude-dev check -D warnings bans

# Check the spelling; `just typos --write-changes` also corrects it
typos *arguments:
    .ci/typos {{ arguments }}

# Check the workflows in .github/workflows; takes Go
workflows:
    .ci/workflows

# Check that the oldest supported Rust compiles the program; takes rustup
msrv:
    .ci/msrv

# Run the tests
test:
    cargo test --workspace --locked

# Run the release build as a cluster would
smoke:
    .ci/smoke

# Build the container image and run it; takes root and buildah
image:
    .ci/image

# Write deploy/install.yaml anew from the manifests, and the README of the chart from its values; takes kubectl and Go
manifests:
    deploy/generate
    deploy/helm/generate

# Check the Helm chart
chart:
    .ci/helm

# Test the alerts and the dashboard with a real Prometheus
observability:
    .ci/observability

# Test the registry client with a real registry
registry:
    .ci/registry

# Test the status page in a real browser
status-page:
    .ci/status-page

# Run the webhook in a cluster: a real control plane on loopback
cluster-test:
    .ci/cluster

# Run the webhook on a real node of Kubernetes; takes root and cgroups of version 1
node-test *arguments:
    .ci/node {{ arguments }}

# Run the whole gate, as before a merge
ci:
    .ci/run

# Run the gate, and in full size what the gate runs in small: hours on two cores; takes root and buildah
full: ci simulate
    .ci/smoke
    .ci/load
    .ci/faults
    fuzz/run
    .ci/image --local-base
    .ci/node --image
    .ci/cluster --oldest

# Measure
bench:
    cargo bench --locked

# Count the instructions of decisions and reviews; takes valgrind
instructions *names:
    benches/instructions {{ names }}

# Simulate the rotation of certificates in 100,000 random schedules
simulate:
    IMAGESWAP_SCHEDULES=100000 cargo test --profile quick --locked --test simulation -- --nocapture

# Fuzz the parsers; by libFuzzer where there is a nightly toolchain with cargo-fuzz
fuzz *arguments:
    fuzz/run {{ arguments }}

# Run the fault tests in full size, with the release build; takes libfaketime
faults *arguments:
    .ci/faults {{ arguments }}

# Compare the webhook with a server that does nothing; takes h2load
compare *arguments:
    load-tests/compare.sh {{ arguments }}

# Compare the webhook with other webhooks that rewrite images; takes h2load, and Go for Gatekeeper and the control plane
peers *arguments:
    load-tests/peers.sh {{ arguments }}

# Show where the processor time of a request goes; takes h2load and perf
profile *arguments:
    load-tests/profile.sh {{ arguments }}

# Measure memory, and how soon the webhook is ready
footprint:
    cargo build --release --locked
    load-tests/footprint.py

# Measure how fast `rewrite` and `plan` read manifests
manifests:
    cargo build --release --locked
    load-tests/manifests.py

# Measure what the webhook costs whoever creates pods; takes h2load, and Go for the control plane
api-server *arguments:
    load-tests/api-server.sh {{ arguments }}

# List the crates of the program, as a CycloneDX file in target/sbom
sbom *targets:
    .ci/sbom {{ targets }}

# Make a release here, without publishing it; takes Go, rustup and Python
release-dry-run:
    .ci/release/dry-run

# Put a load on the webhook for an hour while its files change; takes vegeta
soak *arguments:
    load-tests/soak.sh {{ arguments }}

# Write docs/reference anew from the code
reference:
    IMAGESWAP_WRITE_REFERENCE=1 cargo test --locked --test reference

# Write the manual pages to target/man
man:
    cargo run --locked --example man -- target/man

# Serve on loopback with a sample map and a self-signed certificate
dev:
    cargo run --locked -- serve --dev
