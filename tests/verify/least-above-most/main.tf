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
    most_disruptive_allowed_action = "RESTART"
  }
}
