resource "google_compute_instance_template" "main" {
  name_prefix = "legal-tune-"
  description = "Machine of legal-tune"
  # S011: 59.3 of 75.2 GiB usable per accelerator
  # S019: 160 h expected of the 168 h to the deadline
  # K001: machines 85,205 USD for the job, 2,570 kg CO2e for the job: first of 3 sufficient machines
  # S019: 5 instead of 6 × a3-highgpu-8g will not do: 5 VMs take 7.88 days (expected, restarts included), allowed
  # are 7 days
  # S021: the next smaller, a3-highgpu-4g, will not do: 12 VMs with 4 × H100-80GB each would train over an
  # ordinary network; at most 1 should
  machine_type = "a3-highgpu-8g"

  metadata = {
    block-project-ssh-keys     = "TRUE"
    enable-oslogin             = "TRUE"
    serial-port-enable         = "FALSE"
    serial-port-logging-enable = "TRUE"
    startup-script             = file("${path.module}/scripts/startup.sh")
    workload-accelerators      = "8"
    workload-command           = join("\n", ["torchrun", "tune.py", "--data", "/mnt/dataset", "--checkpoints", "/mnt/checkpoints"])
    workload-container         = "nvcr.io/nvidia/pytorch:25.10-py3"
    workload-layout            = join("\n", ["WORKLOAD_TENSOR_PARALLEL=8", "WORKLOAD_PIPELINE_PARALLEL=1", "WORKLOAD_REPLICAS_PER_NODE=1"])
    workload-local-ssd         = "/mnt/local-ssd"
    workload-mount-script      = file("${path.module}/scripts/mount.sh")
    workload-mounts = join("\n", [
      "nfs ${google_filestore_instance.dataset.networks[0].ip_addresses[0]}:/dataset /mnt/dataset vers=3,hard,timeo=600,retrans=3,nconnect=2",
      "bucket ${google_storage_bucket.checkpoints.name} /mnt/checkpoints profile=aiml-checkpointing,rw",
    ])
    workload-nodes      = "6"
    workload-run-script = file("${path.module}/scripts/run.sh")
  }

  disk {
    boot         = true
    auto_delete  = true
    source_image = local.boot_image
    disk_type    = "hyperdisk-balanced"
    disk_size_gb = 120
  }

  network_interface {
    subnetwork = google_compute_subnetwork.main.id
    nic_type   = "GVNIC"
  }

  # GPUDirect-TCPX: one interface per subnet, in the order of their keys
  dynamic "network_interface" {
    for_each = google_compute_subnetwork.data
    content {
      subnetwork = network_interface.value.id
      nic_type   = "GVNIC"
    }
  }

  # C001: capacity.model is `reservation`
  scheduling {
    provisioning_model  = "STANDARD"
    automatic_restart   = true
    on_host_maintenance = "TERMINATE"
  }

  reservation_affinity {
    type = "SPECIFIC_RESERVATION"

    specific_reservation {
      key    = "compute.googleapis.com/reservation-name"
      values = ["research-block"]
    }
  }

  service_account {
    email  = google_service_account.main.email
    scopes = ["https://www.googleapis.com/auth/cloud-platform"]
  }

  shielded_instance_config {
    # Secure Boot loads signed modules only; `security.secure_boot` sets it where the image's are.
    enable_secure_boot          = false
    enable_vtpm                 = true
    enable_integrity_monitoring = true
  }

  lifecycle {
    create_before_destroy = true
  }

  depends_on = [google_project_service.main]
}

# G001: the machines work together: one zone
resource "google_compute_instance_group_manager" "main" {
  name               = "legal-tune"
  description        = "Machines of legal-tune"
  zone               = var.zone
  base_instance_name = "legal-tune"
  # G006: 6 VMs
  target_size        = 6
  wait_for_instances = false

  version {
    name              = "main"
    instance_template = google_compute_instance_template.main.self_link_unique
  }

  # G002: a new version waits until a machine is replaced anyway
  # G003: no spare machines: one goes before its successor comes
  update_policy {
    type                           = "OPPORTUNISTIC"
    minimal_action                 = "REPLACE"
    most_disruptive_allowed_action = "REPLACE"
    replacement_method             = "RECREATE"
    max_surge_fixed                = 0
    max_unavailable_fixed          = 1
  }

  instance_lifecycle_policy {
    default_action_on_failure = "REPAIR"
    force_update_on_repair    = "NO"
  }

  depends_on = [
    google_project_iam_member.machine,
    google_storage_bucket_iam_member.checkpoints,
    google_compute_router_nat.main,
  ]
}
