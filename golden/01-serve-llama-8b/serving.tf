resource "google_compute_region_health_check" "readiness" {
  name                = "support-chat-readiness"
  description         = "Readiness: a machine that fails it gets no requests"
  region              = var.region
  check_interval_sec  = 10
  timeout_sec         = 5
  healthy_threshold   = 2
  unhealthy_threshold = 3

  http_health_check {
    port         = 8000
    request_path = "/health"
  }

  log_config {
    enable = true
  }

  depends_on = [google_project_service.main]
}

# An answer may stream for up to 180 s; a machine that leaves finishes its answers first.
resource "google_compute_region_backend_service" "main" {
  name                            = "support-chat"
  region                          = var.region
  load_balancing_scheme           = "INTERNAL_MANAGED"
  protocol                        = "HTTP"
  port_name                       = "http"
  timeout_sec                     = 180
  connection_draining_timeout_sec = 180
  locality_lb_policy              = "LEAST_REQUEST"
  health_checks                   = [google_compute_region_health_check.readiness.id]

  backend {
    group                 = google_compute_region_instance_group_manager.main.instance_group
    balancing_mode        = "RATE"
    max_rate_per_instance = 0.806
    capacity_scaler       = 1
  }

  log_config {
    enable      = true
    sample_rate = 1
  }
}

resource "google_compute_region_url_map" "main" {
  name            = "support-chat"
  region          = var.region
  default_service = google_compute_region_backend_service.main.id

  depends_on = [google_project_service.main]
}

resource "google_compute_region_target_http_proxy" "main" {
  name    = "support-chat"
  region  = var.region
  url_map = google_compute_region_url_map.main.id

  depends_on = [google_project_service.main]
}

resource "google_compute_address" "main" {
  name         = "support-chat"
  region       = var.region
  address_type = "INTERNAL"
  purpose      = "SHARED_LOADBALANCER_VIP"
  subnetwork   = google_compute_subnetwork.main.id

  depends_on = [google_project_service.main]
}

resource "google_compute_forwarding_rule" "main" {
  name                  = "support-chat"
  region                = var.region
  load_balancing_scheme = "INTERNAL_MANAGED"
  ip_address            = google_compute_address.main.address
  ip_protocol           = "TCP"
  port_range            = "80"
  target                = google_compute_region_target_http_proxy.main.id
  network               = google_compute_network.main.id
  subnetwork            = google_compute_subnetwork.main.id

  depends_on = [google_compute_subnetwork.proxy]
}
