#!/usr/bin/env bash
# Compares the webhook with others that rewrite images too. All get the same reviews with the same rules, as far as
# they can express them, in turn in the same run; the table contains medians. peers.md explains the figures.
#
# usage: load-tests/peers.sh [OPTION...]
#
#   --peers 'P...'         from floor, imageswap, harbor-container-webhook, mutating-registry-webhook and gatekeeper
#                                                          [default: all whose program is there]
#   --protocols 'P...'     http1 and http2                           [default: 'http1 http2']
#   --connections N        concurrent connections                    [default: 8]
#   --streams N            concurrent requests on an HTTP/2 connection [default: 1]
#   --warm-up SECONDS      load before each measurement              [default: 1]
#   --duration SECONDS     of each measurement                       [default: 3]
#   --rounds N             measurements of each kind                 [default: 4]
#   --max-other PERCENT    measure again if other processes used more of the processors [default: 5]
#   --output FILE          each measurement, as CSV                  [default: target/load-tests/peers.csv]
#   --json                 print the summary as JSON instead of the table
#   --quick                one round of a second, to check that everything works
#
# Each option with a value can also be set by a variable, such as PEERS_ROUNDS. Exit code 1 if a request failed.
#
# Gatekeeper is built from its Go module, in target/peers; etcd and kube-apiserver are those of the cluster tests.
# The programs of harbor-container-webhook and mutating-registry-webhook are measured if they are in target/peers/bin.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
# shellcheck source=load-tests/common.sh
source load-tests/common.sh
# shellcheck source=load-tests/control-plane.sh
source load-tests/control-plane.sh
# shellcheck source=load-tests/peer-programs.sh
source load-tests/peer-programs.sh

PEERS=${PEERS_PEERS:-}
PROTOCOLS=${PEERS_PROTOCOLS:-http1 http2}
CONNECTIONS=${PEERS_CONNECTIONS:-8}
STREAMS=${PEERS_STREAMS:-1}
WARM_UP=${PEERS_WARM_UP:-1}
DURATION=${PEERS_DURATION:-3}
ROUNDS=${PEERS_ROUNDS:-4}
MAX_OTHER=${PEERS_MAX_OTHER:-5}
OUTPUT=${PEERS_OUTPUT:-$target/load-tests/peers.csv}
FORMAT=table

readonly REVIEW=$directory/review.json
readonly NAMESPACE=shop
readonly COLUMNS=round,peer,protocol,connections,streams,seconds,requests,failed,\
requests_per_second,cpu_us_per_request,client_cpu_us_per_request,p50_us,p99_us,p999_us,max_us,\
ready_us,rest_rss_kib,rss_kib,other_cpu_percent
# Time from the first answer to the measurement of memory at rest, in seconds.
readonly REST_SECONDS=1

arguments=("$@")
while (($#)); do
    case $1 in
        --peers | --protocols | --connections | --streams | --warm-up | --duration | --rounds | \
            --max-other | --output)
            take_value "$@"
            shift
            ;;
        --json) FORMAT=json ;;
        --quick) WARM_UP=0.5 DURATION=1 ROUNDS=1 MAX_OTHER=100 ;;
        --help | -h) usage && exit ;;
        *) die "unknown option $1; see --help" ;;
    esac
    shift
done

# Writes the review of a create: a pod whose three images each match another rule. The image volume of the sample is
# left out, because only ImageSwap rewrites it.
write_review() {
    python3 - >"$REVIEW" <<'PYTHON'
import json

with open("tests/fixtures/reviews/00-create-pod.json", encoding="utf-8") as file:
    review = json.load(file)
pod = review["request"]["object"]
del pod["spec"]["volumes"]
pod["spec"]["initContainers"][0]["image"] = "ghcr.io/acme/migrate:v3"
print(json.dumps(review, separators=(",", ":")))
PYTHON
}

# Starts a peer, waits for its first right answer, and sets `ready` to the time until then in µs.
start_peer() {
    local name=$1 ended begun
    locate_peer "$name"
    start poller load-tests/first_answer.py "$address" "$path" "$REVIEW" "${expected[@]}"
    await poller grep --quiet polling "$directory/poller.log"
    begun=${EPOCHREALTIME/./}
    launch_peer "$name"
    wait -n -p ended "${pids[poller]}" "${pids[$name]}" || true
    [[ $ended == "${pids[poller]}" ]] || show_log_and_die "$name" 'has ended'
    unset 'pids[poller]'
    ready=$(sed -n 2p "$directory/poller.log")
    if [[ -z $ready ]]; then
        tail -n 10 -- "$directory/$name.log" >&2
        show_log_and_die poller "has no right answer of $name"
    fi
    ready=$((ready - begun))
}

measure() {
    local round=$1 name=$2 protocol=$3 flags streams rest
    case $protocol in
        http1) flags=(--h1) streams=1 ;;
        http2) flags=(--max-concurrent-streams "$STREAMS") streams=$STREAMS ;;
        *) die "there is no protocol $protocol: http1 or http2" ;;
    esac
    # A new process for each measurement, so that memory does not carry over.
    start_peer "$name"
    sleep "$REST_SECONDS"
    rest=$(resident_memory "${pids[$name]}")
    measure_load "$name" "https://$address$path" "${flags[@]}" --clients "$CONNECTIONS"
    # A program that refuses reviews under load would have status 200 too.
    load-tests/first_answer.py "$address" "$path" "$REVIEW" "${expected[@]}" >/dev/null
    stop "$name"
    row=$round,$name,$protocol,$CONNECTIONS,$streams,${load[seconds]},${load[requests]},${load[failed]},\
${load[requests_per_second]},${load[cpu_us]},${load[client_cpu_us]},${load[p50]},${load[p99]},${load[p999]},\
${load[max]},$ready,$rest,${load[rss_kib]},$other_percent
    failures=$((failures + load[failed]))
    note "round $round, $protocol: $name ${load[cpu_us]} µs of processor time, ${load[requests_per_second]} reviews/s"
}

# Measures each peer by each protocol in each round.
measure_all() {
    local round turn protocol place
    for ((round = 1; round <= ROUNDS; round++)); do
        for protocol in $PROTOCOLS; do
            # Each round begins with another peer, and every second round has the reverse order, so that no peer
            # always has the same position or follows the same peer.
            for ((turn = 0; turn < ${#peers[@]}; turn++)); do
                place=$((round % 2 ? turn : ${#peers[@]} - 1 - turn))
                measure_undisturbed "$round" "${peers[(round / 2 + place) % ${#peers[@]}]}" "$protocol"
            done
        done
    done
}

if [[ -n $PEERS ]]; then read -ra peers <<<"$PEERS"; else available_peers; fi
if [[ -z ${PEERS_ISOLATED:-} ]]; then
    need h2load 'it is in the Debian package nghttp2-client'
    need openssl 'it makes the certificates'
    need python3 'it makes the figures'
    build_peers "${peers[@]}"
    tests/cluster/assets etcd kube-apiserver kubectl >/dev/null
    # Two of the peers listen on all addresses, and one on a fixed port. So everything runs in a network namespace of
    # its own, which has loopback only.
    PEERS_ISOLATED=yes tests/cluster/network "$0" "${arguments[@]}"
    exit
fi
assets=$(tests/cluster/assets etcd kube-apiserver kubectl)
mkdir -p -- "$directory/"{tls,map} "$(dirname -- "$OUTPUT")"
write_review
make_authority "$directory/tls"
make_certificate "$directory/tls"
start_control_plane
create_namespace "$NAMESPACE"
configure_peers "${peers[@]}"
failures=0
echo "$COLUMNS" >"$OUTPUT"
measure_all
note "a review has $(stat --format %s -- "$REVIEW") bytes; each measurement is in $OUTPUT"
load-tests/results.py "$FORMAT" "$OUTPUT"
((failures == 0)) || die "$failures requests failed"
