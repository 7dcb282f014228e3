# What the scripts of a release share. They are run from the root of the clone. Also read by the bash 3.2 of macOS.
# shellcheck shell=bash
# Each variable is for some of the scripts.
# shellcheck disable=SC2034

fail() {
    echo "error: $1" >&2
    exit 1
}

# The repository is the one that runs the workflow. Elsewhere nobody can say who OWNER is going to be.
repository=${GITHUB_REPOSITORY:-OWNER/imageswap}
# Names of images have no upper case.
image=ghcr.io/$(tr '[:upper:]' '[:lower:]' <<<"$repository")
version=$(sed -n '/^\[package\]/,/^$/s/^version = "\(.*\)"/\1/p' Cargo.toml)
[[ -n $version ]] || fail 'there is no version in Cargo.toml'
revision=$(git rev-parse HEAD)
# The time of all files, so that the same commit makes the same archives.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH

mkdir -p -- "${CARGO_TARGET_DIR:-target}/release-files"
target_directory=$(cd -- "${CARGO_TARGET_DIR:-target}" && pwd)
# Contains `programs`, a folder for each target; `files`, which users download; `image`, an OCI image layout; and
# `notes.md`.
output=$target_directory/release-files

# The targets of Rust for which a release has a program.
readonly TARGETS=(aarch64-apple-darwin aarch64-unknown-linux-musl x86_64-apple-darwin x86_64-unknown-linux-musl)

# Exit code of .ci/release/build if this machine has no compiler for the target, and cannot install one.
readonly NO_COMPILER=3

# Prints a target of Rust as the files of a release name it, such as linux-arm64.
platform() {
    case $1 in
        aarch64-apple-darwin) echo darwin-arm64 ;;
        aarch64-unknown-linux-musl) echo linux-arm64 ;;
        x86_64-apple-darwin) echo darwin-amd64 ;;
        x86_64-unknown-linux-musl) echo linux-amd64 ;;
        *) fail "a release has no program for $1" ;;
    esac
}

# True if this machine runs the program for a target itself.
is_native() {
    case $1 in
        *-linux-*) [[ $(uname -s) == Linux && $1 == "$(uname -m)"-* ]] ;;
        *) [[ $(uname -s) == Darwin ]] ;;
    esac
}
