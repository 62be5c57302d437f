resource "google_compute_health_check" "main" {
  name = "chat"

  tcp_health_check {
    port = 22
  }

  http_health_check {
    port = 80
  }
}

resource "google_compute_reservation" "main" {
  name            = "chat"
  zone            = "europe-west4-a"
  delete_at_time  = "2027-01-11T08:00:00Z"
  deletion_policy = "PREVENT"

  delete_after_duration {
    seconds = "3600"
  }

  specific_reservation {
    count = 1

    instance_properties {
      machine_type = "n2-standard-4"
    }
  }
}
