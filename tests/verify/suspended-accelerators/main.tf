resource "google_compute_instance_template" "main" {
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

resource "google_compute_instance_group_manager" "main" {
  name               = "chat"
  base_instance_name = "chat"
  zone               = "europe-west4-a"
  target_suspended_size = 2

  version {
    instance_template = google_compute_instance_template.main.self_link_unique
  }
}
