# 7: one of these must be given

provider "google" {
  project = "test-project"
}

resource "google_compute_health_check" "main" {
  name = "chat"
}
