# shellcheck shell=bash
# A control plane of Kubernetes on loopback: etcd and kube-apiserver of the folder in `assets`.
# Source it after common.sh, whose functions it uses. The certificates of `make_authority` and `make_certificate` are
# in $directory/tls.
# shellcheck disable=SC2154 # `directory` is of common.sh, and `assets` of the script.

# The token of an administrator.
readonly TOKEN=load-test-administrator

# Calls the API server: api METHOD PATH [curl flag...]
api() {
    local method=$1 path=$2
    shift 2
    curl --silent --show-error --fail-with-body --max-time 120 --cacert "$directory/tls/ca.crt" \
        --header "Authorization: Bearer $TOKEN" --header 'Content-Type: application/json' \
        --request "$method" "$server$path" "$@"
}

create() { api POST "$1" --output /dev/null --data-binary @-; }

is_ready() { [[ $(api GET /readyz 2>/dev/null) == ok ]]; }

# Starts etcd and the API server; sets `etcd` and `server` to their URLs.
start_control_plane() {
    local etcd_port peers_port port
    read -r etcd_port peers_port port < <(free_ports 3)
    etcd=http://127.0.0.1:$etcd_port
    server=https://127.0.0.1:$port
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$directory/accounts.key"
    openssl pkey -in "$directory/accounts.key" -pubout -out "$directory/accounts.pub"
    echo "$TOKEN,load-admin,0,system:masters" >"$directory/tokens.csv"
    # etcd does not wait for the disk, whose speed is not the subject. The processor is then always busy, and a
    # webhook costs most in that case.
    start etcd "$assets/etcd" --unsafe-no-fsync --data-dir="$directory/etcd" --log-level=warn \
        --listen-client-urls="$etcd" --advertise-client-urls="$etcd" \
        --listen-peer-urls="http://127.0.0.1:$peers_port" \
        --initial-advertise-peer-urls="http://127.0.0.1:$peers_port" \
        --initial-cluster="default=http://127.0.0.1:$peers_port"
    # The script compacts between measurements, so that no measurement includes it.
    start kube-apiserver "$assets/kube-apiserver" --etcd-servers="$etcd" \
        --etcd-compaction-interval=0 --bind-address=127.0.0.1 --secure-port="$port" \
        --advertise-address=127.0.0.1 --endpoint-reconciler-type=none \
        --service-cluster-ip-range=10.0.0.0/24 --authorization-mode=RBAC \
        --cert-dir="$directory/apiserver" --tls-cert-file="$directory/tls/tls.crt" \
        --tls-private-key-file="$directory/tls/tls.key" \
        --client-ca-file="$directory/tls/ca.crt" \
        --token-auth-file="$directory/tokens.csv" \
        --delete-collection-workers=8 \
        --service-account-issuer=https://kubernetes.default.svc \
        --service-account-key-file="$directory/accounts.pub" \
        --service-account-signing-key-file="$directory/accounts.key"
    await kube-apiserver is_ready
}

# Creates a namespace for pods: create_namespace NAME [LABELS]
create_namespace() {
    local empty='{}'
    create /api/v1/namespaces <<<'{"metadata":{"name":"'"$1"'","labels":'"${2:-$empty}"'}}'
    # There is no controller manager to create the service account that pods need.
    create "/api/v1/namespaces/$1/serviceaccounts" <<<'{"metadata":{"name":"default"}}'
}
