resource "google_compute_instance_group_manager" "main" {
  name               = "chat"
  base_instance_name = "chat"
  zone               = "europe-west4-a"

  version {
    instance_template = "projects/p/global/instanceTemplates/t"
  }

  lifecycle {
    create_before_destroy = true
  }
}
