#!/usr/bin/env bash
# Compares the webhook with the floor, a server with the same libraries that always sends the same answer. Both
# get the same requests in turn in the same run; the table contains medians.
#
# usage: load-tests/compare.sh [OPTION...]
#
#   --connections 'N...'   concurrent connections                    [default: '1 8 64 512']
#   --protocols 'P...'     http1 and http2                           [default: 'http1 http2']
#   --streams N            concurrent requests on an HTTP/2 connection [default: 1]
#   --rate N               requests a second on each connection      [default: as many as are answered]
#   --beside BYTES         a further connection always posts a review of this size, which is not in the figures
#   --review FILE          the posted review         [default: tests/fixtures/reviews/02-update-pod.json]
#   --program FILE         the webhook, such as an earlier build     [default: that of this tree]
#   --map FILE             the map of the webhook                    [default: config/imageswap-maps.conf]
#   --warm-up SECONDS      load before each measurement              [default: 1]
#   --duration SECONDS     of each measurement                       [default: 5]
#   --rounds N             measurements of each kind                 [default: 5]
#   --max-other PERCENT    measure again if other processes used more of the processors [default: 5]
#   --server-cpus LIST     the processors of the servers, such as 0  [default: all]
#   --client-cpus LIST     the processors of the client, such as 1   [default: all]
#   --output FILE          each measurement, as CSV                  [default: target/load-tests/compare.csv]
#   --json                 print the summary as JSON instead of the table
#   --quick                one round of a second with 8 connections, to check that everything works
#
# Each option can also be set by a variable, such as COMPARE_ROUNDS. Exit code 1 if a request failed.
# load-tests/README.md explains the figures.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
# shellcheck source=load-tests/common.sh
source load-tests/common.sh

CONNECTIONS=${COMPARE_CONNECTIONS:-1 8 64 512}
PROTOCOLS=${COMPARE_PROTOCOLS:-http1 http2}
STREAMS=${COMPARE_STREAMS:-1}
REVIEW=${COMPARE_REVIEW:-tests/fixtures/reviews/02-update-pod.json}
MAP=${COMPARE_MAP:-config/imageswap-maps.conf}
PROGRAM=${COMPARE_PROGRAM:-}
RATE=${COMPARE_RATE:-}
BESIDE=${COMPARE_BESIDE:-}
WARM_UP=${COMPARE_WARM_UP:-1}
DURATION=${COMPARE_DURATION:-5}
ROUNDS=${COMPARE_ROUNDS:-5}
MAX_OTHER=${COMPARE_MAX_OTHER:-5}
SERVER_CPUS=${COMPARE_SERVER_CPUS:-}
CLIENT_CPUS=${COMPARE_CLIENT_CPUS:-}
OUTPUT=${COMPARE_OUTPUT:-$target/load-tests/compare.csv}
FORMAT=table

readonly SERVERS=(floor imageswap)
readonly COLUMNS=round,server,protocol,connections,streams,seconds,requests,failed,\
requests_per_second,cpu_us_per_request,client_cpu_us_per_request,p50_us,p99_us,p999_us,max_us,\
rss_kib,other_cpu_percent

while (($#)); do
    case $1 in
        --connections | --protocols | --streams | --rate | --beside | --review | --program | --map | \
            --warm-up | --duration | --rounds | --max-other | --server-cpus | --client-cpus | --output)
            take_value "$@"
            shift
            ;;
        --json) FORMAT=json ;;
        --quick) CONNECTIONS=8 WARM_UP=0.5 DURATION=1 ROUNDS=1 MAX_OTHER=100 ;;
        --help | -h) usage && exit ;;
        *) die "unknown option $1; see --help" ;;
    esac
    shift
done

# Measures a server under a load: sets the row of the output, and the share of other processes.
measure() {
    local round=$1 server=$2 protocol=$3 connections=$4 flags streams
    case $protocol in
        http1) flags=(--h1) streams=1 ;;
        http2) flags=(--max-concurrent-streams "$STREAMS") streams=$STREAMS ;;
        *) die "there is no protocol $protocol: http1 or http2" ;;
    esac
    # A new process for each measurement, so that memory does not carry over.
    start_server "$server" "$directory/tls" "$MAP"
    check_answer "$server"
    if [[ -n $BESIDE ]]; then
        start beside h2load "${flags[@]}" --clients 1 --data "$directory/large.json" --duration 1h \
            --header 'Content-Type: application/json' "https://$address/"
    fi
    if [[ -n $RATE ]]; then flags+=(--rps "$RATE"); fi
    measure_load "$server" "https://$address/" "${flags[@]}" --clients "$connections"
    if [[ -n $BESIDE ]]; then stop beside; fi
    stop "$server"
    row=$round,$server,$protocol,$connections,$streams,${load[seconds]},${load[requests]},${load[failed]},\
${load[requests_per_second]},${load[cpu_us]},${load[client_cpu_us]},${load[p50]},${load[p99]},${load[p999]},\
${load[max]},${load[rss_kib]},$other_percent
    failures=$((failures + load[failed]))
    note "round $round, $protocol, $connections connections: $server ${load[requests_per_second]} requests/s"
}

# Prints a review with so many bytes more, in annotations: make_large_review REVIEW BYTES
make_large_review() {
    python3 - "$@" <<'PYTHON'
import json
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    review = json.load(file)
annotations = review["request"]["object"]["metadata"].setdefault("annotations", {})
annotations |= {f"example.com/{number:06}": "v" * 75 for number in range(int(sys.argv[2]) // 100)}
json.dump(review, sys.stdout, separators=(",", ":"))
PYTHON
}

# A wrong answer must not count as a fast one: both servers have to allow the object with a patch.
check_answer() {
    local answer
    answer=$(<"$directory/answer")
    [[ $answer == *'"allowed":true,"patchType":"JSONPatch","patch":"'* ]] ||
        die "$1 answers without a patch: $answer"
    answer_bytes[$1]=${#answer}
}
declare -A answer_bytes=()

need h2load 'it is in the Debian package nghttp2-client'
need openssl 'it makes the certificate'
need python3 'it makes the figures'
[[ -r $REVIEW ]] || die "$REVIEW cannot be read"
if [[ -n $BESIDE ]]; then
    make_large_review "$REVIEW" "$BESIDE" >"$directory/large.json"
    # The further client counts as another process.
    MAX_OTHER=100
fi
build_servers
program=${PROGRAM:-$program}
mkdir -p -- "$directory/tls" "$(dirname -- "$OUTPUT")"
make_authority "$directory/tls"
make_certificate "$directory/tls"
if [[ -n $SERVER_CPUS ]]; then server_prefix=(taskset --cpu-list "$SERVER_CPUS"); fi
if [[ -n $CLIENT_CPUS ]]; then client_prefix=(taskset --cpu-list "$CLIENT_CPUS"); fi
failures=0
echo "$COLUMNS" >"$OUTPUT"
for ((round = 1; round <= ROUNDS; round++)); do
    for protocol in $PROTOCOLS; do
        for connections in $CONNECTIONS; do
            # The servers take turns to be first, so that neither always has the warmer machine.
            for ((turn = 0; turn < ${#SERVERS[@]}; turn++)); do
                server=${SERVERS[(round + turn) % ${#SERVERS[@]}]}
                measure_undisturbed "$round" "$server" "$protocol" "$connections"
            done
        done
    done
done
note "answers of ${answer_bytes[floor]} (floor) and ${answer_bytes[imageswap]} (imageswap) bytes to" \
    "$(stat --format %s -- "$REVIEW") bytes; each measurement is in $OUTPUT"
load-tests/results.py "$FORMAT" "$OUTPUT"
((failures == 0)) || die "$failures requests failed"
