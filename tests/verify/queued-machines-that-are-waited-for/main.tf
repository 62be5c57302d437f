resource "google_compute_instance_group_manager" "pool" {
  name               = "pool"
  zone               = "europe-west4-b"
  base_instance_name = "pool"
  wait_for_instances = true

  version {
    instance_template = "projects/p/global/instanceTemplates/t"
  }
}

resource "google_compute_resize_request" "pool" {
  name                   = "pool-1"
  zone                   = "europe-west4-b"
  instance_group_manager = google_compute_instance_group_manager.pool.name
  resize_by              = 2
}

resource "google_compute_instance_group_manager" "right" {
  name               = "right"
  zone               = "europe-west4-b"
  base_instance_name = "right"
  wait_for_instances = false

  version {
    instance_template = "projects/p/global/instanceTemplates/t"
  }

  instance_lifecycle_policy {
    default_action_on_failure = "DO_NOTHING"
  }
}

resource "google_compute_resize_request" "right" {
  name                   = "right-1"
  zone                   = "europe-west4-b"
  instance_group_manager = google_compute_instance_group_manager.right.name
  resize_by              = 2
}
