resource "google_compute_resource_policy" "main" {
  name   = "chat"
  region = "europe-west4"

  group_placement_policy {
    collocation  = "COLLOCATED"
    max_distance = 2
  }
}

resource "google_compute_resource_policy" "beta" {
  provider = google-beta
  name     = "chat"
  region   = "europe-west4"

  group_placement_policy {
    collocation  = "COLLOCATED"
    max_distance = 2
  }
}

resource "google_compute_future_reservation" "main" {
  name             = "block"
  zone             = "europe-west4-a"
  reservation_name = "block"

  time_window {
    start_time = "2027-01-11T08:00:00Z"
    end_time   = "2027-02-11T08:00:00Z"
  }

  specific_sku_properties {
    total_count = "4"
  }
}
