resource "google_compute_resize_request" "main" {
  name                   = "run-1"
  instance_group_manager = "chat"
  zone                   = "europe-west4-a"
  resize_by              = 4

  requested_run_duration {
    seconds = "60"
  }
}
