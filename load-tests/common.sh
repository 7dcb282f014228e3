# shellcheck shell=bash
# What the scripts of this folder share: programs, processes and their times, certificates, ports.
# To be sourced by a script that has `set -euo pipefail`, from the root of the repository.

# Decimal points, whatever the language of the caller is.
export LC_ALL=C
# Settings of the caller must not change what is measured, nor a proxy stand in between.
unset "${!IMAGESWAP_@}" IMAGE_PREFIX http_proxy https_proxy HTTP_PROXY HTTPS_PROXY

# A start takes far less; the rest is for a busy machine.
readonly START_SECONDS=60

target=${CARGO_TARGET_DIR:-target}
directory=$(mktemp -d)
# What was started by `start`, by name.
declare -A pids=()

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

note() { printf '%s\n' "$*" >&2; }

# Ends the script when a program is missing, and says where it is from.
need() {
    command -v "$1" >/dev/null || die "$1 is not on the path; $2"
}

# The comment at the head of a script, as its usage text.
usage() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; }

# Sets the variable that belongs to an option, as MAX_OTHER to --max-other: take_value OPTION VALUE...
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

# Starts a program in the background under a name; what it prints is in $directory/NAME.log.
start() {
    local name=$1
    shift
    # Here, and not by the process in the background, so that it is there for whoever reads it.
    : >"$directory/$name.log"
    "$@" </dev/null >>"$directory/$name.log" 2>&1 &
    pids[$name]=$!
}

# Ends a program, and waits until it has.
stop() {
    local pid=${pids[$1]}
    unset "pids[$1]"
    kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
}

# Repeats a command until it succeeds; fails early when the program of that name has ended.
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

# Sets REPLY to the processor time that a process has used up to now, in microseconds: user and
# system time of all its threads, those that have ended too. Starts no process, so that it takes
# none of the time that it measures.
processor_time() {
    local stat
    [[ -r /proc/$1/stat ]] || die 'a program ended too early was measured: the machine is too busy'
    read -r stat <"/proc/$1/stat"
    # The name, which is in parentheses, may contain anything; state is the first field after it.
    local -a fields
    read -ra fields <<<"${stat##*) }"
    REPLY=$(((fields[11] + fields[12]) * (1000000 / TICKS_PER_SECOND)))
}
TICKS_PER_SECOND=$(getconf CLK_TCK)
readonly TICKS_PER_SECOND

# Sets REPLY to the processor time up to now of the children that the script has waited for.
children_time() {
    local stat
    read -r stat <"/proc/$$/stat"
    local -a fields
    read -ra fields <<<"${stat##*) }"
    REPLY=$(((fields[13] + fields[14]) * (1000000 / TICKS_PER_SECOND)))
}

# Sets REPLY to the processor time up to now of the whole machine, with what its host took from it.
machine_time() {
    local user nice system irq softirq steal
    read -r _ user nice system _ _ irq softirq steal _ </proc/stat
    REPLY=$(((user + nice + system + irq + softirq + steal) * (1000000 / TICKS_PER_SECOND)))
}

# Prints a processor time as a share of all processors in that time; both in microseconds.
percent() { awk -v used="$1" -v time="$2" -v all="$(nproc)" 'BEGIN { printf "%.1f\n", 100 * used / time / all }'; }

# Measures until other processes have left the machine alone: `measure` with the arguments, which leaves
# the measurement in `row` and what others used of the processors in `other_percent`.
# Whether one is kept does not depend on what was measured, only on the others.
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

# Takes samples of where a program is, until `end_samples`.
begin_samples() {
    local control=$directory/perf-control acknowledgement=$directory/perf-acknowledgement enable answer
    rm -f -- "$control" "$acknowledgement"
    mkfifo -- "$control" "$acknowledgement"
    start perf perf record --quiet --freq "$FREQUENCY" --event cpu-clock --pid "${pids[$1]}" \
        --delay=-1 --control "fifo:$control,$acknowledgement" --output "$directory/perf.data"
    # Both to read and to write, so that nothing waits for a perf that has ended.
    exec {enable}<>"$control" {answer}<>"$acknowledgement"
    echo enable >&"$enable"
    read -r -t "$START_SECONDS" _ <&"$answer" || show_log_and_die perf 'takes no samples'
    exec {enable}>&- {answer}>&-
}
# Samples a second of processor time. A prime, so that nothing periodic is always hit or missed.
readonly FREQUENCY=4999

# Adds what was sampled to a file: end_samples FILE
end_samples() {
    local pid=${pids[perf]}
    unset 'pids[perf]'
    kill -INT "$pid"
    # It ends by the signal, when it has written all.
    wait "$pid" || true
    perf report --input "$directory/perf.data" --no-children --stdio --show-nr-samples \
        --sort dso,symbol >>"$1" 2>/dev/null
}

# Builds both servers with their symbols, and else as they are shipped; nothing but the last crate is
# built again.
build_servers_with_symbols() {
    cargo rustc --quiet --release --locked --bin imageswap -- -C strip=none
    cargo rustc --quiet --release --locked --example floor -- -C strip=none
}

# Prints the memory that is resident for a process, in KiB.
resident_memory() { sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB$/\1/p' "/proc/$1/status"; }

# Prints as many ports as are asked for, which no process has at the moment.
free_ports() {
    python3 - "$1" <<'PYTHON'
import socket
import sys

listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*(listener.getsockname()[1] for listener in listeners))
PYTHON
}

# Makes an authority, in the files ca.crt and ca.key of a folder.
make_authority() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 2 \
        -subj "/CN=load test authority" -keyout "$1/ca.key" -out "$1/ca.crt" 2>/dev/null
}

# Makes a certificate of that authority for loopback: tls.crt and tls.key in the folder.
make_certificate() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 2 \
        -CA "$1/ca.crt" -CAkey "$1/ca.key" -subj '/CN=127.0.0.1' \
        -addext 'subjectAltName=IP:127.0.0.1,DNS:localhost' \
        -addext 'basicConstraints=critical,CA:FALSE' -addext 'extendedKeyUsage=serverAuth' \
        -keyout "$1/tls.key" -out "$1/tls.crt" 2>/dev/null
}

# Builds both servers as they are shipped. Each by itself: together, the features that only tests
# need would be part of the webhook.
build_servers() {
    cargo build --quiet --release --locked --bin imageswap
    cargo build --quiet --release --locked --example floor
}

# Starts one of the servers on a free port of loopback, and sets `address` when it answers a review:
# start_server NAME TLS-FOLDER MAP [FLAG-OF-THE-FLOOR...]
start_server() {
    local name=$1 tls=$2 map=$3
    shift 3
    case $name in
        floor)
            start floor "${server_prefix[@]}" "$target/release/examples/floor" \
                --listen 127.0.0.1:0 --tls-dir "$tls" "$@"
            ;;
        imageswap)
            start imageswap "${server_prefix[@]}" "$target/release/imageswap" serve \
                --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 --log-format json \
                --tls-mode files --tls-dir "$tls" --maps "$map"
            ;;
        *) die "there is no server $name" ;;
    esac
    await "$name" is_listening "$name"
    await "$name" post_review "$REVIEW"
}
# Such as `taskset --cpu-list 0`; none.
server_prefix=()

# Takes the address from the log, which is how a server says that its port is bound.
is_listening() {
    address=$(sed -n 's/^listening on //p; s/.*"imageswap started".*"listen":"\([^"]*\)".*/\1/p' \
        "$directory/$1.log")
    [[ -n $address ]]
}

# Posts a file to the server, and leaves what it answers in $directory/answer.
post_review() {
    curl --silent --insecure --fail --max-time 10 --output "$directory/answer" \
        --header 'Content-Type: application/json' --data-binary "@$1" "https://$address/"
}
