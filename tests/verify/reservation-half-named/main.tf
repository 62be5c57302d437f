resource "google_compute_instance_template" "main" {
  name_prefix  = "chat-"
  machine_type = "n2-standard-4"
  metadata     = { enable-oslogin = "TRUE", block-project-ssh-keys = "TRUE" }

  disk {
    source_image = "projects/p/global/images/i"
  }

  reservation_affinity {
    type = "SPECIFIC_RESERVATION"
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "google_compute_instance_template" "ignored" {
  name_prefix  = "chat-"
  machine_type = "n2-standard-4"
  metadata     = { enable-oslogin = "TRUE", block-project-ssh-keys = "TRUE" }

  disk {
    source_image = "projects/p/global/images/i"
  }

  reservation_affinity {
    type = "ANY_RESERVATION"

    specific_reservation {
      key    = "compute.googleapis.com/reservation-name"
      values = ["block"]
    }
  }

  lifecycle {
    create_before_destroy = true
  }
}
