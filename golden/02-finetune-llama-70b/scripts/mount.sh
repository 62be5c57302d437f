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

# Installs packages that are missing. Names: for apt, then for dnf. One at a time: two scripts may be at it.
install_packages() {
  if command -v apt-get >/dev/null; then
    flock /run/lock/workload-packages apt-get -o DPkg::Lock::Timeout=300 update -q
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive flock /run/lock/workload-packages apt-get -o DPkg::Lock::Timeout=300 install -qy $1
  elif command -v dnf >/dev/null; then
    # shellcheck disable=SC2086
    dnf install -qy $2
  else
    log "cannot install $1$2: no package manager"
    return 1
  fi
}

install_gcsfuse() {
  command -v gcsfuse >/dev/null && return 0
  # shellcheck disable=SC1091
  source /etc/os-release
  if command -v apt-get >/dev/null; then
    curl --silent --show-error --fail --retry 5 https://packages.cloud.google.com/apt/doc/apt-key.gpg \
      -o /usr/share/keyrings/cloud.google.asc
    echo "deb [signed-by=/usr/share/keyrings/cloud.google.asc] https://packages.cloud.google.com/apt gcsfuse-$VERSION_CODENAME main" \
      >/etc/apt/sources.list.d/gcsfuse.list
  else
    printf '%s\n' '[gcsfuse]' 'name=gcsfuse' 'enabled=1' 'gpgcheck=1' \
      'baseurl=https://packages.cloud.google.com/yum/repos/gcsfuse-el7-x86_64' \
      'repo_gpgcheck=0' 'gpgkey=https://packages.cloud.google.com/yum/doc/yum-key.gpg' \
      '       https://packages.cloud.google.com/yum/doc/rpm-package-key.gpg' >/etc/yum.repos.d/gcsfuse.repo
  fi
  install_packages gcsfuse gcsfuse
  command -v gcsfuse >/dev/null
}

install_nfs() {
  command -v mount.nfs >/dev/null || install_packages nfs-common nfs-utils
}

# Options: profile=NAME, ro or rw, only-dir=FOLDER, stat-cache-mib=N; separated by commas, special characters as octal escapes.
mount_bucket() {
  local source="$1" target="$2" options="$3" option value
  local -a items flags=(-o allow_other --implicit-dirs)
  local cache room
  cache="$(metadata workload-local-ssd)"
  if mountpoint -q "$cache"; then
    mkdir -p "$cache/gcsfuse"
    room="$(df --block-size=1M --output=size "$cache" | tail -n 1)"
    flags+=("--cache-dir=$cache/gcsfuse" "--file-cache-max-size-mb=$((room * 85 / 100))") # room for the program's own
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

# What a kind of store needs on the machine before it can be mounted.
install_client() {
  case "$1" in
    bucket) install_gcsfuse ;;
    nfs) install_nfs ;;
    *) ;;
  esac
}

# Each line: kind, source, target, options.
TEXT="$(metadata workload-mounts)"
mapfile -t MOUNTS <<<"$TEXT"

for line in "${MOUNTS[@]}"; do
  read -r kind source target options <<<"$line"
  mkdir -p "$target"
  until mountpoint -q "$target"; do
    if install_client "$kind" && "mount_$kind" "$source" "$target" "$options"; then
      log "$target is mounted"
    else
      log "$target is not there yet, next try in $RETRY_S s"
      sleep "$RETRY_S"
    fi
  done
done
