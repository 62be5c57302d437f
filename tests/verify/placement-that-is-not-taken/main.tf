resource "google_compute_instance_template" "queued" {
  name_prefix  = "pool-"
  machine_type = "n2-standard-4"
  metadata     = { enable-oslogin = "TRUE", block-project-ssh-keys = "TRUE" }
  resource_policies = [google_compute_resource_policy.together.id]

  disk {
    source_image = "projects/p/global/images/i"
  }

  scheduling {
    provisioning_model          = "FLEX_START"
    on_host_maintenance         = "TERMINATE"
    automatic_restart           = false
    instance_termination_action = "DELETE"

    max_run_duration {
      seconds = 3600
    }
  }

  reservation_affinity {
    type = "NO_RESERVATION"
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "google_compute_instance_template" "booked" {
  name_prefix  = "pool-"
  machine_type = "n2-standard-4"
  metadata     = { enable-oslogin = "TRUE", block-project-ssh-keys = "TRUE" }
  resource_policies = [google_compute_resource_policy.together.id]

  disk {
    source_image = "projects/p/global/images/i"
  }

  reservation_affinity {
    type = "SPECIFIC_RESERVATION"

    specific_reservation {
      key    = "compute.googleapis.com/reservation-name"
      values = ["block"]
    }
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "google_compute_instance_template" "plain" {
  name_prefix  = "pool-"
  machine_type = "n2-standard-4"
  metadata     = { enable-oslogin = "TRUE", block-project-ssh-keys = "TRUE" }
  resource_policies = [google_compute_resource_policy.together.id]

  disk {
    source_image = "projects/p/global/images/i"
  }


  lifecycle {
    create_before_destroy = true
  }
}

resource "google_compute_resource_policy" "together" {
  name   = "together"
  region = "europe-west4"

  group_placement_policy {
    collocation = "COLLOCATED"
  }
}
