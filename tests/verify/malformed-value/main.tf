resource "google_compute_network" "main" {
  name                    = "Chat_1"
  auto_create_subnetworks = false

  timeouts {
    create = "5 minutes"
  }
}

resource "google_compute_subnetwork" "main" {
  name          = "chat"
  region        = "europe-west4"
  network       = google_compute_network.main.id
  ip_cidr_range = "10.0.0.0"
}

resource "google_compute_resize_request" "main" {
  name                   = "run-1"
  instance_group_manager = "chat"
  zone                   = "europe-west4-a"
  resize_by              = 4

  requested_run_duration {
    seconds = "1h"
  }
}
