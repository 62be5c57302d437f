resource "google_compute_region_instance_template" "main" {
  name_prefix  = "chat-"
  region       = "us-central1"
  machine_type = "n2-standard-8"

  metadata = {
    enable-oslogin         = "TRUE"
    block-project-ssh-keys = "TRUE"
  }

  disk {
    boot         = true
    source_image = "projects/images/global/images/family/chat"
  }

  network_interface {
    subnetwork = "projects/p/regions/us-central1/subnetworks/chat"
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "google_compute_instance_group_manager" "wrong" {
  name               = "wrong"
  base_instance_name = "wrong"
  zone = "europe-west4-a"

  version {
    instance_template = google_compute_region_instance_template.main.id
  }

  update_policy {
    type           = "PROACTIVE"
    minimal_action = "REPLACE"
    max_surge_fixed       = 0
    max_unavailable_fixed = 1
  }
}

resource "google_compute_instance_group_manager" "right" {
  name               = "right"
  base_instance_name = "right"
  zone = "us-central1-a"

  version {
    instance_template = google_compute_region_instance_template.main.id
  }

  update_policy {
    type           = "PROACTIVE"
    minimal_action = "REPLACE"
    max_surge_fixed       = 0
    max_unavailable_fixed = 1
  }
}

