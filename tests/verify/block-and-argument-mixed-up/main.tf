resource "google_compute_health_check" "main" {
  name = "chat"
  http_health_check = {
    port = 8000
  }
}

resource "google_compute_image" "main" {
  name         = "chat"
  source_image = "projects/p/global/images/i"

  labels {
    team = "a"
  }
}
