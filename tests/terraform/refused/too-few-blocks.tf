# 7: Insufficient disk blocks
provider "google" {
  project = "test-project"
  region  = "europe-west4"
}

resource "google_compute_instance_template" "main" {
  machine_type = "g2-standard-48"
}
