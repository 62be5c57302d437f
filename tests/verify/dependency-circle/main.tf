locals {
  first  = local.second
  second = local.third
  third  = local.first
}

resource "google_compute_network" "main" {
  name                    = google_compute_network.main.id
  auto_create_subnetworks = false
}
