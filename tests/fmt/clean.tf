resource "google_compute_network" "main" {
  name                    = "chat"
  auto_create_subnetworks = false
}

resource "google_compute_subnetwork" "main" {
  name                     = "chat"
  region                   = var.region
  network                  = google_compute_network.main.id
  ip_cidr_range            = "10.20.0.0/20"
  private_ip_google_access = true
}

resource "google_service_account" "main" {
  account_id = "chat-fleet"
}

resource "google_storage_bucket" "weights" {
  name                        = "${var.project}-weights"
  location                    = "EU"
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  deletion_policy             = "PREVENT"
}

resource "google_compute_instance_template" "main" {
  name_prefix  = "chat-"
  machine_type = "a3-highgpu-8g"

  metadata = {
    enable-oslogin         = "TRUE"
    block-project-ssh-keys = "TRUE"
    serial-port-enable     = "FALSE"
  }

  disk {
    boot         = true
    source_image = "projects/images/global/images/family/chat"
    disk_size_gb = 200
    disk_type    = "pd-ssd"
  }

  network_interface {
    subnetwork = google_compute_subnetwork.main.id
    nic_type   = "GVNIC"
  }

  scheduling {
    provisioning_model          = "FLEX_START"
    automatic_restart           = false
    on_host_maintenance         = "TERMINATE"
    instance_termination_action = "DELETE"

    max_run_duration {
      seconds = 86400
    }
  }

  reservation_affinity {
    type = "NO_RESERVATION"
  }

  service_account {
    email  = google_service_account.main.email
    scopes = ["cloud-platform"]
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "google_compute_region_instance_group_manager" "main" {
  name                             = "chat"
  base_instance_name               = "chat"
  region                           = var.region
  distribution_policy_zones        = ["${var.region}-a", "${var.region}-b"]
  distribution_policy_target_shape = "ANY_SINGLE_ZONE"
  target_size                      = 4
  wait_for_instances               = false

  version {
    instance_template = google_compute_instance_template.main.self_link_unique
  }

  target_size_policy {
    mode = "BULK"
  }

  update_policy {
    type                         = "OPPORTUNISTIC"
    minimal_action               = "REPLACE"
    instance_redistribution_type = "NONE"
    max_surge_fixed              = 0
    max_unavailable_fixed        = 2
  }

  instance_lifecycle_policy {
    default_action_on_failure = "DO_NOTHING"
  }
}

variable "project" {
  description = "Project of all resources"
  type        = string
}

variable "region" {
  description = "Region of all resources"
  type        = string
  default     = "europe-west4"
}
