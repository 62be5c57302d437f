resource "google_compute_future_reservation" "main" {
  provider = google-beta
  name     = "block"
  zone     = "europe-west4-a"

  reservation_name = "block"
  name_prefix      = "block-"

  time_window {
    start_time = "2027-01-11T08:00:00Z"
    end_time   = "2027-02-11T08:00:00Z"

    duration {
      seconds = "864000"
    }
  }

  specific_sku_properties {
    total_count = "0"
  }
}
