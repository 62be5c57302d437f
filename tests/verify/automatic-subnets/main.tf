resource "google_compute_network" "main" {
  name = "chat"
}
