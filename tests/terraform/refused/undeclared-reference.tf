# 9: Reference to undeclared resource
provider "google" {
  project = "test-project"
  region  = "europe-west4"
}

resource "google_compute_subnetwork" "main" {
  name          = "chat"
  network       = google_compute_network.main.id
  ip_cidr_range = "10.0.0.0/16"
}
