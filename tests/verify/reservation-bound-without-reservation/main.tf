resource "google_compute_instance_template" "main" {
  name_prefix  = "chat-"
  machine_type = "n2-standard-4"
  metadata     = { enable-oslogin = "TRUE", block-project-ssh-keys = "TRUE" }

  disk {
    source_image = "projects/p/global/images/i"
  }

  scheduling {
    provisioning_model  = "RESERVATION_BOUND"
    on_host_maintenance = "TERMINATE"

    max_run_duration {
      seconds = 3600
    }
  }

  lifecycle {
    create_before_destroy = true
  }
}
