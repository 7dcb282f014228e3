#!/usr/bin/env bash
# Runs a steady load on the webhook for a long time, to find growth, slowdown and failures. Meanwhile its map and its
# certificate are replaced again and again, and connections are opened and closed. The table compares the first
# minutes with the last ones.
#
# usage: load-tests/soak.sh [OPTION...]
#
#   --duration SECONDS      of the load, after the warm-up           [default: 3600]
#   --warm-up SECONDS       load before it, while memory grows       [default: 10]
#   --rate N                reviews per second, over HTTP/2          [default: 500]
#   --connections N         opened, used once and closed per second  [default: 50]
#   --map-every SECONDS     interval between changes of the map      [default: 30]
#   --tls-every SECONDS     interval between new certificates        [default: 300]
#   --sample-every SECONDS  interval between samples of the process  [default: 5]
#   --output FILE           each sample, as CSV      [default: target/load-tests/soak.csv]
#   --no-build              use the existing release build
#   --quick                 half a minute with higher rates, to check that everything works
#
# Each option with a value can also be set by a variable, such as SOAK_RATE. Exit code 1 if a request failed or had a
# wrong answer, if the last minutes need more memory or more open files than the first, or if a map or a certificate
# was not applied. load-tests/README.md explains the figures.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
# shellcheck source=load-tests/common.sh
source load-tests/common.sh

DURATION=${SOAK_DURATION:-3600}
WARM_UP=${SOAK_WARM_UP:-10}
RATE=${SOAK_RATE:-500}
CONNECTIONS=${SOAK_CONNECTIONS:-50}
MAP_EVERY=${SOAK_MAP_EVERY:-30}
TLS_EVERY=${SOAK_TLS_EVERY:-300}
SAMPLE_EVERY=${SOAK_SAMPLE_EVERY:-5}
OUTPUT=${SOAK_OUTPUT:-$target/load-tests/soak.csv}
BUILD=yes

# Two maps alternate. Each sends images to another host, so an answer shows its map.
readonly HOSTS=(registry.example.com mirror.example.com)
readonly MAP=config/imageswap-maps.conf
# The review of the short connections: each of its images matches a rule of the map.
readonly REVIEW=tests/fixtures/reviews/00-create-pod.json
readonly COLUMNS=time_us,rss_kib,peak_rss_kib,open_files,threads,cpu_us,connections,\
maps_written,maps_applied,certificates_written,certificates_applied,reloads_failed
# Timeout for a change, which applies within about a second, with time for a busy machine.
readonly APPLY_SECONDS=20

while (($#)); do
    case $1 in
        --duration | --warm-up | --rate | --connections | --map-every | --tls-every | \
            --sample-every | --output)
            take_value "$@"
            shift
            ;;
        --no-build) BUILD='' ;;
        --quick) DURATION=30 WARM_UP=2 MAP_EVERY=3 TLS_EVERY=7 SAMPLE_EVERY=1 ;;
        --help | -h) usage && exit ;;
        *) die "unknown option $1; see --help" ;;
    esac
    shift
done

# Replaces all files of a mounted volume at once, as the kubelet does: a new folder, then a new `..data` renamed over
# the old link: write_volume FOLDER FILE...
write_volume() {
    local volume=$1 old new=..generation_$EPOCHREALTIME file
    shift
    old=$(readlink -- "$volume/..data") || true
    mkdir -- "$volume/$new"
    cp -- "$@" "$volume/$new"
    ln -s -- "$new" "$volume/..data_tmp"
    mv --no-target-directory -- "$volume/..data_tmp" "$volume/..data"
    for file; do
        file=${file##*/}
        [[ -L $volume/$file ]] || ln -s -- "..data/$file" "$volume/$file"
    done
    if [[ -n $old ]]; then rm -r -- "${volume:?}/$old"; fi
}

write_map() {
    sed "s/${HOSTS[0]}/${HOSTS[maps_written % ${#HOSTS[@]}]}/" "$MAP" >"$directory/maps"
    write_volume "$directory/map-volume" "$directory/maps"
    maps_written=$((maps_written + 1))
}

write_certificate() {
    make_certificate "$directory/authority"
    write_volume "$directory/tls-volume" "$directory/authority/tls.crt" "$directory/authority/tls.key"
    certificates_written=$((certificates_written + 1))
}
maps_written=0
certificates_written=0

# Samples the process and its metrics, and writes a row. Open files come first, because the request for the metrics
# opens one.
sample() {
    local pid=${pids[imageswap]} rss peak threads metrics now
    local files=("/proc/$pid/fd/"*)
    read -r peak rss threads < <(awk '/^(VmHWM|VmRSS|Threads):/ { printf "%s ", $2 } END { print "" }' \
        "/proc/$pid/status")
    processor_time "$pid"
    now=${EPOCHREALTIME/./}
    metrics=$(curl --silent --fail --max-time 10 "http://$admin_address/metrics") ||
        show_log_and_die imageswap 'does not answer on its admin port'
    read -r connections maps_applied certificates_applied reloads_failed < <(awk '
        $1 == "imageswap_connections" { connections = $2 }
        $1 == "imageswap_map_reloads_total{result=\"applied\"}" { maps = $2 }
        $1 == "imageswap_tls_reloads_total{result=\"applied\"}" { certificates = $2 }
        $1 ~ /^imageswap_(map|tls)_reloads_total\{result="(failed|refused)"\}$/ { failed += $2 }
        END { print connections + 0, maps + 0, certificates + 0, failed + 0 }' <<<"$metrics")
    row="$now,$rss,$peak,${#files[@]},$threads,$REPLY,$connections,$maps_written,$maps_applied"
    echo "$row,$certificates_written,$certificates_applied,$reloads_failed" >>"$OUTPUT"
}

# Starts the processes of the load. Reviews are sent at a constant rate, independent of the answers. Of each result
# only a few figures are kept, so that the log of an hour stays small.
start_load() {
    local seconds=$1
    mkfifo -- "$directory/results" "$directory/rows"
    sed "s|^POST .*|POST https://$address/|; /^#/d" load-tests/vegeta/targets >"$directory/targets"
    # shellcheck disable=SC2016 # what awk expands
    start figures awk -F, -v failures="$directory/failures" '
        { printf "%.0f\t%s\t%.0f\n", $1 / 1000, $2, $3 / 1000 }
        ($2 < 200 || $2 >= 300) && shown++ < 20 { print "status " $2 ": " $6 >failures }
    ' "$directory/rows"
    start encode vegeta encode -to csv -output "$directory/rows" "$directory/results"
    start vegeta vegeta attack -rate "$RATE" -duration "${seconds}s" -targets "$directory/targets" \
        -root-certs "$directory/authority/ca.crt" -max-body 0 -output "$directory/results"
    start connections load-tests/connections.py "$address" "$directory/authority/ca.crt" "$REVIEW" \
        "$CONNECTIONS" "$seconds" "${HOSTS[@]}"
}

# Waits until the processes of the load have ended.
end_load() {
    local name
    for name in vegeta encode figures; do
        wait "${pids[$name]}" || show_log_and_die "$name" 'failed'
        unset "pids[$name]"
    done
    wait "${pids[connections]}" || failed=yes
    unset 'pids[connections]'
}

# Replaces files and samples the process, each at its own interval, until a time in µs.
keep_changing() {
    local end=$1 now=${EPOCHREALTIME/./} next turn
    local -A every=([sample]=$SAMPLE_EVERY [write_map]=$MAP_EVERY [write_certificate]=$TLS_EVERY)
    local -A due=([sample]=$now)
    for turn in write_map write_certificate; do due[$turn]=$((now + every[$turn] * 1000000)); done
    while
        next=sample
        for turn in "${!due[@]}"; do if ((due[$turn] < due[$next])); then next=$turn; fi; done
        ((due[$next] < end))
    do
        now=${EPOCHREALTIME/./}
        if ((due[$next] > now)); then sleep "$(((due[$next] - now) / 1000))e-3"; fi
        "$next"
        due[$next]=$((due[$next] + every[$next] * 1000000))
        kill -0 "${pids[vegeta]}" 2>/dev/null || show_log_and_die vegeta 'has ended early'
    done
    now=${EPOCHREALTIME/./}
    if ((end > now)); then sleep "$(((end - now) / 1000))e-3"; fi
}

# Samples until all written files are applied, or the timeout.
settle() {
    local deadline=$((SECONDS + APPLY_SECONDS))
    until sample && ((maps_applied == maps_written && certificates_applied == certificates_written)); do
        ((SECONDS < deadline)) || return 0
        sleep 0.2
    done
}

# The folder of `go install` with the line below, or the path.
PATH=$target/tools/bin:$PATH
need vegeta "with Go: GOBIN=\"\$PWD/target/tools/bin\" go install github.com/tsenart/vegeta/v12@v12.13.0"
need openssl 'it makes the certificates'
need python3 'it makes the figures'
if [[ -n $BUILD ]]; then cargo build --quiet --release --locked --bin imageswap; fi
mkdir -p -- "$directory/"{authority,map-volume,tls-volume} "$(dirname -- "$OUTPUT")"
make_authority "$directory/authority"
write_map
write_certificate
start_server imageswap "$directory/tls-volume" "$directory/map-volume/maps"
admin_address=$(sed -n 's/.*"imageswap started".*"admin_listen":"\([^"]*\)".*/\1/p' "$directory/imageswap.log")
failed=
echo "$COLUMNS" >"$OUTPUT"
note "$RATE reviews/s for $DURATION s after $WARM_UP s"
# A second longer than the measurement, even if this script is scheduled late.
start_load "$((WARM_UP + DURATION + 1))"
sleep "$WARM_UP"
begun=${EPOCHREALTIME/./}
ended=$((begun + DURATION * 1000000))
keep_changing "$ended"
end_load
settle
cat -- "$directory/connections.log"
if [[ -s $directory/failures ]]; then cat -- "$directory/failures" >&2; fi
load-tests/results.py soak "$OUTPUT" "$directory/figures.log" "$begun" "$ended" || failed=yes
note "the samples of the process are in $OUTPUT"
[[ -z $failed ]]
