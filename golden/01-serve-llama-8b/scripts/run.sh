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
TEXT="$(metadata attributes/workload-mounts)"
while read -r _ _ target _; do FLAGS+=(--volume "$target:$target"); done <<<"$TEXT"
for entry in "${ENVIRONMENT[@]}"; do FLAGS+=(--env "$entry"); done

docker rm --force workload >/dev/null 2>&1 || true
docker run "${FLAGS[@]}" "$CONTAINER" "${COMMAND[@]}"
