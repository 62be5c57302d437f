# 9: only one of these may be given
provider "google" {
  project = "test-project"
  region  = "europe-west4"
}

resource "google_compute_instance_template" "main" {
  machine_type = "g2-standard-48"
  name         = "chat"
  name_prefix  = "chat-"

  disk {
    source_image = "debian-cloud/debian-12"
  }
}
