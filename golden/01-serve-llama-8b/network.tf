# N004: a VPC of its own
resource "google_compute_network" "main" {
  name                    = "support-chat"
  description             = "Network of support-chat"
  auto_create_subnetworks = false
  mtu                     = 1460
  routing_mode            = "REGIONAL"

  depends_on = [google_project_service.main]
}

resource "google_compute_subnetwork" "main" {
  name                     = "support-chat"
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

# The load balancer's proxies take their addresses from here.
resource "google_compute_subnetwork" "proxy" {
  name          = "support-chat-proxy"
  ip_cidr_range = "10.20.32.0/23"
  network       = google_compute_network.main.id
  region        = var.region
  purpose       = "REGIONAL_MANAGED_PROXY"
  role          = "ACTIVE"
}

resource "google_compute_router" "main" {
  name    = "support-chat"
  network = google_compute_network.main.id
  region  = var.region
}

# The machines have no external address; packages and images come in through here.
resource "google_compute_router_nat" "main" {
  name                               = "support-chat"
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
  name                    = "support-chat-iap-ssh"
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

resource "google_compute_firewall" "health_checks" {
  name                    = "support-chat-health-checks"
  description             = "Probes of Google's health checks"
  direction               = "INGRESS"
  network                 = google_compute_network.main.id
  source_ranges           = ["130.211.0.0/22", "35.191.0.0/16"]
  target_service_accounts = [google_service_account.main.email]

  allow {
    protocol = "tcp"
    ports    = ["8000"]
  }

  log_config {
    metadata = "INCLUDE_ALL_METADATA"
  }
}

resource "google_compute_firewall" "proxies" {
  name                    = "support-chat-proxies"
  description             = "Requests from the load balancer"
  direction               = "INGRESS"
  network                 = google_compute_network.main.id
  source_ranges           = [google_compute_subnetwork.proxy.ip_cidr_range]
  target_service_accounts = [google_service_account.main.email]

  allow {
    protocol = "tcp"
    ports    = ["8000"]
  }

  log_config {
    metadata = "INCLUDE_ALL_METADATA"
  }
}
