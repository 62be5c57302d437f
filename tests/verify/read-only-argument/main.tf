resource "google_compute_network" "main" {
  name                    = "chat"
  auto_create_subnetworks = false
  self_link               = "x"
}
