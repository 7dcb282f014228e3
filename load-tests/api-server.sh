#!/usr/bin/env bash
# Measures how many pods a second a real API server creates: without a webhook, with a webhook that sends a
# constant answer (the floor), with ImageSwap, and with a MutatingAdmissionPolicy that swaps the same images.
# One run measures all variants in turn, with the same API server; the table contains medians.
#
# usage: load-tests/api-server.sh [OPTION...]
#
#   --variants 'V...'   from bare, floor, imageswap, policy, policy-apply
#                                                [default: 'bare floor imageswap policy']
#   --pods N            pods in each measurement                     [default: 3000]
#   --warm-up N         pods before each measurement, not counted    [default: 500]
#   --connections N     connections of the client                    [default: 4]
#   --streams N         concurrent requests on each connection       [default: 8]
#   --rounds N          measurements of each variant                 [default: 5]
#   --max-other PERCENT measure again if other processes used more of the processors [default: 5]
#   --output FILE       each measurement, as CSV          [default: target/load-tests/api-server.csv]
#   --json              print the summary as JSON instead of the table
#   --profile           only floor and imageswap, with a profile of their processor time; needs perf,
#                       whose time counts as that of other processes
#   --quick             one round of 300 pods, to check that everything works
#
# Each option with a value can also be set by a variable, such as API_SERVER_PODS. Exit code 1 if a create failed or a
# stored image is not as expected. load-tests/README.md explains the figures.
#
# etcd and kube-apiserver are those of the cluster tests; see tests/cluster/assets.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
# shellcheck source=load-tests/common.sh
source load-tests/common.sh
# shellcheck source=load-tests/control-plane.sh
source load-tests/control-plane.sh

VARIANTS=${API_SERVER_VARIANTS:-bare floor imageswap policy}
PODS=${API_SERVER_PODS:-3000}
WARM_UP=${API_SERVER_WARM_UP:-500}
CONNECTIONS=${API_SERVER_CONNECTIONS:-4}
STREAMS=${API_SERVER_STREAMS:-8}
ROUNDS=${API_SERVER_ROUNDS:-5}
MAX_OTHER=${API_SERVER_MAX_OTHER:-5}
OUTPUT=${API_SERVER_OUTPUT:-$target/load-tests/api-server.csv}
FORMAT=table
PROFILE=

while (($#)); do
    case $1 in
        --variants | --pods | --warm-up | --connections | --streams | --rounds | \
            --max-other | --output)
            take_value "$@"
            shift
            ;;
        --json) FORMAT=json ;;
        --profile) PROFILE=yes ;;
        --quick) PODS=300 WARM_UP=100 ROUNDS=1 MAX_OTHER=100 ;;
        --help | -h) usage && exit ;;
        *) die "unknown option $1; see --help" ;;
    esac
    shift
done

if [[ -n $PROFILE ]]; then VARIANTS='floor imageswap' MAX_OTHER=100; fi

readonly NAMESPACE=load
readonly NAME=imageswap.load.test
readonly ADMISSION=/apis/admissionregistration.k8s.io/v1
readonly PODS_PATH=/api/v1/namespaces/$NAMESPACE/pods
readonly REVIEW=tests/fixtures/reviews/00-create-pod.json
readonly COLUMNS=round,variant,pods,failed,seconds,creates_per_second,p50_us,p99_us,max_us,\
apiserver_cpu_us,etcd_cpu_us,webhook_cpu_us,client_cpu_us,webhook_calls_per_create,webhook_mean_us,\
webhook_within_5_ms,other_cpu_percent

# Timeout for a configuration to apply, and for the deletion of pods.
readonly APPLY_SECONDS=60

# The map of the webhook. The policy below does the same with CEL.
readonly MAP_TEXT='default::registry.example.com/other
docker.io::registry.example.com/hub
docker.io/library::registry.example.com/official
quay.io::registry.example.com/quay'

# A pod of a typical Deployment. Each of its three images matches another rule.
readonly POD='{"apiVersion":"v1","kind":"Pod","metadata":{"generateName":"web-7db46b4c56-",
"labels":{"app":"web","tier":"front","pod-template-hash":"7db46b4c56"}},"spec":{
"initContainers":[{"name":"migrate","image":"ghcr.io/acme/migrate:v3","command":["migrate","--wait"]}],
"containers":[{"name":"web","image":"nginx:1.27",
"ports":[{"name":"http","containerPort":8080}],
"env":[{"name":"LOG_LEVEL","value":"info"},{"name":"UPSTREAM","value":"http://api.shop.svc:8080"}],
"readinessProbe":{"httpGet":{"path":"/readyz","port":"http"}},
"livenessProbe":{"httpGet":{"path":"/livez","port":"http"}},
"resources":{"requests":{"cpu":"100m","memory":"128Mi"},"limits":{"memory":"256Mi"}},
"securityContext":{"allowPrivilegeEscalation":false,"readOnlyRootFilesystem":true},
"volumeMounts":[{"name":"cache","mountPath":"/var/cache"}]},
{"name":"exporter","image":"quay.io/prometheus/node-exporter:v1.8.2",
"ports":[{"name":"metrics","containerPort":9100}],
"resources":{"requests":{"cpu":"10m","memory":"16Mi"}}}],
"volumes":[{"name":"cache","emptyDir":{}}]}}'
readonly IMAGES=(ghcr.io/acme/migrate:v3 nginx:1.27 quay.io/prometheus/node-exporter:v1.8.2)
readonly SWAPPED=(registry.example.com/other/acme/migrate:v3 registry.example.com/official/nginx:1.27
    registry.example.com/quay/prometheus/node-exporter:v1.8.2)

# The answer of the floor to every review: the answer of ImageSwap for the pod.
readonly PATCH='[{"op":"replace","path":"/spec/initContainers/0/image","value":"'${SWAPPED[0]}'"},'\
'{"op":"replace","path":"/spec/containers/0/image","value":"'${SWAPPED[1]}'"},'\
'{"op":"replace","path":"/spec/containers/1/image","value":"'${SWAPPED[2]}'"}]'

# --- The variants ---------------------------------------------------------------------------------

# Turns a variant on, and waits until pods get its images.
turn_on() {
    case $1 in
        bare) ;;
        floor) start_server floor "$directory/tls" '' --echo-uid --patch "$PATCH" ;;
        imageswap) start_server imageswap "$directory/tls" "$directory/map/maps.conf" ;;
    esac
    case $1 in
        bare) ;;
        floor | imageswap)
            webhook_configuration | create "$ADMISSION/mutatingwebhookconfigurations"
            ;;
        policy | policy-apply)
            "${1//-/_}" | create "$ADMISSION/mutatingadmissionpolicies"
            policy_binding | create "$ADMISSION/mutatingadmissionpolicybindings"
            ;;
        *) die "there is no variant $1; see --help" ;;
    esac
    await_images "$1"
}

turn_off() {
    case $1 in
        floor | imageswap)
            api DELETE "$ADMISSION/mutatingwebhookconfigurations/$NAME" --output /dev/null
            await_images bare
            stop "$1"
            ;;
        policy | policy-apply)
            api DELETE "$ADMISSION/mutatingadmissionpolicybindings/$NAME" --output /dev/null
            api DELETE "$ADMISSION/mutatingadmissionpolicies/$NAME" --output /dev/null
            await_images bare
            ;;
    esac
}

# Registers the webhook like deploy/, but only for pods.
webhook_configuration() {
    cat <<JSON
{"apiVersion":"admissionregistration.k8s.io/v1","kind":"MutatingWebhookConfiguration",
 "metadata":{"name":"$NAME"},
 "webhooks":[{"name":"$NAME",
  "clientConfig":{"url":"https://$address/","caBundle":"$(base64 --wrap=0 "$directory/tls/ca.crt")"},
  "rules":[{"apiGroups":[""],"apiVersions":["v1"],"operations":["CREATE","UPDATE"],
   "resources":["pods","pods/ephemeralcontainers"]}],
  "namespaceSelector":{"matchLabels":{"k8s.twr.io/imageswap":"enabled"}},
  "failurePolicy":"Fail","reinvocationPolicy":"IfNeeded","timeoutSeconds":5,
  "sideEffects":"None","admissionReviewVersions":["v1"]}]}
JSON
}

# CEL for the new image of a container `c`, as in the map above.
readonly SWAP="(c.image.startsWith('registry.example.com/') ? c.image :
 c.image.startsWith('quay.io/') ? 'registry.example.com/quay/' + c.image.substring(8) :
 c.image.startsWith('docker.io/library/') ? 'registry.example.com/official/' + c.image.substring(18) :
 c.image.startsWith('docker.io/') ? (c.image.substring(10).contains('/') ?
  'registry.example.com/hub/' : 'registry.example.com/official/') + c.image.substring(10) :
 c.image.matches('^([^/]*[.:][^/]*|localhost)/') ?
  'registry.example.com/other/' + c.image.substring(c.image.indexOf('/') + 1) :
 c.image.contains('/') ? 'registry.example.com/hub/' + c.image :
 'registry.example.com/official/' + c.image)"

# The policy with a JSON Patch for the images that change.
policy() {
    local patch="${PATCH_LIST//LIST/initContainers} + ${PATCH_LIST//LIST/containers}"
    policy_with '{"patchType":"JSONPatch","jsonPatch":{"expression":"'"${patch//$'\n'/ }"'"}}'
}
readonly PATCH_LIST="(has(object.spec.LIST) ? object.spec.LIST : []).transformList(i, c,
 c.image != variables.LIST[i],
 JSONPatch{op: 'replace', path: '/spec/LIST/' + string(i) + '/image', value: variables.LIST[i]})"

# The policy with an apply configuration, which is merged by the names of the containers.
policy_apply() {
    local object="Object{spec: Object.spec{
 ${APPLIED_LIST//LIST/initContainers}, ${APPLIED_LIST//LIST/containers}}}"
    policy_with '{"patchType":"ApplyConfiguration","applyConfiguration":{"expression":"'"${object//$'\n'/ }"'"}}'
}
readonly APPLIED_LIST="LIST: (has(object.spec.LIST) ? object.spec.LIST : []).transformList(i, c,
 Object.spec.LIST{name: c.name, image: variables.LIST[i]})"

# Creates the policy with a mutation, which can use the new images of both lists of containers.
policy_with() {
    local images="(has(object.spec.LIST) ? object.spec.LIST : []).map(c, $SWAP)"
    images=${images//$'\n'/ }
    cat <<JSON
{"apiVersion":"admissionregistration.k8s.io/v1","kind":"MutatingAdmissionPolicy",
 "metadata":{"name":"$NAME"},
 "spec":{"matchConstraints":{"resourceRules":[{"apiGroups":[""],"apiVersions":["v1"],
   "operations":["CREATE","UPDATE"],"resources":["pods","pods/ephemeralcontainers"]}]},
  "failurePolicy":"Fail","reinvocationPolicy":"IfNeeded",
  "variables":[{"name":"initContainers","expression":"${images//LIST/initContainers}"},
   {"name":"containers","expression":"${images//LIST/containers}"}],
  "mutations":[$1]}}
JSON
}

policy_binding() {
    cat <<JSON
{"apiVersion":"admissionregistration.k8s.io/v1","kind":"MutatingAdmissionPolicyBinding",
 "metadata":{"name":"$NAME"},
 "spec":{"policyName":"$NAME",
  "matchResources":{"namespaceSelector":{"matchLabels":{"k8s.twr.io/imageswap":"enabled"}}}}}
JSON
}

# Waits until a pod would be stored with the images of a variant.
await_images() {
    local deadline=$((SECONDS + APPLY_SECONDS)) expected
    expected=$(expected_images "$1")
    until [[ $(api POST "$PODS_PATH?dryRun=All" --data-binary "$POD" 2>&1 | images) == "$expected" ]]; do
        if ((SECONDS >= deadline)); then
            api POST "$PODS_PATH?dryRun=All" --data-binary "$POD" >&2 || true
            tail -n 5 -- "$directory/kube-apiserver.log" >&2
            die "pods do not get the images of the variant $1"
        fi
        sleep 0.1
    done
}

expected_images() {
    if [[ $1 == bare ]]; then printf '%s\n' "${IMAGES[@]}"; else printf '%s\n' "${SWAPPED[@]}"; fi |
        sort
}

# Prints the different images in an answer of the API server.
images() { grep --only-matching '"image": *"[^"]*"' | cut -d '"' -f 4 | sort --unique; }

# --- The measurement ------------------------------------------------------------------------------

# Creates pods, and logs each request in $directory/h2load.tsv.
create_pods() {
    rm -f -- "$directory/h2load.tsv"
    start h2load h2load --requests "$1" --clients "$CONNECTIONS" --threads 1 \
        --max-concurrent-streams "$STREAMS" --data "$directory/pod.json" \
        --header 'Content-Type: application/json' --header "Authorization: Bearer $TOKEN" \
        --log-file "$directory/h2load.tsv" "$server$PODS_PATH"
}

# Sets an array to the processor times so far of API server, etcd, webhook, client and machine.
processor_times() {
    local -n times=$1
    local name
    times=()
    for name in kube-apiserver etcd "$2"; do
        REPLY=0
        if [[ -n ${pids[$name]:-} ]]; then processor_time "${pids[$name]}"; fi
        times+=("$REPLY")
    done
    # The client is the only child for which the script waits in the meantime.
    children_time && times+=("$REPLY")
    machine_time && times+=("$REPLY")
}

# Prints the API server's metrics of its webhook calls: number, seconds, and number within 5 ms.
webhook_calls() {
    api GET /metrics | awk -v name="name=\"$NAME\"" '
        index($0, name) == 0 { next }
        /^apiserver_admission_webhook_admission_duration_seconds_count/ { count += $NF }
        /^apiserver_admission_webhook_admission_duration_seconds_sum/ { sum += $NF }
        /^apiserver_admission_webhook_admission_duration_seconds_bucket.*le="0.005"/ { fast += $NF }
        END { printf "%d %.9f %d\n", count, sum, fast }'
}

measure() {
    local round=$1 variant=$2
    turn_on "$variant"
    create_pods "$WARM_UP"
    wait "${pids[h2load]}" || show_log_and_die h2load 'failed'
    delete_pods
    local calls_before calls_after before after
    read -ra calls_before < <(webhook_calls)
    if [[ -n $PROFILE ]]; then begin_samples "$variant"; fi
    processor_times before "$variant"
    create_pods "$PODS"
    wait "${pids[h2load]}" || show_log_and_die h2load 'failed'
    unset 'pids[h2load]'
    processor_times after "$variant"
    if [[ -n $PROFILE ]]; then end_samples "$OUTPUT.$variant.profile"; fi
    read -ra calls_after < <(webhook_calls)

    local created failed microseconds p50 p99 max
    read -r created failed microseconds p50 p99 _ max \
        < <(load-tests/results.py window "$directory/h2load.tsv")
    ((created > 0)) || show_log_and_die h2load 'created no pod'
    # The log has no line for a request without an answer.
    failed=$((PODS - created))
    local times=() index
    for index in "${!before[@]}"; do
        times+=("$((after[index] - before[index]))")
    done
    other_percent=$(percent "$((times[4] - times[0] - times[1] - times[2] - times[3]))" "$microseconds")
    row=$(awk -v OFS=, -v created="$created" -v microseconds="$microseconds" \
        -v head="$round,$variant,$PODS,$failed" -v latencies="$p50,$p99,$max" \
        -v apiserver="${times[0]}" -v etcd="${times[1]}" -v webhook="${times[2]}" \
        -v client="${times[3]}" -v other_percent="$other_percent" \
        -v calls="$((calls_after[0] - calls_before[0]))" -v fast="$((calls_after[2] - calls_before[2]))" \
        -v seconds="${calls_after[1]}" -v seconds_before="${calls_before[1]}" 'BEGIN {
            figures = ",,"
            if (calls) figures = sprintf("%.3f,%.1f,%.5f", calls / created,
                (seconds - seconds_before) * 1e6 / calls, fast / calls)
            print head, sprintf("%.3f", microseconds / 1e6),
                sprintf("%.1f", created * 1e6 / microseconds), latencies,
                sprintf("%.1f", apiserver / created), sprintf("%.1f", etcd / created),
                webhook ? sprintf("%.1f", webhook / created) : "",
                sprintf("%.1f", client / created), figures, other_percent
        }')
    failures=$((failures + failed))
    created_by[$variant]=$((${created_by[$variant]:-0} + created))
    note "round $round, $variant: $((created * 1000000 / microseconds)) creates/s, $failed failed"
    check_stored_images "$variant" "$created"
    delete_pods
    turn_off "$variant"
}

# Each pod must be stored with the images of the variant. Otherwise the variants are not comparable.
check_stored_images() {
    local stored image
    stored=$(api GET "$PODS_PATH" | grep --only-matching '"image": *"[^"]*"' | cut -d '"' -f 4 |
        sort | uniq --count | sed 's/^ *//')
    for image in $(expected_images "$1"); do
        grep --fixed-strings --line-regexp --quiet "$2 $image" <<<"$stored" ||
            die "of $2 pods of the variant $1, these images are stored: $stored"
    done
}

# Deletes the pods and their history in etcd, so that all measurements begin with the same state.
delete_pods() {
    local deadline=$((SECONDS + APPLY_SECONDS)) revision
    until [[ $(api GET "$PODS_PATH?limit=1") != *'"uid"'* ]]; do
        ((SECONDS < deadline)) || die 'the pods are not deleted'
        api DELETE "$PODS_PATH?gracePeriodSeconds=0" --output /dev/null
    done
    revision=$(curl --silent --fail --data '{}' "$etcd/v3/maintenance/status" |
        sed 's/.*"revision":"\([0-9]*\)".*/\1/')
    curl --silent --fail --output /dev/null --data "{\"revision\":\"$revision\",\"physical\":true}" \
        "$etcd/v3/kv/compaction"
}

need h2load 'it is in the Debian package nghttp2-client'
need openssl 'it makes the certificates'
need python3 'it makes the figures'
assets=$(tests/cluster/assets)
if [[ -n $PROFILE ]]; then
    need perf 'it is in the Debian package linux-perf'
    build_servers_with_symbols
    rm -f -- "$OUTPUT".{floor,imageswap}.profile
else
    build_servers
fi
mkdir -p -- "$(dirname -- "$OUTPUT")"
echo "$POD" >"$directory/pod.json"
# In separate folders, like mounts: the webhook watches the folders and reads every change there.
mkdir -- "$directory/"{tls,map}
make_authority "$directory/tls"
make_certificate "$directory/tls"
echo "$MAP_TEXT" >"$directory/map/maps.conf"
start_control_plane
create_namespace "$NAMESPACE" '{"k8s.twr.io/imageswap":"enabled"}'
note "API server $(api GET /version | sed -n 's/.*"gitVersion": "\([^"]*\)".*/\1/p'), $((CONNECTIONS * STREAMS))" \
    "creates at once, $PODS pods a measurement"
failures=0
declare -A created_by=()
echo "$COLUMNS" >"$OUTPUT"
read -ra variants <<<"$VARIANTS"
for ((round = 1; round <= ROUNDS; round++)); do
    # Each round begins with another variant, and every second round has the reverse order, so that no variant
    # always has the same position or follows the same variant.
    for ((turn = 0; turn < ${#variants[@]}; turn++)); do
        place=$((round % 2 ? turn : ${#variants[@]} - 1 - turn))
        measure_undisturbed "$round" "${variants[(round / 2 + place) % ${#variants[@]}]}"
    done
done
note "each measurement is in $OUTPUT"
load-tests/results.py "$FORMAT" "$OUTPUT"
if [[ -n $PROFILE ]]; then
    note "each function is in $OUTPUT.floor.profile and $OUTPUT.imageswap.profile"
    load-tests/profile.py "$FREQUENCY" "$OUTPUT.floor.profile" "${created_by[floor]}" \
        "$OUTPUT.imageswap.profile" "${created_by[imageswap]}"
fi
((failures == 0)) || die "$failures creates failed"
