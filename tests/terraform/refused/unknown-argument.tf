# 8: Unsupported argument
provider "google" {
  project = "test-project"
  region  = "europe-west4"
}

resource "google_compute_network" "main" {
  nam  = "chat"
  name = "chat"
}
