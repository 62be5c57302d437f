# 14: Too many http_health_check blocks
provider "google" {
  project = "test-project"
  region  = "europe-west4"
}

resource "google_compute_health_check" "main" {
  name = "chat"

  http_health_check {
    port = 80
  }

  http_health_check {
    port = 81
  }
}
