resource "google_compute_disk" "weights" {
  name            = "weights"
  zone            = "europe-west4-a"
  type            = "hyperdisk-ml"
  snapshot        = "projects/p/global/snapshots/s"
  access_mode     = "READ_ONLY_MANY"
  deletion_policy = "PREVENT"
}

resource "google_compute_instance_template" "main" {
  name_prefix  = "chat-"
  machine_type = "n2-standard-4"
  metadata     = { enable-oslogin = "TRUE", block-project-ssh-keys = "TRUE" }

  disk {
    source_image = "projects/p/global/images/i"
  }

  disk {
    source = google_compute_disk.weights.name
    mode   = "READ_WRITE"
  }

  lifecycle {
    create_before_destroy = true
  }
}
