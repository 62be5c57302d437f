resource "google_compute_region_instance_group_manager" "main" {
  name               = "chat"
  base_instance_name = "chat"
  region             = "europe-west4"
  target_size        = 4

  version {
    instance_template = "projects/p/global/instanceTemplates/t"
  }

  update_policy {
    type           = "PROACTIVE"
    minimal_action = "REPLACE"
    max_surge_percent     = 50
    max_unavailable_fixed = 0
  }
}
