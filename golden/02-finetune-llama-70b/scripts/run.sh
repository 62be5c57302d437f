#!/bin/bash
# Runs the workload in the foreground; systemd starts it again when it ends.
# Arguments and variables come from instance metadata, one per line with escapes for printf %b, and are never read as code.
set -euo pipefail

METADATA=http://metadata.google.internal/computeMetadata/v1

log() { echo "workload: $*" >&2; }

# One value of the metadata server: a path below `instance`. Waits until the server answers.
metadata() {
  until curl --silent --fail --header 'Metadata-Flavor: Google' "$METADATA/instance/$1"; do
    log "waiting for metadata $1"
    sleep 5
  done
}

# The first string that a JSON text holds under a key. $1: key; the text comes on standard input.
json_string() {
  grep -o "\"$1\": *\"[^\"]*\"" | head -n 1 | sed 's/^[^:]*: *"//; s/"$//'
}

# A Google API as this machine's service account. $1: method, $2: address. The token is not shown in the process list.
google_api() {
  local token body=()
  [[ "$1" == POST ]] && body=(--data '')
  token="$(metadata service-accounts/default/token | json_string access_token)"
  curl --silent --show-error --fail --retry 5 --request "$1" "${body[@]}" --config - "$2" \
    <<<"header = \"Authorization: Bearer $token\""
}

COMMAND=()
TEXT="$(metadata attributes/workload-command)"
while IFS= read -r line; do
  printf -v word '%b' "$line"
  COMMAND+=("$word")
done <<<"$TEXT"

ENVIRONMENT=()
# How the model lies on the machines: one NAME=VALUE per line.
TEXT="$(metadata attributes/workload-layout)"
mapfile -t ENVIRONMENT <<<"$TEXT"

# Ranks: all machines of the group that stay in it, sorted by name; the first one leads. A machine that is repaired keeps
# its name and its rank; a substitute has a name of its own, so ranks are told anew whenever the program starts.
members() {
  local address page token='' listed=''
  address="https://compute.googleapis.com/compute/v1/$GROUP/listManagedInstances?maxResults=500"
  address+='&fields=nextPageToken,managedInstances(instance,currentAction)'
  while
    page="$(google_api POST "$address${token:+&pageToken=${token//+/%2B}}")" || return
    listed+="$page"
    token="$(json_string nextPageToken <<<"$page" || true)" # the last page has none
    [[ -n "$token" ]]
  do :; done
  # One machine per line; those that are leaving count no more.
  tr -d '\n' <<<"$listed" | tr '}' '\n' | grep -v -E '"currentAction": *"(DELETING|ABANDONING)"' \
    | grep -o '"instance": *"[^"]*"' | sed 's/^.*\/zones\///; s/"$//' | sort -t / -k 3
}

NODES="$(metadata attributes/workload-nodes)"
GROUP="$(metadata attributes/created-by)" # projects/NUMBER/zones/ZONE/instanceGroupManagers/NAME
HOST="$(metadata hostname)"
SELF="${HOST%%.*}"
MEMBERS=()
while ((${#MEMBERS[@]} != NODES)); do
  mapfile -t MEMBERS < <(members)
  if ((${#MEMBERS[@]} != NODES)); then
    log "${#MEMBERS[@]} of $NODES machines are there"
    sleep 10
  fi
done

RANK=-1
for index in "${!MEMBERS[@]}"; do
  if [[ "${MEMBERS[$index]##*/}" == "$SELF" ]]; then RANK="$index"; fi
done
if ((RANK < 0)); then
  log "$SELF is not a member of $GROUP"
  exit 1
fi

FIRST=0

# Name of the first machine in the internal DNS, with the zone where the project's names have one.
LEADER="${MEMBERS[$FIRST]##*/}"
LEADER_ZONE="${MEMBERS[$FIRST]%%/*}"
OWN_ZONE="$(metadata zone)"
OWN_ZONE="${OWN_ZONE##*/}"
DOMAIN="${HOST#*.}"
if [[ "$DOMAIN" == "$OWN_ZONE".* ]]; then DOMAIN="$LEADER_ZONE.${DOMAIN#*.}"; fi
PER_NODE="$(metadata attributes/workload-accelerators)"
ENVIRONMENT+=(
  "MASTER_ADDR=$LEADER.$DOMAIN" "MASTER_PORT=29500" "NNODES=$NODES" "NODE_RANK=$RANK" "NPROC_PER_NODE=$PER_NODE"
  # The same for torchrun, which takes each of its options from a variable with this prefix.
  "PET_MASTER_ADDR=$LEADER.$DOMAIN" "PET_MASTER_PORT=29500" "PET_NNODES=$NODES" "PET_NODE_RANK=$RANK"
  "PET_NPROC_PER_NODE=$PER_NODE"
)
log "rank $RANK of $NODES, led by $LEADER"

CONTAINER="$(metadata attributes/workload-container)"
REGISTRY="${CONTAINER%%/*}"
if [[ "$REGISTRY" == *.pkg.dev || "$REGISTRY" == gcr.io || "$REGISTRY" == *.gcr.io ]]; then
  DOCKER_CONFIG="$(mktemp -d)"
  export DOCKER_CONFIG
  trap 'rm -rf "$DOCKER_CONFIG"' EXIT
  metadata service-accounts/default/token | grep -o '"access_token": *"[^"]*"' | sed 's/^[^:]*: *"//; s/"$//' \
    | docker login --username oauth2accesstoken --password-stdin "https://$REGISTRY"
fi

FLAGS=(--name workload --network host --ipc host --ulimit memlock=-1 --ulimit stack=67108864)
if command -v cos-extensions >/dev/null; then
  FLAGS+=(--volume /var/lib/nvidia/lib64:/usr/local/nvidia/lib64 --volume /var/lib/nvidia/bin:/usr/local/nvidia/bin)
  while IFS= read -r device; do FLAGS+=(--device "$device"); done < <(find /dev -maxdepth 1 -name 'nvidia*' -type c)
else
  FLAGS+=(--gpus all)
fi
SSD="$(metadata attributes/workload-local-ssd)"
if mountpoint -q "$SSD"; then FLAGS+=(--volume "$SSD:$SSD"); fi
TEXT="$(metadata attributes/workload-mounts)"
while read -r _ _ target _; do FLAGS+=(--volume "$target:$target"); done <<<"$TEXT"
for entry in "${ENVIRONMENT[@]}"; do FLAGS+=(--env "$entry"); done

docker rm --force workload >/dev/null 2>&1 || true
docker run "${FLAGS[@]}" "$CONTAINER" "${COMMAND[@]}"
