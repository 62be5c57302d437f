resource "google_secret_manager_secret" "main" {
  secret_id = "hub"

  replication {
    auto {
    }
  }

  rotation {
    rotation_period = "2592000s"
  }
}
