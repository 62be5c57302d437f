resource "google_compute_instance_group_manager" "main" {
  name               = "chat"
  base_instance_name = "chat"
  zone               = "europe-west4-a"

  version {
    instance_template = "projects/p/global/instanceTemplates/t"
  }

  update_policy {
    type           = "PROACTIVE"
    minimal_action = "REPLACE"
    max_surge_fixed       = 0
    max_unavailable_fixed = 0
  }
}
