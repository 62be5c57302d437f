resource "google_compute_region_instance_group_manager" "main" {
  name               = "chat"
  base_instance_name = "chat"
  region             = "europe-west4"
  distribution_policy_target_shape = "ANY_SINGLE_ZONE"

  version {
    instance_template = "projects/p/global/instanceTemplates/t"
  }
}

resource "google_compute_region_autoscaler" "main" {
  name   = "chat"
  region = "europe-west4"
  target = google_compute_region_instance_group_manager.main.id

  autoscaling_policy {
    min_replicas = 1
    max_replicas = 4
  }
}
