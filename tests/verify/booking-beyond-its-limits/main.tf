resource "google_compute_future_reservation" "machines" {
  provider         = google-beta
  name             = "machines"
  zone             = "europe-west4-b"
  reservation_name = "machines"
  reservation_mode = "CALENDAR"

  specific_sku_properties {
    total_count = "81"

    instance_properties {
      machine_type = "a3-highgpu-8g"
    }
  }

  time_window {
    start_time = "2027-01-11T08:00:00Z"
    end_time   = "2027-02-10T08:00:00Z"
  }
}

resource "google_compute_future_reservation" "enough" {
  provider         = google-beta
  name             = "enough"
  zone             = "europe-west4-b"
  reservation_name = "enough"
  reservation_mode = "CALENDAR"

  specific_sku_properties {
    total_count = "256"

    instance_properties {
      machine_type = "h4d-standard-192"
    }
  }

  time_window {
    start_time = "2027-01-11T08:00:00Z"
    end_time   = "2027-02-10T08:00:00Z"
  }
}

resource "google_compute_future_reservation" "prefix" {
  provider    = google-beta
  name        = "prefix"
  zone        = "europe-west4-b"
  name_prefix = "a-prefix-of-too-many-letters"

  specific_sku_properties {
    total_count = "2"

    instance_properties {
      machine_type = "n2-standard-4"
    }
  }

  time_window {
    start_time = "2027-01-11T08:00:00Z"
    end_time   = "2027-02-10T08:00:00Z"
  }

  share_settings {
    share_type = "SPECIFIC_PROJECTS"

    project_map {
      id         = "team-000"
      project_id = "team-000"
    }

    project_map {
      id         = "team-001"
      project_id = "team-001"
    }

    project_map {
      id         = "team-002"
      project_id = "team-002"
    }

    project_map {
      id         = "team-003"
      project_id = "team-003"
    }

    project_map {
      id         = "team-004"
      project_id = "team-004"
    }

    project_map {
      id         = "team-005"
      project_id = "team-005"
    }

    project_map {
      id         = "team-006"
      project_id = "team-006"
    }

    project_map {
      id         = "team-007"
      project_id = "team-007"
    }

    project_map {
      id         = "team-008"
      project_id = "team-008"
    }

    project_map {
      id         = "team-009"
      project_id = "team-009"
    }

    project_map {
      id         = "team-010"
      project_id = "team-010"
    }

    project_map {
      id         = "team-011"
      project_id = "team-011"
    }

    project_map {
      id         = "team-012"
      project_id = "team-012"
    }

    project_map {
      id         = "team-013"
      project_id = "team-013"
    }

    project_map {
      id         = "team-014"
      project_id = "team-014"
    }

    project_map {
      id         = "team-015"
      project_id = "team-015"
    }

    project_map {
      id         = "team-016"
      project_id = "team-016"
    }

    project_map {
      id         = "team-017"
      project_id = "team-017"
    }

    project_map {
      id         = "team-018"
      project_id = "team-018"
    }

    project_map {
      id         = "team-019"
      project_id = "team-019"
    }

    project_map {
      id         = "team-020"
      project_id = "team-020"
    }

    project_map {
      id         = "team-021"
      project_id = "team-021"
    }

    project_map {
      id         = "team-022"
      project_id = "team-022"
    }

    project_map {
      id         = "team-023"
      project_id = "team-023"
    }

    project_map {
      id         = "team-024"
      project_id = "team-024"
    }

    project_map {
      id         = "team-025"
      project_id = "team-025"
    }

    project_map {
      id         = "team-026"
      project_id = "team-026"
    }

    project_map {
      id         = "team-027"
      project_id = "team-027"
    }

    project_map {
      id         = "team-028"
      project_id = "team-028"
    }

    project_map {
      id         = "team-029"
      project_id = "team-029"
    }

    project_map {
      id         = "team-030"
      project_id = "team-030"
    }

    project_map {
      id         = "team-031"
      project_id = "team-031"
    }

    project_map {
      id         = "team-032"
      project_id = "team-032"
    }

    project_map {
      id         = "team-033"
      project_id = "team-033"
    }

    project_map {
      id         = "team-034"
      project_id = "team-034"
    }

    project_map {
      id         = "team-035"
      project_id = "team-035"
    }

    project_map {
      id         = "team-036"
      project_id = "team-036"
    }

    project_map {
      id         = "team-037"
      project_id = "team-037"
    }

    project_map {
      id         = "team-038"
      project_id = "team-038"
    }

    project_map {
      id         = "team-039"
      project_id = "team-039"
    }

    project_map {
      id         = "team-040"
      project_id = "team-040"
    }

    project_map {
      id         = "team-041"
      project_id = "team-041"
    }

    project_map {
      id         = "team-042"
      project_id = "team-042"
    }

    project_map {
      id         = "team-043"
      project_id = "team-043"
    }

    project_map {
      id         = "team-044"
      project_id = "team-044"
    }

    project_map {
      id         = "team-045"
      project_id = "team-045"
    }

    project_map {
      id         = "team-046"
      project_id = "team-046"
    }

    project_map {
      id         = "team-047"
      project_id = "team-047"
    }

    project_map {
      id         = "team-048"
      project_id = "team-048"
    }

    project_map {
      id         = "team-049"
      project_id = "team-049"
    }

    project_map {
      id         = "team-050"
      project_id = "team-050"
    }

    project_map {
      id         = "team-051"
      project_id = "team-051"
    }

    project_map {
      id         = "team-052"
      project_id = "team-052"
    }

    project_map {
      id         = "team-053"
      project_id = "team-053"
    }

    project_map {
      id         = "team-054"
      project_id = "team-054"
    }

    project_map {
      id         = "team-055"
      project_id = "team-055"
    }

    project_map {
      id         = "team-056"
      project_id = "team-056"
    }

    project_map {
      id         = "team-057"
      project_id = "team-057"
    }

    project_map {
      id         = "team-058"
      project_id = "team-058"
    }

    project_map {
      id         = "team-059"
      project_id = "team-059"
    }

    project_map {
      id         = "team-060"
      project_id = "team-060"
    }

    project_map {
      id         = "team-061"
      project_id = "team-061"
    }

    project_map {
      id         = "team-062"
      project_id = "team-062"
    }

    project_map {
      id         = "team-063"
      project_id = "team-063"
    }

    project_map {
      id         = "team-064"
      project_id = "team-064"
    }

    project_map {
      id         = "team-065"
      project_id = "team-065"
    }

    project_map {
      id         = "team-066"
      project_id = "team-066"
    }

    project_map {
      id         = "team-067"
      project_id = "team-067"
    }

    project_map {
      id         = "team-068"
      project_id = "team-068"
    }

    project_map {
      id         = "team-069"
      project_id = "team-069"
    }

    project_map {
      id         = "team-070"
      project_id = "team-070"
    }

    project_map {
      id         = "team-071"
      project_id = "team-071"
    }

    project_map {
      id         = "team-072"
      project_id = "team-072"
    }

    project_map {
      id         = "team-073"
      project_id = "team-073"
    }

    project_map {
      id         = "team-074"
      project_id = "team-074"
    }

    project_map {
      id         = "team-075"
      project_id = "team-075"
    }

    project_map {
      id         = "team-076"
      project_id = "team-076"
    }

    project_map {
      id         = "team-077"
      project_id = "team-077"
    }

    project_map {
      id         = "team-078"
      project_id = "team-078"
    }

    project_map {
      id         = "team-079"
      project_id = "team-079"
    }

    project_map {
      id         = "team-080"
      project_id = "team-080"
    }

    project_map {
      id         = "team-081"
      project_id = "team-081"
    }

    project_map {
      id         = "team-082"
      project_id = "team-082"
    }

    project_map {
      id         = "team-083"
      project_id = "team-083"
    }

    project_map {
      id         = "team-084"
      project_id = "team-084"
    }

    project_map {
      id         = "team-085"
      project_id = "team-085"
    }

    project_map {
      id         = "team-086"
      project_id = "team-086"
    }

    project_map {
      id         = "team-087"
      project_id = "team-087"
    }

    project_map {
      id         = "team-088"
      project_id = "team-088"
    }

    project_map {
      id         = "team-089"
      project_id = "team-089"
    }

    project_map {
      id         = "team-090"
      project_id = "team-090"
    }

    project_map {
      id         = "team-091"
      project_id = "team-091"
    }

    project_map {
      id         = "team-092"
      project_id = "team-092"
    }

    project_map {
      id         = "team-093"
      project_id = "team-093"
    }

    project_map {
      id         = "team-094"
      project_id = "team-094"
    }

    project_map {
      id         = "team-095"
      project_id = "team-095"
    }

    project_map {
      id         = "team-096"
      project_id = "team-096"
    }

    project_map {
      id         = "team-097"
      project_id = "team-097"
    }

    project_map {
      id         = "team-098"
      project_id = "team-098"
    }

    project_map {
      id         = "team-099"
      project_id = "team-099"
    }

    project_map {
      id         = "team-100"
      project_id = "team-100"
    }
  }
}
