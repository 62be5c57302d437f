resource "google_compute_instance_group_manager" "main" {
  name               = "chat"
  base_instance_name = "chat"
  zone               = "europe-west4-a"
  target_size        = 2

  version {
    instance_template = "projects/p/global/instanceTemplates/t"
  }
}

resource "google_compute_autoscaler" "main" {
  name   = "chat"
  zone   = "europe-west4-a"
  target = google_compute_instance_group_manager.main.id

  autoscaling_policy {
    min_replicas = 1
    max_replicas = 4
  }
}

resource "google_compute_instance_group_manager" "queued" {
  name               = "queued"
  base_instance_name = "queued"
  zone               = "europe-west4-a"
  target_size        = 0

  version {
    instance_template = "projects/p/global/instanceTemplates/t"
  }

  instance_lifecycle_policy {
    default_action_on_failure = "DO_NOTHING"
  }
}

resource "google_compute_resize_request" "queued" {
  name                   = "run-1"
  instance_group_manager = google_compute_instance_group_manager.queued.name
  zone                   = "europe-west4-a"
  resize_by              = 4
}
