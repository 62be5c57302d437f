locals {
  zones = [for suffix in ["a", "b"] : "${var.region}-${suffix}"]
  ports = { http = 8000, metrics = 9100 }
}

resource "google_compute_network" "main" {
  name                    = "chat"
  auto_create_subnetworks = false
}

resource "google_compute_subnetwork" "main" {
  name                     = "chat"
  network                  = google_compute_network.main.id
  ip_cidr_range            = "10.20.0.0/16"
  private_ip_google_access = true
}

resource "google_compute_firewall" "health" {
  name          = "chat-health"
  network       = google_compute_network.main.id
  source_ranges = ["35.191.0.0/16", "130.211.0.0/22"]
  target_tags   = ["chat"]

  dynamic "allow" {
    for_each = local.ports

    content {
      protocol = "tcp"
      ports    = [tostring(allow.value)]
    }
  }
}

resource "google_compute_router" "main" {
  name    = "chat"
  network = google_compute_network.main.id
}

resource "google_compute_router_nat" "main" {
  name                               = "chat"
  router                             = google_compute_router.main.name
  nat_ip_allocate_option             = "AUTO_ONLY"
  source_subnetwork_ip_ranges_to_nat = "LIST_OF_SUBNETWORKS"

  subnetwork {
    name                    = google_compute_subnetwork.main.id
    source_ip_ranges_to_nat = ["ALL_IP_RANGES"]
  }
}

resource "google_service_account" "node" {
  account_id   = "chat-node"
  display_name = "Nodes of the chat service"
}

resource "google_project_iam_member" "node" {
  for_each = toset(["roles/logging.logWriter", "roles/monitoring.metricWriter"])

  project = var.project
  role    = each.key
  member  = google_service_account.node.member
}

resource "google_compute_instance_template" "main" {
  name_prefix  = "chat-"
  machine_type = "g2-standard-48"
  tags         = ["chat"]
  labels       = { team = "support" }
  metadata     = { enable-oslogin = "TRUE" }

  disk {
    boot         = true
    source_image = "projects/test-project/global/images/chat-1"
    disk_type    = "pd-balanced"
    disk_size_gb = 200
  }

  network_interface {
    subnetwork = google_compute_subnetwork.main.id
  }

  scheduling {
    provisioning_model  = "SPOT"
    preemptible         = true
    automatic_restart   = false
    on_host_maintenance = "TERMINATE"
  }

  service_account {
    email  = google_service_account.node.email
    scopes = ["cloud-platform"]
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "google_compute_health_check" "main" {
  name               = "chat"
  check_interval_sec = 10

  http_health_check {
    port         = local.ports.http
    request_path = "/health"
  }
}

resource "google_compute_region_instance_group_manager" "main" {
  name                             = "chat"
  base_instance_name               = "chat"
  region                           = var.region
  distribution_policy_zones        = local.zones
  distribution_policy_target_shape = "EVEN"

  version {
    instance_template = google_compute_instance_template.main.self_link_unique
  }

  named_port {
    name = "http"
    port = local.ports.http
  }

  named_port {
    name = "metrics"
    port = local.ports.metrics
  }

  auto_healing_policies {
    health_check      = google_compute_health_check.main.id
    initial_delay_sec = 600
  }

  update_policy {
    type                  = "PROACTIVE"
    minimal_action        = "REPLACE"
    max_surge_fixed       = 2
    max_unavailable_fixed = 0
  }

  timeouts {
    create = "45m"
  }
}

resource "google_compute_region_autoscaler" "main" {
  name   = "chat"
  region = var.region
  target = google_compute_region_instance_group_manager.main.id

  autoscaling_policy {
    min_replicas    = 2
    max_replicas    = 8
    cooldown_period = 300

    cpu_utilization {
      target = 0.6
    }
  }
}

resource "google_compute_backend_service" "main" {
  name                  = "chat"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  port_name             = "http"
  health_checks         = [google_compute_health_check.main.id]

  backend {
    group          = google_compute_region_instance_group_manager.main.instance_group
    balancing_mode = "UTILIZATION"
  }
}

resource "google_compute_url_map" "main" {
  name            = "chat"
  default_service = google_compute_backend_service.main.id
}

resource "google_compute_target_http_proxy" "main" {
  name    = "chat"
  url_map = google_compute_url_map.main.id
}

resource "google_compute_global_forwarding_rule" "main" {
  name                  = "chat"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  target                = google_compute_target_http_proxy.main.id
  port_range            = "80"
}

resource "google_storage_bucket" "weights" {
  name                        = "test-project-weights"
  location                    = upper(var.region)
  uniform_bucket_level_access = true

  versioning {
    enabled = true
  }

  lifecycle {
    prevent_destroy = true
  }
}

resource "google_filestore_instance" "home" {
  name     = "home"
  location = local.zones[0]
  tier     = "ZONAL"

  file_shares {
    name        = "home"
    capacity_gb = 1024
  }

  networks {
    network = google_compute_network.main.name
    modes   = ["MODE_IPV4"]
  }
}

resource "google_lustre_instance" "scratch" {
  instance_id                 = "scratch"
  location                    = local.zones[0]
  filesystem                  = "scratch"
  capacity_gib                = "18000"
  per_unit_storage_throughput = "1000"
  network                     = google_compute_network.main.id
}

resource "google_compute_reservation" "main" {
  name                          = "chat"
  zone                          = local.zones[0]
  specific_reservation_required = true

  specific_reservation {
    count = 2

    instance_properties {
      machine_type = "g2-standard-48"
    }
  }
}

resource "google_compute_future_reservation" "main" {
  provider = google-beta

  name            = "chat-block"
  zone            = local.zones[0]
  planning_status = "DRAFT"

  time_window {
    start_time = "2027-01-11T08:00:00Z"

    duration {
      seconds = "2592000"
    }
  }

  specific_sku_properties {
    total_count = "2"

    instance_properties {
      machine_type = "a3-highgpu-8g"
    }
  }
}

output "home" {
  description = "What to mount on /home"
  value       = "${google_filestore_instance.home.networks[0].ip_addresses[0]}:/${google_filestore_instance.home.file_shares[0].name}"
}

output "instance_group" {
  description = "The managed instances"
  value       = google_compute_region_instance_group_manager.main.instance_group
}
