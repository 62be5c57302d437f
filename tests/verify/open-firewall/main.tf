resource "google_compute_firewall" "ssh" {
  name          = "ssh"
  network       = "projects/p/global/networks/n"
  source_ranges = local.everywhere

  allow {
    protocol = "tcp"
    ports    = ["22"]
  }
}

resource "google_compute_firewall" "sourceless" {
  name    = "sourceless"
  network = "projects/p/global/networks/n"

  allow {
    protocol = "icmp"
  }
}

resource "google_compute_firewall" "health" {
  name          = "health"
  network       = "projects/p/global/networks/n"
  source_ranges = ["35.191.0.0/16", "130.211.0.0/22"]

  allow {
    protocol = "tcp"
  }
}

resource "google_compute_firewall" "out" {
  name               = "out"
  network            = "projects/p/global/networks/n"
  direction          = "EGRESS"
  destination_ranges = ["0.0.0.0/0"]

  allow {
    protocol = "tcp"
  }
}

locals {
  everywhere = ["10.0.0.0/8", "0.0.0.0/0"]
}
