resource "google_compute_future_reservation" "main" {
  provider = google-beta
  name     = "block"
  zone     = "europe-west4-a"

  reservation_name = "block"
  planning_status  = "SUBMITTED"
  deletion_policy  = "ABANDON"

  time_window {
    start_time = "2027-01-11T08:00:00Z"
    end_time   = "2027-02-11T08:00:00Z"
  }

  specific_sku_properties {
    total_count = "4"
  }
}
