# 7: Missing required argument
provider "google" {
  project = "test-project"
  region  = "europe-west4"
}

resource "google_compute_network" "main" {
  description = "a network without a name"
}
