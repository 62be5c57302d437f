resource "google_compute_image" "main" {
  source_image = "projects/p/global/images/i"
}

resource "google_compute_autoscaler" "main" {
  name   = "chat"
  zone   = "europe-west4-a"
  target = null
}
