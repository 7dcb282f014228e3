#!/usr/bin/env bash
# Profiles the processor time of a request, in the webhook and in the floor: a table of parts, in microseconds.
# Needs perf, and builds both servers with symbols.
#
# usage: load-tests/profile.sh [--review FILE] [--connections N] [--duration SECONDS]
#
# load-tests/README.md explains the figures.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
# shellcheck source=load-tests/common.sh
source load-tests/common.sh

REVIEW=tests/fixtures/reviews/02-update-pod.json
CONNECTIONS=8
DURATION=5

while (($#)); do
    case $1 in
        --review | --connections | --duration)
            take_value "$@"
            shift
            ;;
        --help | -h) usage && exit ;;
        *) die "unknown option $1; see --help" ;;
    esac
    shift
done

# Samples a server under load, and prints the number of requests.
profile() {
    local server=$1 log=$directory/h2load.tsv
    start_server "$server" "$directory/tls" config/imageswap-maps.conf
    rm -f -- "$log"
    start h2load h2load --clients "$CONNECTIONS" --threads 1 --max-concurrent-streams 1 \
        --duration "$((DURATION + 3))" --log-file "$log" --data "$REVIEW" \
        --header 'Content-Type: application/json' "https://$address/"
    # The connections are opened in the meantime.
    sleep 1
    begin_samples "$server"
    local begun=${EPOCHREALTIME/./} ended
    sleep "$DURATION"
    ended=${EPOCHREALTIME/./}
    end_samples "$target/load-tests/$server.profile"
    wait "${pids[h2load]}" || show_log_and_die h2load 'failed'
    unset 'pids[h2load]'
    stop "$server"
    read -r "requests_$server" _ < <(load-tests/results.py window "$log" "$begun" "$ended")
}

need perf 'it is in the Debian package linux-perf'
need h2load 'it is in the Debian package nghttp2-client'
need openssl 'it makes the certificate'
need python3 'it makes the figures'
build_servers_with_symbols
mkdir -- "$directory/tls"
make_authority "$directory/tls"
make_certificate "$directory/tls"
mkdir -p -- "$target/load-tests"
rm -f -- "$target/load-tests/"{floor,imageswap}.profile
profile floor
profile imageswap
note "each function is in $target/load-tests/floor.profile and imageswap.profile"
# Set by name, by `read` above.
# shellcheck disable=SC2154
load-tests/profile.py "$FREQUENCY" \
    "$target/load-tests/floor.profile" "$requests_floor" \
    "$target/load-tests/imageswap.profile" "$requests_imageswap"
