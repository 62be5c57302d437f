resource "google_compute_instance_group_manager" "main" {
  name               = "chat"
  base_instance_name = "chat"
  zone               = "europe-west4-a"
  max_surge_fixed    = 1

  version {
    instance_template = "projects/p/global/instanceTemplates/t"
  }
}
