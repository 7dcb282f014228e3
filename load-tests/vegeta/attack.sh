#!/usr/bin/env bash
# Posts reviews with vegeta at a constant rate, independent of the answers, and reports latencies.
#
# usage: load-tests/vegeta/attack.sh
#
# Settings are variables:
#   URL          URL of the webhook                 [default: https://127.0.0.1:5000/]
#   RATE         reviews per second                 [default: 1000]
#   DURATION     of the attack, such as 30s or 1h   [default: 10s]
#   CONNECTIONS  maximum number of idle connections [default: 64]
#   HTTP2        `false` for HTTP/1.1               [default: true]
#   CA           authority of the certificate       [default: none, the certificate is not checked]
#   OUTPUT       folder for the results             [default: target/load-tests/vegeta]
#
# Writes results.bin, report.txt, histogram.hgrm (for a plotter of HdrHistogram files) and plot.html.
# Exit code 1 if a review failed. vegeta does not check the content of the answers.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."

URL=${URL:-https://127.0.0.1:5000/}
RATE=${RATE:-1000}
DURATION=${DURATION:-10s}
CONNECTIONS=${CONNECTIONS:-64}
HTTP2=${HTTP2:-true}
CA=${CA:-}
target=${CARGO_TARGET_DIR:-target}
OUTPUT=${OUTPUT:-$target/load-tests/vegeta}

case ${1:-} in
    '') ;;
    --help | -h) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" && exit ;;
    *) echo "error: settings are variables, and not $1; see --help" >&2 && exit 2 ;;
esac
# The folder of `go install` with the line below, or the path.
PATH=$target/tools/bin:$PATH
if ! command -v vegeta >/dev/null; then
    echo 'error: vegeta is not on the path; with Go:' \
        "GOBIN=\"\$PWD/target/tools/bin\" go install github.com/tsenart/vegeta/v12@v12.13.0" >&2
    exit 1
fi
trust=(-insecure)
if [[ -n $CA ]]; then trust=(-root-certs "$CA"); fi

mkdir -p -- "$OUTPUT"
sed "s|^POST .*|POST $URL|; /^#/d" load-tests/vegeta/targets |
    vegeta attack -name "$RATE/s" -rate "$RATE" -duration "$DURATION" -connections "$CONNECTIONS" \
        -http2="$HTTP2" "${trust[@]}" >"$OUTPUT/results.bin"
vegeta report "$OUTPUT/results.bin" | tee "$OUTPUT/report.txt"
vegeta report -type=hdrplot "$OUTPUT/results.bin" >"$OUTPUT/histogram.hgrm"
vegeta plot "$OUTPUT/results.bin" >"$OUTPUT/plot.html"
echo "report, histogram and plot are in $OUTPUT"
grep --quiet '^Success .* 100\.00%$' "$OUTPUT/report.txt"
