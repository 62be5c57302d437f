resource "google_storage_bucket" "main" {
  name            = "weights"
  location        = "EU"
  deletion_policy = "PREVENT"

  uniform_bucket_level_access = true
  public_access_prevention    = "inherited"
}
