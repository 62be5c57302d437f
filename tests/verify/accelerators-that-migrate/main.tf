resource "google_compute_instance_template" "main" {
  name_prefix  = "chat-"
  machine_type = "n1-standard-8"
  metadata     = { enable-oslogin = "TRUE", block-project-ssh-keys = "TRUE" }

  disk {
    source_image = "projects/p/global/images/i"
  }

  guest_accelerator {
    type  = "nvidia-tesla-t4"
    count = 1
  }

  scheduling {
    on_host_maintenance = "MIGRATE"
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "google_compute_instance_template" "bundled" {
  name_prefix  = "chat-"
  machine_type = "a3-highgpu-8g"
  metadata     = { enable-oslogin = "TRUE", block-project-ssh-keys = "TRUE" }

  disk {
    source_image = "projects/p/global/images/i"
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "google_compute_instance_template" "right" {
  name_prefix  = "chat-"
  machine_type = "a3-highgpu-8g"
  metadata     = { enable-oslogin = "TRUE", block-project-ssh-keys = "TRUE" }

  disk {
    source_image = "projects/p/global/images/i"
  }

  scheduling {
    on_host_maintenance = "TERMINATE"
  }

  lifecycle {
    create_before_destroy = true
  }
}
