# 10: invalid value of `direction`
provider "google" {
  project = "test-project"
  region  = "europe-west4"
}

resource "google_compute_firewall" "main" {
  name      = "chat"
  network   = "default"
  direction = "SIDEWAYS"

  allow {
    protocol = "tcp"
  }
}
