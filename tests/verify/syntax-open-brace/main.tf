resource "google_compute_network" "main" {
  name                    = "chat"
  auto_create_subnetworks = false

output "network" {
  value = google_compute_network.main.id
}
