resource "google_compute_instance_group_manager" "main" {
  name               = "chat"
  base_instance_name = "chat"
  zone               = "europe-west4-a"

  version {
    instance_template = "projects/p/global/instanceTemplates/t"
  }

  auto_healing_policies {
    health_check      = "projects/p/global/healthChecks/h"
    initial_delay_sec = 7200
  }
}
