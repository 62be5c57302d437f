resource "google_compute_region_instance_group_manager" "wrong" {
  name               = "wrong"
  base_instance_name = "wrong"
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

  instance_flexibility_policy {
    instance_selections {
      name          = "first"
      rank          = 0
      machine_types = ["g2-standard-12"]
    }

    instance_selections {
      name          = "first"
      rank          = 0
      machine_types = ["g2-standard-16"]
    }
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
  distribution_policy_target_shape = "BALANCED"

  instance_flexibility_policy {
    instance_selections {
      name          = "first"
      rank          = 0
      machine_types = ["g2-standard-12"]
    }

    instance_selections {
      name          = "second"
      rank          = 1
      machine_types = ["g2-standard-16"]
    }
  }
}

