#!/usr/bin/env bash
# Counts what a request takes in the webhook and in the floor, outside of the kernel: instructions, allocations, and
# lines of 64 bytes of code and of data that a first-level cache of 32 KiB each does not have. The figures hardly depend
# on the load of the machine. Needs valgrind, and builds both servers with symbols.
#
# usage: load-tests/instructions.sh [--review FILE] [--requests N] [--program FILE]
#
#   --review FILE   the posted review           [default: tests/fixtures/reviews/02-update-pod.json]
#   --requests N    requests that are counted   [default: 2000]
#   --program FILE  a build of the webhook with symbols, such as an earlier one [default: that of this tree]
#
# load-tests/README.md explains the figures.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
# shellcheck source=load-tests/common.sh
source load-tests/common.sh

REVIEW=tests/fixtures/reviews/02-update-pod.json
REQUESTS=2000
PROGRAM=

while (($#)); do
    case $1 in
        --review | --requests | --program)
            take_value "$@"
            shift
            ;;
        --help | -h) usage && exit ;;
        *) die "unknown option $1; see --help" ;;
    esac
    shift
done

# Sends N requests over four connections: send FLAG... N
send() {
    h2load --threads 1 --clients 4 "${@:1:$#-1}" --requests "${*: -1}" --data "$REVIEW" \
        --header 'Content-Type: application/json' "https://$address/" >"$directory/h2load.log"
    grep -q " ${*: -1} succeeded, 0 failed" "$directory/h2load.log" || show_log_and_die h2load 'had failures'
}

# Counts the requests of a server over a protocol; sets `instructions`, `code_misses`, `data_misses` and `allocations` to
# the counts per request.
count() {
    local name=$1 protocol=$2 profile=$directory/callgrind.$1.$2 flags=(--max-concurrent-streams 1)
    if [[ $protocol == http1 ]]; then flags=(--h1); fi
    server_prefix=(valgrind --tool=callgrind --callgrind-out-file="$profile"
        --cache-sim=yes --I1=32768,8,64 --D1=32768,8,64)
    start_server "$name" "$directory/tls" config/imageswap-maps.conf
    # What happens only once is over after some hundred requests.
    send "${flags[@]}" 400
    callgrind_control --zero "${pids[$name]}" >/dev/null 2>&1
    send "${flags[@]}" "$REQUESTS"
    callgrind_control --dump "${pids[$name]}" >/dev/null 2>&1
    stop "$name"
    read -r instructions code_misses data_misses allocations < <(awk -v requests="$REQUESTS" '
        /^c?fn=/ {
            id = $1
            sub(/^c?fn=/, "", id)
            if (NF > 1) { names[id] = $2 }
            called = names[id]
        }
        /^calls=/ && called ~ /^mi_(malloc|zalloc|calloc|realloc)(_aligned)?$/ {
            split($1, calls, "=")
            allocations += calls[2]
        }
        # Ir Dr Dw I1mr D1mr D1mw ILmr DLmr DLmw
        /^(totals|summary):/ { instructions = $2; code = $5; data = $6 + $7 }
        END {
            printf "%.0f %.0f %.0f %.1f\n", instructions / requests, code / requests, data / requests,
                allocations / requests
        }
    ' "$profile.1")
}

need valgrind 'it is in the Debian package of this name'
need h2load 'it is in the Debian package nghttp2-client'
need openssl 'it makes the certificate'
build_servers_with_symbols
program=${PROGRAM:-$program}
mkdir -- "$directory/tls"
make_authority "$directory/tls"
make_certificate "$directory/tls"
echo '| protocol | server | instructions | / floor | more | code misses | data misses | allocations |'
echo '|---|---|---|---|---|---|---|---|'
for protocol in http1 http2; do
    count floor "$protocol"
    floor=$instructions
    echo "| $protocol | floor | $floor | | | $code_misses | $data_misses | $allocations |"
    count imageswap "$protocol"
    ratio=$(awk -v a="$instructions" -v b="$floor" 'BEGIN { printf "%.2f", a / b }')
    echo "| $protocol | imageswap | $instructions | $ratio | $((instructions - floor)) | $code_misses |" \
        "$data_misses | $allocations |"
done
