# shellcheck shell=bash
# Functions of the scripts in this folder: programs, processes and their times, certificates, ports.
# Source it from the root of the repository, in a script with `set -euo pipefail`.

# Numbers need decimal points in all locales of the caller.
export LC_ALL=C
# Settings and proxies of the caller must not affect the measurement.
unset "${!IMAGESWAP_@}" IMAGE_PREFIX http_proxy https_proxy HTTP_PROXY HTTPS_PROXY

# Timeout for a start, with time for a busy machine.
readonly START_SECONDS=60

target=${CARGO_TARGET_DIR:-target}
directory=$(mktemp -d)
# Processes that `start` has started, by name.
declare -A pids=()

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

note() { printf '%s\n' "$*" >&2; }

# Exits if a program is missing, and prints where to get it.
need() {
    command -v "$1" >/dev/null || die "$1 is not on the path; $2"
}

# Prints the comment at the head of a script as its usage text.
usage() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; }

# Sets the variable of an option, such as MAX_OTHER for --max-other: take_value OPTION VALUE...
take_value() {
    (($# > 1)) || die "$1 takes a value; see --help"
    local name=${1#--}
    name=${name//-/_}
    declare -g "${name^^}=$2"
}

clean_up() {
    local name
    for name in "${!pids[@]}"; do
        stop "$name"
    done
    rm -rf -- "$directory"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# Starts a program in the background under a name, with its output in $directory/NAME.log.
start() {
    local name=$1
    shift
    # Created here and not by the background process, so that the log exists before anything reads it.
    : >"$directory/$name.log"
    "$@" </dev/null >>"$directory/$name.log" 2>&1 &
    pids[$name]=$!
}

# Stops a program and waits for its end.
stop() {
    local pid=${pids[$1]}
    unset "pids[$1]"
    kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
}

# Repeats a command until it succeeds; fails early if the program of that name has ended.
await() {
    local name=$1 deadline=$((SECONDS + START_SECONDS))
    shift
    until "$@"; do
        kill -0 "${pids[$name]}" 2>/dev/null || show_log_and_die "$name" 'has ended'
        ((SECONDS < deadline)) || show_log_and_die "$name" "does not get to: $*"
        sleep 0.05
    done
}

show_log_and_die() {
    tail -n 20 -- "$directory/$1.log" >&2
    die "$1 $2"
}

# Sets REPLY to the processor time of a process so far, in microseconds: user and system time of all its
# threads, including ended ones. Starts no process, which would take a part of the measured time.
processor_time() {
    local stat
    [[ -r /proc/$1/stat ]] || die 'a program ended too early was measured: the machine is too busy'
    read -r stat <"/proc/$1/stat"
    # The name, in parentheses, may contain any character; the state is the first field after it.
    local -a fields
    read -ra fields <<<"${stat##*) }"
    REPLY=$(((fields[11] + fields[12]) * (1000000 / TICKS_PER_SECOND)))
}
TICKS_PER_SECOND=$(getconf CLK_TCK)
readonly TICKS_PER_SECOND

# Sets REPLY to the processor time so far of the children for which the script has waited.
children_time() {
    local stat
    read -r stat <"/proc/$$/stat"
    local -a fields
    read -ra fields <<<"${stat##*) }"
    REPLY=$(((fields[13] + fields[14]) * (1000000 / TICKS_PER_SECOND)))
}

# Sets REPLY to the processor time so far of the whole machine, including the time stolen by its host.
machine_time() {
    local user nice system irq softirq steal
    read -r _ user nice system _ _ irq softirq steal _ </proc/stat
    REPLY=$(((user + nice + system + irq + softirq + steal) * (1000000 / TICKS_PER_SECOND)))
}

# Prints a processor time as a percentage of all processors in a period; both in microseconds.
percent() { awk -v used="$1" -v time="$2" -v all="$(nproc)" 'BEGIN { printf "%.1f\n", 100 * used / time / all }'; }

# Repeats a measurement until other processes use little of the processors. Calls `measure` with the arguments,
# which sets `row` to the result and `other_percent` to the share of other processes. Only that share decides if
# a measurement is kept, not its result.
measure_undisturbed() {
    local attempt
    for ((attempt = 1; attempt <= ATTEMPTS; attempt++)); do
        measure "$@"
        if [[ ${other_percent%.*} -lt $MAX_OTHER ]]; then break; fi
        note "other processes used $other_percent % of the processors" \
            "$( ((attempt < ATTEMPTS)) && echo '- once more' || echo '- kept all the same')"
    done
    echo "$row" >>"$OUTPUT"
}
readonly ATTEMPTS=5
row=
other_percent=0

# Puts load on a running server, and sets the array `load` to the figures of the time after the warm-up, and
# `other_percent` to the share of other processes: measure_load NAME URL H2LOAD-FLAG...
measure_load() {
    local name=$1 url=$2 log=$directory/h2load.tsv milliseconds
    shift 2
    # A second longer than the measurement, so that the measurement does not include the end of the load even if
    # this script is scheduled late.
    milliseconds=$(awk -v seconds="$WARM_UP" -v more="$DURATION" \
        'BEGIN { print int((seconds + more + 1) * 1000) }')
    rm -f -- "$log"
    start h2load "${client_prefix[@]}" h2load "$@" --threads 1 --duration "$milliseconds"ms \
        --log-file "$log" --data "$REVIEW" --header 'Content-Type: application/json' "$url"
    local server_pid=${pids[$name]} client_pid=${pids[h2load]}
    sleep "$WARM_UP"
    local begun=${EPOCHREALTIME/./} server_time client_time other_time
    machine_time && other_time=$REPLY
    processor_time "$server_pid" && server_time=$REPLY
    processor_time "$client_pid" && client_time=$REPLY
    sleep "$DURATION"
    local ended=${EPOCHREALTIME/./}
    machine_time && other_time=$((REPLY - other_time))
    processor_time "$server_pid" && server_time=$((REPLY - server_time))
    processor_time "$client_pid" && client_time=$((REPLY - client_time))
    load=([rss_kib]=$(resident_memory "$server_pid"))
    wait "$client_pid" || show_log_and_die h2load 'failed'
    unset 'pids[h2load]'
    evaluate_load "$log" "$begun" "$ended" "$server_time" "$client_time"
    other_percent=$(percent "$((other_time - server_time - client_time))" "$((ended - begun))")
}
# The figures of the last load, by name.
declare -A load=()
# A prefix of the client, as `server_prefix`.
client_prefix=()

# Adds the requests of a time to the array `load`: evaluate_load LOG START END SERVER-TIME CLIENT-TIME
evaluate_load() {
    local requests failed microseconds p50 p99 p999 max seconds rate server_cost client_cost
    read -r requests failed microseconds p50 p99 p999 max < <(load-tests/results.py window "$1" "$2" "$3")
    ((requests > 0)) || show_log_and_die h2load 'had no answer'
    read -r seconds rate server_cost client_cost \
        < <(awk -v requests="$requests" -v microseconds="$microseconds" -v server="$4" -v client="$5" \
            'BEGIN { printf "%.3f %.1f %.2f %.2f\n", microseconds / 1e6, requests * 1e6 / microseconds,
                server / requests, client / requests }')
    load+=([requests]=$requests [failed]=$failed [seconds]=$seconds [requests_per_second]=$rate
        [cpu_us]=$server_cost [client_cpu_us]=$client_cost [p50]=$p50 [p99]=$p99 [p999]=$p999 [max]=$max)
}

# Samples a running program with perf until `end_samples`.
begin_samples() {
    local control=$directory/perf-control acknowledgement=$directory/perf-acknowledgement enable answer
    rm -f -- "$control" "$acknowledgement"
    mkfifo -- "$control" "$acknowledgement"
    start perf perf record --quiet --freq "$FREQUENCY" --event cpu-clock --pid "${pids[$1]}" \
        --delay=-1 --control "fifo:$control,$acknowledgement" --output "$directory/perf.data"
    # Opened for reading and writing, so that nothing waits for an ended perf.
    exec {enable}<>"$control" {answer}<>"$acknowledgement"
    echo enable >&"$enable"
    read -r -t "$START_SECONDS" _ <&"$answer" || show_log_and_die perf 'takes no samples'
    exec {enable}>&- {answer}>&-
}
# Samples per second of processor time. A prime number, so that periodic work is not always hit or missed.
readonly FREQUENCY=4999

# Stops the sampling and adds the samples to a file: end_samples FILE
end_samples() {
    local pid=${pids[perf]}
    unset 'pids[perf]'
    kill -INT "$pid"
    # perf ends with the signal, after it has written everything.
    wait "$pid" || true
    perf report --input "$directory/perf.data" --no-children --stdio --show-nr-samples \
        --sort dso,symbol >>"$1" 2>/dev/null
}

# Builds both servers with symbols, and otherwise as they are shipped. Only the last crate is built again.
build_servers_with_symbols() {
    cargo rustc --quiet --release --locked --bin imageswap -- -C strip=none
    cargo rustc --quiet --release --locked --example floor -- -C strip=none
}

# Prints the resident memory of a process, in KiB.
resident_memory() { sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB$/\1/p' "/proc/$1/status"; }

# Prints so many free ports.
free_ports() {
    python3 - "$1" <<'PYTHON'
import socket
import sys

listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*(listener.getsockname()[1] for listener in listeners))
PYTHON
}

# Creates a certificate authority, in the files ca.crt and ca.key of a folder.
make_authority() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 2 \
        -subj "/CN=load test authority" -keyout "$1/ca.key" -out "$1/ca.crt" 2>/dev/null
}

# Issues a certificate of that authority for loopback: tls.crt and tls.key in the folder.
make_certificate() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 2 \
        -CA "$1/ca.crt" -CAkey "$1/ca.key" -subj '/CN=127.0.0.1' \
        -addext 'subjectAltName=IP:127.0.0.1,DNS:localhost' \
        -addext 'basicConstraints=critical,CA:FALSE' -addext 'extendedKeyUsage=serverAuth' \
        -keyout "$1/tls.key" -out "$1/tls.crt" 2>/dev/null
}

# Builds both servers as they are shipped, one after the other: together, Cargo would enable the features of the
# tests in the webhook too.
build_servers() {
    cargo build --quiet --release --locked --bin imageswap
    cargo build --quiet --release --locked --example floor
}

# Starts a server on a free port of loopback, and sets `address` when it answers a review:
# start_server NAME TLS-FOLDER MAP [FLAG-OF-THE-FLOOR...]
start_server() {
    launch_server "$1" 127.0.0.1:0 "${@:2}"
    await "$1" is_listening "$1"
    await "$1" post_review "$REVIEW"
}

# Starts a server on an address, without waiting for it: launch_server NAME ADDRESS TLS-FOLDER MAP [FLAG...]
launch_server() {
    local name=$1 listen=$2 tls=$3 map=$4
    shift 4
    case $name in
        floor)
            start floor "${server_prefix[@]}" "$target/release/examples/floor" \
                --listen "$listen" --tls-dir "$tls" "$@"
            ;;
        imageswap)
            start imageswap "${server_prefix[@]}" "$program" serve \
                --listen "$listen" --admin-listen 127.0.0.1:0 --log-format json \
                --tls-mode files --tls-dir "$tls" --maps "$map"
            ;;
        *) die "there is no server $name" ;;
    esac
}
# The program that is measured.
program=$target/release/imageswap
# A prefix such as `taskset --cpu-list 0`; empty by default.
server_prefix=()

# Reads the address from the log, where a server reports its bound port.
is_listening() {
    address=$(sed -n 's/^listening on //p; s/.*"imageswap started".*"listen":"\([^"]*\)".*/\1/p' \
        "$directory/$1.log")
    [[ -n $address ]]
}

# Posts a file to the server, and writes the answer to $directory/answer.
post_review() {
    curl --silent --insecure --fail --max-time 10 --output "$directory/answer" \
        --header 'Content-Type: application/json' --data-binary "@$1" "https://$address/"
}
