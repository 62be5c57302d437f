# Other workloads of the project may use these too: they stay on when this stack goes.
resource "google_project_service" "main" {
  for_each = toset([
    "cloudresourcemanager.googleapis.com",
    "compute.googleapis.com",
    "file.googleapis.com",
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
  account_id   = "legal-tune"
  display_name = "legal-tune"
  description  = "Machines of legal-tune"

  depends_on = [google_project_service.main]
}

# Write logs and metrics. Read the group's members, from which the machines tell their ranks.
resource "google_project_iam_member" "machine" {
  for_each = toset(["roles/compute.viewer", "roles/logging.logWriter", "roles/monitoring.metricWriter"])

  project = var.project_id
  role    = each.key
  member  = google_service_account.main.member
}

resource "google_storage_bucket_iam_member" "checkpoints" {
  bucket = google_storage_bucket.checkpoints.name
  role   = "roles/storage.objectUser"
  member = google_service_account.main.member
}
