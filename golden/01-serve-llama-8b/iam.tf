# Other workloads of the project may use these too: they stay on when this stack goes.
resource "google_project_service" "main" {
  for_each = toset([
    "cloudresourcemanager.googleapis.com",
    "compute.googleapis.com",
    "iam.googleapis.com",
    "iap.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "oslogin.googleapis.com",
    "serviceusage.googleapis.com",
    "storage.googleapis.com",
  ])

  service            = each.key
  disable_on_destroy = false
}

resource "google_service_account" "main" {
  account_id   = "support-chat"
  display_name = "support-chat"
  description  = "Machines of support-chat"

  depends_on = [google_project_service.main]
}

# Write logs and metrics.
resource "google_project_iam_member" "machine" {
  for_each = toset(["roles/logging.logWriter", "roles/monitoring.metricWriter"])

  project = var.project_id
  role    = each.key
  member  = google_service_account.main.member
}

resource "google_storage_bucket_iam_member" "weights" {
  bucket = google_storage_bucket.weights.name
  role   = "roles/storage.objectViewer"
  member = google_service_account.main.member
}
