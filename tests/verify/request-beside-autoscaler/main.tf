resource "google_compute_region_instance_group_manager" "wrong" {
  name               = "wrong"
  base_instance_name = "wrong"
  region             = "europe-west4"
  distribution_policy_zones = ["europe-west4-a", "europe-west4-b"]

  version {
    instance_template = "projects/p/global/instanceTemplates/t"
  }

  instance_lifecycle_policy {
    default_action_on_failure = "DO_NOTHING"
  }

  update_policy {
    type           = "PROACTIVE"
    minimal_action = "REPLACE"
    replacement_method = "RECREATE"
    max_surge_fixed       = 0
    max_unavailable_fixed = 2
    instance_redistribution_type = "NONE"
  }
}

resource "google_compute_region_autoscaler" "wrong" {
  name   = "wrong"
  region = "europe-west4"
  target = google_compute_region_instance_group_manager.wrong.id

  autoscaling_policy {
    min_replicas = 1
    max_replicas = 4

    cpu_utilization {
      target = 0.6
    }
  }
}

resource "google_compute_region_resize_request" "run" {
  name                   = "run"
  region                 = "europe-west4"
  instance_group_manager = google_compute_region_instance_group_manager.wrong.name
  resize_by              = 2

  requested_run_duration {
    seconds = 36000
  }
}

resource "google_compute_region_instance_group_manager" "right" {
  name               = "right"
  base_instance_name = "right"
  region             = "europe-west4"
  distribution_policy_zones = ["europe-west4-a", "europe-west4-b"]

  version {
    instance_template = "projects/p/global/instanceTemplates/t"
  }

  update_policy {
    type           = "PROACTIVE"
    minimal_action = "REPLACE"
    replacement_method = "RECREATE"
    max_surge_fixed       = 0
    max_unavailable_fixed = 2
    instance_redistribution_type = "NONE"
  }
}

resource "google_compute_region_autoscaler" "right" {
  name   = "right"
  region = "europe-west4"
  target = google_compute_region_instance_group_manager.right.id

  autoscaling_policy {
    min_replicas = 1
    max_replicas = 4

    cpu_utilization {
      target = 0.6
    }
  }
}

