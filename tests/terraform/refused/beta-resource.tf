# 7: Invalid resource type
provider "google" {
  project = "test-project"
  region  = "europe-west4"
}

resource "google_compute_future_reservation" "main" {
  name = "chat"

  time_window {
    start_time = "2027-01-11T08:00:00Z"
  }
}
