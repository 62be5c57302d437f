# 12: Unsupported argument
provider "google" {
  project = "test-project"
  region  = "europe-west4"
}

resource "google_compute_resource_policy" "main" {
  name = "chat"

  group_placement_policy {
    collocation  = "COLLOCATED"
    max_distance = 2
  }
}
