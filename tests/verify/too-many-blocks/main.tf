resource "google_compute_health_check" "main" {
  name = "chat"

  log_config {
    enable = true
  }

  log_config {
    enable = true
  }

  tcp_health_check {
    port = 22
  }
}
