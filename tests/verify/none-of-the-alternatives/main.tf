resource "google_compute_health_check" "main" {
  name = "chat"
}
