#!/bin/bash
# Runs at every boot: prepares the machine, then starts mounting and the workload in the background.
# What it needs to know is read from instance metadata; nothing is written into this file.
set -euo pipefail

STATE=/var/lib/workload
METADATA=http://metadata.google.internal/computeMetadata/v1

log() { echo "workload: $*" >&2; }

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

# Drivers and clients are built for one kernel: what moves it would leave them behind at the next boot.
hold_kernel() {
  local unit
  for unit in unattended-upgrades.service apt-daily.timer apt-daily-upgrade.timer dnf-automatic.timer; do
    systemctl disable --now "$unit" 2>/dev/null || true
  done
}

# Keeps trying: mirrors and networks come and go. Ends when the command succeeds; nothing that can do without stands behind.
retry() {
  until "$@"; do
    log "$1 failed, next try in 15 s"
    sleep 15
  done
}

# Joins all local disks into one volume. Their content is gone after a stop, so they are made anew where it is.
mount_local_ssd() {
  local target="$1" disks volume
  mapfile -t disks < <(find /dev/disk/by-id -name 'google-local-nvme-ssd-*' -not -name '*-part*' | sort)
  if ((${#disks[@]} == 0)); then
    mapfile -t disks < <(find /dev/disk/by-id -name 'google-local-ssd-*' -not -name '*-part*' | sort)
  fi
  if ((${#disks[@]} == 0)); then
    log "no local disks found"
    return 0
  fi
  mountpoint -q "$target" && return 0
  volume="${disks[0]}"
  if ((${#disks[@]} > 1)); then
    command -v mdadm >/dev/null || install_packages mdadm mdadm || return 1
    volume=/dev/md/workload
    if [[ ! -e "$volume" ]] && ! mdadm --assemble "$volume" "${disks[@]}" 2>/dev/null; then
      mdadm --create "$volume" --run --homehost=any --level=0 --force --raid-devices="${#disks[@]}" "${disks[@]}" \
        || return 1
    fi
  fi
  blkid --probe "$volume" >/dev/null || mkfs.ext4 -q -F -m 0 -E lazy_itable_init=0,lazy_journal_init=0 "$volume" || return 1
  # Without the volume the folder stays closed: data must not fill the boot disk instead.
  mkdir -p "$target" && mount -o discard,defaults "$volume" "$target" && chmod 1777 "$target"
}

install_containers() {
  if ! command -v docker >/dev/null; then
    if command -v dnf >/dev/null; then
      dnf config-manager --add-repo https://download.docker.com/linux/centos/docker-ce.repo
    fi
    install_packages docker.io docker-ce
  fi
  # Container-Optimized OS brings its driver by this command and has no container toolkit.
  if command -v cos-extensions >/dev/null; then
    cos-extensions install gpu
    systemctl enable --now docker
    return
  fi
  if ! command -v nvidia-ctk >/dev/null; then
    if command -v apt-get >/dev/null; then
      curl --silent --show-error --fail --retry 5 https://nvidia.github.io/libnvidia-container/gpgkey \
        -o /usr/share/keyrings/nvidia-container-toolkit.asc
      # shellcheck disable=SC2016
      echo 'deb [signed-by=/usr/share/keyrings/nvidia-container-toolkit.asc] https://nvidia.github.io/libnvidia-container/stable/deb/$(ARCH) /' \
        >/etc/apt/sources.list.d/nvidia-container-toolkit.list
    else
      curl --silent --show-error --fail --retry 5 \
        https://nvidia.github.io/libnvidia-container/stable/rpm/nvidia-container-toolkit.repo \
        -o /etc/yum.repos.d/nvidia-container-toolkit.repo
    fi
    install_packages nvidia-container-toolkit nvidia-container-toolkit
  fi
  nvidia-ctk runtime configure --runtime=docker && systemctl enable docker && systemctl restart docker
}

# What the agent reads: the journal, which has the kernel's messages too; the machine with its accelerators; DCGM where it
# runs; the program's own metrics. Written anew at every boot.
configure_ops_agent() {
  local config=/etc/google-cloud-ops-agent/config.yaml receivers='hostmetrics'
  # It reads DCGM 3 and no later; utilisation and memory of the accelerators come with hostmetrics all the same.
  if systemctl is-active --quiet nvidia-dcgm && dcgmi --version 2>/dev/null | grep -Eqi 'version *: *3\.'; then
    receivers+=', dcgm'
  fi
  mkdir -p "${config%/*}"
  {
    printf '%s\n' 'logging:' '  receivers:' '    journal: {type: systemd_journald}' '  service:' '    pipelines:' \
      '      default_pipeline: {receivers: [journal]}'
    printf '%s\n' 'metrics:' '  receivers:' '    hostmetrics: {type: hostmetrics, collection_interval: 60s}'
    if [[ "$receivers" == *dcgm* ]]; then
      printf '%s\n' '    dcgm: {type: dcgm, receiver_version: 2, collection_interval: 60s}'
    fi
    printf '%s\n' '  service:' '    pipelines:' "      default_pipeline: {receivers: [$receivers]}"
  } >"$config.new"
  if ! cmp -s "$config.new" "$config"; then
    mv "$config.new" "$config"
    systemctl restart google-cloud-ops-agent
  else
    rm "$config.new"
  fi
}

# Metrics and logs of the machine, for the alerts, the dashboard and the autoscaler. The workload does not wait for it.
install_ops_agent() {
  if ! systemctl list-unit-files google-cloud-ops-agent.service | grep -q google-cloud-ops-agent; then
    if ! command -v apt-get >/dev/null && ! command -v dnf >/dev/null; then
      return 0 # Container-Optimized OS has an agent of its own
    fi
    local script
    script="$(mktemp)"
    curl --silent --show-error --fail --retry 5 -o "$script" \
      https://dl.google.com/cloudagents/add-google-cloud-ops-agent-repo.sh || return 1
    bash "$script" --also-install || return 1
    rm -f "$script"
  fi
  configure_ops_agent
}

# Writes a unit and the script it runs. $1: name, $2: metadata key of the script, $3: type, $4...: lines of [Unit].
install_unit() {
  local name="$1" key="$2" type="$3"
  shift 3
  metadata "$key" >"$STATE/$name.sh"
  {
    printf '[Unit]\nDescription=%s\nAfter=network-online.target docker.service\n' "$name"
    printf '%s\n' "$@"
    printf '\n[Service]\nType=%s\nExecStart=/bin/bash %s/%s.sh\nTimeoutStartSec=infinity\n' "$type" "$STATE" "$name"
    if [[ "$type" == oneshot ]]; then
      printf 'RemainAfterExit=yes\n'
    else
      printf 'Restart=on-failure\nRestartSec=10\nLimitMEMLOCK=infinity\n'
    fi
  } >"/etc/systemd/system/$name.service"
}

mkdir -p "$STATE"
chmod 700 "$STATE"
hold_kernel

mount_local_ssd "$(metadata workload-local-ssd)" || log "local disks are not available"
install_unit workload-mounts workload-mount-script oneshot
install_unit workload workload-run-script simple 'Requires=workload-mounts.service' 'After=workload-mounts.service'
systemctl daemon-reload
# Late storage must not fail the boot: the unit keeps trying, packages included, and the health check keeps requests away
# until then.
systemctl start --no-block workload-mounts.service
retry install_containers
systemctl start --no-block workload.service
install_ops_agent || log "the Ops Agent is not available"
log "boot finished"
