resource "google_storage_bucket" "main" {
  name            = "weights"
  location        = "EU"
  deletion_policy = "PREVENT"

  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
}

resource "google_storage_bucket_iam_member" "all" {
  bucket = google_storage_bucket.main.name
  role   = "roles/storage.objectViewer"
  member = "allUsers"
}

resource "google_storage_bucket_iam_binding" "all" {
  bucket  = google_storage_bucket.main.name
  role    = "roles/storage.objectViewer"
  members = ["allAuthenticatedUsers"]
}

resource "google_storage_bucket_acl" "all" {
  bucket         = google_storage_bucket.main.name
  predefined_acl = "publicRead"
}

resource "google_storage_bucket_acl" "some" {
  bucket      = google_storage_bucket.main.name
  role_entity = ["OWNER:user-a@example.com", "READER:allUsers"]
}
