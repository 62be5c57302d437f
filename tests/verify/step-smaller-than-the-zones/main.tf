resource "google_compute_region_instance_group_manager" "main" {
  name               = "chat"
  base_instance_name = "chat"
  region             = "europe-west4"
  distribution_policy_zones = ["europe-west4-a", "europe-west4-b"]

  version {
    instance_template = "projects/p/global/instanceTemplates/t"
  }

  update_policy {
    type           = "PROACTIVE"
    minimal_action = "REPLACE"
    max_surge_fixed       = 1
    max_unavailable_fixed = 2
  }
}

resource "google_compute_region_instance_group_manager" "right" {
  name               = "chat"
  base_instance_name = "chat"
  region             = "europe-west4"

  version {
    instance_template = "projects/p/global/instanceTemplates/t"
  }

  update_policy {
    type           = "PROACTIVE"
    minimal_action = "REPLACE"
    max_surge_fixed       = 3
    max_unavailable_fixed = 0
  }
}
