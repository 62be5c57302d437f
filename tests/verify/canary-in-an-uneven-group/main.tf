resource "google_compute_region_instance_group_manager" "wrong" {
  name               = "wrong"
  base_instance_name = "wrong"
  region             = "europe-west4"
  distribution_policy_zones = ["europe-west4-a", "europe-west4-b"]

  version {
    instance_template = "projects/p/global/instanceTemplates/t"
  }

  version {
    instance_template = "projects/p/global/instanceTemplates/new"

    target_size {
      percent = 10
    }
  }

  update_policy {
    type           = "PROACTIVE"
    minimal_action = "REPLACE"
    replacement_method = "RECREATE"
    max_surge_fixed       = 0
    max_unavailable_fixed = 2
    instance_redistribution_type = "NONE"
  }
  distribution_policy_target_shape = "BALANCED"
}

resource "google_compute_region_instance_group_manager" "right" {
  name               = "right"
  base_instance_name = "right"
  region             = "europe-west4"
  distribution_policy_zones = ["europe-west4-a", "europe-west4-b"]

  version {
    instance_template = "projects/p/global/instanceTemplates/t"
  }

  version {
    instance_template = "projects/p/global/instanceTemplates/new"

    target_size {
      percent = 10
    }
  }

  update_policy {
    type           = "PROACTIVE"
    minimal_action = "REPLACE"
    replacement_method = "RECREATE"
    max_surge_fixed       = 0
    max_unavailable_fixed = 2
    instance_redistribution_type = "NONE"
  }
  distribution_policy_target_shape = "EVEN"
}

