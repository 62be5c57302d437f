# 9: invalid value of `priority`
provider "google" {
  project = "test-project"
  region  = "europe-west4"
}

resource "google_compute_firewall" "main" {
  name          = "chat"
  priority      = 70000
  network       = "default"
  source_ranges = ["10.0.0.0/8"]

  allow {
    protocol = "tcp"
  }
}
