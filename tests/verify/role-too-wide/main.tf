resource "google_project_iam_member" "fleet" {
  project = "p"
  role    = "roles/editor"
  member  = "serviceAccount:fleet@p.iam.gserviceaccount.com"
}
