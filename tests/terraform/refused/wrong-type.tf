# 9: Incorrect attribute value type
provider "google" {
  project = "test-project"
  region  = "europe-west4"
}

resource "google_compute_network" "main" {
  name                    = "chat"
  auto_create_subnetworks = ["no"]
}
