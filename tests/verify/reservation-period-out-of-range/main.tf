resource "google_compute_future_reservation" "main" {
  provider = google-beta
  name     = "block"
  zone     = "europe-west4-a"

  reservation_name = "block"
  reservation_mode = "CALENDAR"

  time_window {
    start_time = "2027-01-11T08:00:00Z"
    end_time   = "2027-06-11T08:00:00Z"
  }

  specific_sku_properties {
    total_count = "4"
  }
}
