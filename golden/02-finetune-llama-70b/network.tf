locals {
  # For GPUDirect-TCPX: a machine takes a network of its own per interface.
  data_networks = {
    data-0 = "10.20.128.0/24"
    data-1 = "10.20.129.0/24"
    data-2 = "10.20.130.0/24"
    data-3 = "10.20.131.0/24"
  }
}

# N004: a VPC of its own
resource "google_compute_network" "main" {
  name                    = "legal-tune"
  description             = "Network of legal-tune"
  auto_create_subnetworks = false
  mtu                     = 8244
  routing_mode            = "REGIONAL"

  depends_on = [google_project_service.main]
}

resource "google_compute_network" "data" {
  for_each = local.data_networks

  name                    = "legal-tune-${each.key}"
  description             = "Network for GPUDirect-TCPX of legal-tune"
  auto_create_subnetworks = false
  mtu                     = 8244
  routing_mode            = "REGIONAL"

  depends_on = [google_project_service.main]
}

resource "google_compute_subnetwork" "main" {
  name                     = "legal-tune"
  ip_cidr_range            = "10.20.0.0/20"
  network                  = google_compute_network.main.id
  region                   = var.region
  private_ip_google_access = true

  log_config {
    aggregation_interval = "INTERVAL_5_MIN"
    flow_sampling        = 0.1
    metadata             = "INCLUDE_ALL_METADATA"
  }
}

resource "google_compute_subnetwork" "data" {
  for_each = local.data_networks

  name          = "legal-tune-${each.key}"
  ip_cidr_range = each.value
  network       = google_compute_network.data[each.key].id
  region        = var.region
}

resource "google_compute_router" "main" {
  name    = "legal-tune"
  network = google_compute_network.main.id
  region  = var.region
}

# The machines have no external address; packages and images come in through here.
resource "google_compute_router_nat" "main" {
  name                               = "legal-tune"
  router                             = google_compute_router.main.name
  region                             = var.region
  nat_ip_allocate_option             = "AUTO_ONLY"
  source_subnetwork_ip_ranges_to_nat = "LIST_OF_SUBNETWORKS"

  subnetwork {
    name                    = google_compute_subnetwork.main.id
    source_ip_ranges_to_nat = ["PRIMARY_IP_RANGE"]
  }

  log_config {
    enable = true
    filter = "ERRORS_ONLY"
  }
}

resource "google_compute_firewall" "iap_ssh" {
  name                    = "legal-tune-iap-ssh"
  description             = "SSH through Identity-Aware Proxy only"
  direction               = "INGRESS"
  network                 = google_compute_network.main.id
  source_ranges           = ["35.235.240.0/20"]
  target_service_accounts = [google_service_account.main.email]

  allow {
    protocol = "tcp"
    ports    = ["22"]
  }

  log_config {
    metadata = "INCLUDE_ALL_METADATA"
  }
}

resource "google_compute_firewall" "machines" {
  name                    = "legal-tune-machines"
  description             = "The machines of the workload among themselves"
  direction               = "INGRESS"
  network                 = google_compute_network.main.id
  source_ranges           = [google_compute_subnetwork.main.ip_cidr_range]
  target_service_accounts = [google_service_account.main.email]

  allow {
    protocol = "tcp"
  }

  allow {
    protocol = "udp"
  }

  allow {
    protocol = "icmp"
  }

  log_config {
    metadata = "INCLUDE_ALL_METADATA"
  }
}

resource "google_compute_firewall" "data" {
  for_each = local.data_networks

  name                    = "legal-tune-${each.key}"
  description             = "The machines of the workload among themselves"
  direction               = "INGRESS"
  network                 = google_compute_network.data[each.key].id
  source_ranges           = [each.value]
  target_service_accounts = [google_service_account.main.email]

  allow {
    protocol = "tcp"
  }

  allow {
    protocol = "udp"
  }

  allow {
    protocol = "icmp"
  }

  log_config {
    metadata = "INCLUDE_ALL_METADATA"
  }
}
