resource "google_compute_instance_template" "main" {
  name_prefix  = "chat-"
  machine_type = "n2-standard-4"
  metadata     = { enable-oslogin = "TRUE", block-project-ssh-keys = "TRUE" }

  disk {
    source_image = "projects/p/global/images/i"
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "google_compute_region_instance_group_manager" "main" {
  name               = "chat"
  base_instance_name = "chat"
  region             = "europe-west4"

  version {
    instance_template = google_compute_instance_template.main.self_link_unique
  }

  instance_lifecycle_policy {
    default_action_on_failure = "DO_NOTHING"
  }

  target_size_policy {
    mode = "BULK"
  }
}
