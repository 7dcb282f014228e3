# shellcheck shell=bash
# The programs that peers.sh measures: where each comes from, how it is configured, and how it is started.
# Source it after control-plane.sh, whose API server three of them need.
# shellcheck disable=SC2154 # `directory` and `target` are of common.sh, `server` of control-plane.sh.
# shellcheck disable=SC2034 # `path` and `expected` are for peers.sh.

# All programs that can be measured, in the order of the table.
readonly ALL_PEERS=(floor imageswap harbor-container-webhook mutating-registry-webhook gatekeeper)

# Gatekeeper is built from its Go module.
readonly GATEKEEPER_MODULE=github.com/open-policy-agent/gatekeeper/v3
readonly GATEKEEPER_VERSION=v3.23.0

# The other programs are those of these releases. They have to be in the folder of the programs already.
declare -rA RELEASES=([harbor-container-webhook]=v0.8.1 [mutating-registry-webhook]=v0.5.0)

# The folder of the programs, absolute because Go requires it.
programs=$(realpath --canonicalize-missing -- "$target/peers/bin")

# The new images of the review's three containers: initContainers/0, containers/0 and containers/1.
readonly SWAPPED=(registry.example.com/other/acme/migrate:v3 registry.example.com/hub/library/nginx:1.27
    registry.example.com/quay/prometheus/node-exporter:v1.8.2)
# Gatekeeper replaces the registry, and can neither add a path nor look at the old registry.
readonly OTHER_DOMAIN=(registry.example.com/acme/migrate:v3 registry.example.com/nginx:1.27
    registry.example.com/prometheus/node-exporter:v1.8.2)

# The rules of ImageSwap. `{path}` contains the library/ of official images, which the other programs add too.
readonly MAP_TEXT='docker.io::registry.example.com/hub/{path}
quay.io::registry.example.com/quay
default::registry.example.com/other'

# The answer of the floor to every review.
readonly PATCH='[{"op":"replace","path":"/spec/initContainers/0/image","value":"'${SWAPPED[0]}'"},'\
'{"op":"replace","path":"/spec/containers/0/image","value":"'${SWAPPED[1]}'"},'\
'{"op":"replace","path":"/spec/containers/1/image","value":"'${SWAPPED[2]}'"}]'

# Sets `peers` to all programs that are there or can be built.
available_peers() {
    local name
    peers=()
    for name in "${ALL_PEERS[@]}"; do
        if [[ -z ${RELEASES[$name]:-} || -x $programs/$name ]]; then
            peers+=("$name")
        else
            note "without $name: the program of its release ${RELEASES[$name]} is not at $programs/$name"
        fi
    done
}

# Builds the programs that are not there yet; fails if one of them cannot be built.
build_peers() {
    local name
    for name in "$@"; do
        case $name in
            floor | imageswap) ;;
            gatekeeper) build_gatekeeper ;;
            harbor-container-webhook | mutating-registry-webhook)
                [[ -x $programs/$name ]] ||
                    die "put the program of the release ${RELEASES[$name]} of $name at $programs/$name"
                ;;
            *) die "there is no peer $name; there are: ${ALL_PEERS[*]}" ;;
        esac
    done
    build_servers
}

build_gatekeeper() {
    need go 'it builds Gatekeeper'
    local module=$GATEKEEPER_MODULE@$GATEKEEPER_VERSION
    if ! go version -m "$programs/gatekeeper" 2>/dev/null | grep --quiet --fixed-strings \
        "$GATEKEEPER_MODULE"$'\t'"$GATEKEEPER_VERSION"; then
        note "building $module; this takes minutes when the cache of Go is empty"
        GOWORK=off CGO_ENABLED=0 GOBIN=$programs go install "$module"
    fi
    # The definitions of its resources are in the module.
    local sources
    sources=$(GOWORK=off go mod download -json "$module" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
    mkdir -p -- "$programs/../gatekeeper-crds"
    install --mode 644 -- "$sources"/charts/gatekeeper/crds/*.yaml "$programs/../gatekeeper-crds"
}

# --- Configuration --------------------------------------------------------------------------------

# Writes the files of the programs, and the objects that they read from the API server.
configure_peers() {
    echo "$MAP_TEXT" >"$directory/map/maps.conf"
    kubeconfig >"$directory/kubeconfig"
    local name
    for name in "$@"; do
        case $name in
            gatekeeper)
                kubectl apply --server-side --filename "$programs/../gatekeeper-crds"
                kubectl wait --for=condition=Established crd --all --timeout "$START_SECONDS"s
                kubectl create namespace gatekeeper-system
                { assign_image initContainers && assign_image containers; } | kubectl create --filename -
                ;;
            mutating-registry-webhook)
                rewrite_rule_definition | kubectl create --filename -
                kubectl wait --for=condition=Established crd --all --timeout "$START_SECONDS"s
                rewrite_rule | kubectl create --filename -
                ;;
        esac
    done
}

kubectl() {
    "$assets/kubectl" --kubeconfig "$directory/kubeconfig" "$@" >>"$directory/kubectl.log" 2>&1 ||
        show_log_and_die kubectl 'failed'
}

kubeconfig() {
    cat <<YAML
apiVersion: v1
kind: Config
clusters: [{name: load, cluster: {server: "$server", certificate-authority: "$directory/tls/ca.crt"}}]
users: [{name: load, user: {token: $TOKEN}}]
contexts: [{name: load, context: {cluster: load, user: load}}]
current-context: load
YAML
}

# The configuration of harbor-container-webhook for a port. Its expressions see the full reference of an image, and the
# first rule that matches decides.
harbor_configuration() {
    cat <<YAML
port: $1
certDir: $directory/tls
healthAddr: 127.0.0.1:0
metricsAddr: 127.0.0.1:0
rules:
  - {name: docker.io, matches: ['^docker\.io/'], replace: registry.example.com/hub}
  - {name: quay.io, matches: ['^quay\.io/'], replace: registry.example.com/quay}
  - {name: default, matches: ['.*'], excludes: ['^(docker|quay)\.io/'], replace: registry.example.com/other}
YAML
}

# The resource of mutating-registry-webhook, with the fields that are used here.
rewrite_rule_definition() {
    cat <<'YAML'
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: registryrewriterules.dev.flemzord.fr}
spec:
  group: dev.flemzord.fr
  scope: Cluster
  names: {kind: RegistryRewriteRule, plural: registryrewriterules, singular: registryrewriterule}
  versions:
    - name: v1alpha1
      served: true
      storage: true
      subresources: {status: {}}
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
YAML
}

# Its rules: the first that matches decides, the one of the highest priority first.
rewrite_rule() {
    cat <<'YAML'
apiVersion: dev.flemzord.fr/v1alpha1
kind: RegistryRewriteRule
metadata: {name: load}
spec:
  rules:
    - {priority: 3, match: '^docker\.io/(.*)$', replace: 'registry.example.com/hub/$1'}
    - {priority: 2, match: '^quay\.io/(.*)$', replace: 'registry.example.com/quay/$1'}
    - {priority: 1, match: '^[^/]+/(.*)$', replace: 'registry.example.com/other/$1'}
YAML
}

# A mutator of Gatekeeper for one list of containers. One mutator has one location.
assign_image() {
    cat <<YAML
---
apiVersion: mutations.gatekeeper.sh/v1alpha1
kind: AssignImage
metadata: {name: ${1,,}}
spec:
  applyTo: [{groups: [""], kinds: [Pod], versions: [v1]}]
  location: "spec.$1[name:*].image"
  match: {source: All, scope: Namespaced, kinds: [{apiGroups: ["*"], kinds: [Pod]}]}
  parameters: {assignDomain: registry.example.com}
YAML
}

# --- Start ----------------------------------------------------------------------------------------

# Sets `address` and `path` to where a peer will answer, `expected` to the images of its answer, and `health_port` to
# another free port.
locate_peer() {
    local port
    read -r port health_port < <(free_ports 2)
    expected=("${SWAPPED[@]}")
    case $1 in
        floor | imageswap) path=/ ;;
        harbor-container-webhook) path=/webhook-v1-pod ;;
        # It has no option for the port.
        mutating-registry-webhook) path=/mutate-v1-pod port=9443 ;;
        gatekeeper) path=/v1/mutate expected=("${OTHER_DOMAIN[@]}") ;;
    esac
    address=127.0.0.1:$port
}

# Starts a peer at `address`, with its usual log.
launch_peer() {
    local port=${address#*:} tls=$directory/tls
    case $1 in
        floor) launch_server floor "$address" "$tls" '' --patch "$PATCH" ;;
        imageswap) launch_server imageswap "$address" "$tls" "$directory/map/maps.conf" ;;
        harbor-container-webhook)
            harbor_configuration "$port" >"$directory/harbor.yaml"
            start "$1" "$programs/$1" --kubeconfig "$directory/kubeconfig" --config "$directory/harbor.yaml"
            ;;
        mutating-registry-webhook)
            start "$1" "$programs/$1" --kubeconfig "$directory/kubeconfig" --enable-http2 \
                --webhook-cert-path "$tls" --health-probe-bind-address "127.0.0.1:$health_port"
            ;;
        gatekeeper)
            start gatekeeper "$programs/gatekeeper" --kubeconfig "$directory/kubeconfig" \
                --operation mutation-webhook --disable-cert-rotation --debug-use-fake-pod \
                --cert-dir "$tls" --host 127.0.0.1 --port "$port" --health-addr "127.0.0.1:$health_port"
            ;;
    esac
}
