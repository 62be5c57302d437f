resource "google_compute_instance_template" "main" {
  name_prefix  = "chat-"
  machine_type = "n2-standard-4"
  metadata     = { enable-oslogin = "TRUE", block-project-ssh-keys = "TRUE" }

  disk {
    source_image = "projects/p/global/images/i"
  }

  scheduling {
    provisioning_model  = "FLEX_START"
    on_host_maintenance = "MIGRATE"

    max_run_duration {
      seconds = 60
    }
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "google_compute_instance_template" "right" {
  name_prefix  = "chat-"
  machine_type = "n2-standard-4"
  metadata     = { enable-oslogin = "TRUE", block-project-ssh-keys = "TRUE" }

  disk {
    source_image = "projects/p/global/images/i"
  }

  scheduling {
    provisioning_model          = "FLEX_START"
    on_host_maintenance         = "TERMINATE"
    automatic_restart           = false
    instance_termination_action = "DELETE"

    max_run_duration {
      seconds = 604800
    }
  }

  reservation_affinity {
    type = "NO_RESERVATION"
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "google_compute_instance_template" "endless" {
  name_prefix  = "chat-"
  machine_type = "n2-standard-4"
  metadata     = { enable-oslogin = "TRUE", block-project-ssh-keys = "TRUE" }

  disk {
    source_image = "projects/p/global/images/i"
  }

  scheduling {
    provisioning_model          = "FLEX_START"
    on_host_maintenance         = "TERMINATE"
    automatic_restart           = false
    instance_termination_action = "DELETE"
  }

  reservation_affinity {
    type = "NO_RESERVATION"
  }

  lifecycle {
    create_before_destroy = true
  }
}
