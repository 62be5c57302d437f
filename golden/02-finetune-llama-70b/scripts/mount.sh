#!/bin/bash
# Mounts every store, and keeps trying until all of them are there. Can run again at any time.
set -euo pipefail

METADATA=http://metadata.google.internal/computeMetadata/v1
RETRY_S=10

log() { echo "workload-mounts: $*" >&2; }

# One value of the metadata server: an attribute of this machine. Waits until the server answers.
metadata() {
  until curl --silent --fail --header 'Metadata-Flavor: Google' "$METADATA/instance/attributes/$1"; do
    log "waiting for metadata $1"
    sleep 5
  done
}

# Options: profile=NAME, ro or rw, only-dir=FOLDER, stat-cache-mib=N; separated by commas, special characters as octal escapes.
mount_bucket() {
  local source="$1" target="$2" options="$3" option value
  local -a items flags=(-o allow_other --implicit-dirs)
  local cache
  cache="$(metadata workload-local-ssd)"
  if mountpoint -q "$cache"; then
    flags+=("--cache-dir=$cache/gcsfuse" --file-cache-max-size-mb=-1)
    mkdir -p "$cache/gcsfuse"
  fi
  IFS=, read -r -a items <<<"$options"
  for option in "${items[@]}"; do
    value="$(printf '%b' "${option#*=}")"
    case "$option" in
      profile=*) flags+=("--profile=$value") ;;
      only-dir=*) flags+=("--only-dir=$value") ;;
      stat-cache-mib=*) flags+=("--stat-cache-max-size-mb=$value") ;;
      ro) flags+=(-o ro) ;;
      rw) flags+=(--file-mode=666 --dir-mode=777) ;;
    esac
  done
  gcsfuse "${flags[@]}" "$source" "$target"
}

mount_nfs() {
  mount -t nfs -o "$3,_netdev" "$1" "$2"
}

# Each line: kind, source, target, options.
TEXT="$(metadata workload-mounts)"
mapfile -t MOUNTS <<<"$TEXT"

for line in "${MOUNTS[@]}"; do
  read -r kind source target options <<<"$line"
  mkdir -p "$target"
  until mountpoint -q "$target"; do
    if "mount_$kind" "$source" "$target" "$options"; then
      log "$target is mounted"
    else
      log "$target is not there yet, next try in $RETRY_S s"
      sleep "$RETRY_S"
    fi
  done
done
