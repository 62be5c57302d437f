resource "google_compute_disk" "weights" {
  name            = "weights"
  zone            = "europe-west4-a"
  type            = "pd-ssd"
  access_mode     = "READ_ONLY_MANY"
  deletion_policy = "PREVENT"
}
