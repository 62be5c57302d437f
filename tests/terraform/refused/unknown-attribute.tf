# 12: Unsupported attribute
provider "google" {
  project = "test-project"
  region  = "europe-west4"
}

resource "google_compute_network" "main" {
  name = "chat"
}

output "address" {
  value = google_compute_network.main.address
}
